"""Parameters whose value is a list of integers: TAO's ``list_1_*``, ``list_2`` and ``list_3``."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

from raytao.errors import SpaceError
from raytao.space.cells import ANYWHERE, LARGEST_INT, centre, index
from raytao.space.conditions import FREE, Limits
from raytao.space.parameters import Coordinates, Parameter, check_bounds, is_int, nearest_index
from raytao.types import Json

LONGEST_RUN: Final = 1_000
"""Members of the longest run: it is written out in every spec."""


@dataclass(frozen=True)
class _Integers(Parameter):
    """What the three have in common: integers of a range, in equal cells."""

    low: int
    high: int

    def _check(self) -> None:
        check_bounds(self.name, self.low, self.high)
        if max(abs(self.low), abs(self.high)) > LARGEST_INT or not self.levels:
            raise SpaceError(
                f"{self.name}: no usable integer in [{self.low}, {self.high}]",
                remedy="change the range",
            )

    @property
    def levels(self) -> range:
        """The integers that a list may hold, ascending."""
        return range(self.low, self.high + 1)

    def _pick(self, u: float) -> int:
        return self.levels[index(u, len(self.levels))]

    def _spot(self, value: int) -> float:
        return centre(nearest_index(self.levels, value), len(self.levels))

    def read(self, value: Json) -> list[int]:
        """Return a spec's list of integers; a single integer is a list of one."""
        listed = list(value) if isinstance(value, list | tuple) else [value]
        if not all(is_int(item) for item in listed):
            raise self._refused(value, "list of integers")
        return listed


@dataclass(frozen=True)
class IntRun(_Integers):
    """Consecutive integers between two draws from [low, high], both ends included."""

    def _check(self) -> None:
        super()._check()
        if len(self.levels) > LONGEST_RUN:
            raise SpaceError(
                f"{self.name}: a run of integers in [{self.low}, {self.high}] may have more than "
                f"{LONGEST_RUN:,} members",
                remedy="narrow the range",
            )

    @property
    def dim(self) -> int:
        """One coordinate for either end."""
        return 2

    def decode(self, u: Coordinates, limits: Limits = FREE) -> list[int]:
        """Return the run between the two draws in ``u``, shape (2,)."""
        del limits
        first, last = sorted((self._pick(float(u[0])), self._pick(float(u[1]))))
        return list(range(first, last + 1))

    def encode(self, value: Json, limits: Limits = FREE) -> tuple[float, ...]:
        """Return the cells of the smallest and the largest member."""
        del limits
        if not _is_int_list(value) or not value:
            return ANYWHERE, ANYWHERE
        return self._spot(min(value)), self._spot(max(value))

    def contains(self, value: Json, limits: Limits = FREE) -> bool:
        """Whether ``value`` is a run within the range."""
        del limits
        if not _is_int_list(value) or not value:
            return False
        run = list(range(value[0], value[0] + len(value)))
        return value == run and value[0] in self.levels and value[-1] in self.levels

    def count(self, limits: Limits = FREE) -> int:
        """Number of runs: n (n + 1) / 2."""
        del limits
        return len(self.levels) * (len(self.levels) + 1) // 2


@dataclass(frozen=True)
class SortedInts(_Integers):
    """``min_len`` to ``max_len`` integers of [low, high], ascending; repeats occur, as in TAO."""

    min_len: int = 3
    max_len: int = 6
    multiple_of: int = 1

    def _check(self) -> None:
        if not 1 <= self.min_len <= self.max_len or self.multiple_of < 1:
            raise SpaceError(
                f"{self.name}: lengths {self.min_len} to {self.max_len} in multiples of "
                f"{self.multiple_of} leave nothing to draw"
            )
        super()._check()

    @property
    def levels(self) -> range:
        """The multiples within the range."""
        step = self.multiple_of
        return range(-(-self.low // step) * step, self.high + 1, step)

    @property
    def dim(self) -> int:
        """One coordinate for the length, one for each possible member."""
        return 1 + self.max_len

    def decode(self, u: Coordinates, limits: Limits = FREE) -> list[int]:
        """Return the list at ``u``, shape (1 + max_len,)."""
        del limits
        length = self.min_len + index(float(u[0]), self.max_len - self.min_len + 1)
        return sorted(self._pick(float(x)) for x in u[1 : 1 + length])

    def encode(self, value: Json, limits: Limits = FREE) -> tuple[float, ...]:
        """Return cells of the length and of the members; members that are not there get 0.5."""
        del limits
        if not _is_int_list(value) or not value:
            return (ANYWHERE,) * self.dim
        members = sorted(value)[: self.max_len]
        lengths = self.max_len - self.min_len + 1
        length = centre(max(len(members) - self.min_len, 0), lengths)
        absent = (ANYWHERE,) * (self.max_len - len(members))
        return (length, *map(self._spot, members), *absent)

    def contains(self, value: Json, limits: Limits = FREE) -> bool:
        """Whether ``value`` is such a list."""
        del limits
        return (
            _is_int_list(value)
            and self.min_len <= len(value) <= self.max_len
            and value == sorted(value)
            and all(member in self.levels for member in value)
        )

    def count(self, limits: Limits = FREE) -> int:
        """Number of multisets of each length."""
        del limits
        lengths = range(self.min_len, self.max_len + 1)
        return sum(math.comb(len(self.levels) + k - 1, k) for k in lengths)


@dataclass(frozen=True)
class Pair(_Integers):
    """[k, k] with k in [low, high]: a square kernel or patch."""

    def decode(self, u: Coordinates, limits: Limits = FREE) -> list[int]:
        """Return the pair at ``u``, shape (1,)."""
        del limits
        return [self._pick(float(u[0]))] * 2

    def encode(self, value: Json, limits: Limits = FREE) -> tuple[float, ...]:
        """Return the cell of the first member."""
        del limits
        known = _is_int_list(value) and value
        return (self._spot(value[0]) if known else ANYWHERE,)

    def contains(self, value: Json, limits: Limits = FREE) -> bool:
        """Whether ``value`` is two equal integers of the range."""
        del limits
        return (
            _is_int_list(value)
            and len(value) == 2
            and value[0] == value[1]
            and value[0] in self.levels
        )

    def count(self, limits: Limits = FREE) -> int:
        """Number of integers in the range."""
        del limits
        return len(self.levels)


def _is_int_list(value: Json) -> bool:
    return isinstance(value, list) and all(is_int(item) for item in value)
