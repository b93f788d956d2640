"""TAO's checklist, the job as a whole: rows 68, 72-74, 83 and 84."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from raytao.automl.stopping import ask_run
from raytao.runs.events import Leased, Resumed, Started
from raytao.runs.log import read_log
from raytao.runs.place import store_at
from raytao.runs.state import RunState
from raytao.setup.folder import read_state
from raytao.setup.job import job_of
from raytao.setup.request import Ask
from raytao.setup.resolve import resolve
from raytao.setup.setup import Setup
from raytao.tao import layout
from raytao.tao.payload import JobStatus
from raytao.testing.folder_run import Conditions, Sight, run_in_folder
from raytao.testing.places import local

RUNS = {
    "hyperband": (
        "network: toy\nbrain: {name: hyperband, R: 3, nu: 3, epoch_multiplier: 2, mode: sync}\n"
    ),
    "bayesian": (
        "network: toy\nbrain: {name: bayesian, max_recommendations: 4}\n"
        "set: {train.num_epochs: 3}\n"
    ),
}
HOW = Conditions(slots=2, draw_every=50)


class Killed(BaseException):
    """The driver dies here."""


def prepared(folder: Path, text: str) -> Setup:
    folder.mkdir(exist_ok=True)
    (folder / "run.yaml").write_text(text)
    (folder / "results").mkdir()
    return resolve(str(folder / "run.yaml"), [f"results_dir={folder / 'results'}"])


def cut_short(setup: Setup, epochs: int) -> RunState:
    """The run, left after so many epochs with two trials under way."""
    seen = 0

    def witness(sight: Sight) -> None:
        nonlocal seen
        seen += sight.what == "answered"
        if seen == epochs:
            raise Killed

    with pytest.raises(Killed):
        run_in_folder(setup, store_at(setup.results), HOW, witness)
    return read_state(setup.results)


def payload(setup: Setup) -> Any:
    drawn = job_of(setup, read_state(setup.results), setup.results)
    return json.loads(json.dumps(drawn, allow_nan=False))


@pytest.fixture(params=list(RUNS.values()), ids=list(RUNS))
def setup(request: pytest.FixtureRequest, tmp_path: Path) -> Setup:
    return prepared(tmp_path, request.param)


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The payload of a whole Hyperband run, in which recommendation 1 failed."""
    setup = prepared(tmp_path_factory.mktemp("run"), RUNS["hyperband"])
    how = replace(HOW, fails=lambda trial, epoch: trial == 1)
    run_in_folder(setup, store_at(setup.results), how)
    return payload(setup)


def test_row_068_a_job_s_words_are_tao_s() -> None:
    """When each of them is said: tests/tao/test_payload.py."""
    assert {status.value for status in JobStatus} == {
        *("Pending", "Running", "Done", "Error", "Canceled", "Canceling"),
        *("Paused", "Pausing", "Resuming"),
    }


def test_row_072_when_all_trials_fail_the_run_is_an_error_with_a_message(setup: Setup) -> None:
    how = replace(HOW, fails=lambda trial, epoch: True)
    run_in_folder(setup, store_at(setup.results), how)
    told = payload(setup)
    assert told["status"] == "Error"
    assert told["result"]["detailed_status"]["status"] == "FAILURE"
    assert told["result"]["detailed_status"]["message"] == "no trial has a result"
    assert not local(setup.results / "best_model").exists()


def test_row_073_cancel_leaves_no_trial_running_and_starts_none(setup: Setup) -> None:
    before = cut_short(setup, 4)
    assert before.running()
    ask_run(Ask.CANCEL, setup.results, lambda line: None)
    seen: list[Sight] = []
    after = run_in_folder(setup, store_at(setup.results), HOW, seen.append)
    assert (after.running(), seen) == ([], [])
    assert len(after.trials) == len(before.trials)
    told = payload(setup)
    assert told["status"] == "Canceled"
    left = {t.number for t in after.trials.values() if t.phase.value == "offered"}
    experiments = told["automl_details"]["experiments"]
    assert left
    assert left == {int(n) for n, one in experiments.items() if one["status"] == "canceled"}
    controller = json.loads(local(setup.results / layout.CONTROLLER).read_text())
    assert left == {one["id"] for one in controller if one["status"] == "canceled"}


