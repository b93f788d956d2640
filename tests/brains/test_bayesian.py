"""Bayesian optimisation learns from every type of parameter, and from nothing that failed."""

from __future__ import annotations

import json
import re
import time
from itertools import combinations

import numpy as np
import pytest
from pydantic import ValidationError

from raytao.brains.base import Brain, Evidence, Task
from raytao.brains.bayesian import Bayesian, BayesianSettings
from raytao.brains.gp import search
from raytao.brains.gp.features import Array, Features
from raytao.brains.random import Random
from raytao.space import Bool, Categorical, Float, Int, Ordered, Space
from raytao.space.parameters import Parameter
from raytao.testing.brain_contract import BrainContract
from raytao.testing.objectives import Objective, Quadratic
from raytao.testing.rehearsal import Rehearsal
from raytao.types import EPOCHS, SCORE, Done, Failed, Observation, Params, Scored, Start, Wait

SEVEN = Space(
    [
        Float("lr", 1e-4, 1e-1, log=True),
        Float("decay", 1e-6, 1e-2, log=True),
        Float("dropout", 0.0, 0.9),
        Int("units", 16, 512, log=True),
        Int("layers", 1, 5),
        Categorical("optim", ("sgd", "adam", "rmsprop")),
        Bool("augment"),
    ]
)
SIX = Space([Ordered("depth", (1, 2, 4)), Bool("augment")])
LINE = Space([Float("x", 0.0, 1.0)])


def bayesian(
    space: Space, *, seed: int = 0, first: Params | None = None, **given: int
) -> Bayesian:
    settings = BayesianSettings.model_validate(given)
    return Bayesian(Task(space, epochs=1, seed=seed, first=first), settings)


def start(brain: Brain, trial: int) -> Start:
    answer = brain.suggest(trial)
    assert isinstance(answer, Start)
    return answer


def score(brain: Brain, trial: int, value: float) -> None:
    brain.observe(Observation(trial, {EPOCHS: 1}, Scored({SCORE: value})))


def fail(brain: Brain, trial: int) -> None:
    brain.observe(Observation(trial, {EPOCHS: 0}, Failed("out of memory")))


def best_score(run: Rehearsal, objective: Objective) -> float:
    return max(objective(begun.params, 1) for begun in run.starts)


@pytest.mark.usefixtures("small_search")
class TestBayesianIsABrain(BrainContract):
    def make_brain(self, seed: int) -> Brain:
        return Bayesian(self.task(seed), BayesianSettings(max_recommendations=6))


class TestBayesianOnAFiniteSpaceIsABrain(TestBayesianIsABrain):
    space = SIX
    epochs = 2

    def make_brain(self, seed: int) -> Brain:
        return Bayesian(self.task(seed), BayesianSettings())


@pytest.mark.usefixtures("small_search")
class TestTheSmallSearch:
    def test_it_is_really_small(self) -> None:
        asked: list[int] = []

        class Slope:
            def value(self, points: Array) -> Array:
                asked.append(len(points))
                return points[:, 0]

            def value_with_gradient(self, points: Array) -> tuple[Array, Array]:
                return self.value(points), np.ones_like(points)

        features = Features(LINE)
        tried = features.points([{"x": 0.5}])
        rng = np.random.default_rng(0)
        search.Search(features, tried, tried[:0]).maximise(Slope(), tried, rng)
        assert asked[0] == 2**5 + 2 * 4
        assert sum(asked) < 200


@pytest.mark.timeout(60)  # two brains, ten seeds: one seed's luck is as large as the difference
@pytest.mark.parametrize("space", [SEVEN, LINE], ids=["seven", "line"])
def test_it_beats_random_search_on_a_quadratic(space: Space) -> None:
    objective, gains = Quadratic(space), []
    for seed in range(10):
        task = Task(space, epochs=1, seed=seed)
        ours, theirs = (
            best_score(Rehearsal(brain, objective).play(), objective)
            for brain in (
                Bayesian(task, BayesianSettings(max_recommendations=20)),
                Random(task, Random.Settings(max_recommendations=20)),
            )
        )
        gains.append(ours - theirs)
    error = float(np.std(gains, ddof=1)) / len(gains) ** 0.5
    assert float(np.mean(gains)) > 2 * error


def test_a_category_is_learned() -> None:
    def objective(params: Params, epoch: int) -> float:
        return {"sgd": 0.2, "adam": 0.9, "rmsprop": 0.1}[str(params["optim"])]

    run = Rehearsal(bayesian(SEVEN, max_recommendations=14), objective).play()
    late = [begun.params["optim"] for begun in run.starts[8:]]
    assert late.count("adam") >= 4


