"""What a user may write as ``space={…}``: short forms, Ray Tune's domains, raytao's parameters.

{"lr": (1e-4, 1e-1),                  a range; on a log scale if it spans more than two decades
"width": (8, 64),                    integers, both ends included
"optimizer": ["sgd", "adamw"],       one of these
"batch_size": [16, 32, 64],          numbers that rise or fall are ordered
"dropout": tune.uniform(0, 0.5),     a domain of Ray Tune
"depth": Int("depth", 2, 6)}         a parameter of raytao.space
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from raytao.errors import SpaceError
from raytao.space import Bool, Categorical, Float, Int, Ordered, Parameter, Space

DECADES: Final = 100.0
"""A range whose ends are further apart than this factor goes by magnitude."""

LONGEST_GRID: Final = 256
"""Most values of a quantised Tune domain."""

FORMS: Final = (
    "write (low, high), a list of values, a domain of ray.tune or a parameter of raytao.space"
)


def read_space(given: Mapping[str, Any]) -> Space:
    """Read a space as a user writes it; see the module.

    Raises:
        SpaceError: naming the entry, its value and what may be written.
    """
    if not isinstance(given, Mapping) or not given:
        raise SpaceError(
            f"space is {given!r}; it must be a mapping of at least one name to its values",
            remedy='for example space={"lr": (1e-4, 1e-1)}',
        )
    return Space(_parameter(name, value) for name, value in given.items())


def _parameter(name: object, value: object) -> Parameter:
    if not isinstance(name, str) or not name or name != name.strip():
        raise SpaceError(f"{name!r} is no name of a parameter", remedy="use a word such as 'lr'")
    match value:
        case Parameter():
            return replace(value, name=name)
        case tuple() if len(value) == 2 and all(map(_is_number, value)):
            return _range(name, *value)
        case list():
            return _options(name, value)
        case _ if type(value).__module__.startswith("ray.tune"):
            return _domain(name, value)
        case _:
            raise SpaceError(f"{name}: {value!r} cannot be searched", remedy=FORMS)


def _range(name: str, low: float, high: float) -> Parameter:
    log = low > 0 and high / low > DECADES
    if isinstance(low, int) and isinstance(high, int):
        return Int(name, low, high, log=log)
    return Float(name, float(low), float(high), log=log)


def _options(name: str, values: Sequence[Any]) -> Parameter:
    if len(values) == 2 and set(map(type, values)) == {bool}:
        return Bool(name)
    if values and all(map(_is_number, values)):
        whole = all(isinstance(value, int) for value in values)
        numbers = tuple(values) if whole else tuple(map(float, values))
        if list(numbers) in (sorted(set(numbers)), sorted(set(numbers), reverse=True)):
            return Ordered(name, tuple(sorted(numbers)))
        return Categorical(name, numbers)
    if values and all(isinstance(value, str) for value in values):
        return Categorical(name, tuple(values))
    raise SpaceError(
        f"{name}: {values!r} must be numbers, or strings, or [True, False], at least one",
        remedy="give objects names, and let the function look them up",
    )


def _domain(name: str, domain: Any) -> Parameter:
    from raytao.tune.domains import from_mapping  # a user with a domain has loaded Ray

    (slot,) = from_mapping({name: domain}).slots
    if slot.options is not None:
        return _options(name, list(slot.options))
    if slot.step is None:
        return slot.parameter
    count = slot.parameter.count() or 0
    if count > LONGEST_GRID:
        raise SpaceError(
            f"{name}: a grid of {count} steps; at most {LONGEST_GRID}",
            remedy="use tune.uniform or tune.loguniform",
        )
    return Ordered(name, tuple(slot.value(step) for step in slot.parameter.values()))


def _is_number(value: object) -> bool:
    if not isinstance(value, int | float) or isinstance(value, bool):
        return False
    return math.isfinite(value)
