"""Search for the configuration with the largest acquisition value.

Points are always *snapped*, that is decoded to a configuration and encoded again: the model is
asked about what would be trained, and equal configurations are equal points, bit for bit.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Final, TypeAlias

import numpy as np
from scipy.stats import qmc

from raytao.brains.gp.kernel import SAME_CATEGORY, Array, Mask
from raytao.space import Space

GLOBAL_BITS: Final = 9
"""2 ** 9 = 512 candidates cover the cube."""
PARENTS: Final = 5
CHILDREN: Final = 32
WIDTH: Final = 0.1
"""Perturbations of so many of the best trials are candidates as well."""
REFINEMENTS: Final = (0.1, 0.05, 0.02, 0.01)
"""Widths of the perturbations around the best candidates, round by round."""
REFINED: Final = 4
SHORTLIST: Final = 64
REFINED_SHORTLIST: Final = 16
"""Only so many of the candidates are snapped: it is what takes the time."""
MOVED: Final = 0.3
"""Share of the coordinates that a perturbation moves; one at least."""
FAILED_RADIUS: Final = 0.05
"""Half the side of the box around a failed trial that is searched only when all else is tried."""
LAST_DRAWS: Final = 4096
"""Random draws before a space is taken to hold nothing new."""

Value: TypeAlias = Callable[[Array], Array]
"""What is maximised: points (m, d) to values (m,)."""


def categorical_columns(space: Space) -> Mask:
    """Which coordinates (d,) hold a category."""
    return np.array([column.kind == "categorical" for column in space.columns])


def snap(space: Space, points: Array) -> Array:
    """Move points (m, d) to where the configurations that they decode to are encoded."""
    snapped = np.empty_like(points)
    for i, point in enumerate(points):
        snapped[i] = space.encode(space.decode(point))
    return snapped


def sobol(dim: int, bits: int, rng: np.random.Generator) -> Array:
    """The first ``2 ** bits`` points of a scrambled Sobol sequence."""
    points: Array = qmc.Sobol(dim, scramble=True, seed=rng).random_base2(bits)
    return points


@dataclass(frozen=True)
class Search:
    """The configurations that are left to try.

    Args:
        space: what is searched.
        tried: (n, d) snapped points that are never found again.
        failed: (k, d) those of them around which a box is avoided.
    """

    space: Space
    tried: Array
    failed: Array

    @property
    def exhausted(self) -> bool:
        """Whether a finite space has nothing left."""
        return self.space.size is not None and len(self._keys) >= self.space.size

    def is_new(self, point: Array) -> bool:
        """Whether a snapped point (d,) has not been tried."""
        return point.tobytes() not in self._keys

    def maximise(self, value: Value, parents: Array, rng: np.random.Generator) -> Array | None:
        """The best new point found from everywhere and from around ``parents``.

        Args:
            value: what is maximised.
            parents: (p, d) snapped points that are worth a look around.
            rng: the only source of randomness.

        Returns:
            A snapped point (d,); None if no candidate was new.
        """
        everywhere = sobol(self.space.dim, GLOBAL_BITS, rng)
        near = [self._around(parent, WIDTH, CHILDREN, rng) for parent in parents[:PARENTS]]
        raw = self._ranked(np.vstack([everywhere, *near]), value)
        points = self._open(snap(self.space, raw[:SHORTLIST]))
        if not len(points):
            left = self._new(snap(self.space, raw))
            outside = self._open(left)
            points = outside if len(outside) else left
        return self._refined(points, value, rng) if len(points) else None

    def anything(self, rng: np.random.Generator) -> Array | None:
        """Any new point; None if thousands of draws find none."""
        for raw in rng.random((LAST_DRAWS, self.space.dim)):
            point: Array = snap(self.space, raw[None])[0]
            if self.is_new(point):
                return point
        return None

    def _refined(self, points: Array, value: Value, rng: np.random.Generator) -> Array:
        """The best of ``points``, after looking closer and closer around the best few."""
        values = value(points)
        for width in REFINEMENTS:
            order = np.argsort(-values, kind="stable")[:REFINED]
            points, values = points[order], values[order]
            near = [self._around(point, width, CHILDREN, rng) for point in points]
            raw = self._ranked(np.vstack(near), value)
            children = self._open(snap(self.space, raw[:REFINED_SHORTLIST]))
            if len(children):
                points = np.vstack([points, children])
                values = np.concatenate([values, value(children)])
        best: Array = points[np.argmax(values)]
        return best

    @cached_property
    def _keys(self) -> set[bytes]:
        return {point.tobytes() for point in self.tried}

    @cached_property
    def _categorical(self) -> Mask:
        return categorical_columns(self.space)

    def _ranked(self, raw: Array, value: Value) -> Array:
        """Raw points by falling value: a guess, which spares most of them the way to snap."""
        order = np.argsort(-value(self._level(raw)), kind="stable")
        return raw[order]

    def _level(self, raw: Array) -> Array:
        """Move coordinates that are cells to their middle: nearly snapped, at no cost."""
        level = raw.copy()
        for j, column in enumerate(self.space.columns):
            if column.edges:
                edges = np.array([0.0, *column.edges])
                cell = np.searchsorted(edges[1:-1], raw[:, j], side="right")
                level[:, j] = (edges[cell] + edges[cell + 1]) / 2
        return level

    @cached_property
    def _cells(self) -> Array:
        """Width (d,) of a cell where the coordinate has a few, else 0."""
        return np.array([1.0 / c.options if c.options else 0.0 for c in self.space.columns])

    def _new(self, points: Array) -> Array:
        """Those of ``points`` that have not been tried."""
        return points[[self.is_new(point) for point in points]]

    def _open(self, points: Array) -> Array:
        """The new ones of ``points`` that are not beside a failed trial."""
        new = self._new(points)
        return new[~self._beside_a_failed(new)]

    def _beside_a_failed(self, points: Array) -> Mask:
        gaps = np.abs(points[:, None, :] - self.failed[None, :, :])
        reach = np.where(self._categorical, SAME_CATEGORY, FAILED_RADIUS)
        inside: Mask = np.all(gaps <= reach, axis=2)
        beside: Mask = np.any(inside, axis=1)
        return beside

    def _around(self, point: Array, width: float, count: int, rng: np.random.Generator) -> Array:
        """Perturb some coordinates of ``point``: numbers by normal steps, categories anew."""
        d = len(point)
        moved = rng.random((count, d)) < MOVED
        moved[np.arange(count), rng.integers(d, size=count)] = True
        steps = rng.standard_normal((count, d)) * np.maximum(width, self._cells)
        fresh = np.where(self._categorical, rng.random((count, d)), point + steps)
        return np.clip(np.where(moved, fresh, point), 0.0, 1.0)
