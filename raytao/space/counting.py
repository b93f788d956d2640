"""How many configurations a space holds."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from raytao.space.conditions import Limits
from raytao.space.parameters import Parameter
from raytao.types import Params, ParamValue

_TOO_MANY_STEPS = 50_000


class _TooMany(Exception):
    """Infinitely many, or more branches than it is worth walking through."""


def count_configurations(
    ordered: Sequence[Parameter],
    is_active: Callable[[Parameter, Params], bool],
    limits: Callable[[Parameter, Params], Limits],
) -> int | None:
    """Return the number of distinct configurations; None if infinite or too many to count.

    Parameters that nothing depends on are multiplied; the values of the others are walked
    through, once for each combination that later parameters can tell apart.

    Args:
        ordered: parameters, parents first.
        is_active: whether a parameter is active, given the values of its parents.
        limits: what relations leave to a parameter, given the values of its parents.
    """
    needed = _needed_after(ordered)
    known: dict[tuple[int, tuple[tuple[str, ParamValue], ...]], int] = {}
    steps = 0

    def count(i: int, values: Mapping[str, ParamValue]) -> int:
        nonlocal steps
        if i == len(ordered):
            return 1
        key = (i, tuple(sorted(values.items())))
        if key in known:
            return known[key]
        parameter = ordered[i]
        kept = {n: v for n, v in values.items() if n in needed[i]}
        if not is_active(parameter, values):
            known[key] = count(i + 1, kept)
            return known[key]
        left = limits(parameter, values)
        number = parameter.count(left)
        if number is None:
            raise _TooMany
        if parameter.name not in needed[i]:
            known[key] = number * count(i + 1, kept)
            return known[key]
        steps += number
        if steps > _TOO_MANY_STEPS:
            raise _TooMany
        known[key] = sum(
            count(i + 1, {**kept, parameter.name: value}) for value in parameter.values(left)
        )
        return known[key]

    try:
        return count(0, {})
    except _TooMany:
        return None


def _needed_after(ordered: Sequence[Parameter]) -> list[set[str]]:
    """For each position, the names that later parameters depend on."""
    needed: list[set[str]] = []
    later: set[str] = set()
    for parameter in reversed(ordered):
        needed.append(set(later))
        later |= {c.target for c in parameter.conditions}
    return needed[::-1]
