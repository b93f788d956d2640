"""A job's two processes: the guard, and the trainer that it forks and outlives.

The guard is the trainer's parent and does nothing but wait: for the trainer's end or for its
lifeline, a pipe whose other end the actor holds. If the actor dies, by whatever signal, the pipe
ends and the guard kills all that the trainer ever started. It outlives the nursery too, which Ray
kills before anything else when a worker leaves in order (`kill_child_processes_on_worker_exit`).
"""

from __future__ import annotations

import faulthandler
import io
import mmap
import os
import select
import signal
import sys
from contextlib import AbstractContextManager, nullcontext, suppress
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NoReturn

from raytao.runs.patience import PatientStore
from raytao.runs.place import is_address, place_of, store_at
from raytao.trials.linux import adopt_orphans, die_with_parent, kill_descendants
from raytao.trials.log_pump import wait_until_taken
from raytao.trials.messages import Job
from raytao.trials.runner import run
from raytao.trials.wire import ASK_TO_END, ASK_TO_PAUSE, Born, Gone, write_note


def guard(job: Job, lifeline: int, events: int, log: int) -> NoReturn:
    """Run ``job`` in a child and exit when nothing of it is left.

    Args:
        job: what to do.
        lifeline: read end: `ASK_TO_END`, `ASK_TO_PAUSE`, or end of file to kill.
        events: write end for events.
        log: write end for all that the job prints.
    """
    os.dup2(log, sys.stdout.fileno())
    os.dup2(log, sys.stderr.fileno())
    os.close(log)
    adopt_orphans()
    me = os.getpid()
    pause = mmap.mmap(-1, 1)  # memory that the trainer shares
    with _scratch(job) as scratch:
        trainer = os.fork()
        if trainer == 0:
            os.close(lifeline)
            _train(job, events, pause, me, None if scratch is None else Path(scratch))
        _wait(trainer, lifeline, pause)
        _, status = os.waitpid(trainer, 0)
        kill_descendants()
    with suppress(BrokenPipeError):
        write_note(events, Gone(os.waitstatus_to_exitcode(status)))
    os._exit(0)


def _scratch(job: Job) -> AbstractContextManager[str | None]:
    """A folder for what a trainer keeps itself, where the results are no folder; see Network.

    The guard removes it, for its trainer may be killed.
    """
    if is_address(job.root):
        return TemporaryDirectory(prefix="raytao_", ignore_cleanup_errors=True)
    return nullcontext()


def _wait(trainer: int, lifeline: int, pause: mmap.mmap) -> None:
    """Return when the trainer has ended; it is not reaped yet, so its pid is nobody else's."""
    ended = os.pidfd_open(trainer)
    poll = select.poll()
    poll.register(ended, select.POLLIN)
    poll.register(lifeline, select.POLLIN)
    while True:
        ready = {descriptor for descriptor, _ in poll.poll()}
        if ended in ready:
            return
        asked = os.read(lifeline, 1)
        if asked == ASK_TO_END:
            _signal_group(trainer, signal.SIGTERM)
        elif asked == ASK_TO_PAUSE:
            pause[0] = 1
        else:
            poll.unregister(lifeline)
            _signal_group(trainer, signal.SIGKILL)


def _signal_group(leader: int, number: signal.Signals) -> None:
    try:
        os.killpg(leader, number)
    except ProcessLookupError:  # it has not made its group yet
        with suppress(ProcessLookupError):
            os.kill(leader, number)


def _train(job: Job, events: int, pause: mmap.mmap, parent: int, scratch: Path | None) -> NoReturn:
    """The trainer's process. It leaves without Python's clean-up, which a trainer could block."""
    code = 1
    try:
        os.setsid()
        die_with_parent(parent)
        faulthandler.enable()
        _share_threads(job.threads)
        with suppress(
            OSError
        ):  # a node that has no such folder: the network will say what it misses
            os.chdir(job.cwd or ".")
        if isinstance(sys.stdout, io.TextIOWrapper):
            sys.stdout.reconfigure(line_buffering=True)
        write_note(events, Born(os.getpid()))
        store = PatientStore(store_at(place_of(job.root), must_exist=True))
        told = partial(write_note, events)
        settle_log = partial(wait_until_taken, sys.stdout.fileno())
        run(job, store, told, scratch, pause=lambda: pause[0] == 1, settle_log=settle_log)
        code = 0
    finally:
        with suppress(OSError, ValueError):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(code)


def _share_threads(threads: int) -> None:
    """Tell programs that the trainer starts how many threads they may use."""
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[name] = str(threads)
