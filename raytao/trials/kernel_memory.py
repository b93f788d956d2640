"""Whether the kernel's out-of-memory killer was at work where this process lives.

It kills with a plain SIGKILL, as everybody does; only its counter of the control group tells.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

_PROCESS: Final = Path("/proc/self/cgroup")
_MOUNT: Final = Path("/sys/fs/cgroup")
_COUNTER: Final = "oom_kill"


def kernel_kills(process: Path = _PROCESS, mount: Path = _MOUNT) -> int | None:
    """Processes of our control group that the kernel has killed for memory so far.

    Both versions of control groups are read (cgroups(7)). Within a container the group's path may
    be that of the host, which is not to be seen there: then its root is the container's own.

    Args:
        process: which groups this process is in.
        mount: where the groups are.

    Returns:
        None where nobody counts: no such files, or no memory controller.
    """
    for file in _candidates(process, mount):
        try:
            lines = file.read_text().splitlines()
        except OSError:
            continue
        for name, _, value in (line.partition(" ") for line in lines):
            if name == _COUNTER and value.isdigit():
                return int(value)
    return None


def _candidates(process: Path, mount: Path) -> list[Path]:
    """Where the counter may be, the likeliest first; a line is ``number:controllers:path``."""
    try:
        lines = process.read_text().splitlines()
    except OSError:
        return []
    found: list[Path] = []
    for _, controllers, path in (line.split(":", 2) for line in lines if line.count(":") > 1):
        inner = path.lstrip("/")
        if "memory" in controllers.split(","):
            roots = [mount / "memory" / inner, mount / "memory"]
            found = [*(root / "memory.oom_control" for root in roots), *found]
        elif not controllers:
            roots = [mount / inner, mount / "unified" / inner, mount]
            found += [root / "memory.events" for root in roots]
    return found
