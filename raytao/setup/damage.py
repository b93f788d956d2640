"""A run folder that cannot be trusted: a copy is kept, and a repair is there to be asked for."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from fnmatch import fnmatch

from raytao.errors import DamagedRun, LostRun, NewerRun
from raytao.runs.place import Place, names_in, store_at
from raytao.runs.store import StoreError
from raytao.tao import layout


@contextmanager
def copy_kept(folder: Place) -> Iterator[None]:
    """Keep a copy of a log that turns out to be damaged, and say how to repair it.

    Raises:
        DamagedRun: as the block does, with the copy's name and the command.
    """
    try:
        with repair_told(folder):
            yield
    except (NewerRun, LostRun):
        raise
    except DamagedRun as damage:
        from raytao.runs.repair import keep_copy  # what mends a log is loaded for few

        try:
            store = store_at(folder, must_exist=True)
            kept = f"a copy is kept: {folder / keep_copy(store, layout.EVENTS, stamp())}"
        except StoreError as refusal:
            kept = f"no copy could be kept: {refusal}"
        raise DamagedRun(f"{damage}\n  {kept}", record=damage.record) from damage


@contextmanager
def repair_told(folder: Place) -> Iterator[None]:
    """Say of a damaged log in which folder it is, and how to repair it.

    Raises:
        DamagedRun: as the block does, with the command.
    """
    command = f"raytao repair {folder}"
    try:
        yield
    except (NewerRun, LostRun):
        raise
    except DamagedRun as damage:
        if command in str(damage):
            raise
        message = f"{damage}\n  to cut it off there and go on: {command}"
        raise DamagedRun(message, record=damage.record) from damage


def refuse_lost_log(folder: Place) -> None:
    """Refuse a run's folder without one record of a log: nothing else tells what the run is.

    Raises:
        LostRun: if recommendations are there.
    """
    names = names_in(folder)
    if not any(fnmatch(name, layout.recommendation(0, "*")) for name in names):
        return
    log = folder / layout.EVENTS
    stands = "is gone"
    if layout.EVENTS in names:
        size = store_at(folder).size(layout.EVENTS)
        stands = f"has not one whole record ({size} bytes)" if size else "is empty"
    raise LostRun(
        f"{log} {stands}, but a run's recommendations are here. Nothing was changed.\n"
        "  put the log back (a backup, a copy *.corrupt-*); without it choose another results_dir"
    )


def stamp() -> str:
    """The time, as it goes into the names of what is kept."""
    return datetime.now().astimezone().strftime("%Y%m%d-%H%M%S")
