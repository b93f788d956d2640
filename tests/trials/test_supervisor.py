"""Every way a trial can end, with real processes and real signals."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from trials_testing import MakeJob, until_terminal, wait_until

from raytao.tao.status import Status, read_status
from raytao.trials.kernel_memory import kernel_kills
from raytao.trials.messages import (
    Broken,
    Ended,
    EpochDone,
    Event,
    FailureKind,
    Job,
    Limits,
    Measured,
)
from raytao.trials.supervisor import Supervisor

Finish = Callable[[Job], list[Event]]


def folder(job: Job) -> Path:
    return Path(job.root) / job.folder


def log(job: Job) -> str:
    return (folder(job) / "log.txt").read_text()


def test_a_good_job_reports_its_epochs_and_ends(finish: Finish, make_job: MakeJob) -> None:
    events = finish(make_job())
    epochs = [event.epoch for event in events[:-1] if isinstance(event, EpochDone)]
    assert epochs == [1, 2, 3]
    assert events[-1] == Ended(3)


@pytest.mark.parametrize(
    ("deed", "kind", "said"),
    [
        ("raise", FailureKind.ERROR, "KeyError: 'no such layer'"),
        ("gpu_full", FailureKind.OOM, "CUDA out of memory"),
        ("memory", FailureKind.OOM, "MemoryError"),
        ("exit", FailureKind.ERROR, "sys.exit(3)"),
        ("exit_hard", FailureKind.ERROR, "exited with code 4"),
        ("vanish", FailureKind.SILENT, "before its last epoch"),
        ("kill", FailureKind.KILLED, "possibly the kernel's out-of-memory killer"),
        ("segfault", FailureKind.KILLED, "SIGSEGV: Segmentation fault; its stack is in"),
        ("SIGABRT", FailureKind.KILLED, "SIGABRT: Aborted; its stack is in experiment_3/log.txt"),
        ("SIGBUS", FailureKind.KILLED, "SIGBUS: Bus error; its stack is in experiment_3/log.txt"),
        ("return", FailureKind.SILENT, "returned after epoch 1 without reporting epoch 2"),
    ],
)
def test_a_failure_is_named(
    finish: Finish, make_job: MakeJob, deed: str, kind: FailureKind, said: str
) -> None:
    job = make_job({"do": deed, "at": 2})
    first, last = finish(job)
    assert isinstance(first, EpochDone)
    assert isinstance(last, Broken)
    assert last.kind is kind
    assert said in last.reason
    assert "\n" not in last.reason
    final = read_status((folder(job) / "status.json").read_bytes())[-1]
    assert final.status is Status.FAILURE
    assert last.reason in final.message


def test_the_traceback_is_in_the_log(finish: Finish, make_job: MakeJob) -> None:
    job = make_job({"do": "raise", "at": 1})
    finish(job)
    assert "Traceback (most recent call last)" in log(job)
    assert 'raise KeyError("no such layer")' in log(job)


@pytest.mark.parametrize(
    ("deed", "place"),
    [
        ("segfault", "_segfault"),
        *((name, "<lambda>") for name in ("SIGABRT", "SIGBUS", "SIGFPE", "SIGILL")),
    ],
)
def test_the_place_of_a_crash_in_native_code_is_in_the_log(
    finish: Finish, make_job: MakeJob, deed: str, place: str
) -> None:
    job = make_job({"do": deed, "at": 1})
    finish(job)
    assert 'fake_networks.py", line' in log(job)
    assert f"in {place}" in log(job)


def counted_in(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the kernel count its kills in ``path``, which a trainer of ours writes."""
    path.write_text("oom 8\noom_kill 3\n")
    (path.parent / "cgroup").write_text("0::/\n")
    monkeypatch.setenv("FAKE_OOM_COUNTER", str(path))
    group = partial(kernel_kills, path.parent / "cgroup", path.parent)
    monkeypatch.setattr("raytao.trials.running.kernel_kills", group)


