"""Ctrl-C and SIGTERM: once, stop in order and leave a resumable run; twice, stop now."""

from __future__ import annotations

import os
import signal
import sys
from threading import current_thread, main_thread
from types import FrameType
from typing import Final

SIGNALS: Final = (signal.SIGINT, signal.SIGTERM)


class Interrupted(BaseException):
    """The user or the system asked to stop; not an error, so no ``except Exception`` eats it."""

    def __init__(self, signum: int) -> None:
        self.signum = signum
        self.exit_code = 128 + signum
        super().__init__(signal.Signals(signum).name)


class Interrupts:
    """Turns the first signal into ``Interrupted`` at the next ``check``, the second into an exit.

    In a Jupyter kernel the second one raises KeyboardInterrupt, as everywhere in a notebook.

    A signal is only noted while files may be half-written, so that no log line is torn. Python
    hands signals to the main thread alone: in another one nothing is taken over.
    """

    def __init__(self) -> None:
        self._signum: int | None = None
        self._numbers = SIGNALS if current_thread() is main_thread() else ()
        self._before = {number: signal.getsignal(number) for number in self._numbers}

    def __enter__(self) -> Interrupts:
        self.install()
        return self

    def __exit__(self, *exc: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def install(self) -> None:
        """Take the signals over (again: ``ray.init`` installs a handler of its own)."""
        for number in self._numbers:
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
        elif "ipykernel" in sys.modules:  # a kernel holds more of the user's than this run
            raise KeyboardInterrupt
        else:
            os._exit(128 + signum)
