"""The embedding: what is near in it, and which coordinates mean anything."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import pytest

from raytao.brains.gp.features import Features
from raytao.space import Bool, Categorical, Condition, Float, Int, Ordered, Space
from raytao.types import Params, ParamValue

FLAT = Space([Float("lr", 1e-4, 1e-1, log=True), Categorical("optim", ("sgd", "adam", "lion"))])
TREE = Space(
    [
        Categorical("model", ("forest", "svm", "mlp"), weights=(0.5, 0.3, 0.2)),
        Int("forest.depth", 1, 20, conditions=(Condition("==", "model", "forest"),)),
        Float("svm.C", 1e-3, 1e3, log=True, conditions=(Condition("==", "model", "svm"),)),
        Bool("svm.rbf", conditions=(Condition("==", "model", "svm"),)),
        Float("svm.gamma", 1e-4, 1.0, conditions=(Condition("==", "svm.rbf", True),)),
        Ordered("units", (8, 16, 32), conditions=(Condition("in", "model", ("mlp", "svm")),)),
    ]
)
"""A choice, what hangs on it, and what hangs on that."""


def gap(features: Features, one: Params, other: Params) -> float:
    e = features.embed(features.points([one, other]))
    return float(((e[0] - e[1]) ** 2).sum())


def test_numbers_lie_apart_by_their_coordinates_and_categories_by_one() -> None:
    features = Features(FLAT)
    near: dict[str, ParamValue] = {"lr": 1e-3, "optim": "sgd"}
    assert gap(features, near, {**near, "lr": 1e-2}) == pytest.approx((1 / 3) ** 2, rel=1e-3)
    for other in ("adam", "lion"):
        assert gap(features, near, {**near, "optim": other}) == pytest.approx(1.0)


def test_a_parameter_that_is_not_there_makes_no_difference() -> None:
    features, rng = Features(TREE), np.random.default_rng(0)
    raw = rng.random((2, TREE.dim))
    raw[:, 0] = 0.1  # a forest, so that all of svm's coordinates are idle
    raw[1, 1] = raw[0, 1]
    points = features.levelled(raw)
    e = features.embed(points)
    assert np.array_equal(e[0], e[1])


class TestActivity:
    spaces: ClassVar[list[Space]] = [
        FLAT,
        TREE,
        Space([Int("n", 1, 9), Float("x", 0, 1, conditions=(Condition("==", "n", 3),))]),
        Space(
            [Bool("b"), Float("x", 0, 1, conditions=(Condition("==", "mode", "on"),))],
            fixed={"mode": "off"},
        ),
    ]

    @pytest.mark.parametrize(
        "space", spaces, ids=["flat", "tree", "hangs on a number", "hangs on a constant"]
    )
    def test_it_is_what_decoding_says(self, space: Space) -> None:
        features, rng = Features(space), np.random.default_rng(1)
        raw = rng.random((200, space.dim))
        for point, active in zip(raw, features.activity(raw), strict=True):
            present = space.decode(point)
            assert [c.parameter in present for c in space.columns] == active.tolist()


def test_snapped_points_decode_to_what_they_came_from_and_stay() -> None:
    features, rng = Features(TREE), np.random.default_rng(2)
    raw = rng.random((50, TREE.dim))
    snapped = features.snapped(raw)
    for point, place in zip(raw, snapped.x, strict=True):
        assert TREE.decode(place) == TREE.decode(point)
    assert np.array_equal(features.snapped(snapped.x).x, snapped.x)


def test_the_usual_number_of_coordinates_counts_what_is_active() -> None:
    assert Features(FLAT).usual_dim == 2
    assert 2 < Features(TREE).usual_dim < 4
