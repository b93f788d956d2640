"""The command line as a process of its own, for tests that kill it."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil

from raytao.runs.log import Record, read_log
from raytao.runs.store import LocalStore
from raytao.tao import layout

RAYS_AGENTS = {"ray::DashboardAgent", "ray::RuntimeEnvAgent"}
RAYTAO = (sys.executable, "-m", "raytao")
LONG = 300.0
"""Seconds after which what has not come is taken for a hang: other tests run beside this one."""


def command(*arguments: str | Path, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run raytao to its end."""
    return subprocess.run(
        [*RAYTAO, *map(str, arguments)], cwd=cwd, capture_output=True, text=True, check=False
    )


def start(*arguments: str | Path, cwd: Path) -> subprocess.Popen[bytes]:
    """Start raytao in the background, in a session of its own."""
    with (cwd / "driver.log").open("ab") as log:
        return subprocess.Popen(
            [*RAYTAO, *map(str, arguments)],
            cwd=cwd,
            stdout=log,
            stderr=log,
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
        )


def records(results: Path) -> list[Record]:
    return read_log(LocalStore(results), layout.EVENTS)


def wait_until(condition: Callable[[], bool], what: str, seconds: float = LONG) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"waited {seconds} s for {what}"
        time.sleep(0.05)


def family(pid: int) -> list[psutil.Process]:
    """The process and all its descendants."""
    root = psutil.Process(pid)
    return [root, *root.children(recursive=True)]


def alive(processes: list[psutil.Process]) -> list[psutil.Process]:
    """Those that still run; a zombie that its parent has not yet collected does not."""
    return [p for p in processes if _runs(p)]


def is_rays_agent(process: psutil.Process) -> bool:
    """Ray's own agents notice a minute late that their cluster was killed: they first tell it."""
    try:
        return bool(" ".join(process.cmdline()).strip() in RAYS_AGENTS)
    except psutil.NoSuchProcess:
        return False


def wait_for_the_end_of(processes: list[psutil.Process], seconds: float) -> None:
    """Wait until none of ``processes`` runs any more."""
    deadline = time.monotonic() + seconds
    while left := alive(processes):
        assert time.monotonic() < deadline, [p.cmdline()[:3] for p in left]
        time.sleep(0.1)


def _runs(process: psutil.Process) -> bool:
    try:
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False
