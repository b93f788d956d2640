"""A search space in Optuna's words: a distribution each, wide enough for all that was tried."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from raytao.space import Space
from raytao.space.options import Bool, Categorical
from raytao.space.parameters import Float, Int, Parameter, is_int, is_number
from raytao.types import Json, Params

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution


@dataclass(frozen=True)
class Domain:
    """A parameter's distribution; ``as_text`` where Optuna knows no such value, as a list."""

    distribution: BaseDistribution
    as_text: bool = False

    def shown(self, value: Json) -> Any:
        """A value as one of the distribution."""
        if self.as_text:
            return json.dumps(value)
        from optuna.distributions import FloatDistribution

        return float(value) if isinstance(self.distribution, FloatDistribution) else value


def domains(space: Space, tried: Sequence[Params]) -> dict[str, Domain]:
    """A distribution for every parameter that was searched or tried.

    Args:
        space: the search. Conditions are left out: an inactive parameter is absent from a trial.
        tried: configurations; the user's own may lie outside of the ranges, and those of an
            earlier search may have parameters that this one has not.
    """
    values: dict[str, list[Json]] = {name: [] for name in space.names}
    for params in tried:
        for name, value in params.items():
            values.setdefault(name, []).append(value)
    known: Mapping[str, Parameter] = {one.name: one for one in space.parameters}
    return {name: _domain(known.get(name), seen) for name, seen in values.items()}


def _domain(parameter: Parameter | None, seen: Sequence[Json]) -> Domain:
    match parameter:
        case Float(low=low, high=high, log=log) if all(map(is_number, seen)):
            return _float([low, high, *seen], log=log)
        case Int() if all(map(is_int, seen)):
            return _int(parameter, seen)
        case Categorical(options=options):
            return _choices([*options, *seen])
        case Bool():
            return _choices([False, True, *seen])
        case None if all(map(is_number, seen)):
            return _float(seen, log=False)
        case _:
            return _choices(seen or [None])


def _float(values: Sequence[Json], *, log: bool) -> Domain:
    from optuna.distributions import FloatDistribution

    low, high = min(values), max(values)
    return Domain(FloatDistribution(low, high, log=log and low > 0))


def _int(parameter: Int, seen: Sequence[Json]) -> Domain:
    """Optuna's integers have one step from the lowest on; powers are spread as logarithms."""
    from optuna.distributions import IntDistribution

    levels = parameter.levels
    low, high = min([levels[0], *seen]), max([levels[-1], *seen])
    if (parameter.log or parameter.power_of) and low > 0:
        return Domain(IntDistribution(low, high, log=True))
    regular = isinstance(levels, range) and all(value in levels for value in seen)
    return Domain(IntDistribution(low, high, step=(parameter.multiple_of or 1) if regular else 1))


def _choices(options: Sequence[Json]) -> Domain:
    """Options and what else was tried, each once; a list is shown as text."""
    from optuna.distributions import CategoricalDistribution

    as_text = any(isinstance(option, list | dict) for option in options)
    shown = [json.dumps(option) if as_text else option for option in options]
    once = {(type(option), option): option for option in shown}
    return Domain(CategoricalDistribution(tuple(once.values())), as_text)
