"""What ``compat: tao7`` does is what NVIDIA's own classes do, number by number."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from raytao.brains.base import Task
from raytao.brains.compat.bayesian import Surrogate, TaoBayesian
from raytao.brains.compat.table import tao_rows
from raytao.brains.compat.values import tao_sample
from raytao.brains.full import Stage, Trial
from raytao.brains.rungs import brackets
from raytao.space import (
    Bool,
    Categorical,
    Condition,
    Float,
    Int,
    Ordered,
    OrderedInt,
    Space,
    build_space,
)
from raytao.space.table import Eligibility, Row

TOLERANCE = 1e-6
SEED = 3

SPACE = Space(
    [
        Float("lr", 0.0, 0.5, log=False),
        Float("momentum", 0.1, 0.99),
        Int("units", 8, 256),
        Int("side", 32, 480, multiple_of=32),
        Categorical("optim", ("sgd", "adam", "rmsprop")),
        Categorical("loss", ("dice", "ce", "focal"), weights=(1.0, 5.0, 2.0)),
        Ordered("norm", ("none", "batch")),
        OrderedInt("depth", (1, 2, 4, 8)),
        Bool("augment"),
        Float("min_lr", 0.0, 0.5, conditions=(Condition("<", "lr"),)),
    ]
)
ROWS: tuple[dict[str, Any], ...] = (
    {"value_type": "float", "valid_min": 0.0, "valid_max": 0.5, "parent_param": True},
    {"value_type": "float", "valid_min": 0.1, "valid_max": 0.99},
    {"value_type": "int", "valid_min": 8, "valid_max": 256},
    {"value_type": "int", "valid_min": 32, "valid_max": 480, "math_cond": "/ 32"},
    {"value_type": "categorical", "valid_options": ["sgd", "adam", "rmsprop"]},
    {
        "value_type": "categorical",
        "valid_options": ["dice", "ce", "focal"],
        "option_weights": [1.0, 5.0, 2.0],
    },
    {"value_type": "ordered", "valid_options": ["none", "batch"]},
    {"value_type": "ordered_int", "valid_options": [1, 2, 4, 8]},
    {"value_type": "bool"},
    {"value_type": "float", "valid_min": 0.0, "valid_max": 0.5, "depends_on": "< lr"},
)
PARAMETERS = tuple(
    {"parameter": name, "default_value": 0.25, **row}
    for name, row in zip(SPACE.names, ROWS, strict=True)
)


def measured(params: dict[str, Any]) -> float:
    """A result that depends on most parameters."""
    return float(
        1.0
        - 4.0 * (params["lr"] - 0.2) ** 2
        - (params["momentum"] - 0.7) ** 2
        - 1e-3 * abs(params["units"] - 100)
        + 0.1 * (params["optim"] == "adam")
    )


def evidence(dim: int, count: int) -> tuple[Any, Any]:
    """Points and scores, as an early run has them."""
    rng = np.random.default_rng(count)
    points = rng.random((count, dim))
    return points, 0.8 - ((points - 0.3) ** 2).sum(axis=1) + 0.05 * np.sin(20 * points[:, 0])


def fitted(nvidia: Any, points: Any, scores: Any) -> Any:
    """NVIDIA's brain after these results."""
    floats = [
        {"parameter": f"x{k}", "value_type": "float", "valid_min": 0.0, "valid_max": 1.0}
        for k in range(points.shape[1])
    ]
    brain = nvidia.bayesian(floats)
    brain.Xs, brain.ys = list(points), scores.tolist()
    brain.update_gp()
    return brain


CASES = [(1, 4), (2, 9), (7, 12), (4, 20)]


@pytest.mark.parametrize(("dim", "count"), CASES)
def test_the_posterior_is_nvidia_s_at_50_points(nvidia: Any, dim: int, count: int) -> None:
    points, scores = evidence(dim, count)
    at = np.random.default_rng(50).random((50, dim))
    mean, deviation = Surrogate(points, scores).predict(at)
    theirs = fitted(nvidia, points, scores).gp.predict(at, return_std=True)
    np.testing.assert_allclose(mean, theirs[0], rtol=0, atol=TOLERANCE)
    np.testing.assert_allclose(deviation, theirs[1], rtol=0, atol=TOLERANCE)


@pytest.mark.parametrize(("dim", "count"), CASES)
def test_expected_improvement_is_nvidia_s_at_50_points(nvidia: Any, dim: int, count: int) -> None:
    points, scores = evidence(dim, count)
    at = np.vstack([np.random.default_rng(51).random((50, dim)), points[:1]])
    ours = Surrogate(points, scores).expected_improvement(at)
    brain = fitted(nvidia, points, scores)
    theirs = [-brain._expected_improvement(point) for point in at]
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=TOLERANCE)
    assert max(theirs) > 0


