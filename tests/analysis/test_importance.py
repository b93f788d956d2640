"""Importance against a closed form, against Optuna's, and where it has nothing to say."""

from __future__ import annotations

import math
import time
import warnings
from collections.abc import Sequence

import numpy as np
import optuna
import pytest
from optuna.importance import FanovaImportanceEvaluator
from optuna.samplers import RandomSampler

from raytao.analysis import importance as module
from raytao.analysis.importance import (
    FEWEST_TRIALS,
    Importance,
    Share,
    TooFewTrials,
    importance,
)
from raytao.space import (
    Bool,
    Categorical,
    Condition,
    Float,
    Int,
    Ordered,
    Parameter,
    SortedInts,
    Space,
)
from raytao.types import Params

TRUTH = {("x0",): 0.551, ("x1",): 0.367, ("x2",): 0.0, ("x0", "x2"): 0.082, ("x0", "x1"): 0.0}
"""Shares of the variance 0.75 + 0.5 + 1/9 of `closed_form`."""


@pytest.fixture
def rough(monkeypatch: pytest.MonkeyPatch) -> None:
    """Forests and intervals good enough for a test that is not about their accuracy."""
    monkeypatch.setattr(module, "TREES", 64)
    monkeypatch.setattr(module, "TREES_OF_A_HALF", 4)
    monkeypatch.setattr(module, "HALVES", 2)


@pytest.fixture
def ten_halves(monkeypatch: pytest.MonkeyPatch) -> None:
    """A third of the work, for intervals that are nearly as good."""
    monkeypatch.setattr(module, "TREES", 64)
    monkeypatch.setattr(module, "HALVES", 10)


def cube(parameters: int) -> Space:
    return Space([Float(f"x{k}", 0.0, 1.0) for k in range(parameters)])


def drawn(space: Space, trials: int, seed: int = 0) -> list[Params]:
    rng = np.random.default_rng(seed)
    return [space.sample(rng) for _ in range(trials)]


def number(params: Params, name: str) -> float:
    value = params[name]
    assert isinstance(value, float)
    return value


def closed_form(params: Params) -> float:
    x0, x1, x2 = (number(params, f"x{k}") for k in range(3))
    return 3 * x0 + math.sin(2 * math.pi * x1) + 4 * (x0 - 0.5) * (x2 - 0.5)


def of_closed_form(trials: int, parameters: int = 3, seed: int = 0) -> Importance:
    space = cube(parameters)
    params = drawn(space, trials, seed)
    return importance(space, params, [closed_form(one) for one in params])


def by_names(shares: Sequence[Share]) -> dict[tuple[str, ...], Share]:
    return {one.names: one for one in shares}


def error(found: Importance) -> float:
    shares = by_names((*found.main, *found.pairs))
    return max(abs(shares[names].share - truth) for names, truth in TRUTH.items())


@pytest.mark.usefixtures("rough")
def test_shares_come_closer_to_the_closed_form_with_more_trials() -> None:
    errors = [
        float(np.mean([error(of_closed_form(trials, seed=seed)) for seed in range(2)]))
        for trials in (20, 80, 400)
    ]
    assert errors[0] > errors[1] > errors[2]
    assert errors[2] < 0.03


@pytest.mark.usefixtures("ten_halves")
def test_intervals_hold_the_closed_form() -> None:
    held = []
    for seed in range(2):
        found = of_closed_form(60, parameters=4, seed=seed)
        shares = by_names((*found.main, *found.pairs))
        held += [shares[n].low - 1e-3 <= t <= shares[n].high for n, t in TRUTH.items()]
    assert np.mean(held) >= 0.8  # of 0.9, in the mean of many runs


@pytest.mark.usefixtures("ten_halves")
def test_intervals_are_narrower_with_more_trials() -> None:
    widths = [
        sum(one.high - one.low for one in of_closed_form(trials).main) for trials in (30, 200)
    ]
    assert widths[1] < widths[0] / 2


