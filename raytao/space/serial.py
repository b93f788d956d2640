"""A space as plain JSON, for the event log; exact in both directions."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import MISSING, fields
from typing import Final

from raytao.errors import SpaceError, did_you_mean
from raytao.space.conditions import Condition
from raytao.space.lists import IntRun, Pair, SortedInts
from raytao.space.options import Bool, Categorical, Ordered, OrderedInt
from raytao.space.parameters import Float, Int, Parameter
from raytao.types import Json

KINDS: Final[Mapping[str, Callable[..., Parameter]]] = {
    "bool": Bool,
    "categorical": Categorical,
    "float": Float,
    "int": Int,
    "int_run": IntRun,
    "ordered": Ordered,
    "ordered_int": OrderedInt,
    "pair": Pair,
    "sorted_ints": SortedInts,
}
_NAMES: Final = {cls: name for name, cls in KINDS.items()}


def to_json(parameters: Sequence[Parameter], fixed: Mapping[str, Json]) -> Json:
    """Describe parameters and the constants they depend on."""
    return {"parameters": [_described(p) for p in parameters], "fixed": dict(fixed)}


def from_json(described: Json) -> tuple[list[Parameter], dict[str, Json]]:
    """Rebuild what ``to_json`` described.

    Raises:
        SpaceError: if it describes no space, or a kind of parameter is unknown.
    """
    try:
        return [_rebuilt(p) for p in described["parameters"]], dict(described["fixed"])
    except (LookupError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise SpaceError(f"this describes no space: {type(error).__name__}: {error}") from error


def _described(parameter: Parameter) -> Json:
    """Fields that differ from their default; tuples as lists."""
    described: dict[str, Json] = {"type": _NAMES[type(parameter)]}
    for field in fields(parameter):
        value = getattr(parameter, field.name)
        if field.default is not MISSING and value == field.default:
            continue
        if field.name == "conditions":
            value = [condition.to_json() for condition in value]
        described[field.name] = list(value) if isinstance(value, tuple) else value
    return described


def _rebuilt(described: Json) -> Parameter:
    given = dict(described)
    kind = given.pop("type")
    if kind not in KINDS:
        raise SpaceError(f"unknown kind of parameter {kind!r}", remedy=did_you_mean(kind, KINDS))
    conditions = tuple(Condition.from_json(c) for c in given.pop("conditions", ()))
    values = {k: tuple(v) if isinstance(v, list) else v for k, v in given.items()}
    return KINDS[kind](**values, conditions=conditions)
