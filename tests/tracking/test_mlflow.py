"""What MLflow holds of a run: everything, once, whatever happened to the driver on the way."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote, urlparse

import pytest
from hypothesis import given
from hypothesis import strategies as st

from raytao.runs.events import Event, Reported, Resumed, Started
from raytao.runs.log import EventLog, Record
from raytao.runs.place import Place
from raytao.runs.state import Phase, RunState
from raytao.runs.store import LocalStore
from raytao.setup.setup import Setup
from raytao.testing.places import local
from raytao.tracking import open_tracking
from raytao.tracking.ledger import NOTE_TAG, PARENT_TAG, name
from raytao.tracking.mlflow import ARTIFACTS, DATABASE
from raytao.tracking.said import where_in_mlflow

pytestmark = [
    pytest.mark.timeout(60),  # importing MLflow and making its database takes seconds
    pytest.mark.filterwarnings(r"ignore::DeprecationWarning:mlflow(\.|$)"),
]

MakeSetup = Callable[..., Setup]
Log = tuple[Event, ...]
Page = dict[str, Any]

BEGAN = 1_700_000_000

MODEL = {
    "best_model/recommendation_3.yaml": b"model: {x: 0.3}\n",
    "best_model/raytao.json": b"{}",
    "best_model/weights/model_epoch_009.pth": bytes(range(256)),
    "controller.json": b"[]",
}

DRIVER = """
import sys
from pathlib import Path
from raytao.runs.log import read_log
from raytao.runs.store import LocalStore
from raytao.setup.resolve import resolve
from raytao.tracking import open_tracking
run = Path(sys.argv[1])
tracking = open_tracking(resolve(str(run)), print)
tracking.start(read_log(LocalStore(run.parent), "log"))
tracking.close()
"""


@dataclass(frozen=True)
class Notebook:
    """What MLflow holds: the searches, and the recommendations by name."""

    pages: list[Page]
    searches: list[Page]
    recommendations: dict[str, Page]

    @property
    def search(self) -> Page:
        (search,) = self.searches
        return search


def read(database: Place) -> Notebook:
    """Read back all runs with MLflow's own client."""
    from mlflow import MlflowClient

    client = MlflowClient(tracking_uri=f"sqlite:///{quote(str(database))}")
    experiment = client.get_experiment_by_name("raytao")
    assert experiment is not None
    pages = [page(client, run) for run in client.search_runs([experiment.experiment_id])]
    below = [one for one in pages if PARENT_TAG in one["tags"]]
    searches = [one for one in pages if PARENT_TAG not in one["tags"]]
    assert {one["tags"][PARENT_TAG] for one in below} <= {one["id"] for one in searches}
    by_name = {one["name"]: one for one in below}
    assert len(by_name) == len(below) or len(searches) > 1
    return Notebook(pages, searches, by_name)


def page(client: Any, run: Any) -> Page:
    history = {key: client.get_metric_history(run.info.run_id, key) for key in run.data.metrics}
    return {
        "id": run.info.run_id,
        "name": run.info.run_name,
        "status": run.info.status,
        "started": run.info.start_time,
        "ended": run.info.end_time,
        "files": Path(unquote(urlparse(run.info.artifact_uri).path)),
        "tags": run.data.tags,
        "params": run.data.params,
        "written": {key: [m.timestamp for m in points] for key, points in history.items()},
        "metrics": {
            key: sorted((m.step, m.value) for m in points) for key, points in history.items()
        },
    }


def lasting(notebook: Notebook) -> dict[str, Page]:
    """What does not depend on when, and by how many drivers, it was told."""
    kept = {}
    for title, one in {"search": notebook.search, **notebook.recommendations}.items():
        tags = {key: value for key, value in one["tags"].items() if key != PARENT_TAG}
        tags[NOTE_TAG] = tags[NOTE_TAG].partition("\n- results")[0]
        kept[title] = {key: one[key] for key in ("name", "status", "params", "metrics")} | tags
    return kept


def logged(events: Log) -> list[Record]:
    """One event a second."""
    return [Record(n, BEGAN + n, event) for n, event in enumerate(events)]


def folded(events: Log) -> RunState:
    return RunState.fold(logged(events))


def follow(setup: Setup, known: Log, live: Log = ()) -> list[str]:
    """One driver's life; returns what the user was told, but that it takes a moment."""
    said: list[str] = []
    tracking = open_tracking(setup, said.append)
    assert tracking is not None
    tracking.start(logged(known))
    for event in live:
        tracking.event(event, time.time())
    tracking.close(50)
    return [line for line in said if not line.startswith("telling MLflow ")]


