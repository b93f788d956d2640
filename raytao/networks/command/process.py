"""One run of an external program: its output, its end, and the end of all that it started.

The program leads a session of its own. A signal to raytao's trial does not reach it by itself, so
that the trial decides what to send and when (`CommandSettings.stop_signal`), and a signal to its
whole group does not hit the trial. That nothing is left does not rest on it: the trial's guard is
the subreaper of all of them, and kills by descent, across sessions (ADR 0001).
"""

from __future__ import annotations

import codecs
import os
import select
import signal
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO, Final, cast

from raytao.errors import RaytaoError

KEPT_LINES: Final = 40
"""Last lines of its output that a failure may tell."""

_CHUNK: Final = 1 << 16
_LONGEST_LISTEN: Final = 60.0
_MOST_CHUNKS: Final = 64
"""Read after the program's end; a pipe holds one, unless others go on writing."""


class Program:
    """A program that runs, from its start to the end of its group. Use it as a context.

    What it prints goes to our own output as it comes, for that is the trial's log.

    Args:
        words: the command line.
        folder: where it is started.
        environment: all of its environment variables.
        listener: is given everything it prints, as it comes.
        stop_signal: what asks it to end.
        grace: seconds it has for that.

    Raises:
        RaytaoError: if it cannot be started.
    """

    def __init__(
        self,
        words: Sequence[str],
        *,
        folder: Path,
        environment: Mapping[str, str],
        listener: Callable[[bytes], None],
        stop_signal: signal.Signals = signal.SIGTERM,
        grace: float = 20.0,
    ) -> None:
        self.name = Path(words[0]).name
        self._lines: deque[str] = deque(maxlen=KEPT_LINES)
        self._listener = listener
        self._stop_signal = stop_signal
        self._grace = grace
        self._decoder = codecs.getincrementaldecoder("utf-8")("backslashreplace")
        self._line = ""
        self.heard_out = False
        """Whether nobody holds its output any more: all that it started has ended, as a rule."""
        try:
            self._process = subprocess.Popen(
                words,
                cwd=folder,
                env=dict(environment),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        except (OSError, ValueError) as error:
            raise RaytaoError(f"the program {words[0]!r} does not start: {error}") from error
        self._output = self._stdout.fileno()
        os.set_blocking(self._output, False)
        self._ended = os.pidfd_open(self._process.pid)
        self._poll = select.poll()
        self._poll.register(self._output, select.POLLIN)
        self._poll.register(self._ended, select.POLLIN)

    def __enter__(self) -> Program:
        return self

    def __exit__(self, *exception: object) -> None:
        """Ask it to end if it runs, kill what is left of its group, and take its last words."""
        try:
            self.stop()
        finally:
            with suppress(ProcessLookupError):  # not reaped yet, so its number is nobody else's
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
            with suppress(KeyError):
                self._poll.unregister(self._ended)
            os.close(self._ended)
            try:
                self.drain()
            finally:
                self._stdout.close()

    @property
    def running(self) -> bool:
        """Whether the program itself, not what it started, has not ended."""
        return self._exit_status() is None

    @property
    def exit_code(self) -> int | None:
        """What it ended with, negative for a signal; None while it runs."""
        status = self._exit_status()
        if status is None:
            return None
        return status.si_status if status.si_code == os.CLD_EXITED else -status.si_status

    @property
    def ending(self) -> str:
        """How it ended, for people: ``exited with code 1``."""
        code = self.exit_code or 0
        if code >= 0:
            return f"exited with code {code}"
        names = {number.value: number.name for number in signal.Signals}
        meaning = signal.strsignal(-code) or "no further word"
        return f"was killed by signal: {meaning} ({names.get(-code, -code)})"

    @property
    def last_lines(self) -> list[str]:
        """The last lines that it printed, without the empty ones."""
        return [*self._lines, *filter(None, [self._line.strip()])][-KEPT_LINES:]

    def listen(self, seconds: float) -> None:
        """Take in what it prints, until there was something, it ended, or the time is over."""
        ready = [descriptor for descriptor, _ in self._poll.poll(seconds * 1000)]
        if self._output in ready:
            self._take()
        if self._ended in ready:  # it would be ready for ever, and what it started may go on
            self._poll.unregister(self._ended)

    def drain(self) -> None:
        """Take in what it printed before it ended; others may still hold its output open."""
        for _ in range(_MOST_CHUNKS):
            if not self._take():
                break

    def wait(self, seconds: float) -> bool:
        """Listen until it has ended; whether it did, in time."""
        until = time.monotonic() + seconds
        while self.running and (left := until - time.monotonic()) > 0:
            self.listen(min(left, _LONGEST_LISTEN))
        return not self.running

    def stop(self) -> None:
        """Ask its group to end, if it runs, and wait as long as it has for that."""
        if self.running:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, self._stop_signal)
            self.wait(self._grace)

    @property
    def _stdout(self) -> IO[bytes]:
        return cast("IO[bytes]", self._process.stdout)  # a pipe, as was asked for

    def _exit_status(self) -> os.waitid_result | None:
        """Asked without reaping it: until `__exit__`, its number stays its own."""
        options = os.WEXITED | os.WNOHANG | os.WNOWAIT
        return os.waitid(os.P_PID, self._process.pid, options)

    def _take(self) -> bool:
        """Read once; whether there was something."""
        try:
            data = os.read(self._output, _CHUNK)
        except BlockingIOError:
            return False
        if not data:
            self.heard_out = True
            with suppress(KeyError):
                self._poll.unregister(self._output)
            return False
        self._listener(data)
        text = self._decoder.decode(data)
        sys.stdout.write(text)
        sys.stdout.flush()
        self._keep(text)
        return True

    def _keep(self, text: str) -> None:
        *ended, self._line = (self._line + text).replace("\r", "\n").split("\n")
        self._lines.extend(line.strip() for line in ended if line.strip())
        self._line = self._line[-_CHUNK:]
