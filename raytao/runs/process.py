"""Whether a process still runs: exactly, from its own machine; from elsewhere nobody can tell."""

from __future__ import annotations

import os
import socket
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Final

ENDED: Final = (b"Z", b"X")
"""States of a process that will run no more, though its parent has not asked for it yet."""

_STATE, _START = 0, 19
"""Fields 3 and 22 of ``/proc/pid/stat``, counted behind the name in parentheses (proc(5))."""


class Life(Enum):
    """What can be said about a process."""

    ALIVE = "alive"
    """It runs, or was stopped and may be continued."""

    GONE = "gone"
    """It will never do anything again."""

    UNSEEN = "unseen"
    """It is, or was, where this process cannot look: another host or container, before a boot."""


@dataclass(frozen=True)
class Process:
    """One process among all that ever ran: a pid is used again, a pid and its start are not.

    Attributes:
        host: the machine's name, for people: two machines may have the same.
        pid: within ``namespace``.
        boot: the kernel's own name for the time since it was started; None without /proc.
        namespace: the pid namespace, a container's own; None without /proc.
        ticks: when it was started, in clock ticks since the boot; None without /proc.
    """

    host: str
    pid: int
    boot: str | None
    namespace: str | None
    ticks: int | None

    @classmethod
    def this(cls) -> Process:
        """The process that asks."""
        pid, boot, namespace, ticks = os.getpid(), None, None, None
        with suppress(OSError):
            boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
            namespace = Path("/proc/self/ns/pid").readlink().name
            ticks = int(_stat(pid)[_START])
        return cls(socket.gethostname(), pid, boot, namespace, ticks)

    def life(self, here: Process) -> Life:
        """Whether it still runs, as far as the process ``here`` can tell.

        A process that was stopped (SIGSTOP, a debugger) is alive. A zombie is gone.
        """
        places = (self.boot, self.namespace), (here.boot, here.namespace)
        if places[0] != places[1] or None in places[0] or self.ticks is None:
            return Life.UNSEEN
        try:
            stat = _stat(self.pid)
        except OSError:
            return Life.GONE if _is_free(self.pid) else Life.UNSEEN
        runs = int(stat[_START]) == self.ticks and stat[_STATE] not in ENDED
        return Life.ALIVE if runs else Life.GONE


def _stat(pid: int) -> list[bytes]:
    """What the kernel says of a process, behind its name, which may hold anything."""
    return Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()


def _is_free(pid: int) -> bool:
    """Whether no process has this pid; also where /proc hides those of other users."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    return False
