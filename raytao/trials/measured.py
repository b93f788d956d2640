"""What is kept of the metrics that a trainer reports: finite numbers, and not too many."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Final

from raytao.types import SCORE

MOST_METRICS: Final = 1000
"""Metrics of an epoch that are kept: every one is in the log, and in memory, of the whole run."""

_NO_NUMBERS: Final = "SUMmcO"
"""Kinds of numpy's 0-d arrays that ``float`` would take in part or by chance: text, times, …"""


def as_number(value: object) -> float | None:
    """A float from a number, a numpy scalar or a tensor of no dimension; else None.

    A truth is 0 or 1, and an integer beyond all floats is infinite.

    >>> as_number(3), as_number("3"), as_number([3]), as_number(1j), as_number(10**400)
    (3.0, None, None, None, inf)
    """
    if isinstance(value, str | bytes | bytearray) or getattr(value, "ndim", 0) != 0:
        return None
    dtype = getattr(value, "dtype", "")
    if getattr(dtype, "kind", "f") in _NO_NUMBERS or "complex" in str(dtype):
        return None
    number: Any = value
    try:
        return float(number.detach() if hasattr(number, "detach") else number)
    except (TypeError, ValueError):
        return None
    except OverflowError:
        return math.inf if number > 0 else -math.inf


def finite(metrics: Mapping[str, object]) -> dict[str, float]:
    """The metrics that are finite numbers, as floats, by their names as text."""
    numbers = {str(name): as_number(value) for name, value in metrics.items()}
    return {name: n for name, n in numbers.items() if n is not None and math.isfinite(n)}


def reported(metrics: Mapping[str, object], watched: str) -> dict[str, float]:
    """What is kept of an epoch's metrics: finite, ``MOST_METRICS`` at most, not the brains' word.

    The watched one is kept wherever it stands.
    """
    kept = {name: value for name, value in finite(metrics).items() if name != SCORE}
    if len(kept) <= MOST_METRICS:
        return kept
    first = [watched, *(name for name in kept if name != watched)][:MOST_METRICS]
    return {name: kept[name] for name in first}