def test_local_shares_are_the_variances_along_the_axes_through_the_best_trial() -> None:
    space = cube(3)
    best: Params = {"x0": 0.99, "x1": 0.25, "x2": 0.99}
    params = [*drawn(space, 400), best]
    found = importance(space, params, [*map(closed_form, params[:-1]), 4.98])
    local = {one.names[0]: one.share for one in found.local}
    # along x0: (5 x)² / 12, along x1: 1 / 2, along x2: (2 x)² / 12, nearly
    assert local["x0"] == pytest.approx(2.07 / 2.89, abs=0.1)
    assert local["x1"] == pytest.approx(0.50 / 2.89, abs=0.1)
    assert local["x2"] == pytest.approx(0.32 / 2.89, abs=0.08)
    assert sum(local.values()) == pytest.approx(1)


@pytest.mark.usefixtures("ten_halves")
def test_what_does_nothing_may_have_no_share_and_comes_last() -> None:
    found = of_closed_form(60, parameters=6)
    for share in found.main:
        if share.names[0] in ("x3", "x4", "x5"):
            assert share.low == pytest.approx(0, abs=1e-3)
            assert share.share < 0.05
    assert {found.main[0].names, found.main[1].names} == {("x0",), ("x1",)}


@pytest.mark.usefixtures("rough")
def test_shares_belong_to_names_and_not_to_places() -> None:
    params = drawn(cube(3), 150)
    scores = [closed_form(one) for one in params]
    turned = Space([Float(name, 0.0, 1.0) for name in ("x2", "x0", "x1")])
    one = by_names(importance(cube(3), params, scores).main)
    other = by_names(importance(turned, params, scores).main)
    for names, share in one.items():
        assert other[names].share == pytest.approx(share.share, abs=0.04)


@pytest.mark.usefixtures("rough")
def test_the_same_trials_give_the_same_numbers_and_another_seed_similar_ones() -> None:
    space = cube(3)
    params = drawn(space, 150)
    scores = [closed_form(one) for one in params]
    first, again, other = (importance(space, params, scores, seed=k) for k in (1, 1, 2))
    assert first == again
    assert first != other
    assert first.main[0].share == pytest.approx(other.main[0].share, abs=0.08)


@pytest.mark.usefixtures("rough")
def test_a_shift_and_a_scale_of_the_scores_change_nothing() -> None:
    space = cube(3)
    params = drawn(space, 60)
    scores = [closed_form(one) for one in params]
    one = importance(space, params, scores)
    other = importance(space, params, [1e-9 * score + 1 for score in scores])
    assert [share.names for share in one.main] == [share.names for share in other.main]
    assert other.main[0].share == pytest.approx(one.main[0].share, abs=0.02)


@pytest.mark.usefixtures("rough")
def test_optuna_says_the_same_of_the_same_trials() -> None:
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study = optuna.create_study(direction="maximize", sampler=RandomSampler(seed=0))

    def objective(trial: optuna.Trial) -> float:
        exponent = trial.suggest_float("exponent", -4.0, 0.0)
        layers = trial.suggest_int("layers", 1, 5)
        kind = trial.suggest_categorical("kind", ["a", "b", "c"])
        return exponent + 0.4 * layers + {"a": 0.0, "b": 1.5, "c": 0.0}[kind]

    study.optimize(objective, n_trials=150)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        theirs = FanovaImportanceEvaluator(n_trees=16, seed=0).evaluate(study)
    space = Space(
        [
            Float("exponent", -4.0, 0.0),
            Int("layers", 1, 5),
            Categorical("kind", ("a", "b", "c")),
        ]
    )
    scores = [trial.value for trial in study.trials if trial.value is not None]
    ours = importance(space, [trial.params for trial in study.trials], scores)
    for share in ours.main:
        assert share.share == pytest.approx(theirs[share.names[0]], abs=0.08)
    assert [share.names[0] for share in ours.main] == sorted(theirs, key=lambda k: -theirs[k])


