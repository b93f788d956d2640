"""The means and variances of a forest, against sums over every cell of a small cube."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.ensemble import RandomForestRegressor

from raytao.analysis import boxes, decomposition
from raytao.analysis.boxes import Boxes
from raytao.analysis.cells import Cube
from raytao.analysis.decomposition import shares
from raytao.space import Bool, Categorical, Float, Int, OrderedInt, Space
from raytao.space.parameters import Array

MIXED = Space(
    [
        Float("rate", 1e-4, 1.0, log=True),
        Int("layers", 1, 5, log=True),
        Categorical("optimizer", ("adam", "sgd", "rmsprop"), weights=(1.0, 2.0, 5.0)),
        Bool("nesterov"),
    ]
)


@dataclass(frozen=True)
class Grown:
    """A forest on random scores of random configurations, and its value in every cell."""

    cube: Cube
    forest: Any
    values: Array
    """One axis a parameter."""
    point: Array

    def averaged(self, *kept: int) -> Array:
        """Mean of the forest over all parameters but ``kept``, by brute force."""
        table = self.values
        for k in reversed(range(table.ndim)):
            if k not in kept:
                table = np.tensordot(table, self.cube.factors[k].weights, axes=(k, 0))
        return np.asarray(table)

    def mean_square(self, table: Array, *kept: int) -> float:
        """Mean of the square of a table over the parameters ``kept``, its axes."""
        square = table**2
        for k in reversed(kept):
            square = np.asarray(square @ self.cube.factors[k].weights)
        return float(square)


def grown(seed: int, trials: int = 25, trees: int = 3) -> Grown:
    rng = np.random.default_rng(seed)
    cube = Cube(MIXED)
    features = cube.features([MIXED.sample(rng) for _ in range(trials)])
    forest = RandomForestRegressor(trees, random_state=seed).fit(features, rng.random(trials))
    cells = product(*(factor.cells for factor in cube.factors))
    rows = np.array([np.concatenate(one) for one in cells])
    shape = [len(factor.weights) for factor in cube.factors]
    return Grown(cube, forest, forest.predict(rows).reshape(shape), features[0])


SEEDS = st.integers(0, 10_000)


@settings(max_examples=15, deadline=None)
@given(SEEDS)
def test_means_given_a_cell_are_those_of_the_forest(seed: int) -> None:
    one = grown(seed)
    overall, given_cell = Boxes.of(one.forest).mean(one.cube)
    assert overall == pytest.approx(float(one.averaged()))
    for k, place in enumerate(one.cube.places):
        assert given_cell[place] == pytest.approx(one.averaged(k))


@settings(max_examples=15, deadline=None)
@given(SEEDS)
def test_means_given_two_cells_are_those_of_the_forest(seed: int) -> None:
    one = grown(seed)
    table = Boxes.of(one.forest).mean_given_two(one.cube, [0, 2, 3])
    rates, optimizers = slice(0, 32), slice(32, 35)
    assert table[rates, optimizers] == pytest.approx(one.averaged(0, 2))
    assert table[optimizers, 35:] == pytest.approx(one.averaged(2, 3))


@settings(max_examples=15, deadline=None)
@given(SEEDS, st.sets(st.integers(0, 3)))
def test_around_a_point_the_others_stay_and_unknown_ones_are_averaged(
    seed: int, unknown: set[int]
) -> None:
    one = grown(seed)
    point, at = one.point.copy(), []
    for k, (factor, columns) in enumerate(zip(one.cube.factors, one.cube.columns, strict=True)):
        at.append(int(np.flatnonzero((factor.cells == point[columns]).all(axis=1))[0]))
        if k in unknown:
            point[columns] = np.nan
    along = Boxes.of(one.forest).around(one.cube, point)
    for k, place in enumerate(one.cube.places):
        kept = sorted({0, 1, 2, 3} - unknown | {k})
        table = one.averaged(*kept)
        where = tuple(slice(None) if j == k else at[j] for j in kept)
        assert along[place] == pytest.approx(table[where])


def test_leaves_in_many_pieces_are_the_same_forest(monkeypatch: pytest.MonkeyPatch) -> None:
    one = grown(3)
    whole = Boxes.of(one.forest)
    before = (*whole.mean(one.cube), whole.mean_given_two(one.cube, [0, 1]))
    monkeypatch.setattr(boxes, "AT_ONCE", 7)
    after = (*whole.mean(one.cube), whole.mean_given_two(one.cube, [0, 1]))
    for x, y in zip(before, after, strict=True):
        assert y == pytest.approx(x)
    assert whole.around(one.cube, one.point).shape == one.cube.weights.shape


@settings(max_examples=10, deadline=None)
@given(SEEDS)
def test_shares_are_the_variances_of_the_forest(seed: int) -> None:
    one = grown(seed)
    found = shares(one.forest, one.cube, one.point, np.random.default_rng(seed), None)
    mean = one.averaged()
    total = one.mean_square(one.values - mean, 0, 1, 2, 3)
    alone = [one.averaged(k) - mean for k in range(4)]
    for k in range(4):
        share = one.mean_square(alone[k], k) / total
        assert found.main[k,] == pytest.approx(share, rel=0.15, abs=1e-9)
    for i, j in found.pairs:
        table = one.averaged(i, j) - mean - alone[i][:, None] - alone[j]
        share = one.mean_square(table, i, j) / total
        assert found.pairs[i, j] == pytest.approx(share, rel=0.15, abs=1e-9)
    assert sum(found.main.values()) + sum(found.pairs.values()) <= 1 + 1e-9
    assert sum(found.local.values()) == pytest.approx(1)


def test_pairs_are_those_of_the_largest_main_effects(monkeypatch: pytest.MonkeyPatch) -> None:
    one = grown(1)
    rng = np.random.default_rng(0)
    every = shares(one.forest, one.cube, one.point, rng, None)
    monkeypatch.setattr(decomposition, "MOST_PAIRED", 2)
    few = shares(one.forest, one.cube, one.point, rng, None)
    largest = sorted(range(4), key=lambda k: -every.main[k,])[:2]
    assert list(few.pairs) == [tuple(sorted(largest))]


def test_a_forest_that_is_flat_has_no_shares_and_no_nan() -> None:
    space = Space([OrderedInt("depth", (1, 2, 3)), Bool("bias")])
    cube = Cube(space)
    features = cube.features([{"depth": 1, "bias": True}, {"depth": 2, "bias": False}] * 5)
    forest = RandomForestRegressor(4, random_state=0).fit(features, np.ones(10))
    found = shares(forest, cube, features[0], np.random.default_rng(0), None)
    assert set(found.main.values()) == {0.0}
    assert found.pairs == {(0, 1): 0.0}
    assert set(found.local.values()) == {0.0}
