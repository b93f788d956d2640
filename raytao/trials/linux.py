"""What Linux offers for minding processes, and Python's library does not wrap."""

from __future__ import annotations

import ctypes
import os
import signal
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

_PR_SET_PDEATHSIG: Final = 1
_PR_SET_CHILD_SUBREAPER: Final = 36

_PARENT: Final = 1
_TIMES: Final = slice(11, 15)
"""Of the fields after the name: user and system time, its own and that of children it reaped."""


def die_with_parent(parent: int) -> None:
    """Have the kernel SIGKILL this process when ``parent`` ends, however it ends.

    The kernel watches the thread that forked us, so the parent must fork from its main thread.

    Args:
        parent: the parent's pid, taken before the fork: it may be gone already.
    """
    _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os.kill(os.getpid(), signal.SIGKILL)


def adopt_orphans() -> None:
    """Become the parent of every descendant whose own parent ends, also across sessions."""
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)


def kill_descendants() -> None:
    """SIGKILL and reap all children until there are none.

    After `adopt_orphans`, the children of the killed become ours in turn, so that nothing
    escapes: neither a new session nor a double fork helps.
    """
    while True:
        try:
            pid, _ = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if pid == 0:
            for child in _children(os.getpid()):
                with suppress(ProcessLookupError, PermissionError):
                    os.kill(child, signal.SIGKILL)
            os.waitpid(-1, 0)


def cpu_seconds_below(pid: int) -> float:
    """CPU time of all descendants of a process that live, and of those that they have reaped.

    0 where the kernel does not tell who they are.
    """
    total, waiting = 0, _born_of(pid)
    while waiting:
        child = waiting.pop()
        with suppress(OSError):  # it has ended meanwhile: its parent's time holds it
            stat = Path(f"/proc/{child}/stat").read_bytes()
            total += sum(map(int, _fields(stat)[_TIMES]))
        waiting += _born_of(child)
    return total / os.sysconf("SC_CLK_TCK")


def _born_of(pid: int) -> list[int]:
    """Children of all threads of ``pid``; quicker than a look at every process there is."""
    found: list[int] = []
    with suppress(OSError):
        for thread in Path(f"/proc/{pid}/task").iterdir():
            with suppress(OSError):
                found += map(int, (thread / "children").read_bytes().split())
    return found


def _prctl(option: int, value: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(option, value, 0, 0, 0) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"prctl({option}, {value}): {os.strerror(number)}")


def _children(parent: int) -> Iterator[int]:
    """Pids of the children of ``parent``."""
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with suppress(OSError):
                if int(_fields((entry / "stat").read_bytes())[_PARENT]) == parent:
                    yield int(entry.name)


def _fields(stat: bytes) -> list[bytes]:
    """The fields of ``/proc/…/stat`` after the second, the name, which may hold spaces."""
    return stat.rpartition(b")")[2].split()
