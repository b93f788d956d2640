"""Dependencies between parameters: checked once, then brought into order."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from raytao.errors import SpaceError, did_you_mean
from raytao.space.conditions import Condition
from raytao.space.parameters import Parameter, is_number
from raytao.types import Json

MOST_PARAMETERS: Final = 200
"""Parameters of the largest space: no search finds its way in more, and chains are recursive."""


def in_order(
    parameters: tuple[Parameter, ...], fixed: Mapping[str, Json]
) -> tuple[Parameter, ...]:
    """Return the parameters with parents first, else in the order given.

    Raises:
        SpaceError: see ``Space``.
    """
    if not parameters:
        raise SpaceError(
            "there is nothing to search: no parameter is left",
            remedy="add a parameter, or keep one of those removed",
        )
    if len(parameters) > MOST_PARAMETERS:
        raise SpaceError(
            f"{len(parameters):,} parameters are searched at once; {MOST_PARAMETERS} are the most",
            remedy="remove some from the search",
        )
    by_name: dict[str, Parameter] = {}
    for parameter in parameters:
        if parameter.name in by_name:
            raise SpaceError(f"parameter {parameter.name!r} is given twice")
        by_name[parameter.name] = parameter
    for parameter in parameters:
        for condition in parameter.conditions:
            _check(parameter, condition, by_name, fixed)
    ordered: dict[str, Parameter] = {}
    for parameter in parameters:
        _visit(parameter, by_name, ordered, ())
    return tuple(ordered.values())


def _visit(
    parameter: Parameter,
    by_name: Mapping[str, Parameter],
    ordered: dict[str, Parameter],
    path: tuple[str, ...],
) -> None:
    """Append the parameter to ``ordered`` after all that it depends on."""
    if parameter.name in ordered:
        return
    if parameter.name in path:
        cycle = (*path[path.index(parameter.name) :], parameter.name)
        raise SpaceError(
            f"parameters depend on each other in a circle: {' -> '.join(cycle)}",
            remedy="remove one of these from the search, or one of the dependencies",
        )
    for condition in parameter.conditions:
        if condition.target in by_name:
            _visit(by_name[condition.target], by_name, ordered, (*path, parameter.name))
    ordered[parameter.name] = parameter


def _check(
    parameter: Parameter,
    condition: Condition,
    by_name: Mapping[str, Parameter],
    fixed: Mapping[str, Json],
) -> None:
    name, target = parameter.name, condition.target
    if target not in by_name and target not in fixed:
        raise SpaceError(
            f"{name}: depends on {target!r}, which is neither searched nor in the spec",
            remedy=did_you_mean(target, {*by_name, *fixed}),
        )
    if not condition.is_relation:
        return
    if not parameter.comparable:
        raise SpaceError(
            f"{name}: a {type(parameter).__name__} cannot be {condition.op} {target}",
            remedy="only numbers can be compared",
        )
    known = by_name.get(target)
    if not (known.comparable if known else is_number(fixed[target])):
        raise SpaceError(
            f"{name}: {condition.op} {target} compares with something that is no number",
            remedy="only numbers can be compared",
        )
