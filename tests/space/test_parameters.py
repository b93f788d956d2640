from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from raytao.errors import SpaceError
from raytao.space import (
    Bool,
    Categorical,
    Float,
    Int,
    IntRun,
    Limits,
    Ordered,
    OrderedInt,
    Pair,
    Parameter,
    SortedInts,
)
from raytao.space.cells import above, below, six_digits, tidy

unit = st.floats(0, 1)
numbers = st.floats(-1e9, 1e9, allow_subnormal=False).filter(lambda x: x == 0 or abs(x) > 1e-12)


def at(parameter: Parameter, *u: float) -> object:
    return parameter.decode(np.array(u))


@given(low=numbers, high=numbers, u=unit)
def test_a_linear_float_comes_back_from_its_coordinate(low: float, high: float, u: float) -> None:
    parameter = Float("x", min(low, high), max(low, high))
    value = parameter.decode(np.array([u]))
    assert parameter.low <= value <= parameter.high
    assert parameter.decode(parameter.encode(value)) == value


@given(low=st.floats(1e-12, 1e6), ratio=st.floats(1, 1e12), u=unit)
def test_a_log_float_comes_back_from_its_coordinate(low: float, ratio: float, u: float) -> None:
    parameter = Float("x", low, low * ratio, log=True)
    value = parameter.decode(np.array([u]))
    assert parameter.low <= value <= parameter.high
    assert parameter.decode(parameter.encode(value)) == value


@given(u=unit)
def test_a_float_has_six_significant_digits(u: float) -> None:
    value = Float("lr", 1e-6, 1.0, log=True).decode(np.array([u]))
    assert float(f"{value:.5e}") == value


@given(x=numbers, low=numbers, high=numbers)
def test_rounding_twice_is_rounding_once(x: float, low: float, high: float) -> None:
    low, high = min(low, high), max(low, high)
    once = tidy(min(max(x, low), high), low, high, log=False)
    assert tidy(once, low, high, log=False) == once


@given(x=numbers)
def test_the_number_below_is_below_and_near(x: float) -> None:
    assert below(x) < x < above(x)
    assert x - below(x) <= max(abs(x) * 2.1e-5, 1e-12)
    assert six_digits(below(x)) == below(x)


def test_a_log_float_spends_equal_shares_on_equal_ratios() -> None:
    assert [at(Float("lr", 1e-4, 1.0, log=True), u) for u in (0, 0.25, 0.5, 1)] == [
        1e-4,
        1e-3,
        1e-2,
        1.0,
    ]


@given(
    low=st.integers(-(10**6), 10**6),
    width=st.integers(0, 10**6),
    step=st.integers(1, 7),
    u=unit,
)
def test_an_integer_is_a_multiple_and_comes_back(
    low: int, width: int, step: int, u: float
) -> None:
    parameter = Int("n", low, low + width + step, multiple_of=step)
    value = parameter.decode(np.array([u]))
    assert value % step == 0
    assert parameter.low <= value <= parameter.high
    assert parameter.decode(parameter.encode(value)) == value


@given(low=st.integers(1, 1000), width=st.integers(0, 10**9), step=st.integers(1, 32), u=unit)
def test_a_log_integer_is_a_multiple_and_comes_back(
    low: int, width: int, step: int, u: float
) -> None:
    parameter = Int("n", low, low + width + step, log=True, multiple_of=step)
    value = parameter.decode(np.array([u]))
    assert value % step == 0
    assert parameter.low <= value <= parameter.high
    assert parameter.decode(parameter.encode(value)) == value


def test_integers_have_cells_of_equal_width() -> None:
    parameter = Int("n", 1, 4)
    drawn = [parameter.decode(np.array([u])) for u in np.linspace(0, 0.999, 400)]
    assert [drawn.count(n) for n in (1, 2, 3, 4)] == [100] * 4
    assert parameter.encode(2) == (0.375,)


def test_powers_begin_with_the_base_itself() -> None:
    assert list(Int("r", 1, 256, power_of=2).levels) == [2, 4, 8, 16, 32, 64, 128, 256]


def test_weights_are_widths_of_cells() -> None:
    parameter = Categorical("o", ("a", "b", "c"), (4, 1, 5))
    drawn = [parameter.decode(np.array([u])) for u in np.linspace(0, 0.9999, 1000)]
    assert [round(drawn.count(o) / 100) for o in "abc"] == [4, 1, 5]
    assert parameter.edges == (0.4, 0.5, 1.0)
    assert parameter.kind == "categorical"


def test_ordered_levels_are_numeric_to_a_model() -> None:
    assert Ordered("o", ("low", "high")).kind == "numeric"
    assert Ordered("o", ("low", "high")).edges == (0.5, 1.0)


