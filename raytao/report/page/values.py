"""How a page writes values, times and lists: short, and the same everywhere on it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from raytao.report.words import NOTHING, clock
from raytao.types import Json

HOUR: Final = 3600.0
"""Seconds."""

LONGEST_VALUE: Final = 80
"""Characters of a value in a table; the recommendation's own file has all of it."""


def plain(value: Json) -> str:
    """A value as it would be written in a spec, floats to six digits."""
    match value:
        case bool():
            return str(value).lower()
        case float():
            return f"{value:.6g}"
        case None:
            return NOTHING
        case _:
            return shortened(str(value), LONGEST_VALUE)


def shortened(text: str, most: int) -> str:
    """The text, or as much of it as has room."""
    return text if len(text) <= most else f"{text[:most]} …"


def moment(at: float, now: datetime) -> str:
    """A time of the wall clock, in the zone of ``now``."""
    return f"{datetime.fromtimestamp(at, tz=now.tzinfo):%Y-%m-%d %H:%M %Z}".strip()


def span(seconds: float) -> str:
    """Hours to two decimals; less than one as a clock shows it.

    >>> span(5400), span(250)
    ('1.50 h', '0:04:10')
    """
    return f"{seconds / HOUR:,.2f} h" if seconds >= HOUR else clock(seconds)


def listed(names: Sequence[object], most: int) -> str:
    """The names, or the first of them and how many more there are.

    >>> listed([1, 2, 3], 3), listed([1, 2, 3, 4], 3)
    ('1, 2, 3', '1, 2, 3 and 1 more')
    """
    said = ", ".join(str(name) for name in names[:most])
    return said if len(names) <= most else f"{said} and {len(names) - most:,} more"
