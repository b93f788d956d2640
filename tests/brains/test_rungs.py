"""Brackets are TAO's tables, whole numbers, and never empty."""

from __future__ import annotations

import math
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from raytao.brains.rungs import LARGEST_R, Bracket, Rule, adjust, brackets, floor_log
from raytao.errors import BudgetError

Table = list[tuple[list[int], list[int]]]

TAO_ROWS: dict[tuple[int, int], Table] = {
    (27, 3): [([27, 9, 3, 1], [1, 3, 9, 27]), ([9, 3, 1], [3, 9, 27]), ([6, 2], [9, 27])],
    (81, 3): [
        ([81, 27, 9, 3, 1], [1, 3, 9, 27, 81]),
        ([27, 9, 3, 1], [3, 9, 27, 81]),
        ([9, 3, 1], [9, 27, 81]),
        ([6, 2], [27, 81]),
    ],
    (9, 3): [([9, 3, 1], [1, 3, 9]), ([3, 1], [3, 9])],
    (6, 3): [([3, 1], [2, 6])],
    (3, 3): [([3, 1], [1, 3])],
    (8, 2): [([8, 4, 2, 1], [1, 2, 4, 8]), ([4, 2, 1], [2, 4, 8]), ([4, 2], [4, 8])],
    (16, 4): [([16, 4, 1], [1, 4, 16]), ([4, 1], [4, 16])],
    (64, 4): [([64, 16, 4, 1], [1, 4, 16, 64]), ([16, 4, 1], [4, 16, 64]), ([8, 2], [16, 64])],
    (5, 5): [([5, 1], [1, 5])],
    (26, 3): [([9, 3, 1], [2, 6, 18]), ([3, 1], [8, 24])],
    (50, 3): [([27, 9, 3, 1], [1, 3, 9, 27]), ([9, 3, 1], [5, 15, 45]), ([6, 2], [16, 48])],
    (100, 3): [
        ([81, 27, 9, 3, 1], [1, 3, 9, 27, 81]),
        ([27, 9, 3, 1], [3, 9, 27, 81]),
        ([9, 3, 1], [11, 33, 99]),
        ([6, 2], [33, 99]),
    ],
}

UNITS = {
    (27, 3): (234, 42, 61),
    (81, 3): (999, 123, 182),
    (9, 3): (36, 12, 17),
    (6, 3): (10, 3, 4),
    (3, 3): (5, 3, 4),
    (8, 2): (60, 16, 28),
    (16, 4): (68, 20, 26),
    (64, 4): (592, 88, 116),
    (5, 5): (9, 5, 6),
    (26, 3): (82, 12, 17),
    (50, 3): (346, 42, 61),
    (100, 3): (1101, 123, 182),
}


def table(made: tuple[Bracket, ...]) -> Table:
    return [(list(bracket.sizes), list(bracket.budgets)) for bracket in made]


def units(bracket: Bracket) -> int:
    before = (0, *bracket.budgets)
    return sum(
        n * (r - b) for n, r, b in zip(bracket.sizes, bracket.budgets, before, strict=False)
    )


@pytest.mark.parametrize(("R", "nu"), TAO_ROWS)
def test_the_brackets_are_those_of_tao(R: int, nu: int) -> None:
    assert table(brackets(R, nu, "tao")) == TAO_ROWS[R, nu]


@pytest.mark.parametrize(("R", "nu"), UNITS)
def test_units_configurations_and_runs_are_those_of_tao(R: int, nu: int) -> None:
    made = brackets(R, nu, "tao")
    counted = (
        sum(units(bracket) for bracket in made),
        sum(bracket.sizes[0] for bracket in made),
        sum(sum(bracket.sizes) for bracket in made),
    )
    assert counted == UNITS[R, nu]


