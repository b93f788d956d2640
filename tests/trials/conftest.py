"""A job, a supervisor without torch, and a mark by which every process of a test is found."""

from __future__ import annotations

import sys
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from raytao.trials.messages import Event, Job, Limits
from raytao.trials.supervisor import Supervisor

sys.path.insert(0, str(Path(__file__).parent))  # the trial's process imports fake_networks, too

from trials_testing import MARK, MakeJob, marked_processes, until_terminal


@pytest.fixture
def make_job(tmp_path: Path) -> MakeJob:
    (tmp_path / "results").mkdir()  # a driver has; it is never made anew

    def make(spec: dict[str, Any] | None = None, **changes: Any) -> Job:
        fields: dict[str, Any] = {
            "kind": "train",
            "network": "fake_networks:Scripted",
            "spec": spec or {},
            "root": str(tmp_path / "results"),
            "folder": "experiment_3",
            "trial": 3,
            "attempt": 1,
            "reported_epoch": 0,
            "stop_epoch": 3,
            "metric": "val_acc",
            "direction": "maximize",
            "seed": 7,
            "threads": 1,
            "gpus": 0,
            "limits": Limits(),
        }
        return Job(**{**fields, **changes})

    return make


@pytest.fixture(scope="module")
def _shared_supervisor() -> Iterator[Supervisor]:
    with Supervisor(preload=(), threads=1) as shared:
        yield shared


@pytest.fixture
def supervisor(request: pytest.FixtureRequest) -> Iterator[Supervisor]:
    """One for all tests of a file, as an actor has; a test that is `marked` has its own."""
    if "marked" in request.fixturenames:
        request.getfixturevalue("marked")
        with Supervisor(preload=(), threads=1) as own:
            yield own
    else:
        shared = request.getfixturevalue("_shared_supervisor")
        yield shared
        shared.stop(grace=0.0)


@pytest.fixture
def finish(supervisor: Supervisor) -> Callable[[Job], list[Event]]:
    """Run a job to its end and return all its events."""

    def run(job: Job) -> list[Event]:
        supervisor.start(job)
        return until_terminal(supervisor)

    return run


@pytest.fixture
def marked(monkeypatch: pytest.MonkeyPatch) -> Callable[[], list[int]]:
    """Pids of all processes that this test started, at whatever distance, and that live."""
    mark = uuid.uuid4().hex
    monkeypatch.setenv(MARK, mark)
    return lambda: marked_processes(mark)
