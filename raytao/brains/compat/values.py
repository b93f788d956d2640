"""How TAO turns a point of [0, 1] or a random draw into values (TAO facts §2.1, §2.2).

====================  ========================  =============================  =============
parameter             at a point, tao5          at a point, tao7               drawn
====================  ========================  =============================  =============
Float                 low + s (high - low),     as tao5                        as at a point,
                      clamped; never by log                                    s uniform
Int                   drawn                     low + s (high - low), rounded  uniform
Int, ``/ k``          as Int, then up to a multiple of k                       likewise
Int, ``^ k``          drawn                     drawn                          uniform
Categorical, Ordered  drawn                     option number int(s n); with   uniform; tao7:
                                                weights, the heaviest lowest   by weight
Bool, lists           drawn                     drawn                          uniform
====================  ========================  =============================  =============

"Drawn" is what Hyperband does with every parameter; a suggestion's point then says nothing.

A point has one coordinate for each *parameter*, lists and switches too, as TAO's has; in this it
differs from the space's own cube.

Unlike TAO, no value leaves its range: where the clamp steps outward (a negative bound, a range
narrower than a tenth of its end), where a multiple lies beyond the maximum, or where a relation
is broken, the nearest legal value is taken. A relation narrows a range; in TAO it replaces the
bound. Inactive parameters are left out of the values and keep their coordinate.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from itertools import accumulate
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

from raytao.space import Space
from raytao.space.cells import ANYWHERE
from raytao.space.conditions import FREE, Limits
from raytao.space.options import Bool, Categorical, Option
from raytao.space.parameters import Array, Float, Int, Parameter, is_number
from raytao.types import Json, Params, ParamValue

if TYPE_CHECKING:
    import numpy as np

Compat: TypeAlias = Literal["tao5", "tao7"]

RELATION_STEP: Final = 1e-6
"""What TAO keeps between a parameter and the one that it must be below or above."""

ZERO_STEP: Final = 1e-7
"""What TAO keeps from a bound that is 0; from other bounds it keeps a tenth of them."""


def tao_values(
    space: Space, point: Array, rng: np.random.Generator, compat: Compat
) -> dict[str, ParamValue]:
    """Return TAO's configuration at a suggestion of its Gaussian process.

    Args:
        space: what is searched.
        point: shape (number of parameters,), each in [0, 1].
        rng: draws what the version does not take from the point.
        compat: the version.
    """
    shares = dict(zip(space.names, point.tolist(), strict=True))

    def value(parameter: Parameter, limits: Limits) -> ParamValue:
        share = shares[parameter.name]
        match parameter:
            case Float():
                return _float_at(parameter, share, limits)
            case Int() if compat == "tao7":
                return _int_at(parameter, share, limits, rng)
            case Categorical() if compat == "tao7":
                return _option_at(parameter, share)
        return _drawn(parameter, rng, compat)

    return _in_order(space, value)


def tao_sample(space: Space, rng: np.random.Generator, compat: Compat) -> Params:
    """Return a configuration as TAO's Hyperband draws one."""

    def value(parameter: Parameter, limits: Limits) -> ParamValue:
        if isinstance(parameter, Float):
            return _float_at(parameter, rng.random(), limits)
        return _drawn(parameter, rng, compat)

    return _in_order(space, value)


def tao_point(space: Space, params: Params, compat: Compat) -> Array:
    """Return a point at which `tao_values` has ``params``, as far as a point decides them.

    The other coordinates, and those of parameters that are absent, are 0.5.
    """
    import numpy as np

    point = np.full(len(space.parameters), ANYWHERE)
    for place, parameter in enumerate(space.parameters):
        value = params.get(parameter.name)
        match parameter:
            case Float():
                point[place] = _share(
                    value, *_window(parameter, _limits(space, parameter, params))
                )
            case Int() if compat == "tao7" and parameter.power_of is None:
                point[place] = _share(
                    value, *_window(parameter, _limits(space, parameter, params))
                )
            case Categorical() if compat == "tao7":
                point[place] = _share_of_option(parameter, value)
    return point


def clamp(value: float, low: float, high: float) -> float:
    """Keep ``value`` off both bounds, as TAO does: by a tenth of the bound.

    >>> clamp(1.0, 0.0, 1.0), clamp(0.0, 0.0, 1.0), clamp(0.5, 0.0, 1.0)
    (0.9, 1e-07, 0.5)
    """
    if value >= high:
        value = high - (high / 10 or ZERO_STEP)
    if value <= low:
        value = low + (low / 10 or ZERO_STEP)
    return value


