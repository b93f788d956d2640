"""A forest of scikit-learn as a sum of boxes with values.

A forest is the sum of the values of all leaves whose box holds a point. Its mean over some of the
parameters is therefore a sum over leaves as well, each with the share of these parameters' cube
that its box covers (Hutter et al., 2014, "An efficient approach for assessing hyperparameter
importance").
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from raytao.analysis.cells import Cube
from raytao.space.parameters import Array

AT_ONCE: Final = 8_192
"""Leaves whose cells are in memory together."""


@dataclass(frozen=True)
class Boxes:
    """The leaves of all trees: ``lower < feature <= upper``, shapes (leaves, features).

    ``values`` are the leaves' means divided by the number of trees, shape (leaves,).
    """

    lower: Array
    upper: Array
    values: Array

    @classmethod
    def of(cls, forest: Any) -> Boxes:
        """Read a fitted forest."""
        trees = [estimator.tree_ for estimator in forest.estimators_]
        first = np.cumsum([0, *(tree.node_count for tree in trees)])[:-1]
        numbered = list(zip(trees, first, strict=True))
        left = np.concatenate([tree.children_left + i for tree, i in numbered])
        right = np.concatenate([tree.children_right + i for tree, i in numbered])
        feature = np.concatenate([tree.feature for tree in trees])
        threshold = np.concatenate([tree.threshold for tree in trees])
        values = np.concatenate([tree.value[:, 0, 0] for tree in trees]) / len(trees)
        leaf = feature < 0
        lower = np.full((len(feature), forest.n_features_in_), -np.inf)
        upper = np.full_like(lower, np.inf)
        level = first  # the roots; then their children, of all trees at once
        while len(inner := level[~leaf[level]]):
            below, above = left[inner], right[inner]
            for children in (below, above):
                lower[children], upper[children] = lower[inner], upper[inner]
            upper[below, feature[inner]] = threshold[inner]
            lower[above, feature[inner]] = threshold[inner]
            level = np.concatenate([below, above])
        return cls(lower[leaf], upper[leaf], values[leaf])

    def mean(self, cube: Cube) -> tuple[float, Array]:
        """The mean over the cube, and given each cell, shape (cells of all factors,)."""
        overall, given = 0.0, np.zeros(len(cube.weights))
        for piece in self._pieces():
            held, volumes = piece._coverage(cube, range(len(cube.factors)))
            overall += float(volumes.sum())
            given += volumes @ held
        return overall, given

    def mean_given_two(self, cube: Cube, factors: list[int]) -> Array:
        """The mean given each two cells of ``factors``, shape (their cells, their cells).

        The entries for two cells of the same factor mean nothing.
        """
        given: Array = np.zeros(())
        for piece in self._pieces():
            held, volumes = piece._coverage(cube, factors)
            given = given + held.T @ (held * volumes[:, None])
        return given

    def around(self, cube: Cube, point: Array) -> Array:
        """The forest where one factor is in each cell and the others stay at ``point``.

        Args:
            cube: what the features mean.
            point: shape (features,); over factors that are NaN the mean is taken.

        Returns:
            Shape (cells of all factors,).
        """
        answer = np.zeros(len(cube.weights))
        for piece in self._pieces():
            stays = np.ones((len(cube.factors), len(piece.values)))
            for k, (factor, columns) in enumerate(zip(cube.factors, cube.columns, strict=True)):
                if np.isnan(point[columns.start]):
                    stays[k] = piece._hold(columns, factor.cells) @ factor.weights
                else:
                    stays[k] = piece._hold(columns, point[None, columns])[:, 0]
            others = _product_of_others(stays)
            for k, columns in enumerate(cube.columns):
                near = others[k] > 0
                part = Boxes(piece.lower[near], piece.upper[near], piece.values[near])
                held = part._hold(columns, cube.factors[k].cells)
                answer[cube.places[k]] += (part.values * others[k][near]) @ held
        return answer

    def _pieces(self) -> Iterator[Boxes]:
        for i in range(0, len(self.values), AT_ONCE):
            part = slice(i, i + AT_ONCE)
            yield Boxes(self.lower[part], self.upper[part], self.values[part])

    def _coverage(self, cube: Cube, factors: range | list[int]) -> tuple[Array, Array]:
        """Of each box: how likely it holds a point, given the point's cell, relative to not given.

        Returns:
            The relative probability, shape (leaves, cells of ``factors``), and value x volume of
            each box, shape (leaves,): their products are the means of the forest.
        """
        volumes = self.values.copy()
        relative = []
        for k, (factor, columns) in enumerate(zip(cube.factors, cube.columns, strict=True)):
            held = self._hold(columns, factor.cells)
            width = held @ factor.weights
            volumes *= width
            if k in factors:  # a box that holds none of the lists that were drawn has width 0
                relative.append(held / np.where(width > 0, width, 1.0)[:, None])
        return np.hstack(relative), volumes

    def _hold(self, columns: slice, features: Array) -> NDArray[np.bool_]:
        """Which boxes hold which rows of ``features`` in ``columns``, shape (leaves, rows)."""
        inside = np.ones((len(self.values), len(features)), dtype=np.bool_)
        for column, feature in zip(range(columns.start, columns.stop), features.T, strict=True):
            inside &= self.lower[:, [column]] < feature
            inside &= feature <= self.upper[:, [column]]
        return inside


def _product_of_others(rows: Array) -> Array:
    """For each row the product of all other rows; by factors from both ends, as some are 0."""
    before, after = np.ones_like(rows), np.ones_like(rows)
    np.cumprod(rows[:-1], axis=0, out=before[1:])
    after[:-1] = np.cumprod(rows[:0:-1], axis=0)[::-1]
    return before * after
