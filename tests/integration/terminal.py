"""The command line in a terminal of its own, for tests that press keys."""

from __future__ import annotations

import fcntl
import os
import pty
import subprocess
import sys
import termios
import threading
from pathlib import Path
from types import TracebackType
from typing import Self

import driver

CTRL_C = b"\x03"


class Terminal:
    """A pseudo-terminal with raytao in its foreground; what it shows is read as it comes."""

    def __init__(self, *arguments: str | Path, cwd: Path) -> None:
        self._master, slave = pty.openpty()
        self.process = subprocess.Popen(
            [*driver.RAYTAO, *map(str, arguments)],
            cwd=cwd,
            stdin=slave,
            stdout=slave,
            stderr=slave,
            start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
        )
        os.close(slave)
        self._open = True
        self._shown = bytearray()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self.close()
        sys.stdout.write(self.shown)  # pytest shows it where the test fails

    @property
    def shown(self) -> str:
        """Everything so far, with the terminal's codes."""
        return self._shown.decode(errors="replace")

    def press(self, keys: bytes) -> None:
        """Type ``keys``; the kernel turns Ctrl-C into SIGINT for the whole foreground group."""
        os.write(self._master, keys)

    def close(self) -> None:
        """Close the window: the kernel sends SIGHUP."""
        if self._open:
            self._open = False
            os.close(self._master)

    def _read(self) -> None:
        while self._open:
            try:
                self._shown += os.read(self._master, 4096)
            except OSError:  # nobody holds the other end any more
                return
