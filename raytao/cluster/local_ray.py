"""Ray's own processes, where this one starts them: signals that are meant for raytao spare them.

Ctrl-C goes to every process of a terminal's foreground group, and a scheduler's SIGTERM often to
a whole group as well. Ray's servers would die of it before raytao has ended its trials, and a
driver whose Ray is gone waits a minute for it.
"""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib import import_module
from typing import Any, Final

_STARTED: Final[list[subprocess.Popen[bytes]]] = []


@contextmanager
def out_of_reach() -> Iterator[None]:
    """While the block lasts, Ray's processes begin sessions of their own.

    Ray has no option for it, but starts all of them by one class, which this replaces. They still
    end with this process: the kernel kills them (PR_SET_PDEATHSIG), whatever their session is.
    """
    services: Any = import_module("ray._private.services")
    usual = services.ConsolePopen

    class Apart(usual):  # type: ignore[misc, valid-type]  # a class that is known at run time only
        def __init__(self, *arguments: Any, **options: Any) -> None:
            super().__init__(*arguments, **{**options, "start_new_session": True})
            _STARTED.append(self)

    services.ConsolePopen = Apart
    try:
        yield
    finally:
        services.ConsolePopen = usual


def kill_local_ray() -> None:
    """SIGKILL what `out_of_reach` saw and what that started; Ray's workers follow by themselves.

    Ray's agents would notice a minute late that they are alone.
    """
    for process in _STARTED:
        if process.poll() is None:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)


def forget_local_ray() -> None:
    """Ray has ended in order."""
    _STARTED.clear()
