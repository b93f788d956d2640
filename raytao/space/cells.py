"""Arithmetic between the unit interval and values: cells, six digits, narrowed sequences."""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from typing import Final

from raytao.space.conditions import Limits

ANYWHERE: Final = 0.5
"""The coordinate of a value that has no place of its own: absent, inactive or the only one."""

LARGEST_INT: Final = 10**12
"""Integers beyond this would not survive the way through a 64-bit coordinate."""

_BELOW_SCALE = 12


def index(u: float, cells: int) -> int:
    """Return which of ``cells`` equal cells of [0, 1] holds ``u``.

    >>> [index(u, 3) for u in (0.0, 0.4, 1.0)]
    [0, 1, 2]
    """
    return min(int(u * cells), cells - 1)


def centre(i: int, cells: int) -> float:
    """Return the middle of cell ``i``; ``index(centre(i, n), n) == i``."""
    return (i + 0.5) / cells


def six_digits(x: float) -> float:
    """Round to six significant digits.

    >>> six_digits(0.00012345678)
    0.000123457
    """
    return float(f"{x:.5e}")


def tidy(x: float, low: float, high: float, *, log: bool) -> float:
    """Round ``x`` to a value that people can read, within [low, high]; idempotent and monotone.

    Six significant digits. On a linear scale nothing finer than 1e-12 of the range's magnitude:
    a coordinate of 53 bits could not tell such values apart, and encode would not be exact.
    """
    rounded = six_digits(x)
    if not log:
        magnitude = math.floor(math.log10(max(abs(low), abs(high), 1e-290)))
        rounded = round(rounded, _BELOW_SCALE - magnitude)
    return min(max(rounded, low), high)


def below(x: float) -> float:
    """Return a six-digit number just below ``x``.

    >>> below(0.5), below(1.0), below(0.0699999988)
    (0.499999, 0.99999, 0.0699999)
    """
    rounded = six_digits(x)
    if rounded < x:
        return rounded
    if rounded == 0:
        return -(10.0**-_BELOW_SCALE)
    exponent = int(f"{rounded:.5e}".partition("e")[2])
    return six_digits(rounded - 10.0 ** (exponent - 5))


def above(x: float) -> float:
    """Return a six-digit number just above ``x``.

    >>> above(0.5)
    0.500001
    """
    return -below(-x)


def narrow(values: Sequence[int], limits: Limits) -> tuple[int, int]:
    """Return the slice [i, j) of ascending ``values`` that lies within ``limits``; never empty.

    Where nothing lies within, the nearest value is left; of two limits that contradict each
    other the lower one wins.

    >>> narrow(range(0, 100, 10), Limits(low=20, high=40, high_open=True))
    (2, 4)
    """
    left = bisect_right if limits.low_open else bisect_left
    right = bisect_left if limits.high_open else bisect_right
    i, j = left(values, limits.low), right(values, limits.high)
    if i < j:
        return i, j
    nearest = min(i, len(values) - 1)
    return nearest, nearest + 1