def test_ordered_integers_are_sorted_with_their_weights() -> None:
    parameter = OrderedInt("o", (64, 16, 32), (3, 1, 2))
    assert parameter.options == (16, 32, 64)
    assert parameter.weights == (1, 2, 3)


def test_true_is_not_the_option_one() -> None:
    parameter = Categorical("o", (1, True))
    assert [parameter.decode(parameter.encode(v)) for v in (1, True)] == [1, True]
    assert parameter.decode(parameter.encode(True)) is True


@given(u=st.tuples(unit, unit))
def test_a_run_is_consecutive_and_comes_back(u: tuple[float, float]) -> None:
    parameter = IntRun("freeze_blocks", 0, 3)
    run = parameter.decode(np.array(u))
    assert run == list(range(run[0], run[-1] + 1))
    assert set(run) <= {0, 1, 2, 3}
    assert parameter.decode(parameter.encode(run)) == run


@given(u=st.lists(unit, min_size=7, max_size=7))
def test_sorted_integers_come_back(u: list[float]) -> None:
    parameter = SortedInts("sizes", 500, 1000, multiple_of=16)
    sizes = parameter.decode(np.array(u))
    assert 3 <= len(sizes) <= 6
    assert sizes == sorted(sizes)
    assert all(500 <= size <= 1000 and size % 16 == 0 for size in sizes)
    assert parameter.decode(parameter.encode(sizes)) == sizes


@given(u=unit)
def test_a_pair_is_twice_the_same(u: float) -> None:
    pair = Pair("kernel", 3, 9).decode(np.array([u]))
    assert pair[0] == pair[1]
    assert 3 <= pair[0] <= 9


@pytest.mark.parametrize(
    ("limits", "values"),
    [
        (Limits(high=64, high_open=True), [32]),
        (Limits(high=64), [32, 64]),
        (Limits(low=64, low_open=True), [96]),
        (Limits(low=33, high=63), [64]),
        (Limits(high=5), [32]),
        (Limits(low=1000), [96]),
    ],
)
def test_limits_leave_the_legal_or_the_nearest(limits: Limits, values: list[int]) -> None:
    assert list(Int("n", 20, 100, multiple_of=32).values(limits)) == values
    assert list(OrderedInt("n", (32, 64, 96)).values(limits)) == values


def test_a_strict_limit_of_a_float_is_readable_and_strict() -> None:
    parameter = Float("soft_start", 0, 1)
    limits = Limits(high=0.0699999988, high_open=True)
    assert parameter.decode(np.array([1.0]), limits) == 0.0699999


def test_an_unknown_option_has_no_place_of_its_own() -> None:
    assert Categorical("o", ("a", "b")).encode("z") == (0.5,)


@pytest.mark.parametrize("value", [5, -1, math.inf, "5", None, True])
def test_contains_refuses_what_is_no_value_of_the_range(value: object) -> None:
    assert not Int("n", 0, 4).contains(value)
    assert not Float("n", 0, 0.5).contains(value)


@pytest.mark.parametrize(
    "make",
    [
        lambda: Float("x", 1, 0),
        lambda: Float("x", 0, math.inf),
        lambda: Float("x", 0, 1, log=True),
        lambda: Int("x", 3, 2),
        lambda: Int("x", 33, 63, multiple_of=32),
        lambda: Int("x", 0, 8, log=True),
        lambda: Int("x", 1, 8, power_of=1),
        lambda: Categorical("x", ()),
        lambda: Categorical("x", ("a", "a")),
        lambda: Categorical("x", ("a", "b"), (1,)),
        lambda: Categorical("x", ("a", "b"), (1, 0)),
        lambda: OrderedInt("x", ("a",)),
        lambda: SortedInts("x", 1, 5, min_len=4, max_len=3),
        lambda: IntRun("x", 3, 1),
    ],
)
def test_a_parameter_that_cannot_be_drawn_is_refused_by_name(make: object) -> None:
    assert callable(make)
    with pytest.raises(SpaceError, match=r"^x: "):
        make()


def test_values_of_the_spec_are_read_with_their_type() -> None:
    assert repr(Float("x", 0, 1).read(1)) == "1.0"
    assert repr(Int("x", 0, 1).read(5.0)) == "5"
    assert IntRun("x", 0, 3).read(2) == [2]
    for parameter, wrong in [
        (Float("x", 0, 1), "1e-3"),
        (Int("x", 0, 1), 0.5),
        (Bool("x"), "true"),
        (Pair("x", 0, 1), "a"),
        (Categorical("x", ("a",)), [1]),
    ]:
        with pytest.raises(SpaceError, match=r"x: .* in the spec is no"):
            parameter.read(wrong)
