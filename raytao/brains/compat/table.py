"""A parameter table as TAO reads it: bounds that are infinite or missing (TAO facts §2.1, §2.2).

raytao searches around a default where a table leaves a bound open; what TAO would do instead can
no longer be told from the finished space. So a run with ``compat`` builds its space from these
rows:

============================  ==========================  =====================================
bounds                        tao5                        tao7
============================  ==========================  =====================================
a float's ±inf, an int's inf  the default                 the default
one or both missing           the default, a constant     float: default / 10 … default * 10
                                                          int: default // 2 … default * 2
============================  ==========================  =====================================

One trace of raytao's own rule is left: of a float from 0 to 100 times the user's own value or
more, the lowest hundredth of that value is not searched.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Final

from raytao.brains.compat.values import Compat
from raytao.space.overrides import RangeOverride
from raytao.space.parameters import is_number
from raytao.space.relations import literal
from raytao.space.table import Row

_NONE: Final = RangeOverride()
_INTEGERS: Final = ("int", "integer")


def tao_rows(
    rows: Iterable[Row], compat: Compat, ranges: Mapping[str, RangeOverride] | None = None
) -> tuple[Row, ...]:
    """Return the rows with the bounds that TAO would search between.

    Args:
        rows: the parameter table.
        compat: the version.
        ranges: the user's own ranges; bounds that these give are left as the table has them.
    """
    given = ranges or {}
    return tuple(_read(row, compat, given.get(row.parameter, _NONE)) for row in rows)


def _read(row: Row, compat: Compat, own: RangeOverride) -> Row:
    """One row; as it is, where TAO has no default to go by."""
    number = literal(row.default_value)
    whole = row.value_type in _INTEGERS
    if not is_number(number) or row.valid_options or not (whole or row.value_type == "float"):
        return row
    default = float(number)
    low = row.valid_min if own.valid_min is None else own.valid_min
    high = row.valid_max if own.valid_max is None else own.valid_max
    if low is None or high is None:
        low, high = (default, default) if compat == "tao5" else _around(default, whole=whole)
    else:
        low, high = (default if math.isinf(bound) else bound for bound in (low, high))
    return replace(
        row,
        valid_min=low if own.valid_min is None else row.valid_min,
        valid_max=high if own.valid_max is None else row.valid_max,
    )


def _around(default: float, *, whole: bool) -> tuple[float, float]:
    """Where TAO 7.3 searches without bounds."""
    if whole:
        return (max(1, default // 2), default * 2) if default > 0 else (1, 100)
    if default == 0:
        return -1.0, 1.0
    low, high = sorted((default / 10, default * 10))
    return low, high