def test_the_user_s_spec_comes_first_then_a_few_that_fill_the_space() -> None:
    first = SEVEN.decode(np.full(7, 0.25))
    run = Rehearsal(bayesian(SEVEN, first=first, max_recommendations=5), Quadratic(SEVEN)).play()
    whys = [begun.why for begun in run.starts]
    assert run.starts[0].params == first
    assert whys[:3] == ["user's spec", "space-filling, 2 of 3", "space-filling, 3 of 3"]
    assert all(why.startswith("expected improvement") for why in whys[3:])


def test_why_tells_the_gain_the_mark_and_the_evidence() -> None:
    brain = bayesian(LINE)
    for trial, value in enumerate((0.7, 0.91, 0.8, None)):
        start(brain, trial)
        if value is not None:
            score(brain, trial, value)
    why = start(brain, 4).why
    told = re.fullmatch(
        r"expected improvement (\S+): predicted score (\S+) ± (\S+) \(3 results, 1 pending\)", why
    )
    assert told
    gain, predicted, doubt = map(float, told.groups())
    assert 0 < gain < 0.2
    assert 0.5 < predicted < 1.2
    assert 0 < doubt < 0.3


def test_a_trial_is_worth_its_best_epoch() -> None:
    brain = Bayesian(Task(LINE, epochs=3), BayesianSettings())
    start(brain, 0)
    for epoch, value in ((1, 0.2), (2, 0.9), (3, 0.4)):
        brain.observe(Observation(0, {EPOCHS: epoch}, Scored({SCORE: value})))
    assert brain.describe()["ys"] == [0.9]


def test_no_configuration_is_suggested_twice() -> None:
    run = Rehearsal(bayesian(SIX, seed=1), Quadratic(SIX), slots=2).play()
    seen = {json.dumps(dict(begun.params)) for begun in run.starts}
    assert len(seen) == len(run.starts)


def test_an_exhausted_space_ends_the_run() -> None:
    run = Rehearsal(bayesian(SIX), Quadratic(SIX)).play()
    assert len(run.starts) == SIX.size == 6
    assert run.brain.suggest(6) == Done()


def test_an_exhausted_space_waits_for_the_last_to_report() -> None:
    brain = bayesian(SIX)
    for trial in range(6):
        start(brain, trial)
    assert brain.suggest(6) == Wait()
    for trial in range(6):
        fail(brain, trial)
    assert brain.suggest(6) == Done()


def test_a_spec_outside_the_space_leaves_every_other_configuration_to_try() -> None:
    run = Rehearsal(bayesian(SIX, first={"depth": 3, "augment": True}), Quadratic(SIX)).play()
    assert len({json.dumps(dict(begun.params)) for begun in run.starts}) == len(run.starts) == 6


def test_a_constant_metric_fills_the_space() -> None:
    run = Rehearsal(bayesian(LINE, max_recommendations=12), lambda params, epoch: 0.5).play()
    assert all(begun.why.startswith("space-filling") for begun in run.starts)
    xs = np.sort([LINE.encode(begun.params)[0] for begun in run.starts])
    assert np.diff(xs).max() < 0.3


def test_pending_trials_are_respected() -> None:
    brain = bayesian(SEVEN)
    for trial in range(5):
        score(brain, trial, Quadratic(SEVEN)(start(brain, trial).params, 1))
    pending = [SEVEN.encode(start(brain, trial).params) for trial in range(5, 9)]
    gaps = [np.abs(one - other).max() for one, other in combinations(pending, 2)]
    assert min(gaps) > 0.1


def test_nothing_known_yet_still_gives_every_slot_a_configuration() -> None:
    brain = bayesian(SEVEN)
    begun = [start(brain, trial) for trial in range(8)]
    assert len({json.dumps(dict(b.params)) for b in begun}) == 8


def test_a_failure_is_no_number() -> None:
    """The model sees the same evidence whether or not a trial failed far away."""
    with_failure = bayesian(LINE)
    for trial, (x, value) in enumerate([(0.1, 0.2), (0.3, 0.5), (0.5, 0.7), (0.9, None)]):
        with_failure.adopt(trial, {"x": x})
        if value is None:
            fail(with_failure, trial)
        else:
            score(with_failure, trial, value)
    assert with_failure.describe() == {
        "Xs": [pytest.approx([0.1]), pytest.approx([0.3]), pytest.approx([0.5])],
        "ys": [0.2, 0.5, 0.7],
    }


