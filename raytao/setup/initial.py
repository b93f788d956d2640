"""``initial``: configurations that the user wants trained right after the own spec.

An entry is the path of a train spec, such as another run's ``recommendation_7.yaml``, or values
by dotted key. Only what is searched is taken over; the rest is the user's own spec.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from textwrap import shorten
from typing import Final

from raytao.brains.base import Initial
from raytao.errors import SettingsError, SpecError, UserError, Where, did_you_mean
from raytao.networks.function import Function
from raytao.setup.places import Places
from raytao.setup.setup import Setup
from raytao.spec import Document, flatten, reachable
from raytao.types import Json, Params

SHOWN: Final = 5
"""Keys that a note lists."""

LONGEST: Final = 60
"""Characters of the name of an entry that is no file."""


@dataclass(frozen=True)
class Entry:
    """One entry as it was written: its name for people, its values, and where each one stands."""

    name: str
    values: Mapping[str, Json]
    where: Callable[[str], Where]


def read_initial(
    setup: Setup, folder: Path, place: Places
) -> tuple[tuple[Initial, ...], tuple[str, ...]]:
    """The configurations of ``initial``, and what the user should know of them.

    One that is trained anyway as the user's own spec, or that was named before, is left out and
    told.

    Args:
        setup: the run, complete but for these.
        folder: where the run file lies; a path may begin there, or in the current folder.
        place: tells where an entry was written.

    Raises:
        UserError: for an unknown key, or a value that is not searched, with its place.
    """
    entries = setup.settings.initial
    found: list[Initial] = []
    notes: list[str] = []
    known: dict[tuple[tuple[str, str], ...], str] = {}
    if setup.new_brain().begins_with_spec:
        known[_key(setup.space.of_spec(setup.spec.plain()))] = "your own spec"
    for number, written in enumerate(entries, start=1):
        entry = _entry(written, number, folder, place, setup.card.spec_format)
        params = params_of(setup, entry)
        called, key = f"initial {number} ({entry.name})", _key(params)
        notes += _notes(called, setup, entry, params)
        if key in known:
            notes.append(f"{called} is the same as {known[key]}: it is trained once")
            continue
        known[key] = f"initial {number}"
        found.append(Initial(params, f"initial {number} of {len(entries)}: {entry.name}"))
    return tuple(found), tuple(notes)


def located(name: str, folder: Path) -> Path | None:
    """Where a path of the run file leads: from beside it, or else from the current folder.

    Returns:
        None if it leads nowhere.
    """
    for path in (folder / name, Path(name)):
        with suppress(OSError, ValueError):  # nothing can have that name, or be looked at
            if path.exists():
                return path
    return None


def looked_for(name: str, folder: Path) -> str:
    """Where ``located`` looks."""
    places = dict.fromkeys(str(path.absolute()) for path in (folder / name, Path(name)))
    return f"looked for {' and '.join(places)}"


def params_of(setup: Setup, entry: Entry) -> Params:
    """What an entry gives the searched parameters; what it leaves open is as in the own spec.

    Raises:
        UserError: for an unknown key, or a value that is not searched.
    """
    _refuse_unknown(setup, entry)
    own = reachable(setup.spec.plain())
    given = {
        name: entry.values[name]
        for name in setup.space.names
        if entry.values.get(name) not in (None, "???", own.get(name))
    }
    for name, value in given.items():
        _refuse_other_type(setup, entry, name, value)
    params = setup.space.of_spec({**own, **given})
    already = setup.space.misfits(setup.space.of_spec(own))
    misfits = (one for one in setup.space.misfits(params) if one in given or one not in already)
    if (wrong := next(misfits, None)) is not None:
        raise _outside(setup, entry, params, wrong)
    return params


def other_values(
    setup: Setup, values: Mapping[str, Json], besides: Sequence[str] = ()
) -> tuple[str, ...]:
    """Keys that are not searched and have other values than in the user's spec.

    Left out are those that raytao sets for each trial, and those in ``besides``.
    """
    own = reachable(setup.spec.plain())
    set_here = (setup.card.epoch_key, setup.card.gpus_key)
    ignored = {*setup.space.names, *set_here, *besides}
    ignored |= {k for k in values if any(str(name).startswith(f"{k}.") for name in ignored)}
    return tuple(k for k, v in values.items() if k not in ignored and own.get(k, v) != v)


def listed(keys: Sequence[str]) -> str:
    """The first of them, and how many more there are."""
    more = f" and {len(keys) - SHOWN} more" if len(keys) > SHOWN else ""
    return f"{', '.join(keys[:SHOWN])}{more}"


def _entry(
    written: str | Mapping[str, Json], number: int, folder: Path, place: Places, format: str
) -> Entry:
    """Read an entry; a file whose name tells no format is in ``format``."""
    keys: list[str | int] = ["initial", number - 1]
    if isinstance(written, Mapping):
        values = flatten(written)
        said = shorten(", ".join(f"{k} {v}" for k, v in values.items()), LONGEST, placeholder=" …")
        return Entry(said, values, lambda key: place([*keys, key]))
    path = located(written, folder)
    if path is None or not path.is_file():
        raise SpecError(
            f"initial {number}: no train spec {written!r}",
            where=place(keys),
            remedy=looked_for(written, folder),
        )
    spec = Document.load(path, format=format)
    return Entry(written, reachable(spec.plain()), spec.where)


def _refuse_unknown(setup: Setup, entry: Entry) -> None:
    default = reachable(setup.card.default_spec().plain()) if setup.card.folder else ()
    known = {*reachable(setup.spec.plain()), *default}
    empty = {k for k, v in entry.values.items() if v in (None, "???", {}) and setup.spec.has(k)}
    if wrong := next((k for k in entry.values if k not in known and k not in empty), None):
        raise SpecError(
            f"unknown key {wrong!r} for network {setup.card.name!r}",
            where=entry.where(wrong),
            remedy=did_you_mean(wrong, known),
        )


def _refuse_other_type(setup: Setup, entry: Entry, name: str, value: Json) -> None:
    parameter = next(p for p in setup.space.parameters if p.name == name)
    try:
        parameter.read(value)
    except UserError as error:
        message = error.message.replace(" in the spec", "")
        raise SpecError(message, where=entry.where(name), remedy="correct the value") from error


def _outside(setup: Setup, entry: Entry, params: Params, name: str) -> SettingsError:
    parameter = next(p for p in setup.space.parameters if p.name == name)
    legal = f"the nearest that is: {setup.space.decode(setup.space.encode(params)).get(name)!r}"
    if parameter.kind == "categorical":
        legal = f"its values: {', '.join(map(str, parameter.values()))}"
    rule = "its range is the parameter table's"
    if isinstance(setup.network, Function):
        rule = "or widen the space"
    elif name in setup.settings.search.ranges:
        rule = "or widen search.ranges"
    beside = " beside the other values" if parameter.contains(params[name]) else ""
    return SettingsError(
        f"{name} is {params[name]!r}, which is not searched{beside}",
        where=entry.where(name),
        remedy=f"{legal}; {rule}",
    )


def _notes(called: str, setup: Setup, entry: Entry, params: Params) -> Iterator[str]:
    if others := other_values(setup, entry.values):
        one = len(others) == 1
        yield (
            f"{called} differs from your spec in {listed(others)}, which "
            f"{'is' if one else 'are'} not searched: {'yours is' if one else 'yours are'} used"
        )
    own = reachable(setup.spec.plain())
    idle = [
        name
        for name in setup.space.names
        if name not in params and entry.values.get(name, own.get(name)) != own.get(name)
    ]
    if idle:
        yield f"{called}: {listed(idle)} has no effect beside its other values"


def _key(params: Params) -> tuple[tuple[str, str], ...]:
    return tuple(sorted((name, repr(value)) for name, value in params.items()))
