"""Parameters that choose from a list: switches, categories, ordered levels."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import accumulate
from typing import TypeAlias

from raytao.errors import SpaceError
from raytao.space.cells import ANYWHERE, narrow
from raytao.space.conditions import FREE, Limits
from raytao.space.parameters import Coordinates, Kind, Parameter, is_int, is_number, nearest_index
from raytao.spec.limits import refusal_of_value
from raytao.types import Json, ParamValue

Option: TypeAlias = bool | int | float | str

_SMALLEST_SHARE = 1e-9


def same(a: Json, b: Json) -> bool:
    """Whether two options are the same one: ``True`` is not ``1``, but ``1.0`` is ``1``."""
    return isinstance(a, bool) == isinstance(b, bool) and bool(a == b)


@dataclass(frozen=True)
class Categorical(Parameter):
    """One of ``options``, without an order; ``weights`` are the widths of their cells."""

    options: tuple[Option, ...]
    weights: tuple[float, ...] | None = None

    def _check(self) -> None:
        object.__setattr__(self, "options", tuple(self.options))
        if self.weights is not None:
            object.__setattr__(self, "weights", tuple(float(w) for w in self.weights))
        if not self.options:
            raise SpaceError(f"{self.name}: no options to choose from", remedy="list some")
        seen: set[tuple[bool, Option]] = set()
        for option in self.options:
            if why := refusal_of_value(option):
                raise SpaceError(f"{self.name}: an option cannot be used: {why}")
            if (isinstance(option, bool), option) in seen:
                raise SpaceError(f"{self.name}: option {option!r} is listed twice")
            seen.add((isinstance(option, bool), option))
        self._check_weights()

    def _check_weights(self) -> None:
        if self.weights is None:
            return
        if len(self.weights) != len(self.options):
            raise SpaceError(
                f"{self.name}: option_weights length ({len(self.weights)}) must match "
                f"valid_options length ({len(self.options)})"
            )
        smallest, total = min(self.weights), sum(self.weights)
        if not (smallest > 0 and smallest / total >= _SMALLEST_SHARE):
            raise SpaceError(f"{self.name}: all option_weights must be positive numbers")

    @property
    def kind(self) -> Kind:
        """Categories have no order."""
        return "categorical"

    @property
    def edges(self) -> tuple[float, ...]:
        """Upper edges of all cells."""
        return self._edges(0, len(self.options))

    def _slice(self, limits: Limits) -> tuple[int, int]:
        del limits
        return 0, len(self.options)

    def _edges(self, i: int, j: int) -> tuple[float, ...]:
        widths = self.weights[i:j] if self.weights else (1.0,) * (j - i)
        sums = tuple(accumulate(widths))
        return tuple(s / sums[-1] for s in sums)

    def _place(self, value: Json) -> int | None:
        """Index of the option that ``value`` is, or of the one nearest to it."""
        found = (k for k, option in enumerate(self.options) if same(option, value))
        return next(found, None)

    def decode(self, u: Coordinates, limits: Limits = FREE) -> Option:
        """Return the option whose cell holds ``u``, shape (1,)."""
        i, j = self._slice(limits)
        cell = bisect_right(self._edges(i, j), float(u[0]))
        return self.options[min(i + cell, j - 1)]

    def encode(self, value: Json, limits: Limits = FREE) -> tuple[float, ...]:
        """Return the middle of the option's cell; an unknown option gets 0.5."""
        i, j = self._slice(limits)
        place = self._place(value)
        if place is None or j - i == 1:
            return (ANYWHERE,)
        cell = min(max(place, i), j - 1) - i
        edges = (0.0, *self._edges(i, j))
        return ((edges[cell] + edges[cell + 1]) / 2,)

    def contains(self, value: Json, limits: Limits = FREE) -> bool:
        """Whether ``value`` is one of the options that ``limits`` leave."""
        return any(same(value, option) for option in self.values(limits))

    def count(self, limits: Limits = FREE) -> int:
        """Number of options that ``limits`` leave."""
        i, j = self._slice(limits)
        return j - i

    def values(self, limits: Limits = FREE) -> Iterable[Option]:
        """The options that ``limits`` leave."""
        i, j = self._slice(limits)
        return self.options[i:j]

    def read(self, value: Json) -> ParamValue:
        """Return a spec's value; it need not be one of the options."""
        if not isinstance(value, bool | int | float | str):
            raise self._refused(value, f"option such as {self.options[0]!r}")
        return value


@dataclass(frozen=True)
class Ordered(Categorical):
    """One of ``options``, listed in their order: neighbours are alike."""

    @property
    def kind(self) -> Kind:
        """An order is a number to a model."""
        return "numeric"


@dataclass(frozen=True)
class OrderedInt(Ordered):
    """One of a few integers, ascending."""

    def _check(self) -> None:
        if not all(is_int(option) for option in self.options):
            raise SpaceError(f"{self.name}: options {list(self.options)} must be integers")
        ranks = sorted(range(len(self.options)), key=lambda k: self.options[k])
        if self.weights is not None and len(self.weights) == len(ranks):
            object.__setattr__(self, "weights", tuple(self.weights[k] for k in ranks))
        object.__setattr__(self, "options", tuple(self.options[k] for k in ranks))
        super()._check()

    @property
    def comparable(self) -> bool:
        """A number is comparable."""
        return True

    @property
    def _levels(self) -> tuple[int, ...]:
        return tuple(int(option) for option in self.options)

    def _slice(self, limits: Limits) -> tuple[int, int]:
        return narrow(self._levels, limits)

    def _place(self, value: Json) -> int | None:
        return nearest_index(self._levels, value) if is_number(value) else None

    def read(self, value: Json) -> int:
        """Return a spec's integer."""
        if not is_int(value):
            raise self._refused(value, "integer")
        return int(value)


@dataclass(frozen=True)
class Bool(Parameter):
    """A switch: off below the middle of its coordinate, on above."""

    def _check(self) -> None:
        """Nothing can be wrong with a switch."""

    @property
    def kind(self) -> Kind:
        """Two categories."""
        return "categorical"

    @property
    def edges(self) -> tuple[float, ...]:
        """Two equal cells."""
        return (0.5, 1.0)

    def decode(self, u: Coordinates, limits: Limits = FREE) -> bool:
        """Return whether ``u``, shape (1,), lies in the upper half."""
        del limits
        return bool(u[0] >= 0.5)

    def encode(self, value: Json, limits: Limits = FREE) -> tuple[float, ...]:
        """Return the middle of the half."""
        del limits
        return (0.75 if value else 0.25,) if isinstance(value, bool) else (ANYWHERE,)

    def contains(self, value: Json, limits: Limits = FREE) -> bool:
        """Whether ``value`` is a bool."""
        del limits
        return isinstance(value, bool)

    def count(self, limits: Limits = FREE) -> int:
        """Two."""
        del limits
        return 2

    def values(self, limits: Limits = FREE) -> Iterable[ParamValue]:
        """Off and on."""
        del limits
        return (False, True)

    def read(self, value: Json) -> bool:
        """Return a spec's bool."""
        if not isinstance(value, bool):
            raise self._refused(value, "bool")
        return value
