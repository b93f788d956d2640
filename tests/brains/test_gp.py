"""The numerics of the Gaussian process, against literal values and direct formulas."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from raytao.brains.gp.acquisition import log_expected_improvement, log_h
from raytao.brains.gp.kernel import differences, matern52, matern52_with_gradient
from raytao.brains.gp.model import (
    Hyperparameters,
    condition,
    fit,
    negative_log_posterior,
    standardise,
)

Array = NDArray[np.float64]
MIXED = np.array([False, False, True])

LOG_H = [
    (3.0, 1.098739665327708),
    (0.0, -0.9189385332046727),
    (-0.5, -1.62051626438732),
    (-1.0, -2.485121025712641),
    (-1.5, -3.52993592080571),
    (-5.0, -16.74430116266099),
    (-10.0, -55.55312203612236),
    (-30.0, -457.724653760598),
    (-1000.0, -500014.7344520912),
    (-100000.0, -5000000023.944789),
    (-10000000.0, -50000000000033.16),
]
"""(z, log h(z)), computed with 400 digits."""

EI = [0.108331547059, 0.0453358941473, 2.74002498946e-92]


def points(n: int, seed: int = 0) -> Array:
    """Two numbers and a category of three."""
    rng = np.random.default_rng(seed)
    x = rng.random((n, 3))
    x[:, 2] = (rng.integers(3, size=n) + 0.5) / 3
    return x


def direct_kernel(a: Array, b: Array, lengthscales: Array) -> Array:
    """The formula, point by point."""
    out = np.empty((len(a), len(b)))
    for i, p in enumerate(a):
        for j, q in enumerate(b):
            gaps = [(p[0] - q[0]) ** 2, (p[1] - q[1]) ** 2, float(abs(p[2] - q[2]) > 1e-9)]
            r = math.sqrt(sum(g / s**2 for g, s in zip(gaps, lengthscales, strict=True)))
            out[i, j] = (1 + math.sqrt(5) * r + 5 * r * r / 3) * math.exp(-math.sqrt(5) * r)
    return out


@pytest.mark.parametrize(
    ("z", "expected"),
    LOG_H,
)
def test_log_h_has_its_literal_values(z: float, expected: float) -> None:
    assert log_h(np.array([z]))[0] == pytest.approx(expected, rel=1e-12)


@given(st.floats(-1e7, 50.0), st.floats(1e-6, 1e-2))
def test_log_h_rises_everywhere(z: float, step: float) -> None:
    low, high = log_h(np.array([z, z + step * max(1.0, abs(z))]))
    assert math.isfinite(low)
    assert low < high


def test_expected_improvement_has_its_literal_values() -> None:
    mean, deviation = np.array([0.5, 0.2, 0.0]), np.array([0.1, 0.3, 0.02])
    improvement = np.exp(log_expected_improvement(mean, deviation, 0.4))
    assert improvement == pytest.approx(EI, rel=1e-9)


def test_the_kernel_is_the_formula_with_categories_as_mismatches() -> None:
    a, b, scales = points(5), points(4, seed=1), np.array([0.3, 0.8, 1.5])
    assert matern52(differences(a, b, MIXED), scales) == pytest.approx(direct_kernel(a, b, scales))


def test_which_other_category_it_is_does_not_matter() -> None:
    a = np.array([[0.5, 0.5, 1 / 6]])
    others = np.array([[0.5, 0.5, 3 / 6], [0.5, 0.5, 5 / 6], [0.5, 0.5, 1 / 6]])
    values = matern52(differences(a, others, MIXED), np.ones(3))[0]
    assert values[0] == values[1] < values[2] == 1.0


def test_the_kernel_s_gradient_is_that_of_finite_differences() -> None:
    squared = differences(points(6), points(6), MIXED)
    logs, step = np.log([0.3, 0.8, 1.5]), 1e-6
    _, gradient = matern52_with_gradient(squared, np.exp(logs))
    for j in range(3):
        up, down = (matern52(squared, np.exp(logs + s * np.eye(3)[j])) for s in (step, -step))
        assert gradient[j] == pytest.approx((up - down) / (2 * step), abs=1e-8)


@pytest.mark.parametrize("seed", range(3))
def test_the_posterior_s_gradient_is_that_of_finite_differences(seed: int) -> None:
    rng = np.random.default_rng(seed)
    x, y = points(8, seed), rng.standard_normal(8)
    theta, step = rng.normal(-1.0, 0.7, size=4), 1e-6
    squared = differences(x, x, MIXED)
    _, gradient = negative_log_posterior(theta, squared, y)
    for j in range(4):
        up, down = (
            negative_log_posterior(theta + s * np.eye(4)[j], squared, y)[0] for s in (step, -step)
        )
        assert gradient[j] == pytest.approx((up - down) / (2 * step), rel=1e-5, abs=1e-6)


def test_the_density_is_the_direct_formula() -> None:
    x, y = points(6), np.random.default_rng(0).standard_normal(6)
    scales, noise = np.array([0.3, 0.8, 1.5]), 0.05
    dense = direct_kernel(x, x, scales) + noise * np.eye(6)
    expected = 0.5 * y @ np.linalg.inv(dense) @ y + 0.5 * math.log(np.linalg.det(dense))
    away = np.log(scales) - (math.log(3) / 2 - 0.5)
    expected += 0.5 * away @ np.linalg.inv(np.ones((3, 3)) + 0.25 * np.eye(3)) @ away
    expected += ((math.log(noise) + 6) / 1.5) ** 2 / 2
    value, _ = negative_log_posterior(np.log([*scales, noise]), differences(x, x, MIXED), y)
    assert value == pytest.approx(expected)


def test_predictions_are_the_dense_formula() -> None:
    x, new = points(7), points(4, seed=1)
    y = np.random.default_rng(2).standard_normal(7)
    hyper = Hyperparameters(np.array([0.4, 0.6, 1.0]), noise=0.01)
    mean, deviation = condition(x, y, MIXED, hyper).predict(new)
    inverse = np.linalg.inv(direct_kernel(x, x, hyper.lengthscales) + 0.01 * np.eye(7))
    cross = direct_kernel(new, x, hyper.lengthscales)
    assert mean == pytest.approx(cross @ inverse @ y)
    variance = 1.0 - np.einsum("ij,jk,ik->i", cross, inverse, cross)
    assert deviation == pytest.approx(np.sqrt(variance))


def test_believing_in_pending_points_moves_no_mean_and_lowers_the_doubt() -> None:
    x, new, pending = points(7), points(20, seed=1), points(2, seed=3)
    y = np.random.default_rng(2).standard_normal(7)
    model = condition(x, y, MIXED, Hyperparameters(np.array([0.4, 0.6, 1.0]), 0.01))
    believed = model.believe(pending)
    mean, deviation = model.predict(new)
    same, smaller = believed.predict(new)
    assert same == pytest.approx(mean, abs=1e-9)
    assert np.all(smaller <= deviation + 1e-12)
    assert believed.predict(pending)[1].max() < model.predict(pending)[1].min()


def test_the_fit_finds_the_column_that_matters() -> None:
    x = points(30)
    y = np.sin(6 * x[:, 0])
    scaled = standardise(y)
    assert scaled is not None
    model = fit(x, scaled.values, MIXED)
    assert model.hyper.lengthscales[0] * 3 < model.hyper.lengthscales[1:].min()
    assert model.hyper.noise < 0.02
    new = points(200, seed=9)
    error = model.predict(new)[0] * scaled.scale + scaled.center - np.sin(6 * new[:, 0])
    assert np.sqrt(np.mean(error**2)) < 0.1


def test_the_fit_sees_noise() -> None:
    x, rng = points(40), np.random.default_rng(1)
    quiet, noisy = (
        fit(x, scaled.values, MIXED).hyper.noise
        for spread in (0.0, 0.5)
        if (scaled := standardise(x[:, 0] * 2 + spread * rng.standard_normal(40)))
    )
    assert quiet < 0.02 < 0.1 < noisy


SCORES = st.floats(-1e6, 1e6).map(lambda score: round(score, 6))
"""Differences that survive being centred: no brain sees further digits."""


@given(st.lists(SCORES, max_size=30), st.floats(0.01, 100), st.floats(-1e3, 1e3))
def test_standardised_scores_keep_their_order_at_the_top(
    raw: list[float], scale: float, shift: float
) -> None:
    scores = np.array(raw) * scale + shift
    made = standardise(scores)
    if made is None:
        assert len(scores) < 2 or np.ptp(scores) <= 1e-9 * max(1.0, np.abs(scores).max())
        return
    assert made.values.mean() == pytest.approx(0.0, abs=1e-6)
    assert made.values.std() == pytest.approx(1.0)
    upper = scores >= np.median(scores)
    back = made.values * made.scale + made.center
    assert back[upper] == pytest.approx(scores[upper], rel=1e-6, abs=1e-6)


def test_a_diverged_training_does_not_flatten_the_others() -> None:
    good = np.array([0.90, 0.91, 0.92, 0.93, 0.94])
    alone, among = standardise(good), standardise(np.append(good, -1e6))
    assert alone is not None
    assert among is not None
    assert np.ptp(among.values[:5]) > 0.4 * np.ptp(alone.values)


@pytest.mark.parametrize("scores", [[], [0.5], [0.5, 0.5, 0.5], [1e-300, 0.0]])
def test_constant_scores_say_nothing(scores: list[float]) -> None:
    assert standardise(np.array(scores)) is None