@pytest.mark.usefixtures("rough")
def test_a_logarithmic_parameter_is_measured_on_its_logarithmic_scale() -> None:
    """Optuna's evaluator takes the natural one, of which the last decade is nine tenths."""
    space = Space([Float("rate", 1e-4, 1.0, log=True), Int("layers", 1, 5)])
    params = drawn(space, 250)
    scores = []
    for one in params:
        layers = one["layers"]
        assert isinstance(layers, int)
        scores.append(math.log10(number(one, "rate")) + 0.4 * layers)
    shares = by_names(importance(space, params, scores).main)
    variance = 16 / 12 + 0.16 * 2
    assert shares["rate",].share == pytest.approx(16 / 12 / variance, abs=0.05)
    assert shares["layers",].share == pytest.approx(0.32 / variance, abs=0.05)


MIXED: tuple[Parameter, ...] = (
    Float("rate", 1e-4, 1.0, log=True),
    Categorical("optimizer", ("adam", "sgd", "rmsprop", "lamb")),
    Float("momentum", 0.0, 1.0, conditions=(Condition("==", "optimizer", "sgd"),)),
    Bool("nesterov", conditions=(Condition("==", "optimizer", "sgd"),)),
    Ordered("size", ("small", "medium", "large")),
    SortedInts("steps", 1, 90),
    Int("depth", 1, 50),
    Int("width", 1, 50, conditions=(Condition("<=", "depth"),)),
    Categorical("only", ("one",)),
)


@pytest.mark.usefixtures("rough")
def test_the_option_that_stands_out_makes_a_category_important_wherever_it_is_listed() -> None:
    space = Space(MIXED[:2])
    params = drawn(space, 120)
    for best in ("adam", "sgd", "lamb"):
        scores = [float(one["optimizer"] == best) + 0.1 * number(one, "rate") for one in params]
        found = importance(space, params, scores)
        assert found.main[0].names == ("optimizer",)
        assert found.main[0].share > 0.9


@pytest.mark.usefixtures("rough")
def test_a_conditional_parameter_acts_together_with_what_it_depends_on() -> None:
    space = Space(MIXED[:3])
    params = drawn(space, 400)
    scores = [number(one, "momentum") if "momentum" in one else 0.5 for one in params]
    found = importance(space, params, scores)
    # momentum acts in a quarter of the space: Var_main = 1/16 · 1/12, of 1/4 · 1/12 in all
    shares = by_names((*found.main, *found.pairs))
    assert shares["momentum",].share == pytest.approx(0.25, abs=0.08)
    pair = next(one for names, one in shares.items() if set(names) == {"momentum", "optimizer"})
    assert pair.share == pytest.approx(0.75, abs=0.12)
    assert any("momentum" in note for note in found.notes)


@pytest.mark.usefixtures("rough")
def test_a_list_that_matters_is_found() -> None:
    space = Space([SortedInts("steps", 1, 90, min_len=2, max_len=4), Float("rate", 0.0, 1.0)])
    params = drawn(space, 200)
    scores = []
    for one in params:
        steps = one["steps"]
        assert isinstance(steps, list)
        scores.append(float(steps[0]))
    found = importance(space, params, scores)
    assert found.main[0].names == ("steps",)
    assert found.main[0].share > 0.9


def test_shares_lie_in_their_intervals_and_add_up_to_1_at_most_in_any_space() -> None:
    space = Space(MIXED)
    params = drawn(space, 40)
    rng = np.random.default_rng(0)
    found = importance(space, params, rng.standard_normal(40).tolist())
    for share in (*found.main, *found.pairs, *found.local):
        assert 0 <= share.low <= share.share <= share.high <= 1
    assert sum(one.share for one in (*found.main, *found.pairs)) <= 1 + 1e-9
    assert len(found.main) == len(found.local) == len(MIXED)
    assert len(found.pairs) == math.comb(len(MIXED), 2)
    assert by_names(found.main)["only",].high == pytest.approx(0)


