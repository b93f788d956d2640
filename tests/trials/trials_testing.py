"""What the tests of trials share; conftest.py makes it importable."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

from raytao.trials.messages import Broken, Ended, Event, Job
from raytao.trials.supervisor import Supervisor

MARK = "RAYTAO_TEST_MARK"


class MakeJob(Protocol):
    def __call__(self, spec: dict[str, Any] | None = None, **changes: Any) -> Job: ...


def until_terminal(supervisor: Supervisor) -> list[Event]:
    events: list[Event] = []
    while not events or not isinstance(events[-1], Ended | Broken):
        events += supervisor.events(timeout=8.0)
    return events


def marked_processes(mark: str) -> list[int]:
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                if f"{MARK}={mark}".encode() in (entry / "environ").read_bytes().split(b"\0"):
                    found.append(int(entry.name))
            except OSError:
                continue
    return found


def wait_until(true: Callable[[], bool], seconds: float = 6.0) -> bool:
    """Whether it became true in time."""
    until = time.monotonic() + seconds
    while not true():
        if time.monotonic() > until:
            return False
        time.sleep(0.02)
    return True