def test_the_neighbourhood_of_a_failure_is_avoided() -> None:
    brain = bayesian(LINE, max_recommendations=30)
    failed: list[float] = []
    for trial in range(15):
        x = LINE.encode(start(brain, trial).params)[0]
        assert all(abs(x - other) > search.FAILED_RADIUS for other in failed)
        if x > 0.6:
            fail(brain, trial)
            failed.append(x)
        else:
            score(brain, trial, x)
    assert failed


def test_a_neighbourhood_of_failures_is_searched_when_nothing_else_is_left() -> None:
    small = Space([Int("n", 1, 30)])
    run = Rehearsal(
        bayesian(small, max_recommendations=30),
        Quadratic(small),
        fails=dict.fromkeys(range(10), 1),
    ).play()
    assert len(run.starts) == 30


def test_the_same_history_gives_the_same_suggestion_bit_for_bit() -> None:
    objective = Quadratic(SEVEN)
    live = Rehearsal(bayesian(SEVEN, max_recommendations=8), objective, slots=2).play(5)
    replayed = bayesian(SEVEN, max_recommendations=8)
    for trial, begun in enumerate(live.starts):
        replayed.adopt(trial, begun.params)
    done = [event for event in live.history if isinstance(event, Observation)]
    for observation in reversed(done):
        replayed.observe(observation)
    number = len(live.starts)
    assert replayed.suggest(number) == live.brain.suggest(number)


def test_brain_json_has_tao_s_points_and_scores() -> None:
    brain = bayesian(SEVEN)
    for trial in range(3):
        start(brain, trial)
    score(brain, 1, 0.4)
    score(brain, 0, 0.3)
    described = json.loads(json.dumps(brain.describe()))
    assert described["ys"] == [0.3, 0.4]
    assert len(described["Xs"]) == 3
    assert all(0.0 <= u <= 1.0 for point in described["Xs"] for u in point)


def test_a_new_brain_describes_no_points() -> None:
    assert bayesian(SEVEN).describe() == {"Xs": [], "ys": []}


def test_a_suggestion_after_twenty_results_takes_little_time() -> None:
    objective, brain = Quadratic(SEVEN), bayesian(SEVEN, max_recommendations=30)
    rng = np.random.default_rng(0)
    for trial in range(20):
        params = SEVEN.sample(rng)
        brain.adopt(trial, params)
        score(brain, trial, objective(params, 1))
    before = time.process_time()
    brain.suggest(20)
    assert time.process_time() - before < 0.5


def test_initial_points_are_a_setting() -> None:
    run = Rehearsal(
        bayesian(LINE, initial_points=5, max_recommendations=6), Quadratic(LINE)
    ).play()
    filling = [begun.why.startswith("space-filling") for begun in run.starts]
    assert filling == [True] * 5 + [False]


def test_a_setting_of_another_kind_is_refused() -> None:
    with pytest.raises(ValidationError, match="initial_points"):
        BayesianSettings.model_validate({"initial_points": 0})


@pytest.mark.parametrize("fixed", [Categorical("optim", ("adamw",)), Ordered("depth", (2,))])
def test_a_choice_of_one_option_leaves_the_rest_to_search(fixed: Parameter) -> None:
    space = Space([Float("lr", 1e-4, 1e-1, log=True), fixed])
    run = Rehearsal(bayesian(space, max_recommendations=8), Quadratic(space)).play()
    assert len({str(begun.params["lr"]) for begun in run.starts}) == 8


def test_results_of_late_trials_alone_are_enough_to_go_on() -> None:
    brain = bayesian(SEVEN, max_recommendations=80)
    for trial in range(64):
        brain.adopt(trial, SEVEN.sample(np.random.default_rng(trial)))
    score(brain, 60, 0.2)
    score(brain, 62, 0.7)
    assert start(brain, 64).why.startswith("expected improvement")


def test_trusted_results_of_trials_that_were_stopped_early_teach_nothing() -> None:
    def first_choice(epochs: int) -> Start:
        known = tuple(Evidence({"x": x}, epochs, score=x) for x in (0.1, 0.5, 0.6))
        return start(Bayesian(Task(LINE, epochs=9, evidence=known), BayesianSettings()), 0)

    assert "3 trusted" in first_choice(9).why
    assert first_choice(1).why == "space-filling, 1 of 3"