@pytest.mark.parametrize("deed", ["kernel_kill", "loader_killed"])
def test_a_kill_by_a_kernel_short_of_memory_is_out_of_memory(
    make_job: MakeJob, deed: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    counted_in(tmp_path / "memory.events", monkeypatch)
    with Supervisor(preload=(), threads=1) as own:
        own.start(make_job({"do": deed, "at": 2}))
        last = until_terminal(own)[-1]
    assert isinstance(last, Broken)
    assert last.kind is FailureKind.OOM
    assert "lower slots" in last.reason


def test_a_kill_that_the_kernel_did_not_count_is_somebodys(
    finish: Finish, make_job: MakeJob, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    counted_in(tmp_path / "memory.events", monkeypatch)
    last = finish(make_job({"do": "kill", "at": 2}))[-1]
    assert isinstance(last, Broken)
    assert last.kind is FailureKind.KILLED


def test_all_output_is_in_the_log(finish: Finish, make_job: MakeJob) -> None:
    job = make_job({"do": "print", "at": 2})
    finish(job)
    lines = log(job).splitlines()
    assert lines == ["by print", "by a program", "by its stderr", "by log"]


def test_a_job_that_says_nothing_has_an_empty_log(finish: Finish, make_job: MakeJob) -> None:
    job = make_job()
    finish(job)
    assert log(job) == ""


@pytest.mark.parametrize("at", [1, 2])
@pytest.mark.parametrize("deed", ["hang", "hang_native", "deaf", "fork_and_hang"])
@pytest.mark.parametrize(
    ("limits", "kind"),
    [
        (Limits(idle_seconds=0.7), FailureKind.STALLED),
        (Limits(seconds=0.7), FailureKind.TIMEOUT),
    ],
)
def test_a_hang_is_killed(
    finish: Finish,
    make_job: MakeJob,
    marked: Callable[[], list[int]],
    deed: str,
    limits: Limits,
    kind: FailureKind,
    at: int,
) -> None:
    job = make_job({"do": deed, "at": at}, limits=limits)
    began = time.monotonic()
    *epochs, last = finish(job)
    assert time.monotonic() - began < 5
    assert len(epochs) == at - 1
    assert isinstance(last, Broken)
    assert last.kind is kind
    assert len(marked()) == 1  # the nursery
    assert read_status((folder(job) / "status.json").read_bytes())[-1].status is Status.FAILURE


def test_every_epoch_renews_the_idle_limit(finish: Finish, make_job: MakeJob) -> None:
    job = make_job({"epoch_seconds": 0.4}, limits=Limits(idle_seconds=1.2), stop_epoch=4)
    assert finish(job)[-1] == Ended(4)


def test_the_whole_limit_is_not_renewed(finish: Finish, make_job: MakeJob) -> None:
    job = make_job({"epoch_seconds": 0.25}, limits=Limits(seconds=0.6), stop_epoch=40)
    *epochs, last = finish(job)
    assert len(epochs) <= 2
    assert isinstance(last, Broken)
    assert last.kind is FailureKind.TIMEOUT


def test_warming_up_counts_against_no_limit(make_job: MakeJob, tmp_path: Path) -> None:
    (tmp_path / "slow_import.py").write_text("import time; time.sleep(1.5)")
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(tmp_path))
        with Supervisor(preload=("slow_import",), threads=1) as supervisor:
            supervisor.start(make_job(limits=Limits(seconds=1.2, idle_seconds=1.2)))
            assert until_terminal(supervisor)[-1] == Ended(3)


def test_a_bad_preload_does_not_keep_jobs_from_running(make_job: MakeJob) -> None:
    with Supervisor(preload=("no_such_module",), threads=1) as supervisor:
        supervisor.start(make_job())
        assert until_terminal(supervisor)[-1] == Ended(3)


def test_a_network_is_imported_once_for_all_jobs(
    make_job: MakeJob, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    imports = tmp_path / "imports"
    line = f"open({str(imports)!r}, 'a').write('x')"
    (tmp_path / "counted.py").write_text(f"from fake_networks import Scripted\n{line}\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    with Supervisor(preload=(), threads=1) as supervisor:
        for trial in range(3):
            job = make_job(network="counted:Scripted", trial=trial, folder=f"experiment_{trial}")
            supervisor.start(job)
            assert until_terminal(supervisor)[-1] == Ended(3)
    assert imports.read_text() == "x"


@pytest.mark.parametrize("ill", ["import no_such_module", "raise SystemExit(3)"])
def test_a_network_that_does_not_import_breaks_its_job_and_nothing_else(
    make_job: MakeJob, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ill: str
) -> None:
    (tmp_path / "ill.py").write_text(ill)
    monkeypatch.syspath_prepend(str(tmp_path))
    with Supervisor(preload=(), threads=1) as supervisor:
        supervisor.start(make_job(network="ill:Network"))
        nursery = supervisor._nursery
        (last,) = until_terminal(supervisor)
        assert isinstance(last, Broken)
        assert last.kind is FailureKind.ERROR
        supervisor.start(make_job())
        assert until_terminal(supervisor)[-1] == Ended(3)
        assert supervisor._nursery is nursery


@pytest.mark.parametrize(
    ("metrics", "kind", "said"),
    [
        ({"loss": 1.0, "acc": 2}, FailureKind.METRIC, "'val_acc' not reported; got: loss, acc"),
        ({"val_acc": float("nan")}, FailureKind.DIVERGED, "became nan in epoch 1"),
        ({"val_acc": float("-inf")}, FailureKind.DIVERGED, "became -inf in epoch 1"),
        ({"val_acc": "high"}, FailureKind.METRIC, "not a number but str"),
    ],
)
def test_a_metric_that_cannot_be_compared_breaks_the_job(
    finish: Finish, make_job: MakeJob, metrics: dict[str, Any], kind: FailureKind, said: str
) -> None:
    (last,) = finish(make_job({"metrics": metrics}))
    assert isinstance(last, Broken)
    assert last.kind is kind
    assert said in last.reason


def test_a_trainer_cannot_swallow_its_end(finish: Finish, make_job: MakeJob) -> None:
    (last,) = finish(make_job({"do": "swallow", "at": 1}))
    assert isinstance(last, Broken)
    assert last.kind is FailureKind.DIVERGED


def test_the_family_of_a_job_ends_with_it(
    finish: Finish, make_job: MakeJob, marked: Callable[[], list[int]]
) -> None:
    job = make_job({"do": "family", "at": 2})
    assert finish(job)[-1] == Ended(3)
    assert len(marked()) == 1


def test_stop_kills_the_family(
    supervisor: Supervisor, make_job: MakeJob, marked: Callable[[], list[int]]
) -> None:
    job = make_job({"do": "family", "at": 1, "epoch_seconds": 60})
    supervisor.start(job)
    assert wait_until(lambda: supervisor.events(0.02) == [] and len(marked()) >= 6)
    supervisor.stop(grace=5.0)
    assert len(marked()) == 1
    assert supervisor.events(0.0)[-1] == Ended(0)


def test_stop_lets_a_trainer_end_by_itself(supervisor: Supervisor, make_job: MakeJob) -> None:
    job = make_job({"epoch_seconds": 0.4}, stop_epoch=40)
    supervisor.start(job)
    supervisor.events(8.0)
    supervisor.stop(grace=5.0)
    last = supervisor.events(0.0)[-1]
    assert isinstance(last, Ended)
    assert 1 <= last.epoch < 40
    line = read_status((folder(job) / "status.json").read_bytes())[-1]
    assert (line.status, f"paused at epoch {last.epoch}" in line.message) == (Status.SUCCESS, True)


@pytest.mark.parametrize("deed", ["hang", "hang_native", "deaf"])
def test_stop_ends_a_trainer_that_does_not_listen(
    supervisor: Supervisor, make_job: MakeJob, marked: Callable[[], list[int]], deed: str
) -> None:
    supervisor.start(make_job({"do": deed, "at": 2}))
    supervisor.events(8.0)
    began = time.monotonic()
    supervisor.stop(grace=0.2)
    assert time.monotonic() - began < 3
    assert supervisor.events(0.0) == [Broken(FailureKind.KILLED, "stopped on request")]
    assert supervisor.pid is None
    assert len(marked()) == 1


def test_stop_does_not_wait_for_a_nursery_that_is_still_importing(
    make_job: MakeJob, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "endless_import.py").write_text("import time; time.sleep(60)")
    monkeypatch.syspath_prepend(str(tmp_path))
    began = time.monotonic()
    with Supervisor(preload=("endless_import",), threads=1) as supervisor:
        supervisor.start(make_job())
        supervisor.stop(grace=0.1)
        assert supervisor.events(0.0) == [Broken(FailureKind.KILLED, "stopped on request")]
    assert time.monotonic() - began < 3


def test_close_leaves_nothing(make_job: MakeJob, marked: Callable[[], list[int]]) -> None:
    with Supervisor(preload=(), threads=1) as supervisor:
        supervisor.start(make_job({"do": "hang_native", "at": 2}))
        supervisor.events(8.0)
        assert len(marked()) == 3
    assert marked() == []


def test_jobs_follow_each_other_in_one_nursery(
    supervisor: Supervisor, finish: Finish, make_job: MakeJob
) -> None:
    first = finish(make_job({"do": "kill", "at": 1}, trial=1, folder="experiment_1"))
    nursery = supervisor._nursery
    second = finish(make_job(trial=2, folder="experiment_2"))
    assert isinstance(first[-1], Broken)
    assert second[-1] == Ended(3)
    assert supervisor._nursery is nursery


def test_one_job_at_a_time(supervisor: Supervisor, make_job: MakeJob) -> None:
    supervisor.start(make_job({"do": "hang", "at": 1}))
    with pytest.raises(RuntimeError, match="still running"):
        supervisor.start(make_job())


def test_a_job_outlives_no_nursery_and_the_next_one_gets_a_new_one(
    supervisor: Supervisor, finish: Finish, make_job: MakeJob, marked: Callable[[], list[int]]
) -> None:
    supervisor.start(make_job({"do": "hang_native", "at": 2}))
    supervisor.events(8.0)
    assert supervisor._nursery is not None
    supervisor._nursery.kill()
    last = until_terminal(supervisor)[-1]
    assert isinstance(last, Broken)
    assert last.kind is FailureKind.KILLED
    assert "forked from was killed by SIGKILL" in last.reason
    assert wait_until(lambda: marked() == [])
    assert finish(make_job(attempt=2, reported_epoch=1))[-1] == Ended(3)


def test_a_nursery_that_died_between_jobs_is_replaced(
    supervisor: Supervisor, finish: Finish, make_job: MakeJob
) -> None:
    finish(make_job())
    assert supervisor._nursery is not None
    supervisor._nursery.kill()
    assert finish(make_job(attempt=2, stop_epoch=5))[-1] == Ended(5)


def test_the_end_is_told_once(supervisor: Supervisor, finish: Finish, make_job: MakeJob) -> None:
    finish(make_job())
    assert supervisor.events(0.2) == []


def test_events_waits_no_longer_than_told(supervisor: Supervisor, make_job: MakeJob) -> None:
    supervisor.start(make_job({"do": "hang", "at": 1}))
    began = time.monotonic()
    assert supervisor.events(0.3) == []
    assert 0.3 <= time.monotonic() - began < 1.0


def test_a_guard_that_is_killed_takes_its_job_along(
    supervisor: Supervisor, make_job: MakeJob, marked: Callable[[], list[int]]
) -> None:
    supervisor.start(make_job({"do": "family", "at": 2, "epoch_seconds": 60}))
    assert wait_until(lambda: supervisor.events(0.02) == [] and supervisor.pid is not None)
    assert supervisor.pid is not None
    stat = Path(f"/proc/{supervisor.pid}/stat").read_text()
    os.kill(int(stat.rpartition(")")[2].split()[1]), signal.SIGKILL)
    last = until_terminal(supervisor)[-1]
    assert isinstance(last, Broken)
    assert last.kind is FailureKind.KILLED
    assert wait_until(lambda: marked() == [])


def test_evaluate_measures_a_checkpoint(finish: Finish, make_job: MakeJob) -> None:
    job = make_job()
    finish(job)
    weights = "experiment_3/weights/model_epoch_003.pth"
    events = finish(make_job(kind="evaluate", checkpoint=weights))
    assert events == [Measured({"test_acc": float(len(b"weights of epoch 3"))}), Ended(3)]


def test_evaluate_without_weights_is_a_sentence(finish: Finish, make_job: MakeJob) -> None:
    (last,) = finish(make_job(kind="evaluate", checkpoint="experiment_3/weights/none.pth"))
    assert isinstance(last, Broken)
    assert "experiment_3/weights/none.pth" in last.reason


def test_an_unknown_network_is_a_sentence_without_traceback(
    finish: Finish, make_job: MakeJob
) -> None:
    job = make_job(network="resnett")
    (last,) = finish(job)
    assert isinstance(last, Broken)
    assert "resnett" in last.reason
    assert "Traceback" not in log(job)


def test_a_spec_larger_than_a_pipe_arrives(finish: Finish, make_job: MakeJob) -> None:
    assert finish(make_job({"classes": ["x" * 100] * 20_000}))[-1] == Ended(3)
