"""The runs below a folder, each at a glance: what it is, how it stands, when it was last heard of.

A run's log tells all that. A long one takes seconds to read, and its drawings a moment: there the
first and the last record and controller.json are read, whose numbers may be seconds old.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from raytao.errors import DamagedRun, NewerRun, UserError
from raytao.runs.events import Finished, Opened, from_json
from raytao.runs.log import read_log
from raytao.runs.owner_file import owner_of
from raytao.runs.place import ObjectPlace, Place, store_at
from raytao.runs.state import RunState
from raytao.runs.store import MemoryStore, Store, StoreError
from raytao.setup.damage import refuse_lost_log
from raytao.tao import layout
from raytao.tao.below import run_folders
from raytao.types import Json

DEEPEST: Final = 4
"""Folders on the way from where one looks to a run; what lies deeper is not looked for."""

LONG: Final = 1 << 20
"""Bytes of a log from which on its drawings are read instead."""

RUNNING: Final = "Running"
INTERRUPTED: Final = "Interrupted"
DAMAGED: Final = "damaged"
NEWER: Final = "newer"
"""Of a run that a later version of raytao wrote."""


@dataclass(frozen=True)
class Glance:
    """One run.

    Args:
        folder: where it is.
        status: TAO's word for a job, or Interrupted, damaged or newer.
        network: its name; empty where that is not known, as of TAO's own runs.
        brain: likewise.
        metric: what trials are judged by.
        best: the incumbent's value, if there is one.
        trials: recommendations so far.
        epochs: trained in all.
        last_news: when it was last heard of, seconds since 1970.
        by_tao: whether TAO itself wrote it.
        problem: why it cannot be told more of.
    """

    folder: Place
    status: str
    network: str = ""
    brain: str = ""
    metric: str = ""
    best: float | None = None
    trials: int | None = None
    epochs: int | None = None
    last_news: float | None = None
    by_tao: bool = False
    problem: str = ""


def runs_below(place: Place) -> Iterator[Glance]:
    """The runs in a folder and below it, in the order of their names.

    Links are not followed, and nothing is looked for inside a run.

    Raises:
        StoreError: if object storage cannot be asked.
    """
    folders = run_folders(place, DEEPEST) if isinstance(place, Path) else _addresses(place)
    for folder in folders:
        found = _glance(folder)
        if found is not None:
            yield found


def _addresses(place: ObjectPlace) -> Iterator[ObjectPlace]:
    keys = (key.rpartition("/") for key in store_at(place).list())
    found = sorted({folder for folder, _, name in keys if name == layout.EVENTS})
    for folder in found:
        if not folder or folder.count("/") < DEEPEST:
            yield place / folder


def _glance(folder: Place) -> Glance | None:
    """What a folder tells; None if it is no run after all."""
    try:
        return _of_raytao(folder) or _of_tao(folder)
    except (DamagedRun, StoreError, UserError) as error:
        said = str(error).partition("\n")[0]
        status = NEWER if isinstance(error, NewerRun) else DAMAGED
        return Glance(folder, status, last_news=_touched(folder), problem=said)


def _of_raytao(folder: Place) -> Glance | None:
    store = store_at(folder)
    data = store.read(layout.EVENTS) or b""
    whole = data[: data.rfind(b"\n") + 1]  # a torn last line is what a kill leaves
    if not whole:
        return None
    drawn = _drawn(folder, store, whole) if len(whole) > LONG else None
    return drawn or _folded(folder, store, whole)


def _folded(folder: Place, store: Store, log: bytes) -> Glance:
    records = read_log(MemoryStore({layout.EVENTS: log}), layout.EVENTS)
    state = RunState.fold(records)
    assert state.opened is not None  # no log begins with anything else
    best = state.incumbent
    return Glance(
        folder,
        state.finished.status if state.finished else _going(store),
        network=_network(state.opened),
        brain=_brain(state.opened),
        metric=state.opened.metric,
        best=best.value if best else None,
        trials=len(state.trials),
        epochs=state.epochs,
        last_news=records[-1].at,
    )


def _drawn(folder: Place, store: Store, log: bytes) -> Glance | None:
    """A long log's run as its drawings have it; None if they do not tell."""
    try:
        first, last = (json.loads(line) for line in (_first(log), _last(log)))
        opened, event = from_json(first), from_json(last)
        trials = json.loads(store.read(layout.CONTROLLER) or b"")
        best = [float(trial["result"]) for trial in trials if trial["best"]]
        if not isinstance(opened, Opened):
            return None
        return Glance(
            folder,
            event.status if isinstance(event, Finished) else _going(store),
            network=_network(opened),
            brain=_brain(opened),
            metric=str(trials[0]["metric"]),
            best=best[0] if best else None,
            trials=len(trials),
            epochs=sum(int(trial["epochs_trained"]) for trial in trials),
            last_news=float(last["at"]),
        )
    except (ValueError, TypeError, LookupError, RecursionError):
        return None


def _first(log: bytes) -> bytes:
    return log[: log.index(b"\n")]


def _last(log: bytes) -> bytes:
    return log[log.rfind(b"\n", 0, -1) + 1 :]


def _going(store: Store) -> str:
    """How a run stands whose log has no end."""
    owner = owner_of(store, layout.OWNER)
    return RUNNING if owner is not None and owner.seems_alive() else INTERRUPTED


def _network(opened: Opened) -> str:
    """The network's name; of a user's own function, the function's."""
    return _named(opened.setup, "function", "name") or _named(opened.setup, "identity", "network")


def _brain(opened: Opened) -> str:
    return _named(opened.setup, "identity", "brain", "name")


def _named(value: Json, *keys: str) -> str:
    """A name in a nested mapping; empty where there is none."""
    for key in keys:
        value = value.get(key) if isinstance(value, Mapping) else None
    return value if isinstance(value, str) else ""


def _of_tao(folder: Place) -> Glance | None:
    from raytao.setup.foreign import open_foreign
    from raytao.tao.foreign.known import is_foreign
    from raytao.tao.foreign.state import status_of

    if not is_foreign(folder):
        refuse_lost_log(folder)
        return None
    found = open_foreign(folder)
    best = found.state.incumbent
    return Glance(
        folder,
        status_of(found.run, found.state)[0],
        brain=found.run.brain.name,
        metric=found.run.metric,
        best=best.value if best else None,
        trials=len(found.run.trials),
        epochs=found.state.epochs,
        last_news=_touched(folder),
        by_tao=True,
    )


def _touched(folder: Place) -> float | None:
    """When the files were last written that tell how a run stands; on a path only."""
    times: list[float] = []
    for name in (layout.EVENTS, layout.CONTROLLER):
        if isinstance(folder, Path):
            with suppress(OSError):
                times.append((folder / name).lstat().st_mtime)
    return max(times, default=None)