def furnished(setup: Setup, database: Path) -> Setup:
    """A results folder with a database that holds no run, a model and a table."""
    shutil.copy(database, local(setup.results / DATABASE))
    for key, data in MODEL.items():
        file = local(setup.results / key)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(data)
    return setup


@pytest.fixture(scope="module", autouse=True)
def _no_server() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        yield


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database that MLflow has set up: that takes seconds, copying it takes none."""
    from mlflow import MlflowClient

    path = tmp_path_factory.mktemp("empty") / DATABASE
    MlflowClient(tracking_uri=f"sqlite:///{path}").search_experiments()
    return path


@pytest.fixture
def setup(database: Path, make_setup: MakeSetup, tmp_path: Path) -> Setup:
    return furnished(make_setup(tmp_path), database)


@pytest.fixture(scope="module")
def whole(
    database: Path, make_setup: MakeSetup, log: Log, tmp_path_factory: pytest.TempPathFactory
) -> Setup:
    """A run that one driver told from its beginning to its end."""
    setup = furnished(make_setup(tmp_path_factory.mktemp("whole")), database)
    assert follow(setup, log[:1], log[1:]) == []
    return setup


@pytest.fixture(scope="module")
def notebook(whole: Setup) -> Notebook:
    return read(whole.results / DATABASE)


def test_every_epoch_of_every_recommendation_is_there_once(notebook: Notebook, log: Log) -> None:
    trials = folded(log).trials
    assert notebook.recommendations.keys() == {f"recommendation_{n}" for n in trials}
    for number, trial in trials.items():
        values = [(epoch, metrics["value"]) for epoch, metrics in trial.history.items()]
        best = [(n, v) for n, v in values if all(v > earlier for _, earlier in values[: n - 1])]
        found = notebook.recommendations[f"recommendation_{number}"]["metrics"]
        assert found == ({"value": values, "best_value": best} if values else {})


def test_a_recommendation_shows_its_params_and_how_it_ended(notebook: Notebook, log: Log) -> None:
    trials = folded(log).trials
    assert {t.phase for t in trials.values()} == {Phase.FINISHED, Phase.RETIRED, Phase.FAILED}
    for number, trial in trials.items():
        shown = notebook.recommendations[f"recommendation_{number}"]
        assert shown["params"] == {key: str(value) for key, value in trial.params.items()}
        tags = {
            "raytao.job_id": trial.job_id,
            "raytao.phase": trial.phase.value,
            "raytao.why": "; ".join(trial.why),
        }
        if number == 4:
            tags["raytao.failure"] = "error: simulated failure"
        assert {k: v for k, v in shown["tags"].items() if k.startswith("raytao.")} == tags
        assert shown["status"] == ("FAILED" if number == 4 else "FINISHED")
        assert shown["ended"]


def test_the_search_shows_what_it_is_and_how_its_best_value_came_about(
    whole: Setup, notebook: Notebook, log: Log
) -> None:
    search, state, best = notebook.search, RunState(), []
    for event in log:
        state.apply(event)
        if isinstance(event, Reported):
            assert state.incumbent is not None
            best.append((state.epochs, state.incumbent.value))
    assert state.tested is not None
    tested = [(state.tested.epoch, 0.75)]
    assert search["metrics"] == {"best_value": best, "test_value": tested}
    assert (search["name"], search["status"]) == ("digits", "FINISHED")
    assert search["params"]["brain.R"] == "9"
    assert search["params"]["searched"] == ", ".join(whole.space.names)
    tags = {
        "raytao.run": state.trials[0].job_id,
        "raytao.network": "toy",
        "raytao.brain": "hyperband",
        "raytao.metric": "value",
        "raytao.direction": "maximize",
    }
    assert search["tags"].items() >= tags.items()
    assert search["tags"]["raytao.model"].startswith("files only: ")
    described = search["tags"][NOTE_TAG]
    winner = state.incumbent
    assert winner is not None
    assert f"best: **{winner.value:.6g}**, recommendation {winner.trial}" in described
    assert "test set, measured once: test\\_value 0.75" in described


def test_the_best_model_is_kept_to_the_byte_inside_the_results(
    whole: Setup, notebook: Notebook
) -> None:
    files = notebook.search["files"]
    found = {str(f.relative_to(files)): f.read_bytes() for f in files.rglob("*") if f.is_file()}
    assert found == MODEL
    assert whole.results / ARTIFACTS in files.parents


def test_replaying_the_log_changes_nothing(whole: Setup, notebook: Notebook, log: Log) -> None:
    files = sorted(notebook.search["files"].rglob("*"))
    times = [file.stat().st_mtime_ns for file in files]
    assert follow(whole, log) == []
    assert read(whole.results / DATABASE) == notebook
    assert [file.stat().st_mtime_ns for file in files] == times


@pytest.mark.parametrize(("told", "logged"), [(1, 9), (20, 20), (40, 44), (80, 84)])
def test_a_run_that_was_cut_short_and_resumed_ends_up_the_same(
    told: int, logged: int, setup: Setup, notebook: Notebook, log: Log
) -> None:
    database = setup.results / DATABASE
    follow(setup, (), log[1:told])
    early = read(database)
    assert {one["status"] for one in early.searches} <= {"KILLED"}
    for one in early.recommendations.values():
        over = one["tags"]["raytao.phase"] in ("finished", "retired", "failed")
        assert one["status"] in (("FINISHED", "FAILED") if over else ("KILLED",))
    follow(setup, log[:logged], (Resumed("host", 1, "1.0"), *log[logged:]))
    assert lasting(read(database)) == lasting(notebook)


def test_while_it_goes_on_a_resumed_run_is_running_again(setup: Setup, log: Log) -> None:
    follow(setup, (), log[1:30])
    assert read(setup.results / DATABASE).search["status"] == "KILLED"
    said: list[str] = []
    tracking = open_tracking(setup, said.append)
    assert tracking is not None
    tracking.start(logged(log[:30]))
    while read(setup.results / DATABASE).search["status"] != "RUNNING":
        assert said == []
    tracking.close()
    assert read(setup.results / DATABASE).search["status"] == "KILLED"


def test_what_shows_the_run_is_told_as_the_user_names_its_folder(
    setup: Setup, log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = local(setup.results)
    monkeypatch.chdir(folder.parent)
    named = replace(setup, results=Path(folder.name))
    tracking = open_tracking(named, lambda line: None)
    assert tracking is not None
    tracking.start(logged(log[:9]))
    assert tracking.where() == []
    tracking.close(50)
    command = f"mlflow ui --backend-store-uri sqlite:///{folder.name}/{DATABASE}"
    assert tracking.where() == [f"MLflow       {command}"]


@pytest.mark.parametrize(
    ("uri", "shown"),
    [
        ("http://host:5000/", "http://host:5000/#/experiments/1/runs/ab"),
        ("sqlite:////data/my runs.db", "mlflow ui --backend-store-uri 'sqlite:////data/my "),
        ("mysql+pymysql://db/runs", "mlflow ui --backend-store-uri mysql+pymysql://db/runs"),
        ("databricks", "run ab of experiment 1 in databricks"),
    ],
)
def test_a_page_is_named_for_a_server_and_a_command_for_a_database(uri: str, shown: str) -> None:
    assert where_in_mlflow(uri, "1", "ab").startswith(shown)


def test_two_runs_of_one_name_do_not_mix(setup: Setup, log: Log) -> None:
    other = [replace(e, job_id=e.job_id[::-1]) if isinstance(e, Started) else e for e in log[:9]]
    follow(setup, log[:9])
    follow(setup, tuple(other))
    assert len(read(setup.results / DATABASE).searches) == 2


def test_values_too_long_and_names_too_odd_for_mlflow_are_fitted(setup: Setup, log: Log) -> None:
    started, leased = log[1:3]
    assert isinstance(started, Started)
    started = replace(started, params={"model.x": "x" * 9000, "größe (mm)/": 1}, why="y" * 9000)
    report = Reported(0, 1, 1, {"value": 0.5, "score": 0.5, "mAP@0.5": 0.25}, 1.0)
    assert follow(setup, (), (started, leased, report)) == []
    shown = read(setup.results / DATABASE).recommendations["recommendation_0"]
    assert shown["params"] == {"model.x": "x" * 6000, "größe _mm__": "1"}
    values = {"value": [(1, 0.5)], "best_value": [(1, 0.5)], "mAP_0.5": [(1, 0.25)]}
    assert shown["metrics"] == values
    assert shown["tags"]["raytao.why"] == "y" * 5000


@given(st.text() | st.text("./a "))
def test_mlflow_takes_every_name_that_was_fitted(text: str) -> None:
    rules: Any = import_module("mlflow.utils.validation")
    fitted = name(text)
    assert rules.validate_param_and_metric_name(fitted)
    assert not rules.path_not_unique(fitted)
    assert 0 < len(fitted) <= rules.MAX_ENTITY_KEY_LENGTH
    assert name(fitted) == fitted


def test_a_folder_whose_name_needs_escapes_in_an_address_will_do(
    database: Path, make_setup: MakeSetup, tmp_path: Path, log: Log
) -> None:
    setup = furnished(make_setup(tmp_path, results="my run 100%20, naïve"), database)
    assert follow(setup, log) == []
    found = read(setup.results / DATABASE)
    assert found.search["name"] == "my run 100%20, naïve"
    assert (found.search["files"] / "controller.json").read_bytes() == MODEL["controller.json"]


def test_the_run_file_names_the_server_then_the_environment(
    database: Path,
    make_setup: MakeSetup,
    tmp_path: Path,
    log: Log,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for server in ("named.db", "environment.db"):
        shutil.copy(database, tmp_path / server)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/environment.db")
    named = f"{{name: 'raytao.tracking.mlflow:MLflow', uri: 'sqlite:///{tmp_path}/named.db'}}"
    follow(make_setup(tmp_path, named), log[:9])
    follow(make_setup(tmp_path), log[:12])
    assert len(read(tmp_path / "named.db").recommendations) < len(
        read(tmp_path / "environment.db").recommendations
    )
    assert not (tmp_path / "digits" / DATABASE).exists()


def test_a_server_that_does_not_answer_is_said_once_without_its_password(
    setup: Setup, log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://ursula:hunter2@127.0.0.1:9")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    said, later = follow(setup, (), log[1:9])
    assert said.startswith("MLflow tracking is off: MlflowException: ")
    assert said.endswith("; the run goes on")
    assert "hunter2" not in said
    assert "ursula" not in said
    assert later == f"what MLflow missed is told by: raytao sync {setup.results}"


@pytest.mark.parametrize("uri", ["mlruns", "file:///tmp/mlruns"])
def test_a_plain_folder_is_refused_with_what_to_write_instead(
    uri: str, make_setup: MakeSetup, tmp_path: Path, log: Log
) -> None:
    setup = make_setup(tmp_path, f"{{name: 'raytao.tracking.mlflow:MLflow', uri: '{uri}'}}")
    said = follow(setup, log[:9])[0]
    assert f"MLflow keeps no runs in plain folders any more: {uri} name a database" in said


def test_times_are_those_of_the_log(
    whole: Setup, make_setup: MakeSetup, tmp_path: Path, log: Log
) -> None:
    shutil.copy(local(whole.results / DATABASE), tmp_path / "other.db")
    chosen = f"{{name: 'raytao.tracking.mlflow:MLflow', uri: 'sqlite:///{tmp_path}/other.db'}}"
    retold = [replace(e, job_id=e.job_id[::-1]) if isinstance(e, Started) else e for e in log]
    assert follow(make_setup(tmp_path, chosen), tuple(retold)) == []
    found = [
        one for one in read(tmp_path / "other.db").pages if one["started"] < (BEGAN + 999) * 1e3
    ]
    assert len(found) == 1 + len(folded(log).trials)
    search = next(one for one in found if PARENT_TAG not in one["tags"])
    assert (search["started"], search["ended"]) == (
        BEGAN * 1000 + 1000,
        (BEGAN + len(log) - 1) * 1000,
    )
    written = {(n, e.trial, e.epoch) for n, e in enumerate(log) if isinstance(e, Reported)}
    by_name = {one["name"]: one for one in found}
    for n, trial, epoch in written:
        assert (
            by_name[f"recommendation_{trial}"]["written"]["value"][epoch - 1] == (BEGAN + n) * 1000
        )


def test_a_database_that_was_moved_is_refused_before_files_go_to_the_old_place(
    whole: Setup, make_setup: MakeSetup, tmp_path: Path, log: Log
) -> None:
    setup = make_setup(tmp_path)
    shutil.copy(local(whole.results / DATABASE), local(setup.results / DATABASE))
    said, later = follow(setup, log)
    assert f"was made in {whole.results}, and its links lead there" in said
    assert later.endswith(f"raytao sync {setup.results}")
    local(setup.results / DATABASE).unlink()


def test_a_driver_hears_nothing_of_mlflow_and_only_the_results_folder_is_written(
    setup: Setup, log: Log, tmp_path: Path
) -> None:
    local(setup.results / DATABASE).unlink()
    events = EventLog(LocalStore(tmp_path), "log")
    for event in log:
        events.add(event)
    events.commit()
    home = tmp_path / "home"
    home.mkdir()
    tests = ("PYTEST_CURRENT_TEST", "CI", "GITHUB_ACTIONS")  # where MLflow keeps still anyway
    inherited = {key: value for key, value in os.environ.items() if key not in tests}
    driver = subprocess.run(
        [sys.executable, "-c", DRIVER, str(tmp_path / "toy.yaml")],
        cwd=home,
        env={**inherited, "HOME": str(home), "XDG_CONFIG_HOME": str(home), "AI_AGENT": "x"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert driver.stdout in ("", "telling MLflow the rest …\n")  # how fast MLflow starts
    assert (driver.stderr, driver.returncode) == ("", 0)
    assert list(home.iterdir()) == []
    assert len(read(setup.results / DATABASE).recommendations) == len(folded(log).trials)
