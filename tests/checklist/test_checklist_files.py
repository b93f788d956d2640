"""TAO's checklist, the files of a run: rows 49, 52, 54-59, 81, 82 and 85."""

from __future__ import annotations

import json
import uuid
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from raytao.brains.base import Brain, Task
from raytao.brains.bayesian import Bayesian, BayesianSettings
from raytao.brains.hyperband import Hyperband, HyperbandSettings
from raytao.cli.main import main
from raytao.models.find import find
from raytao.runs.place import store_at
from raytao.runs.state import RunState
from raytao.runs.store import MemoryStore
from raytao.setup.job import job_of
from raytao.setup.resolve import resolve
from raytao.setup.setup import Setup
from raytao.space import Float, Space
from raytao.tao import layout
from raytao.tao.status import Status, StatusLine, read_status, status_line
from raytao.testing.folder_run import Conditions, run_in_folder
from raytao.testing.places import local
from raytao.types import EPOCHS, SCORE, Observation, Scored, Start

HYPERBAND = (
    "network: toy\nbrain: {name: hyperband, R: 9, nu: 3, epoch_multiplier: 1, mode: sync}\n"
)
BAYESIAN = (
    "network: toy\nbrain: {name: bayesian, max_recommendations: 5}\nset: {train.num_epochs: 3}\n"
)


@dataclass(frozen=True)
class Whole:
    """A run that is over, in its folder."""

    setup: Setup
    state: RunState

    @property
    def folder(self) -> Path:
        return local(self.setup.results)

    def json(self, name: str) -> Any:
        return json.loads((self.folder / name).read_text())


def whole(folder: Path, text: str) -> Whole:
    (folder / "run.yaml").write_text(text)
    setup = resolve(str(folder / "run.yaml"), [f"results_dir={folder / 'results'}"])
    how = Conditions(slots=2, draw_every=10, fails=lambda trial, epoch: trial == 1)
    return Whole(setup, run_in_folder(setup, store_at(setup.results), how))


