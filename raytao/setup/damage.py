"""A run folder that cannot be trusted: a copy is kept, and a repair is there to be asked for."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

from raytao.errors import DamagedRun, NewerRun
from raytao.runs.repair import keep_copy
from raytao.runs.store import LocalStore, StoreError
from raytao.tao import layout


@contextmanager
def copy_kept(folder: Path) -> Iterator[None]:
    """Keep a copy of a log that turns out to be damaged, and say how to repair it.

    Raises:
        DamagedRun: as the block does, with the copy's name and the command.
    """
    try:
        with repair_told(folder):
            yield
    except NewerRun:
        raise
    except DamagedRun as damage:
        try:
            store = LocalStore(folder, must_exist=True)
            kept = f"a copy is kept: {folder / keep_copy(store, layout.EVENTS, stamp())}"
        except StoreError as refusal:
            kept = f"no copy could be kept: {refusal}"
        raise DamagedRun(f"{damage}\n  {kept}", record=damage.record) from damage


@contextmanager
def repair_told(folder: Path) -> Iterator[None]:
    """Say of a damaged log in which folder it is, and how to repair it.

    Raises:
        DamagedRun: as the block does, with the command.
    """
    command = f"raytao repair {folder}"
    try:
        yield
    except NewerRun:
        raise
    except DamagedRun as damage:
        if command in str(damage):
            raise
        message = f"{damage}\n  to cut it off there and go on: {command}"
        raise DamagedRun(message, record=damage.record) from damage


def refuse_lost_log(folder: Path) -> None:
    """Refuse a run's folder whose log is gone or empty: nothing else tells what the run is.

    Raises:
        DamagedRun: if recommendations are there.
    """
    if not any(folder.glob(layout.recommendation(0, "*"))):
        return
    log = folder / layout.EVENTS
    stands = "is empty" if log.exists() else "is gone"
    raise DamagedRun(
        f"{log} {stands}, but a run's recommendations are here. Nothing was changed.\n"
        "  put the log back (a backup, a copy *.corrupt-*); without it choose another results_dir"
    )


def stamp() -> str:
    """The time, as it goes into the names of what is kept."""
    return datetime.now().astimezone().strftime("%Y%m%d-%H%M%S")
