"""Nothing is left behind, whoever is killed; and nothing that was durable is lost."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from trials_testing import MakeJob, until_terminal, wait_until

from raytao.trials.messages import Ended, EpochDone, Job
from raytao.trials.supervisor import Supervisor

HERE = Path(__file__).parent


@contextmanager
def actor(job: Job) -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen(
        [sys.executable, str(HERE / "actor_process.py"), json.dumps(job.to_json())],
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


@pytest.mark.parametrize("deed", ["family", "hang_native"])
def test_nothing_outlives_a_killed_actor(
    make_job: MakeJob, marked: Callable[[], list[int]], deed: str
) -> None:
    job = make_job({"do": deed, "at": 2, "epoch_seconds": 0.3}, stop_epoch=1000)
    with actor(job) as process:
        assert process.stdout is not None
        process.stdout.readline()
        assert wait_until(lambda: len(marked()) >= (7 if deed == "family" else 4))
        process.kill()
        process.wait()
        assert wait_until(lambda: marked() == []), "left behind"


def test_nothing_outlives_an_actor_and_its_nursery_killed_together(
    make_job: MakeJob, marked: Callable[[], list[int]]
) -> None:
    """Ray kills a worker's own children first when the worker leaves."""
    job = make_job({"do": "family", "at": 2, "epoch_seconds": 0.3}, stop_epoch=1000)
    with actor(job) as process:
        assert process.stdout is not None
        process.stdout.readline()
        assert wait_until(lambda: len(marked()) >= 7)
        (nursery,) = [pid for pid in marked() if _parent(pid) == process.pid]
        os.kill(nursery, 9)
        process.kill()
        process.wait()
        assert wait_until(lambda: marked() == []), "left behind"


def test_no_trainer_outlives_all_its_keepers_killed_together(
    make_job: MakeJob, marked: Callable[[], list[int]]
) -> None:
    job = make_job({"do": "hang_native", "at": 2}, stop_epoch=1000)
    with actor(job) as process:
        assert process.stdout is not None
        process.stdout.readline()
        assert wait_until(lambda: len(marked()) == 4)
        (nursery,) = [pid for pid in marked() if _parent(pid) == process.pid]
        (guard,) = [pid for pid in marked() if _parent(pid) == nursery]
        for pid in (nursery, guard, process.pid):
            os.kill(pid, 9)
        process.wait()
        assert wait_until(lambda: marked() == []), "left behind"


def test_a_killed_segment_goes_on_from_its_checkpoint(
    make_job: MakeJob,
    supervisor: Supervisor,
    marked: Callable[[], list[int]],
    tmp_path: Path,
) -> None:
    diary = tmp_path / "diary.txt"
    spec = {"epoch_seconds": 0.05, "diary": str(diary)}
    job = make_job(spec, stop_epoch=12)
    with actor(job) as process:
        assert process.stdout is not None
        for _ in range(4):
            process.stdout.readline()
        process.kill()
        process.wait()
        assert wait_until(lambda: marked() == [])
    again = make_job(spec, stop_epoch=12, attempt=2, reported_epoch=2)
    supervisor.start(again)
    *events, last = until_terminal(supervisor)
    assert last == Ended(12)
    assert [e.epoch for e in events if isinstance(e, EpochDone)] == list(range(3, 13))
    trained = [int(line) for line in diary.read_text().split()]
    repeated = len(trained) - len(set(trained))
    assert sorted(set(trained)) == list(range(1, 13))
    assert repeated <= 1, "an epoch before the last checkpoint was trained again"


def test_what_is_trained_already_is_told_and_not_trained_again(
    make_job: MakeJob, supervisor: Supervisor, tmp_path: Path
) -> None:
    diary = tmp_path / "diary.txt"
    job = make_job({"diary": str(diary)})
    for attempt, reported, told in ((1, 0, [1, 2, 3]), (2, 1, [2, 3]), (3, 3, [])):
        supervisor.start(
            Job(**{**vars(job), "attempt": attempt, "reported_epoch": reported}),
        )
        *events, last = until_terminal(supervisor)
        assert last == Ended(3)
        assert [e.epoch for e in events if isinstance(e, EpochDone)] == told
    assert diary.read_text().split() == ["1", "2", "3"]


def _parent(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
