"""One model over configurations and epochs: what a short training says about a long one."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from raytao.brains.gp import joint
from raytao.brains.gp.acquisition import ExpectedImprovement
from raytao.brains.gp.believed import Known, milestone
from raytao.brains.gp.features import Points
from raytao.brains.gp.joint import AtFullLength, CurveBeliever, CurveFeatures, lifted
from raytao.brains.gp.model import GaussianProcesses, condition
from raytao.space import Categorical, Condition, Float, Space

SPACE = Space(
    [
        Categorical("kind", ("svm", "mlp")),
        Float("mlp.lr", 1e-4, 1e-1, log=True, conditions=(Condition("==", "kind", "mlp"),)),
        Float("decay", 0.0, 1.0),
    ]
)
FEATURES = CurveFeatures(SPACE, top=27)


def drawn(count: int) -> Points:
    rng = np.random.default_rng(0)
    return FEATURES.configurations.snapped(rng.random((count, SPACE.dim)))


def known(points: Points, rows: list[tuple[int, int, float]]) -> Known:
    """Results as (configuration, epochs, score)."""
    numbers = [row[0] for row in rows]
    at = FEATURES.after(points[numbers], [row[1] for row in rows])
    return Known(at, np.array([row[2] for row in rows]))


def test_the_epochs_are_a_column_and_a_length_scale_of_their_own() -> None:
    points = drawn(4)
    alone, staged = FEATURES.configurations, FEATURES.after(points, [1, 3, 9, 27])
    e = FEATURES.embed(staged)
    assert np.array_equal(e[:, :-1], alone.embed(points))
    assert FEATURES.group.tolist() == [*alone.group.tolist(), alone.group[-1] + 1]
    assert len(FEATURES.categorical) == FEATURES.group[-1] + 1
    assert e[-1, -1] == 0.0
    assert np.allclose(np.diff(e[:, -1]), np.diff(e[:, -1])[0])


def test_what_all_gain_from_a_rung_to_the_next_is_added_to_the_lower_one() -> None:
    points = drawn(4)
    results = known(
        points,
        [(0, 3, 0.5), (1, 3, 0.4), (2, 3, 0.1), (0, 9, 0.6), (1, 9, 0.6), (0, 27, 0.65)],
    )
    gain_9, gain_3 = 0.05, 0.15 + 0.05
    assert np.allclose(
        lifted(results),
        [0.5 + gain_3, 0.4 + gain_3, 0.1 + gain_3, 0.6 + gain_9, 0.6 + gain_9, 0.65],
    )


def test_a_rung_from_which_nobody_went_on_is_lifted_as_the_one_above() -> None:
    points = drawn(3)
    results = known(points, [(0, 1, 0.2), (1, 9, 0.6), (1, 27, 0.8), (2, 3, 0.5)])
    assert np.allclose(lifted(results), [0.4, 0.8, 0.8, 0.7])


def test_without_promotions_scores_are_what_they_are() -> None:
    results = known(drawn(2), [(0, 3, 0.5), (1, 3, 0.7)])
    assert lifted(results).tolist() == [0.5, 0.7]


def test_the_gradient_at_full_length_is_that_of_the_value() -> None:
    points = drawn(9)
    rng = np.random.default_rng(1)
    rows = [(n, epochs, float(rng.random())) for n in range(9) for epochs in (3, 9)]
    belief = CurveBeliever(FEATURES, seed=0).believe(known(points, rows))
    assert belief is not None
    best = np.full(len(belief.models), 1.0)
    surface = AtFullLength(ExpectedImprovement(belief.models, best))
    at = FEATURES.configurations.embed(drawn(3))
    value, gradient = surface.value_with_gradient(at)
    assert np.allclose(value, surface.value(at))
    for column in range(at.shape[1]):
        step = np.zeros_like(at)
        step[:, column] = 1e-6
        slope = (surface.value(at + step) - surface.value(at - step)) / 2e-6
        assert np.allclose(gradient[:, column], slope, rtol=1e-3, atol=1e-5)


def test_a_short_training_predicts_the_long_one_of_its_own_configuration() -> None:
    points = drawn(12)
    final = np.linspace(0.2, 0.9, 12)
    rows = [(n, 3, float(final[n]) - 0.3) for n in range(12)]
    rows += [(n, 27, float(final[n])) for n in range(0, 12, 3)]
    belief = CurveBeliever(FEATURES, seed=0).believe(known(points, rows))
    assert belief is not None
    mean, _ = belief.predict(FEATURES.embed(FEATURES.after(points, [27] * 12)))
    assert np.abs(mean - final).max() < 0.1


@pytest.mark.parametrize("scores", [[], [0.5, 0.5, 0.5]])
def test_scores_that_say_nothing_make_no_belief(scores: list[float]) -> None:
    results = known(drawn(3), [(n, 3, score) for n, score in enumerate(scores)])
    assert CurveBeliever(FEATURES, seed=0).believe(results) is None


def climb(count: int) -> tuple[Points, Known]:
    """Results of ``count`` configurations, every third of which went on."""
    points = drawn(count)
    rows = []
    for n, x in enumerate(points.x):
        good = 1.0 - float(np.sum((x - 0.4) ** 2))
        rows += [(n, epochs, good - 0.5 / epochs) for epochs in ((3, 9) if n % 3 == 0 else (3,))]
    return points, known(points, rows)


@pytest.mark.parametrize("count", [8, 60])
def test_a_belief_is_a_function_of_the_results_alone(count: int) -> None:
    points, results = climb(count)
    used, fresh = CurveBeliever(FEATURES, seed=0), CurveBeliever(FEATURES, seed=0)
    for some in range(2, len(results)):
        used.believe(results[:some])
    last = len(results) - 1  # what is kept of another course is not taken for this one
    used.believe(results[[*range(last - 1), last, last - 1]])
    at = FEATURES.embed(FEATURES.after(points, [27] * count))
    one, other = used.believe(results), fresh.believe(results)
    assert one is not None
    assert other is not None
    assert np.array_equal(one.predict(at), other.predict(at))


def test_models_that_grew_are_those_of_all_results_at_once() -> None:
    points, results = climb(60)
    belief = CurveBeliever(FEATURES, seed=0).believe(results)
    assert belief is not None
    models = belief.models
    at_once = condition(models.e, models.y, models.group, models.thetas)
    at = FEATURES.embed(FEATURES.after(points, [27] * 60))
    for one, other in zip(models.predict(at), at_once.predict(at), strict=True):
        assert np.allclose(one, other, atol=1e-5)


def test_from_one_milestone_to_the_next_nothing_is_inverted_anew(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    results, inverted = climb(60)[1], []

    def counted(*given: Any) -> GaussianProcesses:
        inverted.append(len(given[0]))
        return condition(*given)

    monkeypatch.setattr(joint, "condition", counted)
    believer, reached = CurveBeliever(FEATURES, seed=0), milestone(len(results) - 5)
    for count in range(reached, milestone(len(results))):
        believer.believe(results[:count])
    assert inverted == [reached]


def test_hyper_parameters_rest_from_one_milestone_to_the_next() -> None:
    results = climb(60)[1]
    believer, reached = CurveBeliever(FEATURES, seed=0), milestone(len(results) - 1)
    thetas = []
    for count in (reached - 1, reached, len(results) - 1):
        belief = believer.believe(results[:count])
        assert belief is not None
        thetas.append(belief.models.thetas)
    assert not np.array_equal(thetas[0], thetas[1])
    assert np.array_equal(thetas[1], thetas[2])
