"""Dotted access to nested mappings. Pure: nothing here changes its arguments.

A dotted key such as ``train.optim.lr`` names a leaf or a section. Lists are leaves, and so is an
empty mapping. A key that itself contains a dot is found as well.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from raytao.errors import SpecError, Where, did_you_mean
from raytao.types import Json

OPEN = "???"
"""The placeholder of a value that the user must still give."""


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


def find(mapping: Mapping[Any, Json], dotted: str) -> tuple[Any, ...] | None:
    """Return the keys that lead to ``dotted``, or None if it is not there."""
    for key, value in mapping.items():
        if str(key) == dotted:
            return (key,)
        if isinstance(value, Mapping) and dotted.startswith(f"{key}."):
            below = find(value, dotted[len(str(key)) + 1 :])
            if below is not None:
                return (key, *below)
    return None


def get_in(mapping: Mapping[Any, Json], dotted: str) -> Json:
    """Return the value of a leaf or section.

    Raises:
        SpecError: if there is no such key.
    """
    value: Json = mapping
    for key in require(mapping, dotted):
        value = value[key]
    return value


def require(
    mapping: Mapping[Any, Json], dotted: str, *, where: Where | None = None
) -> tuple[Any, ...]:
    """Return the keys that lead to ``dotted``.

    Raises:
        SpecError: if it is not there; the remedy names the nearest leaf.
    """
    keys = find(mapping, dotted)
    if keys is None:
        raise SpecError(
            f"no key {dotted!r} in the spec",
            where=where,
            remedy=did_you_mean(dotted, flatten(mapping)),
        )
    return keys


def set_in(mapping: Mapping[Any, Json], changes: Mapping[str, Json]) -> dict[Any, Json]:
    """Return a copy with the values of some dotted keys replaced.

    Raises:
        SpecError: if a key is not there, or a section would become a value or a value a section.
    """
    changed = dict(mapping)
    for dotted, value in changes.items():
        keys = require(changed, dotted)
        refuse_other_shape(dotted, get_in(changed, dotted), value)
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


def _replaced(mapping: Mapping[Any, Json], keys: tuple[Any, ...], value: Json) -> dict[Any, Json]:
    first, *rest = keys
    inner = _replaced(mapping[first], tuple(rest), value) if rest else value
    return {**mapping, first: inner}


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
