"""Whether a results folder may be used for a run: fresh, the same run, or refused."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from enum import Enum
from pathlib import Path

from raytao.errors import FolderError
from raytao.networks.function import Function
from raytao.runs import owner as owning
from raytao.runs.log import read_log
from raytao.runs.owner import Owned, Ownership, Say
from raytao.runs.owner_file import STALE_SECONDS, Owner, owner_of
from raytao.runs.place import ObjectPlace, Place, is_there, names_in, store_at
from raytao.runs.process import Life, Process
from raytao.runs.state import RunState
from raytao.runs.store import StoreError
from raytao.setup.changes import changes, refuse_another_search
from raytao.setup.damage import copy_kept, refuse_lost_log, repair_told
from raytao.setup.reopen import reopen
from raytao.setup.setup import Setup
from raytao.tao import layout
from raytao.tao.foreign.known import is_foreign

log = logging.getLogger(__name__)

OURS = (layout.EVENTS, layout.RAY_SCRATCH, layout.OWNER)
"""What a driver leaves that was killed before its first record was whole."""


class Found(Enum):
    """What a results folder holds for a setup."""

    FRESH = "fresh"
    SAME = "same"


def inspect_folder(setup: Setup, *, resume: bool, allow_changed: bool = False) -> Found:
    """Decide whether ``setup`` may write to its results folder. Nothing is changed.

    Args:
        setup: the run that is asked for.
        resume: whether going on with the same run is wanted.
        allow_changed: whether another search may go on in this run's folder.

    Raises:
        FolderError: if the folder holds another run, other files, or this run unasked.
    """
    folder = setup.results
    _refuse_unusable(folder)
    refuse_driven(folder)
    owner = driver_of(folder)
    if owner is not None and not resume and owner.seems_alive():
        raise _busy(folder, owner)  # one elsewhere is watched before its run is gone on with
    with copy_kept(folder):
        state = RunState.fold(read_log(store_at(folder), layout.EVENTS))
    if state.opened is None:
        _refuse_foreign(folder, remedy="choose another results_dir: nothing there was touched")
        refuse_lost_log(folder)
        if not names_in(folder) <= set(OURS):
            raise FolderError(
                f"{folder} is not empty and holds no raytao run",
                remedy="choose another results_dir: nothing there was touched",
            )
        return Found.FRESH
    search = changes(state.opened, setup).search
    refuse_another_search(setup, search, allow_changed=allow_changed)
    if search:
        return Found.SAME  # whoever allows another search beside it wants to go on here
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


def refuse_driven(folder: Place) -> None:
    """Refuse a run that a process of this machine drives, before Ray is started for nothing.

    Raises:
        FolderError: naming the process.
    """
    owner = driver_of(folder)
    if owner is not None and owner.life() is Life.ALIVE:
        raise _busy(folder, owner)


def claim(folder: Place, *, say: Say = log.warning) -> Ownership:
    """Become the one driver of the run in ``folder``: two would write one log, and ruin it.

    A driver that was killed is followed at once on its own machine, and elsewhere after
    ``STALE_SECONDS`` in which nothing was heard of it.

    Args:
        folder: the results folder; it is there.
        say: is told whom one waits for, and in whose place one is.

    Raises:
        FolderError: if another process, or another part of this one, drives it.
        StoreError: if the folder cannot be written.
    """
    # On object storage a folder begins with its first object, which the owner's may be.
    store = store_at(folder.resolve(), must_exist=isinstance(folder, Path))
    try:
        ownership = owning.claim(store, layout.OWNER, say=say)
    except Owned as held:
        raise _busy(folder, held.owner) from held
    if ownership.took_over is not None:
        dead = ownership.took_over
        say(f"took over from {dead}: it is dead, last seen {dead.last_seen}")
    return ownership


def driver_of(folder: Place) -> Owner | None:
    """Who has claimed the run in ``folder`` and not released it, dead or alive; writes nothing.

    None as well where that may not be read: whoever writes there finds out.
    """
    try:
        return owner_of(store_at(folder), layout.OWNER)
    except StoreError:
        return None


def is_driven(folder: Place) -> bool:
    """Whether a process is driving the run in ``folder``, as far as this machine can tell."""
    owner = driver_of(folder)
    return owner is not None and owner.seems_alive()


def _busy(folder: Place, owner: Owner | None) -> FolderError:
    remedy = (
        f"watch it with: raytao status {folder} --watch\n  when it is gone, this folder is free: "
        f"at once on its own machine, {STALE_SECONDS:g} s later on another"
    )
    if owner is not None and owner.process == Process.this():
        remedy = "it is this very process: wait for the other search, or close() it"
    return FolderError(
        f"another raytao is running in {folder}: {owner or 'its owner file is torn'}",
        remedy=remedy,
    )


def _refuse_unusable(folder: Place) -> None:
    """Refuse a folder that cannot be made, or written, before Ray is started for nothing."""
    if not isinstance(folder, Path):
        _refuse_unreachable(folder)
        return
    above = (folder, *folder.absolute().parents)
    there = next(path for path in above if path.is_symlink() or path.exists())
    if there.is_symlink() and not there.exists():
        raise FolderError(f"{there} is a link to nothing", remedy="choose another results_dir")
    if not there.is_dir():
        raise FolderError(f"{there} is a file", remedy="choose another results_dir")
    if not os.access(there, os.W_OK | os.X_OK):
        raise FolderError(f"{there} cannot be written", remedy="choose another results_dir")


def _refuse_unreachable(folder: ObjectPlace) -> None:
    """Refuse object storage that does not let this user in.

    Raises:
        FolderError: as storage says it, with its remedy; what may pass stays a StoreError.
    """
    with _let_in(folder):
        is_there(folder)


@contextmanager
def _let_in(folder: Place) -> Iterator[None]:
    """Who may not read an address has named it wrongly, or is not known there: a user's mistake.

    Raises:
        FolderError: in the place of storage's own error.
    """
    try:
        yield
    except StoreError as error:
        if error.may_pass or isinstance(folder, Path):
            raise
        said, _, remedy = str(error).partition("\n  ")
        raise FolderError(said, remedy=remedy) from error


def open_folder(folder: Place) -> tuple[Setup, RunState]:
    """Read a run folder: its setup and its state.

    Raises:
        FolderError: if there is no run in it.
        DamagedRun: if its log cannot be trusted.
    """
    state = read_state(folder)
    assert state.opened is not None
    return reopen(state.opened, folder), state


def read_state(folder: Place) -> RunState:
    """The state of the run in ``folder``.

    Raises:
        FolderError: if there is no run in it.
        DamagedRun: if its log cannot be trusted.
    """
    if isinstance(folder, Path) and not folder.is_dir():
        raise FolderError(
            f"no folder {folder}",
            remedy="mind the spelling; a run makes its folder once Ray has answered",
        )
    with repair_told(folder), _let_in(folder):
        state = RunState.fold(read_log(store_at(folder), layout.EVENTS))
    if state.opened is None:
        if not isinstance(folder, Path):
            _refuse_other_objects(folder)
        _refuse_foreign(folder, remedy="raytao status, raytao report and warm_start read it")
        refuse_lost_log(folder)
        raise FolderError(
            f"{folder} holds no raytao run: there is no {layout.EVENTS} in it, and no "
            f"{layout.CONTROLLER} of TAO",
            remedy="give the results folder that `raytao run` printed, or one that TAO wrote",
        )
    return state


def _refuse_other_objects(folder: ObjectPlace) -> None:
    """Refuse an address with nothing below it, or with what is read from a path only."""
    names = names_in(folder)
    if not names:
        raise FolderError(f"nothing is at {folder}")
    if layout.CONTROLLER in names:
        raise FolderError(
            f"{folder} has a {layout.CONTROLLER} and no {layout.EVENTS}: a run of TAO, not of "
            "raytao",
            remedy="copy it to a local folder: raytao reads TAO's own runs there",
        )


def _refuse_foreign(folder: Place, *, remedy: str) -> None:
    """Refuse a folder of TAO's own, where a run of raytao is to be.

    Raises:
        FolderError: with what can be done instead.
    """
    if is_foreign(folder):
        raise FolderError(f"{folder} holds a run of TAO, not of raytao", remedy=remedy)
