"""A run as a study of Optuna's: what Optuna, and optuna-dashboard, make of the file."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from wsgiref.util import setup_testing_defaults

import optuna
import pytest
from optuna.distributions import (
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import TrialState
from optuna_dashboard import wsgi

from raytao.errors import FolderError, SettingsError
from raytao.runs.events import Event
from raytao.runs.log import EventLog, read_log
from raytao.runs.place import store_at
from raytao.runs.state import Phase
from raytao.runs.store import LocalStore, MemoryStore
from raytao.setup.folder import open_folder
from raytao.setup.resolve import resolve
from raytao.setup.setup import Setup
from raytao.space import Space
from raytao.space.conditions import Condition
from raytao.space.lists import SortedInts
from raytao.space.options import Bool, Categorical
from raytao.space.parameters import Float, Int
from raytao.tao import layout
from raytao.testing.places import local
from raytao.testing.simulator import LOG_KEY, simulate
from raytao.testing.toy import curve
from raytao.tracking.distributions import domains
from raytao.tracking.study import export_study

pytestmark = [
    pytest.mark.timeout(30),  # importing Optuna, and SQLAlchemy, takes seconds
    pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning"),
]
MakeSetup = Callable[..., Setup]


@pytest.fixture(scope="module")
def database(untracked: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    to = tmp_path_factory.mktemp("optuna") / "study.db"
    done = export_study(untracked, to)
    assert (done.trials, done.study, done.url) == (12, "digits", f"sqlite:///{to}")
    return to


@pytest.fixture(scope="module")
def study(database: Path) -> optuna.Study:
    return optuna.load_study(study_name="digits", storage=f"sqlite:///{database}")


def test_a_trial_is_what_the_log_tells_of_its_recommendation(
    untracked: Path, study: optuna.Study
) -> None:
    _, state = open_folder(untracked)
    assert [trial.number for trial in study.trials] == list(state.trials)
    states = {
        Phase.FINISHED: TrialState.COMPLETE,
        Phase.RETIRED: TrialState.PRUNED,
        Phase.FAILED: TrialState.FAIL,
    }
    for shown in study.trials:
        trial = state.trials[shown.number]
        assert shown.state is states[trial.phase]
        assert shown.params == dict(trial.params)
        values = {epoch: metrics["value"] for epoch, metrics in trial.history.items()}
        assert shown.intermediate_values == values
        assert shown.value == (max(values.values()) if trial.phase is not Phase.FAILED else None)
        assert shown.user_attrs["why"] == "; ".join(trial.why)
        assert shown.user_attrs["epochs"] == trial.epochs
        assert shown.duration is not None
        assert shown.duration.total_seconds() >= 0
    assert study.trials[4].user_attrs["failure"].startswith("error: told to break")


def test_the_study_knows_its_metric_its_direction_and_its_best(
    untracked: Path, study: optuna.Study
) -> None:
    setup, state = open_folder(untracked)
    assert state.incumbent is not None
    assert study.best_trial.number == state.incumbent.trial
    assert study.best_value == state.incumbent.value
    assert (study.direction.name, study.metric_names) == ("MAXIMIZE", ["value"])
    assert study.user_attrs["brain"] == "hyperband"
    for name in setup.space.names:
        shown = study.trials[0].distributions[name]
        assert (
            shown
            == domains(setup.space, [t.params for t in state.trials.values()])[name].distribution
        )


def test_optunas_own_importance_works_on_it(study: optuna.Study) -> None:
    shares = optuna.importance.get_param_importances(
        study, evaluator=optuna.importance.FanovaImportanceEvaluator(seed=0)
    )
    assert set(shares) == {"model.x", "model.y", "model.fruit"}
    assert sum(shares.values()) == pytest.approx(1)


def test_a_journal_holds_the_same_study(
    untracked: Path, study: optuna.Study, tmp_path: Path
) -> None:
    done = export_study(untracked, tmp_path / "study.log", name="mine")
    assert done.url == str(tmp_path / "study.log")
    backend = JournalFileBackend(str(tmp_path / "study.log"))
    other = optuna.load_study(study_name="mine", storage=JournalStorage(backend))
    assert [told(trial) for trial in other.trials] == [told(trial) for trial in study.trials]


def told(trial: Any) -> tuple[object, ...]:
    return (
        *(trial.number, trial.state, trial.value, trial.params, trial.distributions),
        *(trial.intermediate_values, trial.user_attrs),
        *(trial.datetime_start, trial.datetime_complete),
    )


def test_optuna_dashboard_opens_it(database: Path) -> None:
    app = wsgi(f"sqlite:///{database}")
    (found,) = asked(app, "/api/studies")["study_summaries"]
    assert found["study_name"] == "digits"
    page = asked(app, f"/api/studies/{found['study_id']}")
    assert len(page["trials"]) == 12
    assert {trial["state"] for trial in page["trials"]} == {"Complete", "Pruned", "Fail"}
    assert page["directions"] == ["maximize"]


def asked(app: Any, path: str) -> Any:
    """A GET request, without a socket."""
    environment: dict[str, Any] = {"PATH_INFO": path}
    setup_testing_defaults(environment)
    status: list[str] = []
    body = b"".join(app(environment, lambda code, *_: status.append(code)))
    assert status == ["200 OK"]
    return json.loads(body)


def test_what_is_there_is_replaced_only_on_request(untracked: Path, tmp_path: Path) -> None:
    there = tmp_path / "study.log"
    there.write_text("mine")
    with pytest.raises(FolderError, match="--force replaces it"):
        export_study(untracked, there)
    assert there.read_text() == "mine"
    export_study(untracked, there, force=True)
    assert [path.name for path in tmp_path.iterdir()] == ["study.log"]
    with pytest.raises(FolderError, match="is a folder"):
        export_study(untracked, tmp_path, force=True)
    with pytest.raises(FolderError, match="holds no raytao run"):
        export_study(tmp_path, tmp_path / "other.db")


def test_without_optuna_the_remedy_is_named(
    untracked: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("raytao.tracking.study.find_spec", lambda name: None)
    with pytest.raises(SettingsError, match=r"pip install 'raytao\[optuna\]'"):
        export_study(untracked, tmp_path / "study.db")


def test_a_run_that_goes_on_has_running_and_waiting_trials(
    untracked: Path, tmp_path: Path
) -> None:
    lines = (untracked / layout.EVENTS).read_bytes().splitlines(keepends=True)
    (tmp_path / "half").mkdir()
    (tmp_path / "half" / layout.EVENTS).write_bytes(b"".join(lines[:12]))
    export_study(tmp_path / "half", tmp_path / "half.log")
    backend = JournalFileBackend(str(tmp_path / "half.log"))
    half = optuna.load_study(study_name="half", storage=JournalStorage(backend))
    _, state = open_folder(tmp_path / "half")
    for shown in half.trials:
        begun = state.trials[shown.number].phase is not Phase.OFFERED
        assert shown.state is (TrialState.RUNNING if begun else TrialState.WAITING)
        assert shown.datetime_complete is None
    assert any(trial.state is TrialState.RUNNING for trial in half.trials)


def test_five_hundred_trials_take_seconds(make_setup: MakeSetup, tmp_path: Path) -> None:
    make_setup(tmp_path, tracking="null")
    brain = "brain={name: random, max_recommendations: 500}"
    setup = resolve(str(tmp_path / "toy.yaml"), ["train.num_epochs=2", brain])
    store = MemoryStore()
    simulate(setup.new_brain(), curve, workers=4, store=store)
    log = EventLog(LocalStore(local(setup.results)), layout.EVENTS)
    for event in [setup.opened(), *(record.event for record in read_log(store, LOG_KEY)[1:])]:
        log.add(event)
    log.commit()
    began = time.thread_time()
    assert export_study(setup.results, tmp_path / "study.log").trials == 500
    assert time.thread_time() - began < 8


SPACE = Space(
    [
        Float("lr", 1e-4, 1e-1, log=True),
        Float("drop", 0.0, 0.5),
        Int("width", 8, 64, multiple_of=8),
        Int("heads", 2, 16, power_of=2),
        Int("depth", 1, 5),
        Categorical("kind", ("sgd", "adam")),
        Float("momentum", 0.5, 0.99, conditions=(Condition("==", "kind", "sgd"),)),
        Bool("nesterov"),
        SortedInts("layers", 1, 9),
    ]
)


def test_a_distribution_says_what_the_space_says() -> None:
    found = {name: domain.distribution for name, domain in domains(SPACE, []).items()}
    assert found["lr"] == FloatDistribution(1e-4, 1e-1, log=True)
    assert found["drop"] == FloatDistribution(0.0, 0.5)
    assert found["width"] == IntDistribution(8, 64, step=8)
    assert found["heads"] == IntDistribution(2, 16, log=True)
    assert found["depth"] == IntDistribution(1, 5)
    assert found["kind"] == CategoricalDistribution(("sgd", "adam"))
    assert found["momentum"] == FloatDistribution(0.5, 0.99)
    assert found["nesterov"] == CategoricalDistribution((False, True))


def test_what_was_tried_outside_of_its_range_widens_it() -> None:
    tried: list[dict[str, Any]] = [
        {"lr": 0.5, "width": 10, "depth": 9, "kind": "adamw", "layers": [3, 4, 5], "old": 7},
        {"lr": 0.0, "heads": 1, "layers": [2, 4, 6], "old": 7.5},
    ]
    found = domains(SPACE, tried)
    assert found["lr"].distribution == FloatDistribution(0.0, 0.5)
    assert found["width"].distribution == IntDistribution(8, 64)
    assert found["depth"].distribution == IntDistribution(1, 9)
    assert found["heads"].distribution == IntDistribution(1, 16, log=True)
    assert found["kind"].distribution == CategoricalDistribution(("sgd", "adam", "adamw"))
    assert found["layers"].shown([2, 4, 6]) == "[2, 4, 6]"
    assert found["old"].distribution == FloatDistribution(7, 7.5)
    for params in tried:
        for name, value in params.items():
            domain = found[name]
            assert domain.distribution._contains(
                domain.distribution.to_internal_repr(domain.shown(value))
            )


def test_the_command_says_how_to_look_at_it(untracked: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "raytao", "export-optuna", str(untracked), "-o", "s.log"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "s.log\n")
    assert done.stderr == "study digits: 12 trials\nlook at it with: optuna-dashboard s.log\n"


def test_a_run_of_no_trial_is_a_study_of_none(
    untracked: Path, tmp_path: Path, log: tuple[Event, ...]
) -> None:
    lines = (untracked / layout.EVENTS).read_bytes().splitlines(keepends=True)
    (tmp_path / "new").mkdir()
    (tmp_path / "new" / layout.EVENTS).write_bytes(lines[0])
    assert export_study(tmp_path / "new", tmp_path / "s.log").trials == 0
    assert store_at(tmp_path).size("s.log")