def _in_order(
    space: Space, value: Callable[[Parameter, Limits], ParamValue]
) -> dict[str, ParamValue]:
    """Give every active parameter its value, parents first, each legal beside those before."""
    values: dict[str, ParamValue] = {}
    for parameter in space.parameters:
        known = {**space.fixed, **values}
        if all(c.holds(known) for c in parameter.conditions if not c.is_relation):
            limits = _limits(space, parameter, values)
            made = value(parameter, limits)
            if not parameter.contains(made, limits):
                made = parameter.decode(parameter.encode(made, limits), limits)
            values[parameter.name] = made
    return values


def _limits(space: Space, parameter: Parameter, values: Params) -> Limits:
    """What relations to ``values`` and to the spec leave of a parameter."""
    known: Mapping[str, Json] = {**space.fixed, **values}
    limits = FREE
    for condition in parameter.conditions:
        other = known.get(condition.target)
        if condition.is_relation and is_number(other):
            limits = limits.tightened(condition.op, other)
    return limits


def _window(parameter: Float | Int, limits: Limits) -> tuple[float, float]:
    """The range that TAO maps onto; empty or inverted where a relation leaves nothing."""
    low: float = parameter.low
    high: float = parameter.high
    if math.isfinite(limits.low):
        low = max(low, limits.low + (_step(limits.low) if limits.low_open else 0.0))
    if math.isfinite(limits.high):
        high = min(high, limits.high - (_step(limits.high) if limits.high_open else 0.0))
    return low, high


def _step(limit: float) -> float:
    return RELATION_STEP / 10 if limit == RELATION_STEP else RELATION_STEP


def _float_at(parameter: Float, share: float, limits: Limits) -> float:
    low, high = _window(parameter, limits)
    return clamp(share * (high - low) + low, low, high)


def _int_at(parameter: Int, share: float, limits: Limits, rng: np.random.Generator) -> int:
    if parameter.power_of is not None:
        return _power(parameter, rng)
    low, high = _window(parameter, limits)
    return _rounded_up(parameter, round(share * (high - low) + low))


def _power(parameter: Int, rng: np.random.Generator) -> int:
    return parameter.levels[int(rng.integers(len(parameter.levels)))]


def _rounded_up(parameter: Int, value: int) -> int:
    """The next multiple, where only multiples are legal."""
    step = parameter.multiple_of or 1
    return -(-value // step) * step


def _option_at(parameter: Categorical, share: float) -> Option:
    """The option whose cell holds ``share``; with weights, the heaviest lies lowest."""
    options, ends = _cells(parameter)
    if parameter.weights is None:
        return options[min(int(share * len(options)), len(options) - 1)]
    held = (option for option, end in zip(options, ends, strict=True) if share <= end)
    return next(held, options[0])


def _cells(parameter: Categorical) -> tuple[Sequence[Option], Sequence[float]]:
    """Options in the order of their cells of [0, 1], and the upper ends of these."""
    count = len(parameter.options)
    weights = parameter.weights or (1.0,) * count
    order = sorted(range(count), key=lambda k: -weights[k])
    total = sum(weights)
    ends = list(accumulate(weights[k] / total for k in order))
    return [parameter.options[k] for k in order], ends


def _drawn(parameter: Parameter, rng: np.random.Generator, compat: Compat) -> ParamValue:
    """What a version draws at random, whatever the point."""
    match parameter:
        case Bool():
            return bool(rng.integers(2))
        case Int() if parameter.power_of is not None:
            return _power(parameter, rng)
        case Int():
            return _rounded_up(parameter, int(rng.integers(parameter.low, parameter.high + 1)))
        case Categorical() if compat == "tao7" and parameter.weights is not None:
            total = sum(parameter.weights)
            chances = [weight / total for weight in parameter.weights]
            return parameter.options[int(rng.choice(len(chances), p=chances))]
        case Categorical():
            return parameter.options[int(rng.integers(len(parameter.options)))]
    return parameter.decode(rng.random(parameter.dim))


def _share(value: Json, low: float, high: float) -> float:
    """Where a number lies between the ends of its range."""
    if not is_number(value) or not low < high:
        return ANYWHERE
    return min(max((value - low) / (high - low), 0.0), 1.0)


def _share_of_option(parameter: Categorical, value: Json) -> float:
    """The middle of an option's cell."""
    options, ends = _cells(parameter)
    starts = [0.0, *ends]
    middles = (
        (start + end) / 2
        for option, start, end in zip(options, starts, ends, strict=False)
        if type(option) is type(value) and option == value
    )
    return next(middles, ANYWHERE)
