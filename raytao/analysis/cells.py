"""Parameters as features of a forest, and the cells of the cube that a forest can tell apart.

Every parameter's unit coordinate is cut into cells before a forest is grown: the levels of a short
range, the options of a choice, equal steps of anything else. A forest that was grown on cells is
constant on each of them, so that sums over cells, weighted by their shares of the coordinate, are
exact integrals of the forest over the unit cube.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Final

import numpy as np

from raytao.space import Int, Space
from raytao.space.parameters import Array, Parameter
from raytao.types import Params

STEPS: Final = 32
"""Cells of a parameter that has more values."""

LISTS: Final = 128
"""Lists, drawn once, that stand for all that a list-valued parameter may be."""


@dataclass(frozen=True)
class Factor:
    """One parameter, cut into cells.

    Args:
        name: the parameter's.
        cells: features of each cell, shape (cells, features).
        weights: share of the parameter's unit cube that each cell has, shape (cells,), sum 1.
    """

    name: str
    cells: Array
    weights: Array


class Cube:
    """The unit cube of a space, cut into cells; one factor a parameter, in the space's order."""

    def __init__(self, space: Space) -> None:
        self._space = space
        self._cutters = tuple(_Cutter(parameter) for parameter in space.parameters)
        self.factors: tuple[Factor, ...] = tuple(cutter.factor() for cutter in self._cutters)

    @cached_property
    def columns(self) -> tuple[slice, ...]:
        """Each factor's place among the features."""
        return _places([factor.cells.shape[1] for factor in self.factors])

    @cached_property
    def places(self) -> tuple[slice, ...]:
        """Each factor's place where the cells of all factors stand in a row."""
        return _places([len(factor.weights) for factor in self.factors])

    @cached_property
    def weights(self) -> Array:
        """Weights of the cells of all factors in a row; each factor's add up to 1."""
        return np.concatenate([factor.weights for factor in self.factors])

    def features(self, params: Sequence[Params]) -> Array:
        """Configurations as rows of features, shape (configurations, features).

        A value beyond its range counts as the range's end. NaN stands for what is inactive,
        absent, or no option of the parameter.

        Raises:
            SpaceError: if a name is not searched.
        """
        space = self._space
        points = np.array([space.encode(one) for one in params])
        coordinates = _places([parameter.dim for parameter in space.parameters])
        blocks = []
        for cutter, place in zip(self._cutters, coordinates, strict=True):
            known = [[_has(space, cutter.parameter, one)] for one in params]
            blocks.append(np.where(known, cutter.features(points[:, place]), np.nan))
        return np.hstack(blocks)

    def filled(self, features: Array, rng: np.random.Generator) -> Array:
        """``features`` with a cell drawn at random wherever a factor is NaN.

        As a function on the whole cube the objective does not depend on a coordinate that is not
        read, and this is what a forest then learns.
        """
        filled = features.copy()
        for factor, columns in zip(self.factors, self.columns, strict=True):
            unknown = np.flatnonzero(np.isnan(features[:, columns.start]))
            drawn = rng.choice(len(factor.weights), size=len(unknown), p=factor.weights)
            filled[unknown, columns] = factor.cells[drawn]
        return filled


def _places(sizes: Sequence[int]) -> tuple[slice, ...]:
    return tuple(slice(i, j) for i, j in pairwise([0, *np.cumsum(sizes).tolist()]))


def _has(space: Space, parameter: Parameter, params: Params) -> bool:
    """Whether the configuration has a value of the parameter that means something."""
    if parameter.name not in params:
        return False
    values = {**space.fixed, **params}
    if not all(c.holds(values) for c in parameter.conditions if not c.is_relation):
        return False
    return parameter.kind == "numeric" or parameter.contains(params[parameter.name])


class _Cutter:
    """Cuts one parameter's coordinates into cells."""

    def __init__(self, parameter: Parameter) -> None:
        self.parameter = parameter
        self._edges = np.array(_edges(parameter))
        self._one_hot = parameter.kind == "categorical" and len(self._edges) > 2

    def factor(self) -> Factor:
        """The cells themselves."""
        parameter = self.parameter
        if parameter.dim > 1:
            drawn = np.random.default_rng(0).random((LISTS, parameter.dim))
            lists = [parameter.encode(parameter.decode(u)) for u in drawn]
            return Factor(parameter.name, _single(np.array(lists)), np.full(LISTS, 1 / LISTS))
        widths = np.diff(self._edges, prepend=0.0)
        middles = self._edges - widths / 2
        return Factor(parameter.name, self.features(middles[:, None]), widths)

    def features(self, u: Array) -> Array:
        """Features at coordinates ``u``, shape (n, dim)."""
        if self.parameter.dim > 1:
            return _single(u)
        last = len(self._edges) - 1
        cell = np.minimum(np.searchsorted(self._edges, u[:, 0], side="right"), last)
        return np.eye(last + 1)[cell] if self._one_hot else cell[:, None].astype(np.float64)


def _single(u: Array) -> Array:
    """Round to the 32 bits in which scikit-learn's trees compare."""
    return u.astype(np.float32).astype(np.float64)


def _edges(parameter: Parameter) -> tuple[float, ...]:
    """Upper edges of a parameter's cells on its coordinate, the last one 1."""
    if parameter.edges:
        return (*parameter.edges[:-1], 1.0)
    count = parameter.count()
    if count is None or count > STEPS:
        return _equal(STEPS)
    if count == 1 or not isinstance(parameter, Int):
        return _equal(count)
    edges = [0.0]
    for level in parameter.levels:  # it is encoded as the middle of its cell
        edges.append(2 * float(parameter.encode(level)[0]) - edges[-1])
    return (*edges[1:-1], 1.0)


def _equal(count: int) -> tuple[float, ...]:
    return tuple((k + 1) / count for k in range(count))
