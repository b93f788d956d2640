"""The job payload: TAO's keys in TAO's places, and its word for every way that a run can stand."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import uuid
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from raytao.cli.main import main
from raytao.errors import DamagedRun
from raytao.runs.eta import Remaining, remaining
from raytao.runs.events import (
    Broke,
    Event,
    Finished,
    Leased,
    Opened,
    Reported,
    Resumed,
    Returned,
    Started,
    Stopped,
)
from raytao.runs.log import Record
from raytao.runs.owner import Ownership
from raytao.runs.place import store_at
from raytao.runs.state import RunState
from raytao.setup.folder import claim, driver_of, open_folder
from raytao.setup.job import job_of, standing
from raytao.setup.request import Ask, post
from raytao.setup.resolve import resolve
from raytao.setup.setup import Setup
from raytao.tao.payload import JobStatus, Standing, payload
from raytao.testing.folder_run import Conditions, Sight, run_in_folder

RUN = """
network: toy
brain: {name: hyperband, R: 3, nu: 3, epoch_multiplier: 1, mode: sync}
"""
NOW = datetime(2024, 8, 28, 9, 5, 7)  # noqa: DTZ001 - TAO writes no zone
TOP = {"epochs": 3}
ONE: list[Event] = [Started(0, {}, TOP, TOP, "first", "job-0"), Leased(0, 1)]
OTHER: list[Event] = [Started(1, {}, TOP, TOP, "second", "job-1"), Leased(1, 1)]
METRICS = {"value": 0.5, "loss": 0.5, "score": 0.5}


class Killed(BaseException):
    """The driver dies here."""


def fold(*events: Event) -> RunState:
    opened = Opened({}, "value", "maximize", "1.0")
    return RunState.fold(Record(n, 0.0, event) for n, event in enumerate([opened, *events]))


def shown(state: RunState, status: JobStatus = JobStatus.RUNNING, unit: str = "epochs") -> Any:
    left = Remaining(7, 10.5, 1.5)
    drawn = payload(state, left, Standing(status, "so it stands"), NOW, unit)
    return json.loads(json.dumps(drawn, allow_nan=False))


def named(entries: list[dict[str, Any]]) -> dict[str, Any]:
    return {entry["metric"]: entry["value"] for entry in entries}


def test_before_the_first_trial_nothing_is_made_up() -> None:
    drawn = shown(fold(), JobStatus.PENDING)
    assert (drawn["id"], drawn["status"], drawn["job_details"]) == (None, "Pending", {})
    assert drawn["checkpoint_epoch_number"] == {}
    assert drawn["automl_details"] == {
        "current_experiment_id": None,
        "metric": "value",
        "experiments": {},
    }
    assert (drawn["result"]["epoch"], drawn["result"]["max_epoch"]) == (None, None)


def test_both_shapes_tell_the_same_indicators_as_text() -> None:
    drawn = shown(fold(*ONE, Reported(0, 1, 1, METRICS, 1.5)))
    old, new = drawn["result"], drawn["job_details"][drawn["id"]]
    assert named(old["stats"]) == {
        "Estimated time for automl completion": "0:00:10",
        "Current experiment number": "1",
        "Number of epochs yet to start": "7.0",
        "Time per epoch in seconds": "1.5",
    }
    assert named(new["automl_brain_info"]) == {
        "Estimated time for automl completion": "0:00:10",
        "Current experiment id": "1",
        "Number of epochs yet to start": "7.0",
        "Time per epoch in seconds": "1.5",
        "Best experiment id": "0",
    }
    assert old["automl_result"] == new["automl_result"] == [{"metric": "best_value", "value": 0.5}]


def test_the_experiment_that_was_launched_last_is_the_one_that_is_shown() -> None:
    drawn = shown(fold(*ONE, Reported(0, 1, 1, METRICS, 1.5), *OTHER))["result"]
    assert (drawn["epoch"], drawn["max_epoch"]) == (0, 3)
    assert (drawn["eta"], drawn["time_per_epoch"]) == ("0:00:04.500000", "0:00:01.500000")
    again = shown(fold(*ONE, Reported(0, 1, 1, METRICS, 1.5)))["result"]
    assert (again["epoch"], again["eta"]) == (1, "0:00:03.000000")
    assert again["kpi"] == [
        {"metric": "value", "values": {"1": 0.5}},
        {"metric": "loss", "values": {"1": 0.5}},
    ]


def test_a_network_that_counts_iterations_says_so() -> None:
    drawn = shown(fold(*ONE), unit="iters")
    names = set(named(drawn["result"]["stats"]))
    assert {"Number of iters yet to start", "Time per iter in seconds"} < names
    assert not any("epoch" in name for name in names)
    assert "time_per_iter" in drawn["result"]


def test_detailed_status_is_a_status_line_s_words() -> None:
    assert shown(fold(), JobStatus.PAUSED)["result"]["detailed_status"] == {
        "date": "8/28/2024",
        "time": "9:5:7",
        "message": "so it stands",
        "status": "SUCCESS",
    }


@pytest.mark.parametrize("status", JobStatus)
def test_whose_run_nobody_works_on_has_canceled_what_was_under_way(status: JobStatus) -> None:
    experiments = shown(fold(*ONE), status)["automl_details"]["experiments"]
    over = status in (JobStatus.DONE, JobStatus.ERROR, JobStatus.CANCELED, JobStatus.PAUSED)
    assert experiments["0"]["status"] == ("canceled" if over else "running")


def test_a_failed_experiment_has_no_result() -> None:
    state = fold(*ONE, Reported(0, 1, 1, METRICS, 1.5), Broke(0, 1, "error", "no memory"))
    drawn = shown(state)
    assert drawn["automl_details"]["experiments"]["0"] == {
        "result": None,
        "status": "failure",
        "specs": {},
    }
    assert "best_experiment_id" not in drawn["automl_details"]
    assert drawn["job_details"]["job-0"]["key_metric"] is None


def test_the_job_s_id_is_a_uuid_that_stays_and_is_no_trial_s() -> None:
    early, late = shown(fold(*ONE)), shown(fold(*ONE, *OTHER))
    assert uuid.UUID(early["id"]).version == 5
    assert early["id"] == late["id"]
    assert set(late["job_details"]) == {late["id"], "job-0", "job-1"}


def test_the_best_model_s_epoch_and_the_latest_of_its_trial_are_told() -> None:
    better = {**METRICS, "value": 0.9, "score": 0.9}
    worse = {**METRICS, "value": 0.1, "score": 0.1}
    told = [Reported(0, 1, 1, better, 1.0), Reported(0, 1, 2, METRICS, 1.0)]
    drawn = shown(fold(*ONE, *told, *OTHER, Reported(1, 1, 1, worse, 1.0)))
    job = drawn["id"]
    assert drawn["checkpoint_epoch_number"] == {f"best_model_{job}": 1, f"latest_model_{job}": 2}


@pytest.fixture
def setup(tmp_path: Path) -> Setup:
    (tmp_path / "run.yaml").write_text(RUN)
    (tmp_path / "results").mkdir()
    return resolve(str(tmp_path / "run.yaml"), [f"results_dir={tmp_path / 'results'}"])


@pytest.fixture
def driver(setup: Setup) -> Iterator[Ownership]:
    with claim(setup.results) as ownership:
        yield ownership


def asked(setup: Setup, ask: Ask) -> None:
    owner = driver_of(setup.results)
    assert owner is not None
    post(store_at(setup.results), ask, owner.token)


RESUMED = Resumed("host", 1, "1.0", 2)
CANCEL = Stopped("canceled by request", cancel=True)
STOP = Stopped("stopped by request")


@pytest.mark.parametrize(
    ("events", "ask", "status"),
    [
        ([], None, JobStatus.PENDING),
        ([ONE[0]], None, JobStatus.PENDING),
        (ONE, None, JobStatus.RUNNING),
        ([*ONE, STOP], None, JobStatus.RUNNING),
        ([*ONE, RESUMED], None, JobStatus.RESUMING),
        ([*ONE, RESUMED, Leased(0, 2)], None, JobStatus.RUNNING),
        ([*ONE, Finished("Done"), RESUMED], None, JobStatus.RESUMING),
        (ONE, Ask.PAUSE, JobStatus.PAUSING),
        (ONE, Ask.CANCEL, JobStatus.CANCELING),
        (ONE, Ask.STOP, JobStatus.RUNNING),
        ([*ONE, CANCEL, Returned(0, 1)], None, JobStatus.CANCELING),
        ([*ONE, CANCEL, Finished("Canceled", CANCEL.reason)], None, JobStatus.CANCELED),
        ([*ONE, Finished("Done")], Ask.PAUSE, JobStatus.DONE),
        ([*ONE, Finished("Error", "no trial has a result")], None, JobStatus.ERROR),
    ],
)
def test_a_driven_run_has_tao_s_word(
    setup: Setup, driver: Ownership, events: list[Event], ask: Ask | None, status: JobStatus
) -> None:
    if ask is not None:
        asked(setup, ask)
    assert standing(setup, fold(*events), setup.results).status is status


def test_a_request_to_another_driver_is_none_of_this_one_s(
    setup: Setup, driver: Ownership
) -> None:
    post(store_at(setup.results), Ask.PAUSE, "another")
    assert standing(setup, fold(*ONE), setup.results).status is JobStatus.RUNNING


def test_a_run_that_its_driver_left_in_order_is_paused(setup: Setup) -> None:
    with claim(setup.results):
        pass
    found = standing(setup, fold(*ONE), setup.results)
    assert found.status is JobStatus.PAUSED
    assert f"raytao resume {setup.results}" in found.message


def test_a_run_whose_driver_vanished_is_an_error_that_says_how_to_go_on(setup: Setup) -> None:
    program = (
        "import os, sys; from pathlib import Path; from raytao.setup.folder import claim\n"
        "held = claim(Path(sys.argv[1])); os._exit(9)"
    )
    command = [sys.executable, "-c", program, str(setup.results)]
    assert subprocess.run(command, check=False, env=dict(os.environ)).returncode == 9
    found = standing(setup, fold(*ONE), setup.results)
    assert found.status is JobStatus.ERROR
    assert "its driver is gone" in found.message
    assert f"raytao resume {setup.results}" in found.message


def test_failures_that_are_all_alike_are_an_error_although_the_run_can_go_on(
    setup: Setup,
) -> None:
    trials: list[Event] = []
    for n in range(5):
        begun = Started(n, {}, TOP, TOP, "one more", f"job-{n}")
        trials += [begun, Leased(n, 1), Broke(n, 1, "error", f"no file part_{n}")]
    found = standing(setup, fold(*trials), setup.results)
    assert found.status is JobStatus.ERROR
    assert "5 trials in a row failed alike: no file part_4" in found.message
    some = standing(setup, fold(*trials[:-3]), setup.results)
    assert some.status is JobStatus.PAUSED


def test_a_log_that_ends_with_another_word_is_damaged(setup: Setup) -> None:
    with pytest.raises(DamagedRun, match="'Fine'"):
        standing(setup, fold(Finished("Fine")), setup.results)


@pytest.mark.parametrize("held", [True, False])
def test_status_and_python_show_the_same_payload_and_keep_what_was_there(
    setup: Setup, held: bool
) -> None:
    seen = 0

    def witness(sight: Sight) -> None:
        nonlocal seen
        seen += sight.what == "answered"
        if seen == 4:
            raise Killed

    with pytest.raises(Killed):
        run_in_folder(setup, store_at(setup.results), Conditions(slots=2), witness)
    driving: AbstractContextManager[object] = claim(setup.results) if held else nullcontext()
    with driving:
        result = CliRunner().invoke(main, ["status", str(setup.results), "--json"])
        told = json.loads(result.stdout)
        reopened, state = open_folder(setup.results)
        own = json.loads(json.dumps(job_of(reopened, state, setup.results)))
    assert {"status", "automl_metadata", "controller", "owner"} < told.keys()
    assert told["status"] == ("Running" if held else "Interrupted")
    assert told["tao"]["status"] == ("Running" if held else "Paused")
    for drawn in (own, told["tao"]):
        for result in (drawn["result"], drawn["job_details"][drawn["id"]]):
            del result["detailed_status"]["time"]
    assert told["tao"] == own
    left = remaining(state, reopened.new_brain().plan(), 2)
    stats = named(own["result"]["stats"])
    assert float(stats["Number of epochs yet to start"]) == left.epochs


def test_the_unit_of_the_network_s_card_is_the_payload_s(setup: Setup) -> None:
    run_in_folder(setup, store_at(setup.results))
    reopened, state = open_folder(setup.results)
    counted = replace(reopened, card=replace(reopened.card, unit="iters"))
    stats = named(job_of(counted, state, setup.results)["result"]["stats"])
    assert stats["Number of iters yet to start"] == "0.0"
