"""When things happened in a run, in seconds of work since it began."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate, takewhile
from typing import Final

from raytao.report.series import Improvement
from raytao.runs.events import Reported, Resumed
from raytao.runs.log import Record

MINUTE, HOUR, DAY = 60.0, 3600.0, 86400.0
_UNITS: Final = (("seconds", 1.0), ("minutes", MINUTE), ("hours", HOUR), ("days", DAY))
MOST: Final = 2.5
"""A larger unit is taken once it is reached so many times."""


@dataclass(frozen=True)
class Elapsed:
    """Seconds since the run began, one number a record; they never fall.

    ``by_wall``: by the clock of the wall, interruptions with them; else the time that drivers
    were at work, by clocks that never jump.
    """

    seconds: tuple[float, ...]
    by_wall: bool

    @property
    def end(self) -> float:
        """When the last record was written."""
        return self.seconds[-1] if self.seconds else 0.0

    @property
    def unit(self) -> tuple[str, float]:
        """A unit that suits the whole run, and its seconds."""
        fitting = [one for one in _UNITS if self.end >= MOST * one[1]]
        return fitting[-1] if fitting else _UNITS[0]

    @property
    def label(self) -> str:
        """What an axis of these times is called."""
        told = "since the run began" if self.by_wall else "of work, interruptions left out"
        return f"{self.unit[0]} {told}"


def elapsed(records: Sequence[Record]) -> Elapsed:
    """The time of every record.

    Logs of format 1 say nothing of their drivers' clocks: there it is the clock of the wall, held
    where it jumps back.
    """
    first = takewhile(lambda record: not isinstance(record.event, Resumed), records)
    if all(record.up == 0 for record in first):
        began = records[0].at if records else 0.0
        walls = accumulate((record.at - began for record in records), max)
        return Elapsed(tuple(walls), by_wall=True)
    before = up = 0.0
    seconds = []
    for record in records:
        if record.up < up:  # another driver's first one
            before += up
        up = record.up
        seconds.append(before + up)
    return Elapsed(tuple(seconds), by_wall=False)


def moments(
    series: Sequence[Improvement], records: Sequence[Record], times: Elapsed
) -> tuple[float, ...]:
    """When each improvement was known, in seconds of ``times``."""
    known = {
        (record.event.trial, record.event.epoch): at
        for record, at in zip(records, times.seconds, strict=True)
        if isinstance(record.event, Reported)
    }
    return tuple(known[point.trial, point.epoch] for point in series)
