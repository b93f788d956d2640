"""Where a searched value lies on an axis that goes from 0 to 1, and what is written beside it."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from raytao.report.pictures.axes import short
from raytao.space import Bool, Categorical, Float, Int, Ordered, Parameter, Space
from raytao.space.parameters import is_number
from raytao.types import Json

Tick = tuple[float, str]
MOST_TICKS: Final = 6
"""Options beyond are not all written."""
LONGEST_OPTION: Final = 14
"""Characters of an option at an axis."""
DECADES: Final = 100.0
"""Numbers of which nothing is known but that they span so much get a log scale."""


class Scale(ABC):
    """An axis of one parameter, or of the metric."""

    @abstractmethod
    def place(self, value: Json) -> float | None:
        """Where ``value`` lies, 0 … 1; None where the axis has no place for it."""

    @property
    @abstractmethod
    def ticks(self) -> tuple[Tick, ...]:
        """Places with what is written there, ascending."""

    @property
    def room(self) -> float:
        """How far values that are drawn apart may lie beside their own place."""
        return 0.0


@dataclass(frozen=True)
class Numbers(Scale):
    """Numbers from ``low`` to ``high``, evenly or over their decades."""

    low: float
    high: float
    log: bool = False
    whole: bool = False

    def place(self, value: Json) -> float | None:
        """See `Scale`; of numbers beyond the ends, there is no place either."""
        if not is_number(value) or (self.log and value <= 0):
            return None
        if not self.low <= value <= self.high:
            return None
        low, high, at = (self._even(number) for number in (self.low, self.high, float(value)))
        return 0.5 if high <= low else min(1.0, max(0.0, (at - low) / (high - low)))

    def _even(self, value: float) -> float:
        # Halved, so that the distance of two floats is a float.
        return math.log10(value) if self.log else value / 2

    @property
    def ticks(self) -> tuple[Tick, ...]:
        """Round numbers; the ends where there are none."""
        return tuple((place, f"{value:.4g}") for value, place in self._round())

    def _round(self) -> list[tuple[float, float]]:
        from matplotlib.ticker import MaxNLocator

        if self.high <= self.low:
            return [(self.low, 0.5)]
        if self.log:
            first, last = math.ceil(self._even(self.low)), math.floor(self._even(self.high))
            step = 1 + max(0, last - first) // MOST_TICKS
            values = [10.0**power for power in range(first, last + 1, step)]
        else:
            locator = MaxNLocator(nbins=MOST_TICKS - 1, integer=self.whole, min_n_ticks=2)
            values = [float(value) for value in locator.tick_values(self.low, self.high)]
        placed = [(value, place) for value in values if (place := self.place(value)) is not None]
        return placed if len(placed) > 1 else [(self.low, 0.0), (self.high, 1.0)]


@dataclass(frozen=True)
class Options(Scale):
    """Values side by side, each with an equal share of the axis."""

    options: tuple[str, ...]

    def place(self, value: Json) -> float | None:
        """See `Scale`."""
        name = written(value)
        return (self.options.index(name) + 0.5) / len(self.options) if self._has(name) else None

    def _has(self, name: str) -> bool:
        return name in self.options

    @property
    def ticks(self) -> tuple[Tick, ...]:
        """The options; of many, some."""
        step = -(-len(self.options) // (2 * MOST_TICKS))
        return tuple(
            ((n + 0.5) / len(self.options), short(name, LONGEST_OPTION))
            for n, name in enumerate(self.options)
            if n % step == 0
        )

    @property
    def room(self) -> float:
        """See `Scale`."""
        return 0.3 / len(self.options)


def written(value: Json) -> str:
    """A value as an option's name."""
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def scale_of(parameter: Parameter | None, seen: Iterable[Json]) -> Scale:
    """The axis of a parameter; it holds its range and all values ``seen``.

    Args:
        parameter: None where only its values are known.
        seen: values that it had; the user's own may lie beyond the range.
    """
    values = list(seen)
    match parameter:
        case Float(low=low, high=high, log=log):
            return _numbers([low, high, *values], log=log)
        case Int(low=low, high=high, log=log, power_of=power):
            return _numbers([low, high, *values], log=log or power is not None, whole=True)
        case Categorical(options=options) | Ordered(options=options):
            return _options([*options, *values])
        case Bool():
            return _options([False, True, *values])
    if values and all(is_number(value) for value in values):
        low, high = min(values), max(values)
        whole = all(isinstance(value, int) for value in values)
        return _numbers(values, log=low > 0 and high / low >= DECADES, whole=whole)
    return _options(sorted(values, key=str) if values else ["–"])


def _numbers(values: Iterable[Json], *, log: bool, whole: bool = False) -> Numbers:
    known = [float(value) for value in values if is_number(value) and (value > 0 or not log)]
    return Numbers(min(known), max(known), log=log, whole=whole)


def _options(values: Iterable[Json]) -> Options:
    return Options(tuple(dict.fromkeys(written(value) for value in values)))


def parameters_of(space: Space | None, tried: Sequence[str]) -> dict[str, Parameter | None]:
    """What is searched, by name: the space's, or the names that were ``tried``."""
    if space is None:
        return dict.fromkeys(tried)
    return {parameter.name: parameter for parameter in space.parameters}