@pytest.mark.parametrize(
    ("R", "nu", "sizes", "budgets", "count"),
    [
        (243, 3, (243, 81, 27, 9, 3, 1), (1, 3, 9, 27, 81, 243), 5),
        (125, 5, (125, 25, 5, 1), (1, 5, 25, 125), 3),
        (1000, 10, (1000, 100, 10, 1), (1, 10, 100, 1000), 3),
        (729, 3, (729, 243, 81, 27, 9, 3, 1), (1, 3, 9, 27, 81, 243, 729), 6),
    ],
)
def test_exact_powers_lose_no_rung(
    R: int, nu: int, sizes: tuple[int, ...], budgets: tuple[int, ...], count: int
) -> None:
    made = brackets(R, nu, "tao")
    assert made[0] == Bracket(sizes, budgets)
    assert len(made) == count


def test_the_paper_adds_the_bracket_of_full_trainings() -> None:
    assert table(brackets(81, 3, "paper")) == [
        ([81, 27, 9, 3, 1], [1, 3, 9, 27, 81]),
        ([34, 11, 3, 1], [3, 9, 27, 81]),
        ([15, 5, 1], [9, 27, 81]),
        ([8, 2], [27, 81]),
        ([5], [81]),
    ]


def test_the_papers_top_budget_is_exactly_r() -> None:
    assert table(brackets(26, 3, "paper")) == [
        ([9, 3, 1], [2, 8, 26]),
        ([5, 1], [8, 26]),
        ([3], [26]),
    ]


@given(st.integers(2, 10), st.integers(1, 10**6))
def test_floor_log_brackets_the_value(base: int, value: int) -> None:
    exponent = floor_log(value, base)
    assert base**exponent <= value < base ** (exponent + 1)


@given(st.integers(2, 10), st.integers(0, 3000), st.sampled_from(["tao", "paper"]))
def test_every_rung_is_smaller_longer_and_not_empty(nu: int, more: int, rule: Rule) -> None:
    R = nu + more
    for bracket in brackets(R, nu, rule):
        assert len(bracket.sizes) == len(bracket.budgets)
        assert bracket.sizes[-1] >= 1
        assert bracket.budgets[0] >= 1
        assert bracket.budgets[-1] <= R
        for upper, lower in zip(bracket.sizes, bracket.sizes[1:], strict=False):
            assert lower == upper // nu
        for short, long in zip(bracket.budgets, bracket.budgets[1:], strict=False):
            assert long >= nu * short


@given(st.integers(3, 200), st.integers(1, 300))
def test_a_cap_bounds_every_rung_and_leaves_them_apart(R: int, epochs: int) -> None:
    for bracket in brackets(R, 3, "tao"):
        capped = bracket.capped(epochs)
        assert list(capped.budgets) == sorted({min(b, epochs) for b in bracket.budgets})
        assert capped.sizes == bracket.sizes[: len(capped.budgets)]


@pytest.mark.parametrize(
    ("epochs", "R", "multiplier", "longest"),
    [
        (100, 27, 4, 108),
        (80, 27, 4, 108),
        (50, 27, 3, 81),
        (27, 27, 3, 81),
        (24, 24, 3, 72),
        (10, 10, 3, 27),
        (6, 6, 3, 18),
        (5, 5, 3, 9),
        (4, 4, 3, 9),
        (3, 3, 3, 9),
    ],
)
def test_auto_adjustment_is_tao_s_table(
    epochs: int, R: int, multiplier: int, longest: int
) -> None:
    made = adjust(epochs)
    assert (made.R, made.nu, made.multiplier) == (R, 3, multiplier)
    assert f"longest training {longest} epochs; the spec says {epochs}" in made.notes


@given(st.integers(3, 26))
def test_below_27_epochs_r_becomes_the_epochs(epochs: int) -> None:
    made = adjust(epochs)
    assert (made.R, made.multiplier) == (epochs, 3)
    assert f"R lowered from 27 to {epochs} so that epoch_multiplier is at least 3" in made.notes


def test_r_of_the_user_is_kept_where_the_rule_allows_it() -> None:
    made = adjust(80, R=9)
    assert (made.R, made.multiplier) == (9, 8)
    assert not any("lowered" in note for note in made.notes)


