"""A choice with parameters behind its options is not decided by each option's first values."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Final

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from raytao.brains.base import Evidence, Task
from raytao.brains.bayesian import Bayesian, BayesianSettings
from raytao.brains.gp import search
from raytao.brains.gp.believed import Known
from raytao.brains.gp.choice import MOST, Choice, choice_of
from raytao.brains.gp.features import Array, Features, Points
from raytao.space import Bool, Categorical, Condition, Float, Int, Parameter, Space
from raytao.testing.rehearsal import Rehearsal
from raytao.types import EPOCHS, SCORE, Failed, Observation, Params, Scored, Start

pytestmark = pytest.mark.usefixtures("small_search")

OPTIONS: Final = ("a", "b", "c", "d")


def behind(option: str, parameter: str = "model") -> tuple[Condition, ...]:
    return (Condition("==", parameter, option),)


def one_of(options: Sequence[str]) -> list[Parameter]:
    own = [Float(option, 0.0, 1.0, conditions=behind(option)) for option in options]
    return [Categorical("model", tuple(options)), Float("shared", 0.0, 1.0), *own]


SPACE: Final = Space(one_of(OPTIONS))


def late_bloomer(params: Params, epoch: int) -> float:
    """Every model is at its best with one value only; d is the best by far, and mostly the worst.

    What is expected of models by their first values is always wrong.
    """
    own = float(str(params[str(params["model"])]))
    height, width = {"a": (0.6, 1.0), "b": (0.5, 1.0), "c": (0.4, 1.0), "d": (1.0, 0.2)}[
        str(params["model"])
    ]
    return max(height - abs(own - 0.5) / width, 0.0)


def models(run: Rehearsal) -> list[str]:
    return [str(begun.params["model"]) for begun in run.starts]


def played(
    objective: Callable[[Params, int], float] = late_bloomer,
    space: Space = SPACE,
    trials: int = 12,
    slots: int = 1,
    seed: int = 0,
    evidence: tuple[Evidence, ...] = (),
) -> Rehearsal:
    made = Task(space, epochs=1, seed=seed, evidence=evidence)
    brain = Bayesian(made, BayesianSettings(max_recommendations=trials))
    return Rehearsal(brain, objective, slots=slots).play()


@pytest.mark.parametrize("slots", [1, 3])
@pytest.mark.parametrize("seed", range(3))
def test_every_option_is_tried_once_and_the_better_half_three_times(seed: int, slots: int) -> None:
    run = played(seed=seed, slots=slots)
    begun = run.starts[: 3 + 1 + 4 + slots]  # three of a design, which may all be of one option
    tried = Counter(str(start.params["model"]) for start in begun)
    assert set(tried) == set(OPTIONS)
    assert sorted(tried.values())[-2] >= 3


def test_why_tells_whose_turn_it_is() -> None:
    run = played(trials=9)
    due = [start for start in run.starts if " is due: " in start.why]
    assert due
    for start in due:
        assert start.why.startswith(f"model = {start.params['model']} is due: expected impr")


def test_an_option_without_anything_left_to_try_holds_nobody_up() -> None:
    space = Space(
        [
            Categorical("model", ("a", "b")),
            Bool("a", conditions=behind("a")),
            Int("b", 1, 9, conditions=behind("b")),
        ]
    )

    def objective(params: Params, epoch: int) -> float:
        return 1.0 if params["model"] == "a" else 0.05 * float(str(params["b"]))

    run = played(objective, space, trials=30)
    assert Counter(models(run)) == {"a": 2, "b": 9}
    last = max(place for place, model in enumerate(models(run)) if model == "a")
    assert " is due: " in run.starts[last].why
    assert run.starts[last + 1].why.startswith("expected improvement")


def test_trials_that_failed_are_trials() -> None:
    """An option that always fails is not tried until it works."""
    brain = Bayesian(Task(SPACE, epochs=1), BayesianSettings(max_recommendations=12))
    starts: list[Start] = []
    for trial in range(12):
        begun = brain.suggest(trial)
        assert isinstance(begun, Start)
        starts.append(begun)
        scored = Scored({SCORE: late_bloomer(begun.params, 1)})
        outcome = Failed("out of memory") if begun.params["model"] == "c" else scored
        brain.observe(Observation(trial, {EPOCHS: 1}, outcome))
    assert 1 <= [start.params["model"] for start in starts].count("c") <= 3
    assert sum(" is due: " in start.why for start in starts) <= 8


def test_what_other_runs_tried_need_not_be_tried_again() -> None:
    known = tuple(
        Evidence({"model": model, "shared": place, model: place}, 1, height)
        for model, height in (("a", 0.9), ("b", 0.8), ("c", 0.2), ("d", 0.1))
        for place in (0.2, 0.5, 0.8)
    )
    run = played(trials=6, evidence=known)
    assert not any(" is due: " in start.why for start in run.starts)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 3), st.one_of(st.none(), st.floats(-1, 1))), max_size=20))
def test_an_option_is_due_as_long_as_it_has_too_few_trials(
    trials: list[tuple[int, float | None]],
) -> None:
    choice = choice_of(SPACE)
    assert choice is not None
    x = np.full((len(trials), SPACE.dim), 0.5)
    x[:, choice.coordinate] = [choice.cell(option).middle for option, _ in trials]
    scored = [place for place, (_, score) in enumerate(trials) if score is not None]
    scores = np.array([score for _, score in trials if score is not None], dtype=float)
    known = Known(Points(x[scored], np.ones((len(scored), SPACE.dim), dtype=bool)), scores)
    count = Counter(option for option, _ in trials)
    best = {
        option: max((s for o, s in trials if o == option and s is not None), default=-np.inf)
        for option in range(4)
    }
    due = choice.due(x, known)
    untried = {option for option in range(4) if not count[option]}
    better = sorted(range(4), key=lambda option: -best[option])[:2]
    seldom = {option for option in better if count[option] < 3 and best[option] > -np.inf}
    assert set(due) == untried | seldom
    assert len(due) == len(set(due))
    assert set(due[: len(untried)]) == untried
    later = [count[option] for option in due[len(untried) :]]
    assert later == sorted(later)


def test_an_option_with_nothing_left_does_not_take_the_turns_of_the_others() -> None:
    space = Space(
        [
            Categorical("model", ("linear", "tree", "svm")),
            *(Float(option, 0.0, 1.0, conditions=behind(option)) for option in ("tree", "svm")),
        ]
    )
    heights = {"linear": 0.9, "tree": 0.8, "svm": 0.1}

    def objective(params: Params, epoch: int) -> float:
        model = str(params["model"])
        return heights[model] - 0.01 * float(str(params.get(model, 0.0)))

    run = played(objective, space, trials=9)
    turns = Counter(s.why.partition(" is due")[0] for s in run.starts if " is due: " in s.why)
    assert turns["model = linear"] <= 1
    assert turns["model = tree"] >= 2


def test_the_choice_is_the_one_with_the_most_behind_it() -> None:
    space = Space(
        [
            Categorical("optimizer", ("sgd", "adam")),
            Float("momentum", 0.0, 1.0, conditions=behind("sgd", "optimizer")),
            *one_of(OPTIONS),
        ]
    )
    choice = choice_of(space)
    assert choice is not None
    assert space.columns[choice.coordinate].parameter == "model"
    for place, option in enumerate(OPTIONS):
        point = np.full(space.dim, 0.5)
        point[choice.coordinate] = choice.cell(place).middle
        assert space.decode(point)["model"] == option
        assert choice.options(point[None]) == [place]
        assert choice.cell(place).holds(point[None]).all()


@pytest.mark.parametrize(
    "space",
    [
        Space([Float("x", 0.0, 1.0), Categorical("optim", ("sgd", "adam"))]),
        Space(
            [Int("layers", 1, 3), Float("x", 0.0, 1.0, conditions=(Condition(">", "layers", 1),))]
        ),
        Space(one_of([f"m{number}" for number in range(MOST + 1)])),
    ],
    ids=["nothing behind it", "a number", "too many options"],
)
def test_not_every_category_is_such_a_choice(space: Space) -> None:
    assert choice_of(space) is None


def test_a_search_within_a_cell_finds_nothing_else() -> None:
    class Slope:
        """Higher in every other cell."""

        def value(self, points: Array) -> Array:
            return -points[:, 3]

        def value_with_gradient(self, points: Array) -> tuple[Array, Array]:
            gradient = np.zeros_like(points)
            gradient[:, 3] = -1.0
            return self.value(points), gradient

    features = Features(SPACE)
    choice = choice_of(SPACE)
    assert isinstance(choice, Choice)
    tried = features.points([{"model": "b", "shared": 0.5, "b": 0.5}])
    for around in (None, tried.x[0]):
        found = search.Search(features, tried, tried[:0]).maximise(
            Slope(), tried, np.random.default_rng(0), around=around, within=choice.cell(3)
        )
        assert found is not None
        assert SPACE.decode(found)["model"] == "d"
