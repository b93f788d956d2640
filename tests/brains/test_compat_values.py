"""How TAO makes values of points and draws, and which ranges it reads from a table."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from raytao.brains.compat.table import tao_rows
from raytao.brains.compat.values import Compat, clamp, tao_point, tao_sample, tao_values
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
    SortedInts,
    Space,
    build_space,
)
from raytao.space.overrides import RangeOverride
from raytao.space.parameters import Parameter
from raytao.space.table import Eligibility, Row
from raytao.testing.brain_contract import PLAIN

BOTH: tuple[Compat, ...] = ("tao5", "tao7")
EVERYTHING = Space(
    [
        Categorical("optim", ("sgd", "adam"), weights=(1.0, 3.0)),
        Float("lr", 1e-6, 0.1, log=True),
        Float("shift", -1.0, 1.0),
        Float("narrow", 0.95, 1.0),
        Float("fixed", 0.3, 0.3),
        Float("least_lr", 0.0, 0.1, conditions=(Condition("<", "lr"),)),
        Float("beta", 0.5, 0.999, conditions=(Condition("==", "optim", "adam"),)),
        Int("units", 3, 50),
        Int("more", 3, 50, conditions=(Condition(">", "units"),)),
        Int("side", 20, 110, multiple_of=32),
        Int("batch", 2, 64, power_of=2),
        Ordered("norm", ("none", "batch", "layer")),
        OrderedInt("depth", (1, 2, 8)),
        Bool("augment"),
        IntRun("freeze", 0, 3),
        SortedInts("steps", 1, 50),
        Pair("kernel", 10, 108),
    ]
)

compats = pytest.mark.parametrize("compat", BOTH)


def rng(*seed: int) -> np.random.Generator:
    return np.random.default_rng(seed)


def at(parameter: Parameter, share: float, compat: Compat = "tao7", seed: int = 0) -> object:
    values = tao_values(Space([parameter]), np.array([share]), rng(seed), compat)
    return values[parameter.name]


@compats
def test_a_float_is_searched_on_a_linear_scale_even_if_it_spans_decades(compat: Compat) -> None:
    assert at(Float("lr", 1e-6, 1.0, log=True), 0.25, compat) == pytest.approx(0.25, rel=1e-5)


@compats
@given(
    low=st.floats(1e-6, 1.0), factor=st.floats(1.5, 1e6), share=st.sampled_from([0.0, 0.5, 1.0])
)
def test_a_float_never_lies_on_its_bounds(
    compat: Compat, low: float, factor: float, share: float
) -> None:
    high = low * factor
    value = at(Float("x", low, high), share, compat)
    assert isinstance(value, float)
    assert low < value < high


def test_the_ends_of_a_range_become_a_tenth_less_and_a_tenth_more() -> None:
    lr = Float("lr", 0.01, 0.2)
    assert at(lr, 1.0) == pytest.approx(0.18)
    assert at(lr, 0.0) == pytest.approx(0.011)
    assert at(Float("x", 0.0, 1.0), 0.0) == 1e-7
    assert clamp(0.0, -1.0, 0.0) == -1e-7


def test_where_tao_steps_out_of_a_range_the_nearest_bound_is_taken() -> None:
    assert clamp(-1.0, -1.0, 1.0) == pytest.approx(-1.1)
    assert at(Float("shift", -1.0, 1.0), 0.0) == -1.0
    assert clamp(1.0, 0.95, 1.0) == pytest.approx(1.045)
    assert at(Float("narrow", 0.95, 1.0), 1.0) == 1.0


@compats
@settings(max_examples=50)
@given(
    seed=st.integers(0, 10**6),
    shares=st.lists(
        st.floats(0, 1), min_size=len(EVERYTHING.names), max_size=len(EVERYTHING.names)
    ),
)
def test_values_are_plain_and_lie_in_the_space(
    compat: Compat, seed: int, shares: list[float]
) -> None:
    suggested = tao_values(EVERYTHING, np.array(shares), rng(seed), compat)
    drawn = tao_sample(EVERYTHING, rng(seed), compat)
    for params in (suggested, drawn):
        assert EVERYTHING.contains(params)
        assert all(type(value) in PLAIN for value in params.values())
        assert json.loads(json.dumps(params)) == params


NO_FLOATS: tuple[Parameter, ...] = (
    Int("units", 1, 1000),
    OrderedInt("depth", tuple(range(100))),
    Categorical("name", tuple(f"n{k}" for k in range(100))),
    Ordered("order", tuple(f"n{k}" for k in range(100))),
)


@pytest.mark.parametrize("parameter", NO_FLOATS, ids=lambda p: type(p).__name__)
def test_in_tao5_only_floats_follow_the_suggestion(parameter: Parameter) -> None:
    assert at(parameter, 0.1, "tao5", seed=7) == at(parameter, 0.9, "tao5", seed=7)
    assert len({str(at(parameter, 0.5, "tao5", seed=seed)) for seed in range(10)}) > 5


@pytest.mark.parametrize("parameter", NO_FLOATS, ids=lambda p: type(p).__name__)
def test_in_tao7_numbers_and_categories_follow_the_suggestion(parameter: Parameter) -> None:
    assert at(parameter, 0.1, seed=1) == at(parameter, 0.1, seed=2)
    assert at(parameter, 0.1) != at(parameter, 0.9)


@compats
@pytest.mark.parametrize(
    "parameter", [Bool("b"), IntRun("run", 0, 9), Int("n", 2, 512, power_of=2)]
)
def test_switches_lists_and_powers_never_follow_it(parameter: Parameter, compat: Compat) -> None:
    drawn = [at(parameter, 0.1, compat, seed) for seed in range(20)]
    assert drawn == [at(parameter, 0.9, compat, seed) for seed in range(20)]
    assert any(value != drawn[0] for value in drawn)


def test_tao7_rounds_integers_and_cuts_options_into_cells() -> None:
    assert [at(Int("n", 0, 10), share) for share in (0.0, 0.24, 0.26, 1.0)] == [0, 2, 3, 10]
    norm = Ordered("norm", ("none", "batch", "layer"))
    assert [at(norm, share) for share in (0.0, 0.34, 1.0)] == ["none", "batch", "layer"]


def test_an_integer_is_rounded_up_to_a_multiple_within_its_range() -> None:
    side = Int("side", 20, 110, multiple_of=32)
    assert [at(side, share) for share in (0.0, 0.2, 1.0)] == [32, 64, 96]


def test_in_tao7_the_heaviest_option_lies_lowest_and_in_tao5_there_are_no_weights() -> None:
    loss = Categorical("loss", ("dice", "ce"), weights=(1.0, 9.0))
    assert [at(loss, share) for share in (0.0, 0.9, 0.95, 1.0)] == ["ce", "ce", "dice", "dice"]
    for compat, share in (("tao5", 0.5), ("tao7", 0.9)):
        version: Compat = "tao5" if compat == "tao5" else "tao7"
        draws = [tao_sample(Space([loss]), rng(seed), version) for seed in range(500)]
        assert sum(d["loss"] == "ce" for d in draws) / 500 == pytest.approx(share, abs=0.07)


def test_a_relation_keeps_a_millionth_from_its_parent() -> None:
    space = Space([Float("a", 0.0, 1.0), Float("b", 0.0, 1.0, conditions=(Condition("<", "a"),))])
    values = tao_values(space, np.array([0.5, 0.5]), rng(0), "tao7")
    assert values == {"a": 0.5, "b": pytest.approx(0.5 * (0.5 - 1e-6), abs=1e-12)}


@settings(max_examples=50)
@given(seed=st.integers(0, 10**6))
def test_a_configuration_of_tao7_has_a_point_that_gives_it_again(seed: int) -> None:
    driven = Space(
        [p for p in EVERYTHING.parameters if isinstance(p, Float | Categorical)]
        + [Int("units", 3, 50)]
    )
    params = tao_sample(driven, rng(seed), "tao7")
    again = tao_values(driven, tao_point(driven, params, "tao7"), rng(seed + 1), "tao7")
    assert again == pytest.approx(params)


def row(name: str, low: float | None, high: float | None, default: str) -> Row:
    return Row(
        name,
        "float",
        Eligibility.SEARCHED,
        default_value=default,
        valid_min=low,
        valid_max=high,
    )


@compats
def test_an_infinite_bound_becomes_the_default(compat: Compat) -> None:
    rows = tao_rows([row("lr", 0.0, float("inf"), "2e-4")], compat)
    space, _ = build_space(rows, {"lr": 2e-4}, epochs=1)
    assert space == Space([Float("lr", 0.0, 2e-4)])
    assert tao_values(space, np.array([0.5]), rng(0), compat) == {"lr": pytest.approx(1e-4)}


def test_a_missing_bound_makes_a_constant_in_tao5_and_two_decades_in_tao7() -> None:
    flip = row("flip", 0.0, None, "0.5")
    five, _ = build_space(tao_rows([flip], "tao5"), {"flip": 0.5}, epochs=1)
    seven, _ = build_space(tao_rows([flip], "tao7"), {"flip": 0.5}, epochs=1)
    assert [tao_sample(five, rng(seed), "tao5")["flip"] for seed in range(3)] == [0.5] * 3
    assert seven == Space([Float("flip", 0.05, 5.0)])


def test_the_user_s_own_range_is_laid_over_the_table_s_not_over_tao_s() -> None:
    own = {"lr": RangeOverride(valid_min=1e-5, valid_max=1e-2)}
    rows = tao_rows([row("lr", 0.0, float("inf"), "2e-4")], "tao7", own)
    space, _ = build_space(rows, {"lr": 2e-4}, ranges=own, epochs=1)
    (lr,) = space.parameters
    assert isinstance(lr, Float)
    assert (lr.low, lr.high) == (1e-5, 1e-2)


def test_the_user_s_own_range_is_still_held_against_the_table_s() -> None:
    own = {"lr": RangeOverride(valid_min=1e-5)}
    rows = tao_rows([row("lr", 1e-4, float("inf"), "0.01")], "tao7", own)
    with pytest.raises(SpaceError, match="cannot be less than schema minimum"):
        build_space(rows, {"lr": 0.01}, ranges=own, epochs=1)
