"""Parameters: what one searched value may be, and where it lies in the unit cube.

A parameter owns ``dim`` coordinates of [0, 1]. ``decode`` maps them to a value, ``encode`` maps a
value to the middle of the coordinates that decode to it, so ``decode(encode(v)) == v`` for every
``v`` that ``decode`` returns. Relations to other parameters arrive as ``Limits``: a coordinate is
relative to the range that they leave.
"""

from __future__ import annotations

import math
import sys
from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, TypeAlias, TypeGuard

from raytao.errors import SpaceError
from raytao.space.cells import (
    ANYWHERE,
    LARGEST_INT,
    above,
    below,
    centre,
    index,
    narrow,
    tidy,
)
from raytao.space.conditions import FREE, Condition, Limits
from raytao.types import Json, ParamValue

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_LARGEST_FLOAT = sys.float_info.max

Array: TypeAlias = "NDArray[np.float64]"
Coordinates: TypeAlias = "Sequence[float] | Array"
"""One parameter's place in the cube."""

Kind: TypeAlias = Literal["numeric", "categorical"]


@dataclass(frozen=True)
class Parameter(ABC):
    """A named parameter; see the module for the laws of decode and encode."""

    name: str
    conditions: tuple[Condition, ...] = field(default=(), kw_only=True)

    def __post_init__(self) -> None:
        object.__setattr__(self, "conditions", tuple(self.conditions))
        self._check()

    @property
    def dim(self) -> int:
        """Number of coordinates."""
        return 1

    @property
    def kind(self) -> Kind:
        """Whether nearby coordinates mean nearby values."""
        return "numeric"

    @property
    def edges(self) -> tuple[float, ...]:
        """Upper edges of the cells of a categorical or ordered coordinate; empty for others."""
        return ()

    @property
    def comparable(self) -> bool:
        """Whether relations may narrow it and be stated against it: it is one number."""
        return False

    @abstractmethod
    def _check(self) -> None:
        """Raise SpaceError if nothing can be drawn."""

    @abstractmethod
    def decode(self, u: Coordinates, limits: Limits = FREE) -> ParamValue:
        """Return the value at ``u``, shape (dim,), each in [0, 1]."""

    @abstractmethod
    def encode(self, value: Json, limits: Limits = FREE) -> tuple[float, ...]:
        """Return coordinates, shape (dim,), of the nearest legal value.

        A value that has no nearest one (an unknown option) gets 0.5.
        """

    @abstractmethod
    def contains(self, value: Json, limits: Limits = FREE) -> bool:
        """Whether ``value`` is legal under ``limits``."""

    @abstractmethod
    def count(self, limits: Limits = FREE) -> int | None:
        """Number of values under ``limits``; None for a continuum."""

    def values(self, limits: Limits = FREE) -> Iterable[ParamValue]:
        """All values under ``limits``, for parameters that others may depend on."""
        raise NotImplementedError(f"{type(self).__name__} has no list of values")

    def read(self, value: Json) -> ParamValue:
        """Return a spec's value as one of this parameter.

        Raises:
            SpaceError: if it has another type.
        """
        raise self._refused(value, "value")

    def _refused(self, value: Json, what: str) -> SpaceError:
        return SpaceError(
            f"{self.name}: {value!r} in the spec is no {what}",
            remedy="correct the spec, or remove the parameter from the search",
        )


def is_number(value: object) -> TypeGuard[int | float]:
    """Whether ``value`` is an int or float that is a finite float; a bool is none."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return abs(value) <= _LARGEST_FLOAT  # an integer may be larger; NaN is not


def is_int(value: object) -> TypeGuard[int]:
    """Whether ``value`` is an int; a bool is none."""
    return isinstance(value, int) and not isinstance(value, bool)


def check_bounds(name: str, low: float, high: float) -> None:
    """Raise SpaceError unless low <= high and both are finite."""
    if not (math.isfinite(low) and math.isfinite(high) and math.isfinite(high - low)):
        raise SpaceError(f"{name}: range [{low}, {high}] is not finite", remedy="range required")
    if low > high:
        raise SpaceError(
            f"{name}: range [{low}, {high}] is empty: its low end is above its high end",
            remedy="exchange the two",
        )


@dataclass(frozen=True)
class Float(Parameter):
    """A real number in [low, high]; ``log`` spreads it evenly over its decades.

    Decoded values carry six significant digits, so that files stay readable and a value read back
    from text is the same value; the bounds themselves are legal as they are.
    """

    low: float
    high: float
    log: bool = False

    def _check(self) -> None:
        check_bounds(self.name, self.low, self.high)
        if self.log and self.low < 1e-290:
            raise SpaceError(
                f"{self.name}: a log scale cannot start at {self.low}",
                remedy="give a positive lower bound",
            )

    @property
    def comparable(self) -> bool:
        """A number is comparable."""
        return True

    def _window(self, limits: Limits) -> tuple[float, float]:
        if limits is FREE:
            return self.low, self.high
        low = max(self.low, above(limits.low) if limits.low_open else limits.low)
        high = min(self.high, below(limits.high) if limits.high_open else limits.high)
        if low <= high:
            return low, high
        nearest = min(low, self.high)
        return nearest, nearest

    def decode(self, u: Coordinates, limits: Limits = FREE) -> float:
        """Return the value at ``u``, shape (1,)."""
        low, high = self._window(limits)
        share = float(u[0])
        if share >= 1 or low == high:
            return tidy(high, low, high, log=self.log)
        if self.log:
            x = math.exp(math.log(low) + share * (math.log(high) - math.log(low)))
        else:
            x = low + share * (high - low)
        return tidy(x, low, high, log=self.log)

    def encode(self, value: Json, limits: Limits = FREE) -> tuple[float, ...]:
        """Return where ``value`` lies between the bounds, clipped."""
        low, high = self._window(limits)
        if not is_number(value) or low == high:
            return (ANYWHERE,)
        x = min(max(float(value), low), high)
        start, stop = (math.log(low), math.log(high)) if self.log else (low, high)
        if start == stop:  # neighbouring floats with the same logarithm
            return (ANYWHERE,)
        share = ((math.log(x) if self.log else x) - start) / (stop - start)
        return (min(max(share, 0.0), 1.0),)

    def contains(self, value: Json, limits: Limits = FREE) -> bool:
        """Whether ``value`` is a number within the narrowed bounds."""
        low, high = self._window(limits)
        return is_number(value) and low <= value <= high

    def count(self, limits: Limits = FREE) -> int | None:
        """None, unless one value is left."""
        low, high = self._window(limits)
        return 1 if low == high else None

    def read(self, value: Json) -> float:
        """Return a spec's number as a float."""
        if not is_number(value):
            raise self._refused(value, "number")
        return float(value)


