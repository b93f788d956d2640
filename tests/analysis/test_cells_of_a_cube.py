"""The cells into which a space is cut, and configurations as features."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from raytao.analysis.cells import LISTS, STEPS, Cube
from raytao.errors import SpaceError
from raytao.space import (
    Bool,
    Categorical,
    Condition,
    Float,
    Int,
    IntRun,
    Ordered,
    OrderedInt,
    Pair,
    Parameter,
    SortedInts,
    Space,
)

EXACT = (
    Float("rate", 1e-5, 1e-1, log=True),
    Float("dropout", 0.0, 0.5),
    Float("fixed", 3.0, 3.0),
    Int("layers", 1, 7),
    Int("width", 1, 30, log=True),
    Int("batch", 8, 64, multiple_of=8, log=True),
    Int("patch", 2, 64, power_of=2),
    Int("one", 4, 4),
    Bool("bias"),
    Categorical("optimizer", ("adam", "sgd", "rmsprop"), weights=(1.0, 2.0, 5.0)),
    Ordered("size", ("small", "medium", "large"), weights=(2.0, 1.0, 1.0)),
    OrderedInt("heads", (4, 2, 8)),
    Pair("kernel", 1, 5),
)
"""Parameters whose cells are told apart exactly."""


@pytest.mark.parametrize("parameter", EXACT, ids=lambda one: one.name)
@settings(max_examples=40, deadline=None)
@given(u=st.floats(0.0, 1.0, exclude_max=True))
def test_a_drawn_value_lies_in_the_cell_that_was_drawn(parameter: Parameter, u: float) -> None:
    cube = Cube(Space([parameter]))
    factor = cube.factors[0]
    upper = np.cumsum(factor.weights)
    cell = int(np.searchsorted(upper[:-1], u, side="right"))
    if np.min(np.abs(upper - u)) > 1e-3:  # values are rounded to six digits
        drawn = {parameter.name: parameter.decode(np.array([u]))}
        assert np.array_equal(cube.features([drawn])[0], factor.cells[cell])


@pytest.mark.parametrize(
    "parameter",
    [*EXACT, Int("many", 1, 10_000), IntRun("run", 0, 9), SortedInts("steps", 0, 90)],
    ids=lambda one: one.name,
)
def test_cells_share_out_the_whole_coordinate(parameter: Parameter) -> None:
    factor = Cube(Space([parameter])).factors[0]
    assert factor.weights.sum() == pytest.approx(1)
    assert factor.weights.min() > 0
    assert len(factor.cells) == len(factor.weights) <= max(STEPS, LISTS)


def test_categories_have_no_order_among_the_features() -> None:
    cube = Cube(Space([Categorical("optimizer", ("adam", "sgd", "rmsprop"))]))
    assert np.array_equal(cube.factors[0].cells, np.eye(3))


def test_lists_stand_for_themselves() -> None:
    space = Space([SortedInts("steps", 0, 90, min_len=2, max_len=3)])
    cube = Cube(space)
    features = cube.features([{"steps": [10, 50]}, {"steps": [10, 50, 90]}])
    assert not np.array_equal(features[0], features[1])
    assert not np.isnan(features).any()
    assert cube.factors[0].cells.shape == (LISTS, 4)


CONDITIONAL = Space(
    [
        Categorical("optimizer", ("adam", "sgd", "rmsprop")),
        Float("momentum", 0.0, 1.0, conditions=(Condition("==", "optimizer", "sgd"),)),
        Float("rate", 0.0, 1.0),
    ]
)


def test_what_is_inactive_absent_or_no_option_is_not_known() -> None:
    cube = Cube(CONDITIONAL)
    momentum = cube.columns[CONDITIONAL.names.index("momentum")]
    optimizer = cube.columns[CONDITIONAL.names.index("optimizer")]
    rate = cube.columns[CONDITIONAL.names.index("rate")]
    features = cube.features(
        [
            {"optimizer": "sgd", "momentum": 0.9, "rate": 0.1},
            {"optimizer": "adam", "rate": 0.1},
            {"optimizer": "adam", "momentum": 0.9, "rate": 0.1},
            {"optimizer": "lion"},
        ]
    )
    unknown = np.isnan(features)
    assert unknown[:, momentum.start].tolist() == [False, True, True, True]
    assert unknown[:, optimizer].all(axis=1).tolist() == [False, False, False, True]
    assert unknown[:, rate.start].tolist() == [False, False, False, True]


def test_what_is_not_known_is_drawn_from_the_whole_coordinate_and_the_rest_stays() -> None:
    cube = Cube(CONDITIONAL)
    features = cube.features([{"optimizer": "adam", "rate": 0.1}] * 2_000)
    filled = cube.filled(features, np.random.default_rng(0))
    momentum = cube.columns[CONDITIONAL.names.index("momentum")]
    assert np.unique(filled[:, momentum]).tolist() == list(range(STEPS))
    assert filled[:, momentum].mean() == pytest.approx((STEPS - 1) / 2, abs=1.0)
    known = ~np.isnan(features)
    assert np.array_equal(filled[known], features[known])


def test_a_value_beyond_its_range_counts_as_its_end() -> None:
    cube = Cube(Space([Float("rate", 0.0, 1.0)]))
    assert cube.features([{"rate": 7.0}, {"rate": -7.0}])[:, 0].tolist() == [STEPS - 1, 0]


def test_a_name_that_is_not_searched_is_refused() -> None:
    with pytest.raises(SpaceError, match="'ratte' is not searched"):
        Cube(CONDITIONAL).features([{"ratte": 1.0}])