@pytest.fixture(scope="module", params=[HYPERBAND, BAYESIAN], ids=["hyperband", "bayesian"])
def run(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Whole:
    return whole(tmp_path_factory.mktemp("run"), request.param)


def test_row_049_the_job_folder_holds_tao_s_files(run: Whole) -> None:
    there = {path.name for path in run.folder.iterdir()}
    assert {"automl_metadata.json", "brain.json", "controller.json", "best_model"} < there
    for trial in run.state.trials:
        assert {f"recommendation_{trial}.yaml", f"experiment_{trial}"} < there


def test_row_052_best_model_is_whole(run: Whole) -> None:
    best = run.state.incumbent
    assert best is not None
    model = run.folder / "best_model"
    files = {str(path.relative_to(model)) for path in model.rglob("*") if path.is_file()}
    assert files == {
        "log.txt",
        f"recommendation_{best.trial}.yaml",
        "status.json",
        "raytao.json",
        f"weights/model_epoch_{best.epoch:03d}.pth",
    }


def test_row_054_controller_json_is_a_list_of_trials_with_tao_s_keys(run: Whole) -> None:
    drawn = run.json("controller.json")
    assert [entry["id"] for entry in drawn] == list(run.state.trials)
    for entry in drawn:
        failed = entry["id"] == 1
        assert entry["status"] == ("failure" if failed else "success")
        assert uuid.UUID(entry["job_id"]).version == 4
        assert entry["metric"] == "value"
        assert (entry["result"] is None) is failed  # TAO stores 1e-7 or infinity for a failure
        assert len(entry["best_epoch_number"]) == (0 if failed else 3)
        assert isinstance(entry["specs"], dict)


def test_row_055_specs_in_controller_json_are_the_searched_parameters_alone(run: Whole) -> None:
    for entry in run.json("controller.json"):
        assert set(entry["specs"]) == set(run.setup.space.names)
        assert entry["specs"] == dict(run.state.trials[entry["id"]].params)


SPACE = Space([Float("x", 0.0, 1.0), Float("y", 0.0, 1.0)])
COUNTERS = {
    *("bracket", "sh_iter", "expt_iter", "complete", "epoch_number", "resume_epoch_number"),
    *("epoch_multiplier", "ni", "ri"),
}


def hyperband(**settings: Any) -> Hyperband:
    settings = {"R": 3, "nu": 3, "epoch_multiplier": 2, **settings}
    return Hyperband(Task(SPACE, epochs=6), HyperbandSettings(**settings))


def begun(brain: Brain, trial: int) -> Start:
    start = brain.suggest(trial)
    assert isinstance(start, Start)
    return start


def told(brain: Brain) -> Any:
    return json.loads(json.dumps(brain.describe()))


@pytest.mark.parametrize(
    "settings",
    [
        {"mode": "sync"},
        {"mode": "async", "sampler": "random", "promotion": "rank"},
        {"compat": "tao5"},
        {"compat": "tao7"},
    ],
    ids=["sync", "async", "tao5", "tao7"],
)
def test_row_056_brain_json_of_hyperband_has_tao_s_counters(settings: dict[str, str]) -> None:
    brain = hyperband(**settings)
    assert set(told(brain)) == COUNTERS
    starts = [begun(brain, trial) for trial in range(3)]
    first = starts[0].budget[EPOCHS]
    now = told(brain)
    assert (now["bracket"], now["sh_iter"], now["expt_iter"], now["complete"]) == (0, 0, 3, False)
    assert (now["epoch_number"], now["resume_epoch_number"]) == (first, 0)
    assert now["ri"]["0"][0] * now["epoch_multiplier"] == first
    for trial, score in enumerate([0.1, 0.3, 0.2]):
        brain.observe(Observation(trial, {EPOCHS: first}, Scored({SCORE: score})))
    then = told(brain)
    assert (then["sh_iter"], then["expt_iter"], then["resume_epoch_number"]) == (1, 1, first)
    assert then["epoch_number"] == then["ri"]["0"][1] * then["epoch_multiplier"]


@pytest.mark.parametrize("compat", [None, "tao5", "tao7"])
def test_row_056_brain_json_of_bayesian_has_a_point_more_while_a_trial_runs(
    compat: Any,
) -> None:
    brain = Bayesian(Task(SPACE, epochs=2), BayesianSettings(compat=compat))
    assert told(brain) == {"Xs": [], "ys": []}
    begun(brain, 0)
    now = told(brain)
    assert (len(now["Xs"]), now["ys"]) == (1, [])
    assert all(0.0 <= x <= 1.0 for x in now["Xs"][0])
    brain.observe(Observation(0, {EPOCHS: 2}, Scored({SCORE: 0.25})))
    assert told(brain) == {"Xs": now["Xs"], "ys": [0.25]}


def test_row_057_automl_metadata_json_has_tao_s_keys_and_ends_at_zero(run: Whole) -> None:
    drawn, best = run.json("automl_metadata.json"), run.state.incumbent
    assert best is not None
    epochs = drawn["Number of epochs yet to start"]
    assert (epochs, type(epochs)) == (0.0, float)
    assert drawn["best_value"] == best.value
    assert drawn["Estimated time for automl completion"] == "0:00:00"
    assert drawn["Current experiment number"] == len(run.state.trials)
    assert drawn["Time per epoch in seconds"] == 1.0
    assert drawn["Best experiment id"] == best.trial


def test_row_057_a_network_that_counts_iterations_has_tao_s_other_keys(tmp_path: Path) -> None:
    (tmp_path / "run.yaml").write_text(BAYESIAN)
    setup = resolve(str(tmp_path / "run.yaml"))
    store = MemoryStore()
    run_in_folder(replace(setup, card=replace(setup.card, unit="iters")), store)
    drawn = json.loads(store.files["automl_metadata.json"])
    assert drawn["Number of iters yet to start"] == 0.0
    assert drawn["Time per iter in seconds"] == 1.0
    assert not any("epoch" in key for key in drawn)


def test_row_058_current_rec_json_is_an_integer(run: Whole) -> None:
    assert run.json("current_rec.json") == run.state.launched
    assert (run.folder / "current_rec.json").read_text().strip().isdigit()


def test_row_059_status_json_is_json_lines_of_tao_s_keys(run: Whole) -> None:
    lines = (run.folder / "experiment_0" / "status.json").read_text().splitlines()
    found = [json.loads(line) for line in lines]
    assert [one["status"] for one in found] == [
        "STARTED",
        *["RUNNING"] * (len(found) - 2),
        "SUCCESS",
    ]
    for one in found:
        assert {"date", "time", "status", "verbosity"} <= one.keys()
    for epoch, one in enumerate(found[1:-1], start=1):
        assert (one["epoch"], one["time_per_epoch"]) == (epoch, "0:00:01.000000")
        assert one["max_epoch"] >= epoch
        assert one["kpi"].keys() == {"value"}
        assert "eta" in one
    broken = (run.folder / "experiment_1" / "status.json").read_text().splitlines()
    assert json.loads(broken[-1])["status"] == "FAILURE"


@pytest.mark.parametrize("status", ["STARTED", "RUNNING", "SUCCESS", "FAILURE", "SKIPPED"])
def test_row_059_each_of_the_five_states_is_written_and_read(status: str) -> None:
    when = datetime(2024, 8, 28, 9, 5, 7)  # noqa: DTZ001 - TAO writes no zone
    line = StatusLine(Status(status), when)
    assert read_status(status_line(line).encode()) == [line]


def test_row_081_the_best_model_s_epoch_is_recorded_for_who_goes_on_with_it(run: Whole) -> None:
    best = run.state.incumbent
    assert best is not None
    drawn = job_of(run.setup, run.state, run.folder)
    epochs = drawn["checkpoint_epoch_number"]
    assert epochs == {
        f"best_model_{drawn['id']}": best.epoch,
        f"latest_model_{drawn['id']}": best.fidelity,
    }
    last = max(run.state.trials)
    assert best.trial != last  # TAO 5.5 would have stored the epochs of this one
    weights = layout.checkpoint(epochs[f"best_model_{drawn['id']}"])
    assert (run.folder / "best_model" / weights).is_file()


def test_row_082_who_names_the_job_gets_its_best_model(run: Whole) -> None:
    best, model = run.state.incumbent, find(run.folder)
    assert best is not None
    assert model.trial == best.trial
    assert model.checkpoint == run.folder / "best_model" / layout.checkpoint(best.epoch)


def test_row_085_the_log_of_any_trial_is_fetched_by_its_index(run: Whole) -> None:
    for trial in run.state.trials:
        result = CliRunner().invoke(main, ["logs", str(run.folder), "-n", str(trial)])
        assert result.stdout == (run.folder / f"experiment_{trial}" / "log.txt").read_text()
    latest = CliRunner().invoke(main, ["logs", str(run.folder)])
    current = run.json("current_rec.json")
    assert latest.stdout == (run.folder / f"experiment_{current}" / "log.txt").read_text()