@dataclass(frozen=True)
class Int(Parameter):
    """An integer in [low, high], each with an equal share of the coordinate.

    ``multiple_of`` leaves its multiples, ``power_of`` its powers from the first on (k, k**2, …).
    ``log`` gives every integer a share that falls with its size (it needs low >= 1).
    """

    low: int
    high: int
    log: bool = False
    multiple_of: int | None = None
    power_of: int | None = None

    def _check(self) -> None:
        check_bounds(self.name, self.low, self.high)
        rule = f"[{self.low}, {self.high}]"
        if max(abs(self.low), abs(self.high)) > LARGEST_INT:
            raise SpaceError(f"{self.name}: range {rule} goes beyond {LARGEST_INT}")
        if self.log and self.low < 1:
            raise SpaceError(f"{self.name}: a log scale over integers needs low >= 1, not {rule}")
        if self.multiple_of is not None and self.multiple_of < 1:
            raise SpaceError(f"{self.name}: multiple_of {self.multiple_of} must be 1 or more")
        if self.power_of is not None and (self.power_of < 2 or self.multiple_of is not None):
            raise SpaceError(f"{self.name}: power_of must be 2 or more, without multiple_of")
        if not self.levels:
            rule += f", multiples of {self.multiple_of}" if self.multiple_of else ""
            rule += f", powers of {self.power_of}" if self.power_of else ""
            raise SpaceError(
                f"{self.name}: no integer is left in {rule}", remedy="widen the range"
            )

    @property
    def comparable(self) -> bool:
        """A number is comparable."""
        return True

    @property
    def levels(self) -> Sequence[int]:
        """All legal values, ascending."""
        if self.power_of is not None:
            powers = (self.power_of**k for k in range(1, LARGEST_INT.bit_length() + 1))
            return tuple(p for p in powers if self.low <= p <= self.high)
        step = self.multiple_of or 1
        return range(-(-self.low // step) * step, self.high + 1, step)

    def _left(self, limits: Limits) -> Sequence[int]:
        i, j = narrow(self.levels, limits)
        return self.levels[i:j]

    def decode(self, u: Coordinates, limits: Limits = FREE) -> int:
        """Return the integer whose cell holds ``u``, shape (1,)."""
        left = self._left(limits)
        if not self._logarithmic:
            return left[index(float(u[0]), len(left))]
        step = self.multiple_of or 1
        first, last = left[0] // step, left[-1] // step
        start, stop = math.log(first - 0.5), math.log(last + 0.5)
        drawn = round(math.exp(start + float(u[0]) * (stop - start)))
        return min(max(drawn, first), last) * step

    def encode(self, value: Json, limits: Limits = FREE) -> tuple[float, ...]:
        """Return the middle of the cell of the nearest legal integer."""
        left = self._left(limits)
        if not is_number(value) or len(left) == 1:
            return (ANYWHERE,)
        i = nearest_index(left, value)
        if not self._logarithmic:
            return (centre(i, len(left)),)
        step = self.multiple_of or 1
        first, last, k = left[0] // step, left[-1] // step, left[i] // step
        start, stop = math.log(first - 0.5), math.log(last + 0.5)
        middle = (math.log(k - 0.5) + math.log(k + 0.5)) / 2
        return ((middle - start) / (stop - start),)

    @property
    def _logarithmic(self) -> bool:
        return self.log and self.power_of is None

    def contains(self, value: Json, limits: Limits = FREE) -> bool:
        """Whether ``value`` is one of the integers that ``limits`` leave."""
        return is_int(value) and value in self._left(limits)

    def count(self, limits: Limits = FREE) -> int:
        """Number of integers that ``limits`` leave."""
        return len(self._left(limits))

    def values(self, limits: Limits = FREE) -> Iterable[ParamValue]:
        """The integers that ``limits`` leave."""
        return self._left(limits)

    def read(self, value: Json) -> int:
        """Return a spec's integer; a float without a fraction counts."""
        if not is_number(value) or value != int(value):
            raise self._refused(value, "integer")
        return int(value)


def nearest_index(ascending: Sequence[int], value: float) -> int:
    """Return the index of the value in ``ascending`` that is nearest to ``value``.

    >>> nearest_index([32, 64, 128], 90.0)
    1
    """
    after, _ = narrow(ascending, Limits(low=value))
    before = max(after - 1, 0)
    closer = abs(ascending[before] - value) <= abs(ascending[after] - value)
    return before if closer else after
