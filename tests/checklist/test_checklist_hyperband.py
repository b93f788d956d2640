"""Rows 36, 38-44 and 48 of TAO's checklist: Hyperband's brackets, and the model of Bayesian."""

from __future__ import annotations

import math

import numpy as np
import pytest

from raytao.brains.compat import bayesian as compat
from raytao.brains.gp.kernel import matern52
from raytao.brains.rungs import Bracket, adjust, brackets

TAOS_TABLE_2 = (
    Bracket((81, 27, 9, 3, 1), (1, 3, 9, 27, 81)),
    Bracket((27, 9, 3, 1), (3, 9, 27, 81)),
    Bracket((9, 3, 1), (9, 27, 81)),
    Bracket((6, 2), (27, 81)),
)
TAOS_TABLE_3 = (
    Bracket((27, 9, 3, 1), (1, 3, 9, 27)),
    Bracket((9, 3, 1), (3, 9, 27)),
    Bracket((6, 2), (9, 27)),
)


def units(made: tuple[Bracket, ...]) -> int:
    """What the brackets cost if a promoted trial pays its further epochs alone."""
    return sum(
        size * (budget - before)
        for bracket in made
        for size, budget, before in zip(
            bracket.sizes, bracket.budgets, (0, *bracket.budgets), strict=False
        )
    )


def test_row_036_the_model_is_matern_5_2_and_compat_has_taos_improvement_as_well() -> None:
    assert (compat.NU, compat.XI, compat.ALPHA, compat.FIT_RESTARTS) == (2.5, 0.01, 1e-10, 10)
    distance = 0.7
    scaled = math.sqrt(5) * distance
    expected = (1 + scaled + scaled**2 / 3) * math.exp(-scaled)
    assert matern52(np.array([distance**2])) == pytest.approx([expected])
    differences = " ".join((compat.__doc__ or "").split())
    assert "What differs from TAO" in differences
    assert "failed trials are left out" in differences


def test_row_038_27_and_3_make_taos_table_3() -> None:
    assert brackets(27, 3) == TAOS_TABLE_3


def test_row_039_81_and_3_make_taos_table_2() -> None:
    assert brackets(81, 3) == TAOS_TABLE_2


@pytest.mark.parametrize(("R", "expected"), [(27, 234), (81, 999), (9, 36)])
def test_row_040_the_epoch_units_are_taos(R: int, expected: int) -> None:
    assert units(brackets(R, 3)) == expected


@pytest.mark.parametrize(("R", "nu", "smax"), [(243, 3, 5), (1000, 10, 3)])
def test_row_041_no_bracket_is_lost_to_rounding(R: int, nu: int, smax: int) -> None:
    assert int(math.log(R) / math.log(nu)) == smax - 1, "TAO's own count is one short"
    made = brackets(R, nu)
    assert len(made) == smax
    assert made[0].budgets == tuple(nu**i for i in range(smax + 1))


def test_row_042_no_rung_is_empty() -> None:
    assert brackets(729, 3)[0].sizes == (729, 243, 81, 27, 9, 3, 1)
    assert all(min(bracket.sizes) >= 1 for R in range(3, 800) for bracket in brackets(R, 3))


@pytest.mark.parametrize(
    ("epochs", "R", "multiplier"),
    [(100, 27, 4), (80, 27, 4), (50, 27, 3), (27, 27, 3), (24, 24, 3), (10, 10, 3), (4, 4, 3)],
)
def test_row_043_r_and_multiplier_are_adjusted_as_documented(
    epochs: int, R: int, multiplier: int
) -> None:
    made = adjust(epochs)
    assert (made.R, made.nu, made.multiplier) == (R, 3, multiplier)
    assert any("longest training" in note for note in made.notes) == (R * multiplier != epochs)
    assert any(f"lowered from 27 to {R}" in note for note in made.notes) == (R != 27)


@pytest.mark.parametrize("epochs", [4, 5, 6, 10, 24, 27])
def test_row_044_a_multiplier_of_3_is_enough_however_it_is_rounded(epochs: int) -> None:
    assert (adjust(epochs).R, adjust(epochs).multiplier) == (epochs, 3)
    assert adjust(6, 6).R == 6


@pytest.mark.parametrize(("R", "nu"), [(27, 3), (81, 3), (8, 2), (16, 4), (64, 4), (1000, 10)])
def test_row_048_one_of_nu_goes_on_and_not_one_of_two(R: int, nu: int) -> None:
    for bracket in brackets(R, nu):
        kept = zip(bracket.sizes, bracket.sizes[1:], strict=False)
        assert all(after == before // nu for before, after in kept)
