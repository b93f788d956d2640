"""Signals: once, stop in order and leave a resumable run; twice, stop now."""

from __future__ import annotations

import logging
import os
import select
import signal
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from types import FrameType, TracebackType
from typing import Final, TypeAlias

from raytao.cluster.local_ray import kill_local_ray

log = logging.getLogger(__name__)

Say: TypeAlias = Callable[[str], None]

SIGNALS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""Ctrl-C; what systemd, Slurm and ``kill`` send; the terminal was closed."""

PATIENCE_SECONDS: Final = 15.0
"""Longest that an orderly stop may take: Ray waits a minute for servers that were killed too."""

STOPPING: Final = "stopping: no new work, trials end, what they reported is kept; again: at once"

AT_ONCE: Final = "ended at once: what trials reported is kept"

_SHOW_CURSOR: Final = "\x1b[?25h\n"
_OVER: Final = b"\0"


class Interrupted(BaseException):
    """The user or the system asked to stop; not an error, so no ``except Exception`` eats it."""

    def __init__(self, signum: int) -> None:
        self.signum = signum
        self.exit_code = 128 + signum
        super().__init__(signal.Signals(signum).name)


class Interrupts:
    """Turns the first signal into ``Interrupted`` at the next ``check``, the second into an exit.

    A signal is only noted while files may be half-written, so that no log line is torn. A thread
    of its own says so at once, ends the process if the orderly way takes too long, and hears the
    second signal even while the main thread is held up. In a Jupyter kernel, which holds more of
    the user's than this run, there is no such thread: there the second signal raises
    KeyboardInterrupt, as everywhere in a notebook.

    Python hands signals to the main thread alone: in another one nothing is taken over.

    Args:
        say: takes one line for people; called on another thread.
        farewell: ends the last line, if the process must be ended by force.
        patience: seconds that an orderly stop may take.
    """

    def __init__(
        self,
        say: Say = log.warning,
        farewell: str = "stopped",
        patience: float = PATIENCE_SECONDS,
    ) -> None:
        self._signum: int | None = None
        main = threading.current_thread() is threading.main_thread()
        numbers = [n for n in SIGNALS if main and not _is_left_alone(n)]
        self._before = {number: signal.getsignal(number) for number in numbers}
        self._farewell = farewell
        self._watch = _Watch(say, farewell, patience) if main and not _in_kernel() else None

    def __enter__(self) -> Interrupts:
        self.install()
        if self._watch is not None:
            self._watch.begin()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        heard = None if self._watch is None else self._watch.end()
        if isinstance(error, SystemExit) and heard is not None:
            raise Interrupted(heard) from None  # Ray's own handler, while Ray starts

    def install(self) -> None:
        """Take the signals over (again: ``ray.init`` installs a handler of its own)."""
        for number in self._before:
            signal.signal(number, self._note)

    def check(self) -> None:
        """Raise if a signal came.

        Raises:
            Interrupted: with the signal's number.
        """
        if self._signum is not None:
            raise Interrupted(self._signum)

    def _note(self, signum: int, frame: FrameType | None) -> None:
        del frame
        if self._signum is None:
            self._signum = signum
        elif self._watch is None:
            raise KeyboardInterrupt
        else:
            leave(signum, f"{AT_ONCE}; {self._farewell}")


class _Watch:
    """Hears signals on a thread, by the pipe that Python writes them to as they arrive."""

    def __init__(self, say: Say, farewell: str, patience: float) -> None:
        self._say = say
        self._farewell = farewell
        self._patience = patience
        self._first: int | None = None
        self._terminals = [fd for fd in (0, 1, 2) if os.isatty(fd)]
        self._thread = threading.Thread(target=self._run, name="raytao-signals", daemon=True)

    def begin(self) -> None:
        self._ours, self._theirs = os.pipe()
        os.set_blocking(self._theirs, False)
        self._before = signal.set_wakeup_fd(self._theirs, warn_on_full_buffer=False)
        self._thread.start()

    def end(self) -> int | None:
        """Stop hearing; return the first signal there was."""
        signal.set_wakeup_fd(self._before)
        os.write(self._theirs, _OVER)
        self._thread.join()
        os.close(self._ours)
        os.close(self._theirs)
        return self._first

    def _run(self) -> None:
        deadline = float("inf")
        waiting = select.poll()
        waiting.register(self._ours, select.POLLIN)
        while True:
            left = deadline - time.monotonic()
            if self._first is not None and not waiting.poll(max(0.0, left) * 1000):
                self._give_up(self._first)
            for number in os.read(self._ours, 64):
                if number == _OVER[0]:
                    return
                if number in SIGNALS and self._first is not None:
                    leave(number, f"{AT_ONCE}; {self._farewell}")
                if number in SIGNALS:
                    self._first = number
                    deadline = time.monotonic() + self._patience
                    self._tell(number)

    def _tell(self, number: int) -> None:
        if number == signal.SIGHUP:  # who writes to a terminal that is gone gets an error
            _silence(self._terminals)
        # On a thread of its own: a line that cannot be written must not deafen this one.
        threading.Thread(target=self._say, args=(STOPPING,), daemon=True).start()

    def _give_up(self, number: int) -> None:
        leave(number, f"Ray did not end within {self._patience:g} s; {self._farewell}")


_LEAVING: Final = threading.RLock()
"""Both threads that hear a signal may leave for it: one of them says so."""


def leave(number: int, last: str) -> None:
    """End this process and its Ray now; every decision is in the log, trials end by themselves.

    Args:
        number: the signal that it is for.
        last: a line for people, unless stderr would take it only later.
    """
    with _LEAVING:
        kill_local_ray()
        with suppress(OSError):
            shown = _SHOW_CURSOR if os.isatty(2) else ""  # a live table hides it
            stderr = select.poll()
            stderr.register(2, select.POLLOUT)
            if stderr.poll(0):
                os.write(2, f"{shown}{last}\n".encode())
        os._exit(128 + number)


def _is_left_alone(number: signal.Signals) -> bool:
    """SIGHUP under ``nohup``, and in a kernel, which is not the terminal's."""
    ignored = signal.getsignal(number) is signal.SIG_IGN
    return number == signal.SIGHUP and (ignored or _in_kernel())


def _in_kernel() -> bool:
    return "ipykernel" in sys.modules


def _silence(descriptors: list[int]) -> None:
    nothing = os.open(os.devnull, os.O_RDWR)
    for descriptor in descriptors:
        os.dup2(nothing, descriptor)
    os.close(nothing)
