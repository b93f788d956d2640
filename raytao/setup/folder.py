"""Whether a results folder may be used for a run: fresh, the same run, or refused."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from enum import Enum
from pathlib import Path

from filelock import FileLock, Timeout

from raytao.errors import FolderError
from raytao.networks.function import Function
from raytao.runs.log import read_log
from raytao.runs.state import RunState
from raytao.runs.store import LocalStore
from raytao.setup.reopen import reopen
from raytao.setup.setup import Setup
from raytao.spec import flatten
from raytao.tao import layout
from raytao.types import Json

OURS = (layout.EVENTS, layout.RAY_SCRATCH, layout.LOCK)
"""What a driver leaves that was killed before its first record was whole."""

LOOKING_SECONDS = 0.5
"""Longest that somebody who looks whether a run is driven may hold up the one who drives it."""

SHOWN = 8
"""Differences that a refusal lists."""


class Found(Enum):
    """What a results folder holds for a setup."""

    FRESH = "fresh"
    SAME = "same"


def inspect_folder(setup: Setup, *, resume: bool) -> Found:
    """Decide whether ``setup`` may write to its results folder. Nothing is changed.

    Args:
        setup: the run that is asked for.
        resume: whether going on with the same run is wanted.

    Raises:
        FolderError: if the folder holds another run, other files, or this run unasked.
    """
    folder = setup.results
    _refuse_unusable(folder)
    if is_driven(folder):
        raise _busy(folder)
    state = RunState.fold(read_log(LocalStore(folder), layout.EVENTS))
    if state.opened is None:
        if folder.is_dir() and any(path.name not in OURS for path in folder.iterdir()):
            raise FolderError(
                f"{folder} is not empty and holds no raytao run",
                remedy="choose another results_dir: nothing there was touched",
            )
        return Found.FRESH
    differences = differing(state.opened.setup["identity"], setup.identity())
    if differences:
        listed = "\n".join(f"    {line}" for line in differences[:SHOWN])
        more = len(differences) - SHOWN
        tail = f"\n    … and {more} more" if more > 0 else ""
        raise FolderError(
            f"{folder} holds another run; it differs in\n{listed}{tail}",
            remedy="choose another results_dir, or go back to the settings of that run",
        )
    if not resume and state.finished:
        raise FolderError(
            f"{folder} holds this run, finished ({state.finished.status})",
            remedy="choose another results_dir to run it again",
        )
    if not resume:
        raise FolderError(
            f"{folder} already holds this run ({len(state.trials)} recommendations, "
            f"{state.epochs} epochs)",
            remedy=f"go on with it: {_how_to_resume(setup)}",
        )
    return Found.SAME


def _how_to_resume(setup: Setup) -> str:
    if not isinstance(setup.network, Function):
        return f"raytao resume {setup.results}   (or run … --resume auto, or .fit(resume=True))"
    return ".ask(resume=True)" if setup.network.is_loop else ".fit(resume=True)"


@contextmanager
def owned(folder: Path) -> Iterator[None]:
    """Be the one driver of the run in ``folder``: two would write one log, and ruin it.

    The lock is the kernel's: it ends with the process, however that ends.

    Raises:
        FolderError: if another process holds it.
    """
    lock = claim(folder)
    try:
        yield
    finally:
        lock.release()


def claim(folder: Path) -> FileLock:
    """Become the driver of the run in ``folder`` until the lock is released; see `owned`.

    Raises:
        FolderError: if another process holds it.
    """
    lock = FileLock(folder / layout.LOCK)
    try:
        lock.acquire(timeout=LOOKING_SECONDS)
    except Timeout as error:
        raise _busy(folder) from error
    return lock


def is_driven(folder: Path) -> bool:
    """Whether a process on this machine is driving the run in ``folder``; nothing is written.

    A folder that may only be read can be asked as well: the lock is looked at, not taken.
    """
    try:
        descriptor = os.open(folder / layout.LOCK, os.O_RDONLY)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def _busy(folder: Path) -> FolderError:
    return FolderError(
        f"another raytao is running in {folder}",
        remedy=f"watch it with: raytao status {folder} --watch",
    )


def _refuse_unusable(folder: Path) -> None:
    """Refuse a folder that cannot be made, or written, before Ray is started for nothing."""
    there = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    if not there.is_dir():
        raise FolderError(f"{there} is a file", remedy="choose another results_dir")
    if not os.access(there, os.W_OK | os.X_OK):
        raise FolderError(f"{there} cannot be written", remedy="choose another results_dir")


def open_folder(folder: Path) -> tuple[Setup, RunState]:
    """Read a run folder: its setup and its state.

    Raises:
        FolderError: if there is no run in it.
        DamagedRun: if its log cannot be trusted.
    """
    state = read_state(folder)
    assert state.opened is not None
    return reopen(state.opened, folder), state


def read_state(folder: Path) -> RunState:
    """The state of the run in ``folder``.

    Raises:
        FolderError: if there is no run in it.
        DamagedRun: if its log cannot be trusted.
    """
    if not folder.is_dir():
        raise FolderError(f"no folder {folder}")
    state = RunState.fold(read_log(LocalStore(folder), layout.EVENTS))
    if state.opened is None:
        raise FolderError(
            f"{folder} holds no raytao run: there is no {layout.EVENTS} in it",
            remedy="give the results folder that `raytao run` printed",
        )
    return state


def differing(old: Mapping[str, Json], new: Mapping[str, Json]) -> list[str]:
    """One line for every value that differs: ``key: old -> new``."""
    before, after = flatten(_by_name(old)), flatten(_by_name(new))
    keys = [*before, *(k for k in after if k not in before)]
    return [
        f"{key}: {before.get(key, '(absent)')} -> {after.get(key, '(absent)')}"
        for key in keys
        if before.get(key) != after.get(key) or (key in before) != (key in after)
    ]


def _by_name(value: Json) -> Json:
    """Turn lists of named things into mappings, so that they differ key by key."""
    if isinstance(value, Mapping):
        return {key: _by_name(inner) for key, inner in value.items()}
    if isinstance(value, list) and all(isinstance(v, Mapping) and "name" in v for v in value):
        return {v["name"]: _by_name({k: v[k] for k in v if k != "name"}) for v in value}
    return value
