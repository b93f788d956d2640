"""The numerics of the Gaussian process, against literal values and direct formulas."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from raytao.brains.gp.acquisition import ExpectedImprovement, log_expected_improvement, log_h
from raytao.brains.gp.kernel import (
    differences,
    matern52,
    matern52_with_slope,
    scaled_distances,
)
from raytao.brains.gp.model import (
    NOISE_PRIOR,
    OWN,
    SHARED,
    SIGNAL_PRIOR,
    Evidence,
    condition,
    mode,
    negative_log_posterior,
    sample,
)
from raytao.brains.gp.scores import standardise

Array = NDArray[np.float64]
GROUP = np.array([0, 1, 2, 2, 2])
"""Two numbers, and a category of three in three columns."""
CENTER = np.array([1.5, 1.5, 0.0])

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
    """Embedded points (n, 5): two numbers, and a category as one-hot / √2."""
    rng = np.random.default_rng(seed)
    numbers, category = rng.random((n, 2)), rng.integers(3, size=n)
    return np.hstack([numbers, np.eye(3)[category] / math.sqrt(2)])


def theta(scales: list[float], noise: float, signal: float = 1.0) -> Array:
    return np.log([*scales, noise, signal])


def direct_kernel(a: Array, b: Array, lengthscales: list[float]) -> Array:
    """The formula, point by point."""
    out = np.empty((len(a), len(b)))
    for i, p in enumerate(a):
        for j, q in enumerate(b):
            gaps = [(p[0] - q[0]) ** 2, (p[1] - q[1]) ** 2, float(np.any(p[2:] != q[2:]))]
            r = math.sqrt(sum(g / s**2 for g, s in zip(gaps, lengthscales, strict=True)))
            out[i, j] = (1 + math.sqrt(5) * r + 5 * r * r / 3) * math.exp(-math.sqrt(5) * r)
    return out


def evidence(n: int, seed: int = 0) -> Evidence:
    y = np.random.default_rng(seed + 100).standard_normal(n)
    return Evidence(points(n, seed), y, GROUP, CENTER)


@pytest.mark.parametrize(("z", "expected"), LOG_H)
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
    a, b, scales = points(5), points(4, seed=1), [0.3, 0.8, 1.5]
    wide = np.array(scales)[GROUP]
    expected = direct_kernel(a, b, scales)
    assert matern52(scaled_distances(a / wide, b / wide)) == pytest.approx(expected)
    by_group = np.exp(-2 * np.log(scales)) @ differences(a, b, GROUP).reshape(3, -1)
    assert matern52(by_group.reshape(5, 4)) == pytest.approx(expected)


def test_the_slope_of_the_kernel_is_that_of_finite_differences() -> None:
    squared, step = np.array([0.01, 0.3, 2.0, 30.0]), 1e-6
    value, slope = matern52_with_slope(squared)
    assert value == pytest.approx(matern52(squared))
    rise = (matern52(squared + step) - matern52(squared - step)) / (2 * step)
    assert slope == pytest.approx(-2 * rise, rel=1e-5)


@pytest.mark.parametrize("seed", range(3))
def test_the_posterior_s_gradient_is_that_of_finite_differences(seed: int) -> None:
    rng, data = np.random.default_rng(seed), evidence(8, seed)
    here, step = rng.normal(-1.0, 0.7, size=5), 1e-6
    _, gradient = negative_log_posterior(here, data)
    for j in range(5):
        up, down = (
            negative_log_posterior(here + s * np.eye(5)[j], data)[0] for s in (step, -step)
        )
        assert gradient[j] == pytest.approx((up - down) / (2 * step), rel=1e-5, abs=1e-6)


def test_the_density_is_the_direct_formula() -> None:
    data, scales, noise, signal = evidence(6), [0.3, 0.8, 1.5], 0.05, 1.3
    dense = signal * (direct_kernel(data.e, data.e, scales) + noise * np.eye(6))
    expected = 0.5 * data.y @ np.linalg.inv(dense) @ data.y
    expected += 0.5 * math.log(np.linalg.det(dense))
    away = np.log(scales) - CENTER
    alike = SHARED**2 * np.ones((3, 3)) + OWN**2 * np.eye(3)
    expected += 0.5 * away @ np.linalg.inv(alike) @ away
    expected += ((math.log(noise) - NOISE_PRIOR[0]) / NOISE_PRIOR[1]) ** 2 / 2
    expected += (math.log(signal) / SIGNAL_PRIOR) ** 2 / 2
    value, _ = negative_log_posterior(theta(scales, noise, signal), data)
    assert value == pytest.approx(expected)


def test_predictions_are_the_dense_formula_for_each_model() -> None:
    data, new, noise, signal = evidence(7), points(4, seed=1), 0.01, 1.7
    several = [[0.4, 0.6, 1.0], [1.4, 0.2, 3.0]]
    models = condition(
        data.e,
        np.repeat(data.y[None], 2, axis=0),
        GROUP,
        np.array([theta(scales, noise, signal) for scales in several]),
    )
    means, deviations = models.predict(new)
    for scales, mean, deviation in zip(several, means, deviations, strict=True):
        dense = signal * (direct_kernel(data.e, data.e, scales) + noise * np.eye(7))
        inverse, cross = np.linalg.inv(dense), signal * direct_kernel(new, data.e, scales)
        assert mean == pytest.approx(cross @ inverse @ data.y)
        variance = signal - np.einsum("ij,jk,ik->i", cross, inverse, cross)
        assert deviation == pytest.approx(np.sqrt(variance))


def two_models(n: int = 9) -> ExpectedImprovement:
    data = evidence(n)
    thetas = np.array([theta([0.4, 0.6, 1.0], 0.01), theta([0.9, 0.3, 2.0], 0.1, 0.5)])
    models = condition(data.e, np.repeat(data.y[None], 2, axis=0), GROUP, thetas)
    return ExpectedImprovement(models, models.y.max(axis=1))


def test_improvement_is_averaged_over_the_models() -> None:
    surface, new = two_models(), points(5, seed=3)
    mean, deviation = surface.models.predict(new)
    each = np.exp(log_expected_improvement(mean, deviation, surface.bests[:, None]))
    assert np.exp(surface.value(new)) == pytest.approx(each.mean(axis=0))


def test_the_gradient_of_improvement_is_that_of_finite_differences() -> None:
    surface, new, step = two_models(), points(5, seed=3), 1e-6
    value, gradient = surface.value_with_gradient(new)
    assert value == pytest.approx(surface.value(new))
    for j in range(2):
        move = step * np.eye(5)[j]
        rise = (surface.value(new + move) - surface.value(new - move)) / (2 * step)
        assert gradient[:, j] == pytest.approx(rise, rel=1e-4, abs=1e-6)


def test_believing_in_pending_points_moves_no_mean_and_lowers_the_doubt() -> None:
    new, pending = points(20, seed=1), points(2, seed=3)
    models = two_models().models
    believed = models.believe(pending)
    mean, deviation = models.predict(new)
    same, smaller = believed.predict(new)
    assert same == pytest.approx(mean, abs=1e-8)
    assert np.all(smaller <= deviation + 1e-9)
    assert np.all(believed.predict(pending)[1] < models.predict(pending)[1])


def test_bordered_models_are_those_that_are_made_at_once() -> None:
    whole, more = two_models(9).models, points(20, seed=1)
    twice = np.vstack([whole.e, whole.e[:1]])  # a point that is measured again, too
    values = np.hstack([whole.y, [[0.3], [0.3]]])
    grown = condition(whole.e[:6], whole.y[:, :6], GROUP, whole.thetas)
    for point in twice[6:]:
        grown = grown.bordered(point)
    at_once = condition(twice, values, GROUP, whole.thetas)
    found = grown.with_values(values).predict(more)
    for one, other in zip(found, at_once.predict(more), strict=True):
        assert one == pytest.approx(other, rel=1e-9, abs=1e-9)


def test_a_fit_that_begins_near_the_mode_ends_there() -> None:
    most, data = evidence(90), evidence(100)
    near = mode(most)
    heights = [negative_log_posterior(at, data)[0] for at in (mode(data, near), mode(data))]
    assert heights[0] == pytest.approx(heights[1], abs=0.05)
    one, other = mode(data, near), mode(data, near)
    assert np.array_equal(one, other)


def test_the_fit_finds_the_column_that_matters() -> None:
    e = points(30)
    scaled = standardise(np.sin(6 * e[:, 0]))
    assert scaled is not None
    likeliest = mode(Evidence(e, scaled.values, GROUP, CENTER))
    scales = np.exp(likeliest[:3])
    assert scales[0] * 3 < scales[1:].min()
    assert math.exp(likeliest[3]) < 0.02
    new = points(200, seed=9)
    means, _ = condition(e, scaled.values[None], GROUP, likeliest[None]).predict(new)
    error = [scaled.score(value) for value in means[0]] - np.sin(6 * new[:, 0])
    assert np.sqrt(np.mean(error**2)) < 0.1


def test_the_fit_sees_noise() -> None:
    e, rng = points(40), np.random.default_rng(1)
    quiet, noisy = (
        math.exp(mode(Evidence(e, scaled.values, GROUP, CENTER))[3:].sum())  # v, a share of a
        for spread in (0.0, 0.5)
        if (scaled := standardise(e[:, 0] * 2 + spread * rng.standard_normal(40)))
    )
    assert quiet < 0.02 < 0.1 < noisy


def test_draws_follow_the_density_that_they_are_drawn_from() -> None:
    """Without data that object, draws of log l have the prior's mean and deviation."""
    nothing = Evidence(points(1), np.zeros(1), GROUP, CENTER)
    rng = np.random.default_rng(0)
    drawn = sample(nothing, mode(nothing), 1500, 8, rng)[:, :3]
    assert drawn.mean(axis=0) == pytest.approx(CENTER, abs=0.25)
    assert drawn.std(axis=0) == pytest.approx(math.hypot(OWN, SHARED), rel=0.2)


def test_the_same_generator_draws_the_same() -> None:
    data = evidence(8)
    one, other = (sample(data, mode(data), 5, 4, np.random.default_rng(3)) for _ in range(2))
    assert np.array_equal(one, other)


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
    assert np.ptp(among.values[:5]) > 0.3 * np.ptp(alone.values)


@pytest.mark.parametrize("scores", [[], [0.5], [0.5, 0.5, 0.5], [1e-300, 0.0]])
def test_constant_scores_say_nothing(scores: list[float]) -> None:
    assert standardise(np.array(scores)) is None