def test_a_whole_run_is_nvidia_s_from_the_same_draws(nvidia: Any) -> None:
    ours = TaoBayesian(Task(SPACE, epochs=1, seed=SEED), "tao7")
    theirs = nvidia.bayesian(PARAMETERS)
    table: list[Trial] = []
    results: list[Any] = []
    for trial in range(4):
        nvidia.draws.rng = np.random.default_rng([SEED, trial])
        (wanted,) = theirs.generate_recommendations(results)
        params, _ = ours.propose(trial, table)
        assert params == pytest.approx(wanted, abs=TOLERANCE)
        table.append(Trial(params, Stage.DONE, measured(wanted)))
        results.append(nvidia.result(measured(wanted)))
    described = ours.describe(table)
    np.testing.assert_allclose(described["Xs"], theirs.Xs, rtol=0, atol=TOLERANCE)
    assert described["ys"] == [result.result for result in results]


def test_hyperband_s_configurations_are_nvidia_s_from_the_same_draws(nvidia: Any) -> None:
    theirs = nvidia.hyperband(PARAMETERS, 27, 3)
    nvidia.draws.rng = np.random.default_rng(SEED)
    rng = np.random.default_rng(SEED)
    for _ in range(20):
        wanted = {
            row["parameter"]: theirs.generate_automl_param_rec_value(row)
            for row in theirs.parameters
        }
        assert tao_sample(SPACE, rng, "tao7") == pytest.approx(wanted, abs=TOLERANCE)


@pytest.mark.parametrize(("R", "nu"), [(27, 3), (81, 3), (9, 3), (16, 4), (50, 3), (100, 3)])
def test_the_schedule_is_nvidia_s(nvidia: Any, R: int, nu: int) -> None:
    theirs = nvidia.hyperband(PARAMETERS, R, nu)
    ours = brackets(R, nu, "tao")
    assert [list(bracket.sizes) for bracket in ours] == list(theirs.ni.values())
    assert [list(bracket.budgets) for bracket in ours] == list(theirs.ri.values())


@pytest.mark.parametrize(("R", "nu"), [(243, 3), (1000, 10)])
def test_where_nvidia_s_logarithm_rounds_down_we_keep_the_bracket_it_loses(
    nvidia: Any, R: int, nu: int
) -> None:
    assert len(brackets(R, nu, "tao")) == len(nvidia.hyperband(PARAMETERS, R, nu).ni) + 1


def test_no_rung_is_empty_where_nvidia_s_last_one_is(nvidia: Any) -> None:
    assert nvidia.hyperband(PARAMETERS, 729, 3).ni["0"][-1] == 0
    assert brackets(729, 3, "tao")[0].sizes[-1] == 1


OPEN: Sequence[tuple[str, str, float | None, float | None, str]] = (
    ("infinite", "float", 0.0, float("inf"), "0.0002"),
    ("boundless", "float", None, None, "0.02"),
    ("negative", "float", None, None, "-0.5"),
    ("zero", "float", None, None, "0"),
    ("half", "float", 0.1, None, "0.4"),
    ("many", "int", 1, float("inf"), "64"),
    ("some", "int", None, None, "16"),
    ("none", "int", None, None, "0"),
)


def test_open_ranges_are_searched_where_nvidia_searches_them(nvidia: Any) -> None:
    rows = [
        Row(name, kind, Eligibility.SEARCHED, default_value=default, valid_min=low, valid_max=high)
        for name, kind, low, high, default in OPEN
    ]
    spec = {name: float(default) for name, _, _, _, default in OPEN}
    space, _ = build_space(tao_rows(rows, "tao7"), spec, epochs=1)
    theirs = nvidia.bayesian(
        [
            {
                "parameter": name,
                "value_type": kind,
                "default_value": default,
                "valid_min": "" if low is None else low,
                "valid_max": "" if high is None else high,
            }
            for name, kind, low, high, default in OPEN
        ]
    )
    for parameter, row in zip(space.parameters, theirs.parameters, strict=True):
        assert isinstance(parameter, Float | Int)
        for share in (0.25, 0.75):
            wanted = theirs.generate_automl_param_rec_value(row, share)
            here = parameter.low + share * (parameter.high - parameter.low)
            ours = here if isinstance(parameter, Float) else round(here)
            assert ours == pytest.approx(wanted, rel=TOLERANCE), row["parameter"]
