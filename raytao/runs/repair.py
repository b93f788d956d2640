"""Repair a damaged log: keep a copy, cut it off where it can no longer be trusted.

What was trained after that place is not lost with it: an experiment's own folder knows its epochs
and tells them again. A trial that the cut log does not know any more is set aside.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from raytao.errors import DamagedRun
from raytao.runs.events import Opened, Repaired, Started
from raytao.runs.log import Record, examine_log, seal
from raytao.runs.replay import replay
from raytao.runs.state import RunState
from raytao.runs.store import Store

if TYPE_CHECKING:
    from raytao.brains.base import Brain

BrainOf: TypeAlias = "Callable[[Opened], Brain]"
"""Makes the brain of a run from what it is."""


@dataclass(frozen=True)
class Diagnosis:
    """How far a log can be trusted: ``size`` bytes, which hold ``records``.

    ``reason`` says what is wrong with the line after them; None if the log is whole.
    """

    records: tuple[Record, ...]
    size: int
    lines_after: int
    reason: str | None


@dataclass(frozen=True)
class Repair:
    """What was done: where the copy is, and which trials (by number) were set aside, and where."""

    diagnosis: Diagnosis
    copy: str
    place: str
    set_aside: tuple[int, ...]


def diagnose(store: Store, key: str, brain_of: BrainOf) -> Diagnosis:
    """Find out how far a log can be trusted; nothing is changed.

    Raises:
        DamagedRun: if not even its first record can be trusted.
        NewerRun: if it is of a newer format.
    """
    data = store.read(key) or b""
    records, damage = examine_log(store, key)
    if not records:
        raise DamagedRun(f"{key}: {damage.reason if damage else 'it is empty'}: nothing to go on")
    reason = damage.reason if damage else None
    state, kept = RunState(), len(records)
    for number, record in enumerate(records):
        try:
            state.take(record)
        except DamagedRun as error:
            kept, reason = number, str(error)
            break
    if state.opened is not None:
        try:
            replay(records[:kept], brain_of(state.opened))
        except DamagedRun as error:
            if error.record is None:
                raise
            kept, reason = error.record, str(error)
    size = sum(len(line) + 1 for line in data.split(b"\n")[:kept])
    return Diagnosis(tuple(records[:kept]), size, data[size:].count(b"\n"), reason)


def keep_copy(store: Store, key: str, stamp: str) -> str:
    """Keep a copy of a damaged file beside it, once; return its name."""
    data = store.read(key) or b""
    for other in store.list():
        if other.startswith(f"{key}.corrupt-") and store.read(other) == data:
            return other
    name = f"{key}.corrupt-{stamp}"
    store.replace(name, data)
    return name


def repair(
    store: Store,
    key: str,
    diagnosis: Diagnosis,
    *,
    stamp: str,
    experiment: Callable[[int], str],
    provenance: str,
) -> Repair:
    """Cut a log off where its diagnosis says, after keeping a copy.

    Args:
        store: the run's files; the caller owns them.
        key: the log.
        diagnosis: of this log, with a reason.
        stamp: goes into the names of what is kept, such as ``20260102-030405``.
        experiment: trial -> its folder.
        provenance: name of the file in it that holds the attempt that wrote there last.
    """
    data = store.read(key) or b""
    copy = keep_copy(store, key, stamp)
    known = sum(isinstance(record.event, Started) for record in diagnosis.records)
    folders = _experiments(store, experiment)
    texts = [data, *(store.read(f"{folder}/{provenance}") or b"" for folder in folders.values())]
    attempts = max((n for text in texts for n in _attempts(text)), default=0)
    place = f"corrupt-{stamp}"
    aside = tuple(number for number in sorted(folders) if number >= known)
    for number in aside:
        _set_aside(store, folders[number], f"{place}/{folders[number]}")
    last = Repaired(diagnosis.lines_after, attempts, copy)
    sealed = seal(Record(len(diagnosis.records), round(time.time(), 3), last))
    store.replace(key, data[: diagnosis.size] + sealed)
    return Repair(diagnosis, copy, place, aside)


def _experiments(store: Store, experiment: Callable[[int], str]) -> dict[int, str]:
    """The folders of trials that there are, by the trial's number."""
    tops = {key.partition("/")[0] for key in store.list()}
    numbers = (int(digits) for top in tops for digits in re.findall(r"\d+$", top))
    return {number: experiment(number) for number in numbers if experiment(number) in tops}


def _attempts(text: bytes) -> Sequence[int]:
    """Every attempt that a log or a provenance file speaks of, in damaged lines too."""
    return [int(found) for found in re.findall(rb'"attempt": ?(\d{1,9})\b', text)]


def _set_aside(store: Store, folder: str, place: str) -> None:
    for key in store.list(folder):
        data = store.read(key)
        if data is not None:
            store.replace(place + key.removeprefix(folder), data)
    store.delete(folder)