@pytest.mark.usefixtures("rough")
def test_largest_shares_come_first() -> None:
    found = of_closed_form(30)
    for shares in (found.main, found.pairs, found.local):
        assert list(shares) == sorted(shares, key=lambda one: -one.share)


@pytest.mark.usefixtures("ten_halves")
def test_noise_is_told_by_a_note_and_a_fit() -> None:
    space = cube(4)
    rng = np.random.default_rng(0)
    found = importance(space, drawn(space, 60), rng.standard_normal(60).tolist())
    assert found.fit < 0.3
    assert any("do not trust the order" in note for note in found.notes)
    assert all(share.low < 0.2 for share in found.main)
    good = of_closed_form(120)
    assert good.fit > 0.9
    assert good.notes == ()


@pytest.mark.usefixtures("rough")
def test_one_diverged_score_does_not_take_all_the_variance() -> None:
    space = cube(3)
    params = drawn(space, 150)
    scores = [closed_form(one) for one in params]
    whole = importance(space, params, scores)
    scores[7] = -1e9
    found = importance(space, params, scores)
    assert found.main[0].share == pytest.approx(whole.main[0].share, abs=0.1)
    assert any("1 score far from all others" in note for note in found.notes)


@pytest.mark.usefixtures("rough")
def test_scores_that_are_no_numbers_are_left_out() -> None:
    space = cube(3)
    params = drawn(space, 62)
    scores = [closed_form(one) for one in params]
    whole = importance(space, params[:60], scores[:60])
    found = importance(space, params, [*scores[:60], math.nan, math.inf])
    assert found.main == whole.main
    assert found.trials == 60
    assert found.notes == ("2 of 62 trials have no score and are left out.",)


@pytest.mark.parametrize("score", [0.0, 0.3, -1e300])
def test_scores_that_are_all_the_same_have_no_shares(score: float) -> None:
    space = cube(2)
    found = importance(space, drawn(space, 20), [score] * 20)
    assert (found.main, found.pairs, found.local, found.fit) == ((), (), (), 0.0)
    assert found.notes == ("All scores are the same: there is nothing to explain.",)


@pytest.mark.parametrize("trials", [0, 1, FEWEST_TRIALS - 1])
def test_too_few_trials_are_refused_with_a_remedy(trials: int) -> None:
    space = cube(2)
    params = drawn(space, trials + 3)
    scores = [float(k) for k in range(trials)] + [math.nan] * 3
    with pytest.raises(TooFewTrials, match=rf"from {trials} trials? with a score") as refusal:
        importance(space, params, scores)
    assert "until more trials have reported" in refusal.value.remedy


def test_ten_trials_are_enough() -> None:
    found = of_closed_form(FEWEST_TRIALS)
    assert len(found.main) == 3


@pytest.mark.usefixtures("rough")
def test_a_space_of_one_parameter_has_no_pairs() -> None:
    space = cube(1)
    params = drawn(space, 30)
    found = importance(space, params, [number(one, "x0") for one in params])
    assert found.pairs == ()
    assert found.main[0].share == pytest.approx(1)


@pytest.mark.usefixtures("rough")
def test_of_many_trials_some_are_drawn_and_the_best_is_among_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "MOST_TRIALS", 50)
    space = cube(3)
    best: Params = {"x0": 0.99, "x1": 0.25, "x2": 0.99}
    params = [*drawn(space, 2_000), best]
    found = importance(space, params, [*map(closed_form, params[:-1]), 9.0])
    assert found.trials == 2_001
    assert "Told from 50 of 2,001 trials, drawn at random." in found.notes
    assert any("1 score far" in note for note in found.notes)


@pytest.mark.timeout(60)
def test_500_trials_of_10_parameters_take_seconds() -> None:
    begun = time.process_time()
    found = of_closed_form(500, parameters=10)
    assert time.process_time() - begun < 8
    assert len(found.pairs) == 45
