"""One job as the actor sees it: three pipes, two clocks and, in the end, one verdict."""

from __future__ import annotations

import os
import time
from contextlib import suppress
from signal import SIGABRT, SIGBUS, SIGFPE, SIGILL, SIGKILL, SIGSEGV, Signals, strsignal
from typing import Final

from raytao.redact import redactor
from raytao.runs.place import place_of, store_at
from raytao.tao.layout import LOG
from raytao.trials.kernel_memory import kernel_kills
from raytao.trials.log_pump import LogPump
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
from raytao.trials.nursery_process import NurseryProcess
from raytao.trials.wire import ASK_TO_END, ASK_TO_PAUSE, Born, Gone, parse_note

WARMING_SECONDS = 600.0
"""Longest wait for the job's process: imports on a cold network disk take minutes."""

LEAVING_SECONDS = 10.0
"""Longest wait for the process to go after its job has ended."""

BURIAL_SECONDS = 30.0
"""Longest wait after SIGKILL; a process that a driver holds in the kernel cannot be killed."""

_CHUNK = 1 << 16

_WORKER_KILLED: Final = "killed by signal: Killed"
"""What torch raises when a data loader's process got a SIGKILL."""

_LEAVE_A_STACK: Final = frozenset({SIGSEGV, SIGFPE, SIGABRT, SIGBUS, SIGILL})
"""Signals of a crash in native code; `faulthandler` writes Python's stack before they kill."""

OUT_OF_MEMORY_REMEDY: Final = "run fewer trials at once (lower slots) or lower the batch size"
"""What helps where a node's memory is too small for what runs on it."""


class RunningJob:
    """A job that was handed to a nursery, until nothing of it is left.

    Raises:
        OSError: if the nursery is gone.
    """

    def __init__(self, job: Job, nursery: NurseryProcess) -> None:
        self.job = job
        self.pid: int | None = None
        self.gone = False
        self._born = False
        self._stopping = False
        self._kernel_kills = kernel_kills()
        self._said: Ended | Broken | None = None
        self._overdue: Broken | None = None
        self._lost: str | None = None
        self._code: int | None = None
        self._torn = b""
        self._since = time.monotonic()
        self._progress = self._since
        self._patience: float | None = None
        theirs_life, self._lifeline = os.pipe()
        self._events, theirs_events = os.pipe()
        log, theirs_log = os.pipe()
        self._log = LogPump(
            log,
            store_at(place_of(job.root), must_exist=True),
            f"{job.folder}/{LOG}",
            redactor(job.spec),
        )
        try:
            nursery.fork(job, theirs_life, theirs_events, theirs_log)
        except OSError:
            self._close()
            raise
        finally:
            for descriptor in (theirs_life, theirs_events, theirs_log):
                os.close(descriptor)

    def fileno(self) -> int:
        """The descriptor on which events arrive."""
        return self._events

    def read(self) -> list[Event]:
        """Take what has arrived; call it when `fileno` is readable. Terminal events are kept."""
        data = os.read(self._events, _CHUNK)
        if not data:
            self._close()
            return []
        *lines, self._torn = (self._torn + data).split(b"\n")
        news: list[Event] = []
        for line in lines:
            match parse_note(line):
                case Born(pid=pid):
                    self.pid, self._born = pid, True
                    self._since = self._progress = time.monotonic()
                case Gone(code=code):
                    self._code = code
                case EpochDone() | Measured() as event:
                    self._progress = time.monotonic()
                    news.append(event)
                case Ended() | Broken() as last:
                    self._said = self._said or last
                    self._patience = time.monotonic() + LEAVING_SECONDS
                case None:
                    pass
        return news

    def next_deadline(self) -> float:
        """When `enforce` must be called next, on the monotonic clock."""
        return min((when for when, _ in self._deadlines()), default=float("inf"))

    def enforce(self) -> None:
        """Kill the job if it is over one of its limits; give up on what cannot be killed."""
        now = time.monotonic()
        due = [broken for when, broken in self._deadlines() if when <= now]
        if not due:
            return
        if self._killed:
            self._overdue = self._overdue or due[0]
            self._close()
            return
        self._overdue = due[0]
        self.kill()

    def ask_to_end(self) -> None:
        """SIGTERM to the job's process group; the job's own limits no longer count."""
        self._stopping = True
        if not self._killed:
            with suppress(BrokenPipeError):
                os.write(self._lifeline, ASK_TO_END)

    def ask_to_pause(self) -> None:
        """Ask the job to leave with its next epoch; its limits go on to count."""
        if not self._killed:
            with suppress(BrokenPipeError):
                os.write(self._lifeline, ASK_TO_PAUSE)

    def kill(self) -> None:
        """SIGKILL all that the job ever started, by ending its lifeline."""
        if not self._killed:
            os.close(self._lifeline)
            self._lifeline = -1
            self._patience = time.monotonic() + BURIAL_SECONDS

    def lose(self, why: str) -> None:
        """The nursery is gone: take the job down with it."""
        self._lost = why
        self.kill()

    @property
    def lost(self) -> bool:
        """Whether its nursery is known to be gone."""
        return self._lost is not None

    @property
    def untouched(self) -> bool:
        """Whether the nursery died before the job began, so that another one may have it."""
        return self.lost and not self._born and not self._stopping

    @property
    def unburied(self) -> bool:
        """Whether it was given up with processes left: its nursery still waits for them."""
        return self.gone and self._code is None

    @property
    def speaks_for_itself(self) -> bool:
        """Whether the verdict is the job's own, or none was wanted: nothing is to be recorded."""
        return self._stopping or self._said is not None

    def verdict(self) -> Ended | Broken:
        """The one terminal event, once `gone`.

        What the job says of itself counts before what was done to it, and a job that was asked
        to end and did not end well was stopped, whatever it says.
        """
        if isinstance(self._said, Ended):
            return self._said
        if self._stopping:
            return Broken(FailureKind.KILLED, "stopped on request")
        if self._said is not None:
            return self._blamed_on_memory(self._said)
        if self._overdue is not None:
            return self._overdue
        if self._lost is not None:
            return Broken(FailureKind.KILLED, self._lost)
        if self._code == -SIGKILL and self._kernel_was_short:
            text = f"the kernel killed the trainer, for memory ran out: {OUT_OF_MEMORY_REMEDY}"
            return Broken(FailureKind.OOM, text)
        return _from_exit(self._code, f"{self.job.folder}/{LOG}")

    @property
    def _kernel_was_short(self) -> bool:
        """Whether the kernel killed for memory, here and since the job began."""
        before, now = self._kernel_kills, kernel_kills()
        return before is not None and now is not None and now > before

    def _blamed_on_memory(self, said: Broken) -> Broken:
        """A trainer outlives the processes that it starts, and sees only that one was killed."""
        if _WORKER_KILLED in said.reason and self._kernel_was_short:
            text = f"the kernel killed it, for memory ran out: {OUT_OF_MEMORY_REMEDY}"
            return Broken(FailureKind.OOM, f"{said.reason}; {text}")
        return said

    @property
    def _killed(self) -> bool:
        return self._lifeline < 0

    def _deadlines(self) -> list[tuple[float, Broken]]:
        if self._killed:
            text = f"its processes did not end within {BURIAL_SECONDS:g} s of SIGKILL"
            return [(self._patience or 0.0, Broken(FailureKind.KILLED, text))]
        if self._patience is not None:
            text = f"its process did not leave within {LEAVING_SECONDS:g} s of its end"
            return [(self._patience, Broken(FailureKind.STALLED, text))]
        if self._stopping:
            return []
        if self.pid is None:
            text = f"its process did not start within {WARMING_SECONDS:g} s"
            return [(self._since + WARMING_SECONDS, Broken(FailureKind.STALLED, text))]
        return deadlines(self.job.limits, self._since, self._progress)

    def _close(self) -> None:
        self.gone = True
        self.pid = None
        if not self._killed:
            self.kill()
        os.close(self._events)
        self._log.finish()


