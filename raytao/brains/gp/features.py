"""Where configurations lie for a kernel: an embedding whose squared distances mean something.

A coordinate of the unit cube owns one or more columns of the embedding and one length scale:

    a number                (x,)                    squared distance (x - x')²
    a category of k         one-hot / √2, k columns 0 if equal, 1 if different
    inactive by a condition 0 there, and for numbers a second column, ABSENT from active ones

Inactive coordinates are all alike, so that a model that is not chosen says nothing about its
parameters, and what is shared between the choices is learned from all of them.

Symbols: ``n`` points; ``d`` coordinates of the cube; ``D`` columns of the embedding.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from raytao.space import Space
from raytao.types import Params

Array: TypeAlias = NDArray[np.float64]
Mask: TypeAlias = NDArray[np.bool_]
Rows: TypeAlias = slice | list[int] | NDArray[np.intp] | Mask
"""What picks some of many: indices, or True where one is meant."""

ABSENT: Final = 0.5
"""How far a number that is inactive lies from an active one in the middle of its range."""
SAMPLED: Final = 64
"""Points from which the usual number of active coordinates is estimated."""


@dataclass(frozen=True)
class Points:
    """Points of the cube: ``x`` (n, d), and which of their coordinates mean anything (n, d)."""

    x: Array
    active: Mask

    def __len__(self) -> int:
        return len(self.x)

    def __getitem__(self, rows: Rows) -> Points:
        return Points(self.x[rows], self.active[rows])

    @staticmethod
    def stacked(parts: Sequence[Points]) -> Points:
        """All points of ``parts``, in order."""
        return Points(
            np.vstack([part.x for part in parts]), np.vstack([part.active for part in parts])
        )


class Features:
    """The embedding of one space.

    Args:
        space: what is searched.
    """

    def __init__(self, space: Space) -> None:
        self.space = space
        self.categorical: Mask = np.array([c.kind == "categorical" for c in space.columns])
        self.steady: Mask = np.zeros(len(self.categorical), dtype=bool)
        """Numbers (d,) along which nothing is ever rough; the epochs are one."""
        self.mixed = bool(self.categorical.any())
        """Whether there are categories beside the numbers."""
        self._conditional = _conditional(space)
        self._encoded: dict[str, Array] = {}

    @cached_property
    def group(self) -> NDArray[np.intp]:
        """Which coordinate (D,) a column of the embedding belongs to."""
        return np.repeat(np.arange(len(self._widths)), self._widths)

    @cached_property
    def numbers(self) -> NDArray[np.intp]:
        """The coordinates that are numbers."""
        return np.flatnonzero(~self.categorical)

    @cached_property
    def column(self) -> NDArray[np.intp]:
        """First column (d,) of each coordinate; that of a number moves with it."""
        return np.cumsum([0, *self._widths[:-1]])

    @cached_property
    def usual_dim(self) -> float:
        """How many coordinates are active in a configuration, on average."""
        if not self._conditional:
            return float(self.space.dim)
        rng = np.random.default_rng(0)
        return float(self.activity(rng.random((SAMPLED, self.space.dim))).sum(axis=1).mean())

    def points(self, configurations: Iterable[Params]) -> Points:
        """Where configurations lie: in the middle of what decodes to them.

        The same trials are asked for again and again, so that their places are kept.
        """
        return self._placed([self._place(params) for params in configurations])

    def snapped(self, x: Array) -> Points:
        """Move points (n, d) to where the configurations that they decode to lie."""
        return self._placed([self.space.encode(self.space.decode(point)) for point in x])

    def levelled(self, x: Array) -> Points:
        """Move coordinates with cells to their middle: nearly snapped, at no cost."""
        level = x.copy()
        for j, column in enumerate(self.space.columns):
            if column.edges:
                edges = np.array([0.0, *column.edges])
                cell = np.searchsorted(edges[1:-1], x[:, j], side="right")
                level[:, j] = (edges[cell] + edges[cell + 1]) / 2
        active = self.activity(level)
        level[~active] = 0.5
        return Points(level, active)

    def activity(self, x: Array) -> Mask:
        """Which coordinates (n, d) are active at points (n, d)."""
        if not self._conditional:
            return np.ones(x.shape, dtype=bool)
        if self._switches is None:
            return np.array([self._active_at(point) for point in x]).reshape(x.shape)
        present: dict[str, Mask] = {}
        for name, switches in self._switches.items():
            on = np.ones(len(x), dtype=bool)
            for switch in switches:
                on &= switch.met_at(x) & present.get(switch.target, on)
            present[name] = on
        return np.stack([present[column.parameter] for column in self.space.columns], axis=1)

    def embed(self, points: Points) -> Array:
        """The embedding (n, D)."""
        if self._plain:
            return points.x
        columns: list[Array] = []
        for j, width in enumerate(self._widths):
            on = points.active[:, j]
            if self.categorical[j]:
                edges = np.array(self.space.columns[j].edges)
                cell = np.searchsorted(edges[:-1], points.x[:, j], side="right")
                columns.append(np.eye(len(edges))[cell] * (on[:, None] / np.sqrt(2.0)))
            elif width == 2:
                columns.append(np.where(on, points.x[:, j] - 0.5, 0.0)[:, None])
                columns.append(np.where(on, 0.0, ABSENT)[:, None])
            else:
                columns.append(points.x[:, j : j + 1])
        return np.hstack(columns)

    def _place(self, params: Params) -> Array:
        key = repr(params)
        if key not in self._encoded:
            self._encoded[key] = self.space.encode(params)
        return self._encoded[key]

    def _placed(self, encoded: list[Array]) -> Points:
        x = np.array(encoded, dtype=np.float64).reshape(-1, self.space.dim)
        return Points(x, self.activity(x))

    @cached_property
    def _plain(self) -> bool:
        """Whether every coordinate is a number that is always there."""
        return not self._conditional and not self.categorical.any()

    @cached_property
    def _widths(self) -> list[int]:
        conditional = set(self._conditional)
        return [
            len(column.edges)
            if column.kind == "categorical"
            else 1 + (column.parameter in conditional)
            for column in self.space.columns
        ]

    @cached_property
    def _switches(self) -> Mapping[str, tuple[_Switch, ...]] | None:
        """What decides over each parameter, parents first; None if only decoding tells."""
        place = {column.parameter: j for j, column in enumerate(self.space.columns)}
        found: dict[str, tuple[_Switch, ...]] = {}
        known = {p.name: p for p in self.space.parameters}
        for parameter in self.space.parameters:
            switches: list[_Switch] = []
            for condition in parameter.conditions:
                if condition.is_relation:
                    continue
                if condition.target not in known:
                    holds = condition.holds(self.space.fixed)
                    switches.append(_Switch(condition.target, None, np.array([holds]), _EDGE))
                    continue
                target = known[condition.target]
                if not target.edges or any(c.is_relation for c in target.conditions):
                    return None
                table = np.array([condition.holds({target.name: v}) for v in target.values()])
                edges = np.array(target.edges[:-1])
                switches.append(_Switch(target.name, place[target.name], table, edges))
            found[parameter.name] = tuple(switches)
        return found

    def _active_at(self, point: Array) -> Mask:
        values = self.space.decode(point)
        return np.array([column.parameter in values for column in self.space.columns])


_EDGE: Final = np.array([], dtype=np.float64)


@dataclass(frozen=True)
class _Switch:
    """One condition: which cells of ``target``'s coordinate meet it; None: it is a constant."""

    target: str
    coordinate: int | None
    table: Mask
    edges: Array

    def met_at(self, x: Array) -> Mask:
        """Whether it is met at points (n, d)."""
        if self.coordinate is None:
            return np.full(len(x), self.table[0])
        cell = np.searchsorted(self.edges, x[:, self.coordinate], side="right")
        met: Mask = self.table[cell]
        return met


def _conditional(space: Space) -> frozenset[str]:
    """Names of the parameters that are not in every configuration."""
    return frozenset(
        p.name for p in space.parameters if any(not c.is_relation for c in p.conditions)
    )
