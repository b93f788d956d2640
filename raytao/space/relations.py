"""The columns ``math_cond`` and ``depends_on``: what they say, as values."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, cast

from raytao.errors import SpaceError
from raytao.space.conditions import Condition, Relation
from raytao.space.parameters import is_number
from raytao.space.table import Row, split_options
from raytao.types import Json

_MATH = re.compile(r"(?P<op><=|>=|<|>|/|\^)\s*(?P<operand>\S+)")
_RELATION = re.compile(r"(?P<op><=|>=|<|>)\s*(?P<target>.+)")
_ACTIVITY = re.compile(r"(?P<target>.+?)\s*(?P<op>==|\bin\b)\s*(?P<value>.+)")
_PARENT = "depends_on"
_OPERATORS = {"int": "<>/^", "integer": "<>/^", "float": "<>", "ordered_int": "/", "list_2": "/"}


@dataclass(frozen=True)
class MathCond:
    """``/ k`` multiples, ``^ k`` powers, ``> c`` and the like a bound."""

    op: str
    operand: float


def math_cond(row: Row) -> MathCond | None:
    """Read ``math_cond``; None if blank or if it speaks of the parent (``> depends_on``).

    Raises:
        SpaceError: if it cannot be understood.
    """
    if not row.math_cond:
        return None
    match = _MATH.fullmatch(row.math_cond)
    if match and match["operand"] == _PARENT:
        return None
    try:
        operand = float(match["operand"]) if match else float("nan")
    except ValueError:
        operand = float("nan")
    whole = operand == operand // 1 and operand >= (2 if match and match["op"] == "^" else 1)
    if match is None or not is_number(operand) or (match["op"] in "/^" and not whole):
        raise SpaceError(
            f"{row.parameter}: math_cond {row.math_cond!r} is not understood",
            where=row.where,
            remedy="write '/ 32' (multiples), '^ 2' (powers), or '> 0' (a bound)",
        )
    return MathCond(match["op"], operand)


def parent(row: Row) -> str:
    """Return a bare name in ``depends_on``; blank if there is none or it states a condition."""
    stated = _RELATION.fullmatch(row.depends_on) or _ACTIVITY.fullmatch(row.depends_on)
    return "" if stated else row.depends_on


def dependency(row: Row) -> str:
    """The name that ``depends_on`` mentions, in whatever form; blank if there is none."""
    stated = _RELATION.fullmatch(row.depends_on) or _ACTIVITY.fullmatch(row.depends_on)
    return stated["target"] if stated else row.depends_on


def idle(row: Row) -> str:
    """Why the two columns say nothing to a parameter of this type; blank if they do."""
    match, kind = _MATH.fullmatch(row.math_cond), row.value_type
    relative = match is not None and match["operand"] == _PARENT
    if relative and not row.depends_on:
        return f"math_cond {row.math_cond!r} needs depends_on"
    if match and not relative and match["op"][0] not in _OPERATORS.get(kind, ""):
        return f"math_cond {row.math_cond!r} has no effect on a parameter of type {kind!r}"
    if parent(row) and not relative and not kind.startswith("list"):
        return f"depends_on {row.depends_on!r} states no relation, such as '< {row.depends_on}'"
    return ""


def conditions(
    row: Row, searched: Collection[str], given: Mapping[str, Json]
) -> tuple[tuple[Condition, ...], list[str]]:
    """Read ``depends_on`` as conditions, and notes about those that cannot be kept.

    ``< name`` and the like narrow; ``name == value`` and ``name in a,b`` decide activity; a bare
    name narrows if ``math_cond`` says how (``> depends_on``).

    Args:
        row: the row.
        searched: names of all parameters that are searched.
        given: the spec's values by dotted key.
    """
    condition = _read(row)
    if condition is None:
        return (), []
    target, name = condition.target, row.parameter
    if target not in searched and target not in given:
        return (), [
            f"{name}: its dependency {row.depends_on!r} is ignored: no {target} in the spec"
        ]
    if condition.is_relation and target not in searched and not is_number(given[target]):
        value = given[target]
        return (), [
            f"{name}: its dependency {row.depends_on!r} is ignored: {value!r} is no number"
        ]
    return (condition,), []


def _read(row: Row) -> Condition | None:
    if match := _RELATION.fullmatch(row.depends_on):
        return Condition(cast("Relation", match["op"]), match["target"])
    if match := _ACTIVITY.fullmatch(row.depends_on):
        if match["op"] == "in":
            return Condition("in", match["target"], _typed(split_options(match["value"])))
        return Condition("==", match["target"], _typed((match["value"],))[0])
    relative = _MATH.fullmatch(row.math_cond)
    if row.depends_on and relative and relative["operand"] == _PARENT:
        return Condition(cast("Relation", relative["op"]), row.depends_on)
    return None


def _typed(texts: tuple[str, ...]) -> tuple[Any, ...]:
    return tuple(literal(text) for text in texts)


def literal(text: str) -> bool | int | float | str:
    """Return what a cell's text stands for.

    >>> [literal(t) for t in ("TRUE", "8", "0.5", "adam")]
    [True, 8, 0.5, 'adam']
    """
    if text.lower() in ("true", "false"):
        return text.lower() == "true"
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text