def test_row_074_pause_then_resume_loses_and_repeats_nothing(setup: Setup, tmp_path: Path) -> None:
    before = cut_short(setup, 5)
    ask_run(Ask.PAUSE, setup.results, lambda line: None)
    paused = payload(setup)
    assert paused["status"] == "Paused"
    trained: list[tuple[int, int]] = []

    def witness(sight: Sight) -> None:
        if sight.what == "trained":
            trained.append((sight.trial, sight.number))

    store = store_at(setup.results)
    after = run_in_folder(setup, store, HOW, witness)
    told = payload(setup)
    assert (told["status"], told["id"]) == ("Done", paused["id"])
    for number, trial in before.trials.items():
        assert after.trials[number].job_id == trial.job_id
        assert after.trials[number].params == trial.params
        again = {n: m for n, m in after.trials[number].history.items() if n in trial.history}
        assert again == trial.history
    known = {(t.number, epoch) for t in before.trials.values() for epoch in t.history}
    assert not known & set(trained)
    assert len(trained) == len(set(trained))
    other = prepared(tmp_path / "undisturbed", (tmp_path / "run.yaml").read_text())
    undisturbed = run_in_folder(other, store_at(other.results), HOW)
    assert outline(after) == outline(undisturbed)
    starts = [r.event for r in read_log(store, layout.EVENTS) if isinstance(r.event, Started)]
    assert [start.trial for start in starts] == list(range(len(after.trials)))


def outline(state: RunState) -> list[tuple[dict[str, Any], int]]:
    return [(dict(trial.params), trial.epochs) for trial in state.trials.values()]


def test_row_074_a_resumed_job_says_so_until_a_trial_has_started_again(setup: Setup) -> None:
    cut_short(setup, 5)
    store = store_at(setup.results)
    run_in_folder(setup, store, HOW)
    records = read_log(store, layout.EVENTS)
    resumed = next(n for n, r in enumerate(records) if isinstance(r.event, Resumed))
    leased = next(n for n, r in enumerate(records) if n > resumed and isinstance(r.event, Leased))
    assert not RunState.fold(records[: resumed + 1]).begun
    assert RunState.fold(records[: leased + 1]).begun


def test_row_083_automl_details_tells_every_experiment(drawn: Any) -> None:
    details = drawn["automl_details"]
    assert set(details) == {"current_experiment_id", "best_experiment_id", "metric", "experiments"}
    assert details["metric"] == "value"
    assert str(details["current_experiment_id"]) in details["experiments"]
    assert set(details["experiments"]) == {"0", "1", "2"}
    for number, one in details["experiments"].items():
        assert set(one) == {"result", "status", "specs"}
        assert one["status"] == ("failure" if number == "1" else "success")
        assert (one["result"] is None) == (number == "1")
        assert set(one["specs"]) == {"model.x", "model.y", "model.fruit"}
    best = max(one["result"] for one in details["experiments"].values() if one["result"])
    assert details["experiments"][str(details["best_experiment_id"])]["result"] == best


def test_row_084_the_payload_has_tao_s_two_lists(drawn: Any) -> None:
    own = drawn["job_details"][drawn["id"]]
    assert [set(one) for one in own["automl_result"]] == [{"metric", "value"}]
    assert own["automl_result"][0]["metric"] == "best_value"
    info = {one["metric"]: one["value"] for one in own["automl_brain_info"]}
    assert all(isinstance(value, str) for value in info.values())
    assert info["Number of epochs yet to start"] == "0.0"
    assert info["Estimated time for automl completion"] == "0:00:00"
    assert info["Current experiment id"] == "3"
    assert info["Best experiment id"] == str(drawn["automl_details"]["best_experiment_id"])
    for one in drawn["automl_details"]["experiments"].values():
        assert one["specs"] in [d.get("specs") for d in drawn["job_details"].values()]