def test_r_of_the_user_is_lowered_only_with_a_warning() -> None:
    made = adjust(80, R=81)
    assert (made.R, made.multiplier) == (80, 3)
    assert made.notes[0].startswith("warning: your R=81 is lowered to 80")


@pytest.mark.parametrize(("R", "expected"), [(None, 27), (9, 9), (81, 81)])
def test_a_multiplier_of_the_user_leaves_everything_untouched(
    R: int | None, expected: int
) -> None:
    made = adjust(5, R=R, multiplier=1)
    assert (made.R, made.nu, made.multiplier) == (expected, 3, 1)
    assert made.brackets == brackets(expected, 3, "tao")
    assert not any("lowered" in note for note in made.notes)


def test_a_schedule_that_ends_at_the_spec_s_epochs_needs_no_word() -> None:
    assert adjust(27, R=9, multiplier=3).notes == ()


def test_capped_epochs_never_pass_the_spec() -> None:
    made = adjust(80, cap_epochs=True)
    assert table(made.brackets) == [
        ([27, 9, 3, 1], [4, 12, 36, 80]),
        ([9, 3, 1], [12, 36, 80]),
        ([6, 2], [36, 80]),
    ]
    assert made.notes == ()


@pytest.mark.parametrize(
    ("epochs", "R", "nu", "multiplier", "value"),
    [
        (80, 2, 3, None, "R=2 leaves no bracket"),
        (80, 1, 2, None, "R=1 leaves no bracket"),
        (80, 0, 3, 1, "R=0 leaves no bracket"),
        (80, 27, 1, None, "nu=1 would never drop"),
        (80, None, 0, 1, "nu=0 would never drop"),
        (80, 27, 3, 0, "epoch_multiplier=0 grants no epoch"),
        (0, None, None, None, "0 epochs are nothing"),
        (2, None, None, None, "2 epochs leave no bracket"),
        (1, None, None, None, "1 epochs leave no bracket"),
    ],
)
def test_what_leaves_nothing_to_run_is_refused_with_a_remedy(
    epochs: int, R: int | None, nu: int | None, multiplier: int | None, value: str
) -> None:
    with pytest.raises(BudgetError, match=value) as caught:
        adjust(epochs, R=R, nu=nu, multiplier=multiplier)
    assert caught.value.remedy


@pytest.mark.parametrize("R", [LARGEST_R + 1, 10**9, 10**12, 10**400])
@pytest.mark.parametrize("multiplier", [None, 1])
def test_an_r_beyond_all_reason_is_refused_at_once(R: int, multiplier: int | None) -> None:
    begun = time.process_time()
    with pytest.raises(BudgetError, match="is larger than 1,000,000"):
        adjust(80, R=R, nu=2, multiplier=multiplier)
    assert time.process_time() - begun < 1


def test_the_largest_schedule_is_made_in_no_time() -> None:
    begun = time.process_time()
    assert adjust(80, R=LARGEST_R).R == 80
    assert adjust(80, R=LARGEST_R, nu=2, multiplier=1).brackets[0].budgets[-1] == 2**19
    assert adjust(10**18, R=LARGEST_R).R == LARGEST_R
    assert time.process_time() - begun < 1


@given(st.integers(3, 3000), st.integers(2, 300), st.integers(2, 5))
def test_r_is_the_largest_that_leaves_a_multiplier_of_three(epochs: int, R: int, nu: int) -> None:
    """TAO counts down from R; here it is looked up."""

    def enough(resource: int) -> bool:
        return bool(epochs ** (math.log(nu) / math.log(resource)) >= 3 - 1e-9)

    counted = next((r for r in range(R, nu - 1, -1) if enough(r)), None)
    if nu > R or counted is None:
        with pytest.raises(BudgetError):
            adjust(epochs, R=R, nu=nu)
    else:
        assert counted == adjust(epochs, R=R, nu=nu).R