def deadlines(limits: Limits, since: float, progress: float) -> list[tuple[float, Broken]]:
    """When a job is over its limits, on the monotonic clock, and what it is called then.

    Args:
        limits: the job's.
        since: when its process began.
        progress: when it last finished an epoch; ``since`` before the first.
    """
    found = []
    if limits.seconds is not None:
        text = f"took longer than its limit of {limits.seconds:g} s"
        found.append((since + limits.seconds, Broken(FailureKind.TIMEOUT, text)))
    if limits.idle_seconds is not None:
        text = f"finished no epoch for {limits.idle_seconds:g} s"
        found.append((progress + limits.idle_seconds, Broken(FailureKind.STALLED, text)))
    return found


def _from_exit(code: int | None, log: str) -> Broken:
    """What an exit code alone tells; None: the guard was killed and could not tell."""
    if code is None:
        return Broken(FailureKind.KILLED, "its processes were killed")
    if code == -SIGKILL:
        text = "the trainer was killed by SIGKILL: possibly the kernel's out-of-memory killer"
        return Broken(FailureKind.KILLED, text)
    if code < 0:
        name, meaning = _signal_name(-code), strsignal(-code) or "no further word"
        left = "its stack is in" if -code in _LEAVE_A_STACK else "its last words are in"
        text = f"the trainer was killed by {name}: {meaning}; {left} {log}"
        return Broken(FailureKind.KILLED, text)
    if code == 0:
        return Broken(FailureKind.SILENT, "the trainer ended its process before its last epoch")
    text = f"the trainer's process exited with code {code}; its last words are in {log}"
    return Broken(FailureKind.ERROR, text)


def _signal_name(number: int) -> str:
    """``SIGSEGV``; real-time signals have no name in Python but the first and the last."""
    try:
        return Signals(number).name
    except ValueError:
        return f"signal {number}"
