"""Where a function over a space is largest, among the configurations that are left to try.

Points of the unit cube stand for a configuration only after they are snapped: moved to where the
configuration that they decode to is encoded. Numbers follow the gradient from the best of many
candidates; what has cells (categories, ordered levels) is moved one at a time.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Final, Protocol

import numpy as np
from scipy.optimize import fmin_l_bfgs_b
from scipy.stats import qmc

from raytao.brains.gp.features import Array, Features, Mask, Points

PARENTS: Final = 3
CHILDREN: Final = 24
WIDTHS: Final = (0.2, 0.05)
"""Perturbations of so many of the best trials are candidates as well, for each of these widths."""
MOVED: Final = 0.5
"""Share of the coordinates that a perturbation moves; one at least."""
BOX: Final = 0.25
"""How far from a point the numbers go that are searched around it."""
BESIDE: Final = 192
"""Candidates in that box."""
SHARES: Final = (0.2, 0.5, 1.0)
"""Shares of the numbers that a candidate in the box moves."""
STEPS: Final = 20
"""Of climbers, at most."""
MOVES: Final = 3
"""Rounds of changing one cell at a time."""
NEIGHBOURS: Final = 32
"""Changes of one cell that are looked at in a round."""
FAILED_RADIUS: Final = 0.05
"""Half the side of the box around a failed trial that is searched only when all else is tried."""
SAME: Final = 1e-9
LAST_DRAWS: Final = 4096
"""Random draws before a space is taken to hold nothing new."""


@dataclass(frozen=True)
class Effort:
    """How hard the maximum is looked for.

    Args:
        bits: ``2 ** bits`` candidates cover the cube.
        climbers: so many of the best candidates follow the gradient.
        gain: they stop once a step gains less than this share.
        scrambled: scramble the cover anew each time; else one cover is shifted, which costs less.
    """

    bits: int = 8
    climbers: int = 4
    gain: float = 1e-4
    scrambled: bool = True

    def cover(self, dim: int, rng: np.random.Generator) -> Array:
        """Points (2 ** bits, dim) all over the cube."""
        if self.scrambled:
            return sobol(dim, self.bits, rng)
        shifted: Array = (_unscrambled(dim, self.bits) + rng.random(dim)) % 1.0
        return shifted


@lru_cache(maxsize=8)
def _unscrambled(dim: int, bits: int) -> Array:
    points: Array = qmc.Sobol(dim, scramble=False).random_base2(bits)
    return points


@dataclass(frozen=True)
class Cell:
    """One option of a category: the points of which one coordinate lies between two edges.

    Args:
        coordinate: which one.
        low: the cell's lower edge.
        high: its upper edge.
    """

    coordinate: int
    low: float
    high: float

    @property
    def middle(self) -> float:
        """Where the coordinate of a snapped point is."""
        return (self.low + self.high) / 2

    def holds(self, x: Array) -> Mask:
        """Which of the points (n, d) lie in it: (n,)."""
        place = x[:, self.coordinate]
        inside: Mask = (self.low <= place) & (place <= self.high)
        return inside


class Surface(Protocol):
    """What is maximised, over embedded points (m, D)."""

    def value(self, points: Array) -> Array:
        """Values (m,)."""

    def value_with_gradient(self, points: Array) -> tuple[Array, Array]:
        """Values (m,) and gradients (m, D)."""


def sobol(dim: int, bits: int, rng: np.random.Generator) -> Array:
    """The first ``2 ** bits`` points of a scrambled Sobol sequence."""
    points: Array = qmc.Sobol(dim, scramble=True, seed=rng).random_base2(bits)
    return points


@dataclass(frozen=True)
class Search:
    """The configurations that are left to try.

    Args:
        features: of the space that is searched.
        tried: snapped points that are never found again.
        failed: those of them around which a box is avoided.
        effort: see `Effort`.
    """

    features: Features
    tried: Points
    failed: Points
    effort: Effort = Effort()

    @property
    def exhausted(self) -> bool:
        """Whether a finite space has nothing left."""
        size = self.features.space.size
        return size is not None and len(self._keys) >= size

    def is_new(self, point: Array) -> bool:
        """Whether a snapped point (d,) has not been tried."""
        return point.tobytes() not in self._keys

    def maximise(
        self,
        surface: Surface,
        parents: Points,
        rng: np.random.Generator,
        *,
        around: Array | None = None,
        within: Cell | None = None,
    ) -> Array | None:
        """The best new point found from everywhere and from around ``parents``.

        Args:
            surface: what is maximised.
            parents: snapped points that are worth a look around, the best first.
            rng: the only source of randomness.
            around: a snapped point (d,) that shall not be left by far: a box of numbers, and one
                other category at most; None searches everywhere.
            within: the only cell that is searched; None searches all.

        Returns:
            A snapped point (d,); None if no candidate was new.
        """
        low, high = np.zeros(self.features.space.dim), np.ones(self.features.space.dim)
        if around is None:
            raw = [self.effort.cover(self.features.space.dim, rng)]
            for parent in parents.x[:PARENTS]:
                raw += [self._around(parent, width, rng) for width in WIDTHS]
        else:
            low, high = np.clip(around - BOX, 0.0, 1.0), np.clip(around + BOX, 0.0, 1.0)
            raw = [self._beside(around, rng)]
        candidates = np.vstack(raw)
        if within is not None:
            candidates[:, within.coordinate] = within.middle
        level = self.features.levelled(candidates)
        order = np.argsort(-surface.value(self.features.embed(level)), kind="stable")
        starts = level[order[: self.effort.climbers]]
        climbed = self._climbed(starts, surface, low, high)
        if around is None:
            climbed = self._moved(climbed, surface, rng, within)
        found = self._best(Points.stacked([climbed, starts]), surface, avoid=True)
        if found is None:  # all of the best are known, or beside a failure: look at the rest
            found = self._best(level[order], surface, avoid=True)
        return self._best(level[order], surface, avoid=False) if found is None else found

    def anything(self, rng: np.random.Generator) -> Array | None:
        """Any new point; None if thousands of draws find none."""
        for raw in rng.random((LAST_DRAWS, self.features.space.dim)):
            point: Array = self.features.snapped(raw[None]).x[0]
            if self.is_new(point):
                return point
        return None

    def _climbed(self, starts: Points, surface: Surface, low: Array, high: Array) -> Points:
        """Follow the gradient over the active numbers, all starts at once, from low to high."""
        features = self.features
        rows, columns = np.nonzero(starts.active & ~features.categorical)
        if not len(rows):
            return starts
        place = features.column[columns]

        def negative(flat: Array) -> tuple[float, Array]:
            values, gradient = surface.value_with_gradient(features.embed(moved(flat)))
            return -float(values.sum()), -gradient[rows, place]

        def moved(flat: Array) -> Points:
            x = starts.x.copy()
            x[rows, columns] = flat
            return Points(x, starts.active)

        begin = starts.x[rows, columns]
        bounds = np.stack([low[columns], high[columns]], axis=1)
        # `minimize` would check for a tenth of a millisecond what is known to be so.
        factor = self.effort.gain / np.finfo(np.float64).eps
        end, _, _ = fmin_l_bfgs_b(negative, begin, bounds=bounds, factr=factor, maxiter=STEPS)
        return moved(np.clip(end, *bounds.T))  # rounding may have left them by a digit

    def _moved(
        self,
        points: Points,
        surface: Surface,
        rng: np.random.Generator,
        within: Cell | None,
    ) -> Points:
        """Change one cell of the best point at a time, as long as that helps, but not within."""
        kept = None if within is None else within.coordinate
        cells = [(j, middles) for j, middles in self._cells if j != kept]
        if not cells:
            return points
        values = surface.value(self.features.embed(points))
        for _ in range(MOVES):
            best = int(np.argmax(values))
            near = self.features.levelled(_neighbours(points.x[best], cells, rng))
            heights = surface.value(self.features.embed(near))
            top = int(np.argmax(heights))
            if heights[top] <= values[best]:
                break
            box = np.zeros(near.x.shape[1]), np.ones(near.x.shape[1])
            climbed = self._climbed(near[[top]], surface, *box)
            points = Points.stacked([points, climbed])
            values = np.append(values, surface.value(self.features.embed(climbed)))
        return points

    def _best(self, points: Points, surface: Surface, *, avoid: bool) -> Array | None:
        """The best of ``points``, snapped, that is new (and, to avoid, beside no failure)."""
        snapped = self.features.snapped(points.x)
        left = np.array([self.is_new(point) for point in snapped.x])
        if avoid:
            left &= ~self._beside_a_failure(snapped.x)
        if not left.any():
            return None
        open_ = snapped[left]
        best: Array = open_.x[np.argmax(surface.value(self.features.embed(open_)))]
        return best

    @cached_property
    def _keys(self) -> set[bytes]:
        return {point.tobytes() for point in self.tried.x}

    @cached_property
    def _cells(self) -> list[tuple[int, list[float]]]:
        """Coordinates with cells, and the middles of these."""
        found = []
        for j, column in enumerate(self.features.space.columns):
            if len(column.edges) > 1:  # one option leaves nothing to change
                edges = np.array([0.0, *column.edges])
                found.append((j, ((edges[:-1] + edges[1:]) / 2).tolist()))
        return found

    @cached_property
    def _widest(self) -> Array:
        """Width (d,) of a cell where the coordinate has some, else 0."""
        columns = self.features.space.columns
        return np.array([1.0 / c.options if c.options else 0.0 for c in columns])

    def _beside_a_failure(self, points: Array) -> Mask:
        gaps = np.abs(points[:, None, :] - self.failed.x[None, :, :])
        reach = np.where(self.features.categorical, SAME, FAILED_RADIUS)
        inside: Mask = np.all(gaps <= reach, axis=2)
        beside: Mask = np.any(inside, axis=1)
        return beside

    def _around(self, point: Array, width: float, rng: np.random.Generator) -> Array:
        """Perturb some coordinates of ``point``: numbers by normal steps, categories anew."""
        d = len(point)
        moved = rng.random((CHILDREN, d)) < MOVED
        moved[np.arange(CHILDREN), rng.integers(d, size=CHILDREN)] = True
        steps = rng.standard_normal((CHILDREN, d)) * np.maximum(width, self._widest)
        fresh = np.where(self.features.categorical, rng.random((CHILDREN, d)), point + steps)
        return np.clip(np.where(moved, fresh, point), 0.0, 1.0)

    def _beside(self, point: Array, rng: np.random.Generator) -> Array:
        """Points (BESIDE, d) in the box around ``point``, half of them with another cell.

        A fifth, a half or all of the numbers move: often it is one of them that is wrong.
        """
        d = len(point)
        share = rng.choice(SHARES, size=(BESIDE, 1))
        moved = rng.random((BESIDE, d)) < share
        moved[np.arange(BESIDE), rng.integers(d, size=BESIDE)] = True
        steps = np.clip(point + BOX * (2.0 * rng.random((BESIDE, d)) - 1.0), 0.0, 1.0)
        celled = self._widest > 0.0
        x = np.where(moved & ~celled, steps, point)
        if celled.any():
            changed = np.flatnonzero(rng.random(BESIDE) < 0.5)
            x[changed, rng.choice(np.flatnonzero(celled), len(changed))] = rng.random(len(changed))
        return x


def _neighbours(
    point: Array, cells: Sequence[tuple[int, list[float]]], rng: np.random.Generator
) -> Array:
    """Points (k, d) with another of the ``cells`` in one coordinate; at most NEIGHBOURS."""
    changes = [(j, middle) for j, middles in cells for middle in middles if middle != point[j]]
    if len(changes) > NEIGHBOURS:
        changes = [changes[i] for i in rng.permutation(len(changes))[:NEIGHBOURS]]
    near = np.repeat(point[None], len(changes), axis=0)
    for row, (j, middle) in zip(near, changes, strict=True):
        row[j] = middle
    return near
