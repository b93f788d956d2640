"""Where a number is searched when its table says less than a range.

TAO replaces an infinite bound by the default value, so that nothing above a default learning rate
is ever tried. Here the default (the user's own value if there is one) lies inside the range:

- no bound: default / 10 … default * 10 on a log scale, mirrored and linear if negative; integers
  default / 2 … default * 2 (TAO facts: value sampling in 7.3);
- a float from 0 up to 100 times its default or more (infinity included), with a positive default:
  from default / 100, on a log scale. Such a range is a guess at a magnitude, and on a linear scale
  nearly all draws would be far above the default;
- a range of more than two decades is searched on a log scale.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from raytao.errors import SpaceError
from raytao.space.cells import above, below, six_digits
from raytao.space.parameters import is_number
from raytao.space.relations import MathCond, literal
from raytao.space.table import Row
from raytao.types import Json

_DECADES = 100.0
_STRICT_STEP = 1e-6


@dataclass(frozen=True)
class Range:
    """Closed, finite bounds; ``log`` if they are to be searched by magnitude."""

    low: float
    high: float
    log: bool = False


def default_of(row: Row, value: Json) -> float | None:
    """The user's own value if it is a number, else the table's default, else None."""
    if is_number(value):
        return float(value)
    default = literal(row.default_value)
    return float(default) if is_number(default) else None


def float_range(row: Row, value: Json, math_cond: MathCond | None) -> Range:
    """Return the bounds of a float; see the module.

    Raises:
        SpaceError: if they cannot be told: "range required".
    """
    default = default_of(row, value)
    low, high = _finite(row, default, factor=10.0)
    unbounded = row.valid_max is None or math.isinf(row.valid_max)
    if low == 0 and default is not None and default > 0:
        low = six_digits(default / _DECADES) if unbounded or high / default >= _DECADES else low
    # Whether it goes by magnitude is told before "> 0" opens the range at 0.
    log = low > 0 and (high / low > _DECADES or (row.valid_min is None and unbounded))
    if math_cond is not None:
        low, high = _bounded(low, high, math_cond)
    _refuse_empty(row, low, high)
    return Range(low, high, log)


def int_range(row: Row, value: Json, math_cond: MathCond | None) -> Range:
    """Return the bounds of an integer, whole numbers.

    Raises:
        SpaceError: if they cannot be told: "range required".
    """
    low, high = _finite(row, default_of(row, value), factor=2.0)
    low, high = math.ceil(low), math.floor(high)
    if math_cond is not None:
        limit = math_cond.operand
        match math_cond.op:
            case ">":
                low = max(low, math.floor(limit) + 1)
            case ">=":
                low = max(low, math.ceil(limit))
            case "<":
                high = min(high, math.ceil(limit) - 1)
            case "<=":
                high = min(high, math.floor(limit))
    _refuse_empty(row, low, high)
    return Range(low, high)


def range_required(row: Row, why: str) -> SpaceError:
    """The error of a row that says too little."""
    return SpaceError(
        f"{row.parameter}: range required: {why}",
        where=row.where,
        remedy="give valid_min and valid_max, in the table or as a range override",
    )


def _finite(row: Row, default: float | None, *, factor: float) -> tuple[float, float]:
    """The row's bounds, with missing and infinite ones taken from the default."""
    low, high = row.valid_min, row.valid_max
    known_low = low is not None and math.isfinite(low)
    known_high = high is not None and math.isfinite(high)
    if low is not None and high is not None and known_low and known_high:
        return low, high
    if not default:
        reason = "no bound" if not (known_low or known_high) else "one bound"
        raise range_required(row, f"{reason}, and no default other than 0 to judge by")
    around = sorted((six_digits(default / factor), six_digits(default * factor)))
    if low is not None and known_low:
        around[0] = low
    if high is not None and known_high:
        around[1] = high
    if not (math.isfinite(around[0]) and math.isfinite(around[1])):
        raise range_required(row, f"the default {default:g} is too large to judge by")
    if not around[0] <= default <= around[1]:
        raise range_required(row, f"the default {default:g} lies beyond the only bound")
    return around[0], around[1]


def _bounded(low: float, high: float, math_cond: MathCond) -> tuple[float, float]:
    limit = math_cond.operand
    match math_cond.op:
        case ">" if limit == 0:
            low = max(low, six_digits(high * _STRICT_STEP))
        case ">":
            low = max(low, above(limit))
        case ">=":
            low = max(low, limit)
        case "<":
            high = min(high, below(limit))
        case "<=":
            high = min(high, limit)
    return low, high


def _refuse_empty(row: Row, low: float, high: float) -> None:
    if low > high:
        raise range_required(row, f"nothing is left between {low:g} and {high:g}")
