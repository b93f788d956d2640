"""Dotted access to nested mappings. Pure: nothing here changes its arguments.

A dotted key such as ``train.optim.lr`` names a leaf or a section. Lists are leaves, and so is an
empty mapping. A key that itself contains a dot is found as well.

A key that goes on below a list of sections means all of them: with two ``blocks``, each of which
has a ``width``, ``blocks.width`` reads both and sets both. If one of them has no such key, there
is none.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeAlias

from raytao.errors import SpecError, Where, did_you_mean
from raytao.types import Json

OPEN = "???"
"""The placeholder of a value that the user must still give."""

Way: TypeAlias = tuple[Any, ...]
"""The keys that lead to a value; the lists that they cross are not named."""


class Various(list[Json]):
    """The values that one key has in the elements of a list, where they are not all the same."""


def flatten(mapping: Mapping[Any, Json]) -> dict[str, Json]:
    """Return the leaves by dotted key, in order.

    >>> flatten({"train": {"optim": {"lr": 0.1}, "steps": [1, 2]}, "model": {}})
    {'train.optim.lr': 0.1, 'train.steps': [1, 2], 'model': {}}
    """
    leaves: dict[str, Json] = {}
    for key, value in mapping.items():
        if isinstance(value, Mapping) and value:
            leaves.update({f"{key}.{name}": leaf for name, leaf in flatten(value).items()})
        else:
            leaves[str(key)] = value
    return leaves


def reachable(mapping: Mapping[Any, Json]) -> dict[str, Json]:
    """Return the leaves, and beside a list of sections what keys through it find.

    >>> reachable({"blocks": [{"width": 8}, {"width": 8}]})
    {'blocks': [{'width': 8}, {'width': 8}], 'blocks.width': 8}
    """
    found: dict[str, Json] = {}
    for key, value in mapping.items():
        below = reachable(value) if isinstance(value, Mapping) else _through(value)
        if not isinstance(value, Mapping) or not value:
            found[str(key)] = value
        found.update({f"{key}.{name}": inner for name, inner in below.items()})
    return found


def _through(value: Json) -> dict[str, Json]:
    """What keys below a list of sections find."""
    elements = [reachable(section) for section in _sections(value)]
    return {
        key: _agreed([one for element in elements for one in _several(element[key])])
        for key in (elements[0] if elements else ())
        if all(key in element for element in elements)
    }


def _several(value: Json) -> list[Json]:
    return value if isinstance(value, Various) else [value]


def _agreed(values: list[Json]) -> Json:
    """The one value that all are, to the type, or all of them."""
    return values[0] if len(set(map(repr, values))) == 1 else Various(values)


def _sections(value: Json) -> Sequence[Mapping[Any, Json]]:
    """The elements of a list of sections; nothing for any other value."""
    is_list = isinstance(value, list | tuple)
    return value if is_list and all(isinstance(inner, Mapping) for inner in value) else ()


def find(mapping: Mapping[Any, Json], dotted: str) -> Way | None:
    """Return the keys that lead to ``dotted``, or None if it is not there."""
    for key, value in mapping.items():
        if str(key) == dotted:
            return (key,)
        if dotted.startswith(f"{key}."):
            below = _find_below(value, dotted[len(str(key)) + 1 :])
            if below is not None:
                return (key, *below)
    return None


def _find_below(value: Json, dotted: str) -> Way | None:
    if isinstance(value, Mapping):
        return find(value, dotted)
    ways = {find(section, dotted) for section in _sections(value)}
    return ways.pop() if len(ways) == 1 else None


def reached(value: Json, way: Way) -> list[Json]:
    """Return what a way leads to: one value, or several if it crosses lists of sections."""
    values = [value]
    for key in way:
        values = [section[key] for value in values for section in _crossed(value)]
    return values


def depth_of(value: Json, way: Way) -> int:
    """Levels above what a way leads to, the lists that it crosses included."""
    depth = 0
    for key in way:
        while isinstance(value, list | tuple):
            value, depth = value[0], depth + 1
        value, depth = value.get(key), depth + 1
    return depth


def _crossed(value: Json) -> Sequence[Json]:
    return value if isinstance(value, list | tuple) else [value]


def get_in(mapping: Mapping[Any, Json], dotted: str) -> Json:
    """Return the value of a leaf or section, or ``Various`` if it has several.

    Raises:
        SpecError: if there is no such key.
    """
    return _agreed(reached(mapping, require(mapping, dotted)))


def require(mapping: Mapping[Any, Json], dotted: str, *, where: Where | None = None) -> Way:
    """Return the keys that lead to ``dotted``.

    Raises:
        SpecError: if it is not there; the remedy names the nearest leaf.
    """
    keys = find(mapping, dotted)
    if keys is None:
        raise SpecError(
            f"no key {dotted!r} in the spec",
            where=where,
            remedy=_partly(mapping, dotted) or did_you_mean(dotted, reachable(mapping)),
        )
    return keys


def _partly(mapping: Mapping[Any, Json], dotted: str) -> str:
    """What to do if only some sections of a list have that key."""
    for name, number, count in _lists_with_gaps(mapping, dotted):
        return f"number {number} of the {count} {name!r} has none: write it there, too"
    return ""


def _lists_with_gaps(mapping: Mapping[Any, Json], dotted: str) -> Iterator[tuple[str, int, int]]:
    """The list, the first element without the key, and the number of elements."""
    for key, value in mapping.items():
        below = dotted.removeprefix(f"{key}.")
        if below == dotted:
            continue
        if isinstance(value, Mapping):
            yield from _lists_with_gaps(value, below)
            continue
        has = [find(section, below) is not None for section in _sections(value)]
        if any(has) and not all(has):
            yield str(key), has.index(False) + 1, len(has)


def set_in(mapping: Mapping[Any, Json], changes: Mapping[str, Json]) -> dict[Any, Json]:
    """Return a copy with the values of some dotted keys replaced.

    Raises:
        SpecError: if a key is not there, or a section would become a value or a value a section.
    """
    changed = dict(mapping)
    for dotted, value in changes.items():
        keys = require(changed, dotted)
        for old in reached(changed, keys):
            refuse_other_shape(dotted, old, value)
        changed = _replaced(changed, keys, value)
    return changed


def refuse_other_shape(dotted: str, old: Json, new: Json, *, where: Where | None = None) -> None:
    """Raise SpecError if a section would be replaced by a value, or a value by a section."""
    if old is None or old == OPEN or isinstance(old, Mapping) == isinstance(new, Mapping):
        return
    if isinstance(old, Mapping):
        known = ", ".join(f"{dotted}.{key}" for key in list(old)[:5]) or "its keys"
        raise SpecError(
            f"{dotted!r} is a section and cannot become {new!r}",
            where=where,
            remedy=f"set a key below it: {known}",
        )
    raise SpecError(
        f"{dotted!r} is the value {old!r} and cannot become a section",
        where=where,
        remedy="give a value",
    )


def _replaced(value: Json, way: Way, new: Json) -> Json:
    if isinstance(value, list | tuple):
        return [_replaced(section, way, new) for section in value]
    first, *rest = way
    inner = _replaced(value[first], tuple(rest), new) if rest else new
    return {**value, first: inner}


def merge(base: Mapping[Any, Json], changes: Mapping[Any, Json]) -> dict[Any, Json]:
    """Return ``base`` with ``changes`` laid over it, section by section; new keys are added.

    >>> merge({"a": {"x": 1, "y": 2}}, {"a": {"y": 3}, "b": 4})
    {'a': {'x': 1, 'y': 3}, 'b': 4}
    """
    merged = dict(base)
    for key, value in changes.items():
        old = base.get(key)
        both = isinstance(old, Mapping) and isinstance(value, Mapping)
        merged[key] = merge(old, value) if both else value  # type: ignore[arg-type]
    return merged
