"""A trial of several processes: one result, one failure, and nothing left behind."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from trials_testing import MakeJob, until_terminal, wait_until

from raytao.trials.kernel_memory import kernel_kills
from raytao.trials.messages import Broken, Ended, EpochDone, FailureKind, Job
from raytao.trials.supervisor import Supervisor

MakeTeam = Callable[..., Job]


@pytest.fixture
def diary(tmp_path: Path) -> Path:
    return tmp_path / "diary.jsonl"


@pytest.fixture
def make_team(make_job: MakeJob, diary: Path) -> MakeTeam:
    def make(spec: dict[str, Any] | None = None, *, processes: int = 2, **changes: Any) -> Job:
        return make_job(
            {"diary": str(diary), **(spec or {})},
            network="rank_networks:Team",
            resources={"processes": processes},
            **changes,
        )

    return make


def notes(diary: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in diary.read_text().splitlines()]


def log_of(job: Job) -> str:
    return (Path(job.root) / job.folder / "log.txt").read_text()


def test_every_rank_trains_and_rank_0_alone_tells(
    make_team: MakeTeam, supervisor: Supervisor, diary: Path
) -> None:
    job = make_team(processes=3)
    supervisor.start(job)
    *epochs, last = until_terminal(supervisor)
    assert last == Ended(3)
    assert [e.epoch for e in epochs if isinstance(e, EpochDone)] == [1, 2, 3]
    began = [note for note in notes(diary) if "began" in note]
    assert sorted((n["rank"], n["world"]) for n in began) == [(0, 3), (1, 3), (2, 3)]
    assert {(n["RANK"], n["WORLD_SIZE"]) for n in began} == {(str(r), "3") for r in range(3)}
    assert {n["MASTER_ADDR"] for n in began} == {"127.0.0.1"}
    assert len({n["MASTER_PORT"] for n in began}) == 1
    assert {n["rank"]: n["best"] for n in notes(diary) if "best" in n} == {
        0: True,
        1: False,
        2: False,
    }
    assert log_of(job).splitlines() == [f"epoch {epoch} of rank 0" for epoch in (1, 2, 3)]


def test_each_rank_has_gpus_of_its_own(
    make_team: MakeTeam, supervisor: Supervisor, diary: Path
) -> None:
    supervisor.start(make_team(gpus=4))
    assert until_terminal(supervisor)[-1] == Ended(3)
    seen = {n["rank"]: n["CUDA_VISIBLE_DEVICES"] for n in notes(diary) if "began" in n}
    assert seen == {0: "0,1", 1: "2,3"}
    assert {n["gpus"] for n in notes(diary) if "gpus" in n} == {2}


@pytest.mark.parametrize(
    ("deed", "kind", "said"),
    [
        ("kill", FailureKind.KILLED, "rank 1 of 2 was killed by signal: Killed"),
        ("segfault", FailureKind.KILLED, "rank 1 of 2 was killed by signal: Segmentation fault"),
        ("exit_hard", FailureKind.ERROR, "rank 1 of 2 ended its process with exit code 4"),
        ("vanish", FailureKind.ERROR, "rank 1 of 2 ended its process with exit code 0"),
        ("raise", FailureKind.ERROR, "rank 1 of 2: KeyError: 'no such layer'"),
        ("exit", FailureKind.ERROR, "rank 1 of 2: the trainer called sys.exit(3)"),
        ("gpu_full", FailureKind.OOM, "rank 1 of 2: RuntimeError: CUDA out of memory"),
        ("out_of_order", FailureKind.ERROR, "rank 1 of 2: ValueError: report(epoch=9)"),
    ],
)
def test_a_rank_that_fails_is_named(
    make_team: MakeTeam, supervisor: Supervisor, deed: str, kind: FailureKind, said: str
) -> None:
    job = make_team({"do": deed, "by": 1, "at": 2})
    supervisor.start(job)
    last = until_terminal(supervisor)[-1]
    assert isinstance(last, Broken)
    assert last.kind is kind
    assert said in last.reason
    if deed == "raise":
        assert "[rank 1] Traceback" in log_of(job)
        assert "[rank 1] KeyError: 'no such layer'" in log_of(job)


def test_a_rank_that_the_kernel_kills_for_memory_is_out_of_memory(
    make_team: MakeTeam, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    counter = tmp_path / "memory.events"
    counter.write_text("oom 1\noom_kill 3\n")
    (tmp_path / "cgroup").write_text("0::/\n")
    monkeypatch.setenv("FAKE_OOM_COUNTER", str(counter))
    counted = partial(kernel_kills, tmp_path / "cgroup", tmp_path)
    monkeypatch.setattr("raytao.trials.running.kernel_kills", counted)
    with Supervisor(preload=(), threads=1) as own:
        own.start(make_team({"do": "kernel_kill", "by": 1, "at": 2}))
        last = until_terminal(own)[-1]
    assert isinstance(last, Broken)
    assert last.kind is FailureKind.OOM
    assert "rank 1 of 2" in last.reason


@pytest.mark.parametrize("deed", ["family", "raise"])
def test_nothing_is_left_of_any_rank(
    make_team: MakeTeam, supervisor: Supervisor, marked: Callable[[], list[int]], deed: str
) -> None:
    supervisor.start(make_team({"do": deed, "by": 1, "at": 1}, processes=3))
    if deed == "family":
        assert wait_until(lambda: len(marked()) >= 8)
        supervisor.stop(grace=0.2)
    assert isinstance(until_terminal(supervisor)[-1], Broken)
    assert wait_until(lambda: len(marked()) == 1), "more than the nursery is left"


def test_a_rank_0_that_hangs_in_native_code_does_not_outlive_a_dead_rank(
    make_team: MakeTeam, supervisor: Supervisor
) -> None:
    job = make_team({"do": "kill_rank_1_below", "by": "all", "at": 2})
    supervisor.start(job)
    began = time.monotonic()
    last = until_terminal(supervisor)[-1]
    assert isinstance(last, Broken)
    assert "rank 1 of 2 was killed" in last.reason
    assert time.monotonic() - began < 8.0


def test_a_killed_rank_is_retried_from_the_checkpoint(
    make_team: MakeTeam, supervisor: Supervisor, diary: Path
) -> None:
    supervisor.start(make_team({"do": "kill", "by": 1, "at": 3}))
    assert isinstance(until_terminal(supervisor)[-1], Broken)
    diary.unlink()
    supervisor.start(make_team(attempt=2, reported_epoch=2))
    assert until_terminal(supervisor)[-1] == Ended(3)
    began = {n["rank"]: (n["began"], n["resume"]) for n in notes(diary) if "began" in n}
    assert began == {rank: (2, "b'weights of epoch 2'") for rank in (0, 1)}


def test_all_ranks_stop_after_the_same_batch(
    make_team: MakeTeam, supervisor: Supervisor, diary: Path
) -> None:
    supervisor.start(make_team({"batch_seconds": 0.02}, processes=3, stop_epoch=1000))
    assert supervisor.events(timeout=8.0)
    supervisor.stop(grace=5.0)
    assert isinstance(supervisor.events(timeout=1.0)[-1], Ended)
    stopped = {n["rank"]: n["stopped_after"] for n in notes(diary) if "stopped_after" in n}
    assert set(stopped) == {0, 1, 2}
    assert len(set(stopped.values())) == 1


def test_ranks_die_with_rank_0(
    make_team: MakeTeam, supervisor: Supervisor, marked: Callable[[], list[int]]
) -> None:
    supervisor.start(make_team({"do": "hang", "by": "all", "at": 1}, processes=3))
    assert wait_until(lambda: len(marked()) == 5), "nursery, guard and three ranks"
    assert wait_until(lambda: supervisor.pid is not None or bool(supervisor.events(0.1)))
    assert supervisor.pid is not None
    os.kill(supervisor.pid, signal.SIGKILL)
    last = until_terminal(supervisor)[-1]
    assert isinstance(last, Broken)
    assert last.kind is FailureKind.KILLED
    assert wait_until(lambda: len(marked()) == 1)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"network": "fake_networks:Scripted"}, "trains in one process, not in 2"),
        ({"gpus": 1}, "2 processes have 1 GPUs together"),
    ],
)
def test_what_cannot_be_shared_is_refused(
    make_job: MakeJob,
    finish: Callable[[Job], list[Any]],
    diary: Path,
    changes: dict[str, Any],
    said: str,
) -> None:
    fields = {"network": "rank_networks:Team", "resources": {"processes": 2}, **changes}
    last = finish(make_job({"diary": str(diary)}, **fields))[-1]
    assert isinstance(last, Broken)
    assert said in last.reason
