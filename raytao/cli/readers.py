"""A reader that leaves: ``raytao status … | head -1``.

Who closes a pipe has read enough, which is no error. What only tells ends then, as the standard
tools do, without a word and with the status of SIGPIPE. What trains goes on unheard, also where
the terminal is gone that it was started from (``raytao run … & disown``).

The signal itself is left as Python has it, ignored: it would come of sockets as well.
"""

from __future__ import annotations

import errno
import io
import os
import signal
import stat
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Final, TextIO

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

LEFT: Final = 128 + signal.SIGPIPE
"""Exit code of a command whose reader has left: what a shell calls a death by SIGPIPE."""


NOBODY_READS: Final = (errno.EPIPE, errno.EIO)
"""What writing to a pipe, and to a terminal, fails with once nobody reads it any more."""


class _Outlet(io.FileIO):
    """A descriptor of this process, for writing; it stays open.

    Args:
        descriptor: of a pipe or a terminal.
        goes_on: whether the command goes on without its reader.
    """

    def __init__(self, descriptor: int, *, goes_on: bool) -> None:
        super().__init__(descriptor, "wb", closefd=False)
        self._goes_on = goes_on

    def write(self, data: ReadableBuffer, /) -> int:
        """Write what it takes; what nobody reads goes nowhere.

        Raises:
            SystemExit: the reader has left, and so does the command.
        """
        try:
            return super().write(data)
        except OSError as error:
            if error.errno not in NOBODY_READS:
                raise
            nothing = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nothing, self.fileno())
            os.close(nothing)
            if self._goes_on:
                return memoryview(data).nbytes
            raise SystemExit(LEFT) from None


def mind_readers(*, goes_on: bool) -> None:
    """From now on this process takes it quietly if who reads its stdout or stderr leaves.

    Streams that are neither pipes nor terminals stay as they are.

    Args:
        goes_on: whether it does its work to the end all the same.
    """
    sys.stdout = _minded(sys.stdout, goes_on=goes_on)
    sys.stderr = _minded(sys.stderr, goes_on=goes_on)


def _minded(stream: TextIO, *, goes_on: bool) -> TextIO:
    with suppress(AttributeError, OSError, ValueError):  # None, closed, or no descriptor at all
        descriptor = stream.fileno()
        mode = os.fstat(descriptor).st_mode  # a terminal that is gone says that it is none
        if isinstance(stream, io.TextIOWrapper) and (stat.S_ISFIFO(mode) or stat.S_ISCHR(mode)):
            stream.flush()
            raw = _Outlet(descriptor, goes_on=goes_on)
            return io.TextIOWrapper(
                raw if stream.write_through else io.BufferedWriter(raw),
                encoding=stream.encoding,
                errors=stream.errors,
                line_buffering=stream.line_buffering,
                write_through=stream.write_through,
            )
    return stream
