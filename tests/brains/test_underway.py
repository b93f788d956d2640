"""Trials under way are evidence for the next suggestion, and nothing else."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from raytao.brains.base import Brain, Task
from raytao.brains.bayesian import Bayesian, BayesianSettings
from raytao.brains.full import MARKS, Stage, Trial, mark_epochs
from raytao.brains.underway import worths
from raytao.space import Float, Space
from raytao.testing.brain_contract import through_json
from raytao.testing.objectives import LearningCurves
from raytao.testing.operations import operations
from raytao.testing.rehearsal import Rehearsal
from raytao.types import EPOCHS, SCORE, Failed, Json, Observation, Params, Scored, Start

pytestmark = pytest.mark.usefixtures("small_search")

SPACE = Space([Float("x", 0.0, 1.0), Float("y", 0.0, 1.0)])
CURVES = LearningCurves(SPACE)
EIGHT = 8
"""Epochs of a full training, with marks after 2, 3, 4, 5, 6 and 7."""

Curve = Mapping[int, float]


def bayesian(epochs: int = EIGHT) -> Bayesian:
    return Bayesian(Task(SPACE, epochs), BayesianSettings(max_recommendations=30))


def report(brain: Brain, trial: int, curve: Curve) -> None:
    for epoch, value in curve.items():
        brain.observe(Observation(trial, {EPOCHS: epoch}, Scored({SCORE: value})))


def fail(brain: Brain, trial: int) -> None:
    brain.observe(Observation(trial, {EPOCHS: 0}, Failed("out of memory")))


def started(brain: Brain, trials: int) -> list[Params]:
    rng = random.Random(0)
    every: list[Params] = [{"x": rng.random(), "y": rng.random()} for _ in range(trials)]
    for number, params in enumerate(every):
        brain.adopt(number, params)
    return every


def curve(params: Params, epochs: int) -> Curve:
    return {epoch: CURVES(params, epoch) for epoch in range(1, epochs + 1)}


def suggested(brain: Brain, trial: int) -> Start:
    answer = brain.suggest(trial)
    assert isinstance(answer, Start)
    return answer


def table(brain: Brain) -> list[Trial]:
    lines = brain.state()["trials"]
    return [Trial(one["params"], Stage(one["stage"]), one["best"], one["marks"]) for one in lines]


def worth(brain: Brain) -> list[float | None]:
    return worths(table(brain))


def without_marks(state: Json) -> Json:
    """What an older version would have written."""
    kept = ("params", "stage", "best")
    return {"trials": [{key: line[key] for key in kept} for line in state["trials"]]}


def test_a_trial_counts_from_a_quarter_of_its_epochs_on() -> None:
    brain = bayesian()
    started(brain, 1)
    report(brain, 0, {1: 0.5})
    assert worth(brain) == [None]
    report(brain, 0, {2: 0.6})
    assert worth(brain) == [0.6]


def test_it_is_raised_by_what_the_others_gained_from_there() -> None:
    brain = bayesian()
    started(brain, 4)
    for trial, gain in enumerate((0.1, 0.2, 0.6)):
        report(brain, trial, {4: 0.3, 8: 0.3 + gain})
    report(brain, 3, {4: 0.5})
    assert worth(brain)[3] == pytest.approx(0.5 + 0.2)


def test_it_is_worth_no_less_than_its_best() -> None:
    brain = bayesian(epochs=160)
    started(brain, 2)
    report(brain, 0, {40: 0.5, 160: 0.6})
    report(brain, 1, {40: 0.5, 45: 0.9})
    assert worth(brain)[1] == 0.9


def test_no_estimate_is_above_the_best_that_was_measured() -> None:
    brain = bayesian()
    started(brain, 3)
    report(brain, 0, {2: 0.1, 8: 0.9})
    report(brain, 1, {2: 0.4})
    report(brain, 2, {2: 0.95})
    assert worth(brain) == [0.9, 0.9, 0.95]


def test_a_worse_epoch_takes_nothing_away() -> None:
    brain = bayesian()
    started(brain, 1)
    report(brain, 0, {2: 0.6, 3: 0.1})
    assert worth(brain) == [0.6]


def test_a_mark_that_was_passed_without_a_report_has_the_best_before_it() -> None:
    sparse = bayesian()
    started(sparse, 1)
    report(sparse, 0, {1: 0.2, 4: 0.7})
    assert table(sparse)[0].marks == [0.2, 0.2, 0.7]


def test_what_nobody_reported_by_then_is_not_known() -> None:
    brain = bayesian()
    started(brain, 3)
    report(brain, 0, {8: 0.9})
    report(brain, 1, {6: 0.4, 8: 0.7})
    report(brain, 2, {6: 0.5})
    assert table(brain)[0].marks == [None] * 6
    assert worth(brain)[2] == pytest.approx(0.5 + 0.3)


def test_a_result_takes_the_estimate_s_place() -> None:
    brain = bayesian()
    started(brain, 2)
    report(brain, 0, {2: 0.5, 8: 0.9})
    report(brain, 1, {2: 0.3})
    assert worth(brain)[1] == pytest.approx(0.3 + 0.4)
    report(brain, 1, {8: 0.4})
    assert worth(brain) == [0.9, 0.4]


def test_a_trial_that_fails_leaves_nothing_of_its_estimate() -> None:
    one, other = bayesian(), bayesian()
    for brain in (one, other):
        for trial, params in enumerate(started(brain, 5)[:4]):
            report(brain, trial, curve(params, EIGHT))
    report(one, 4, {2: 5.0})
    assert worth(one)[4] is not None
    for brain in (one, other):
        fail(brain, 4)
    assert worth(one)[4] is None
    assert one.suggest(5) == other.suggest(5)


def test_an_estimate_is_never_told_as_a_result() -> None:
    brain = bayesian()
    started(brain, 4)
    for trial in range(2):
        report(brain, trial, {2: 0.1, 8: 0.5 + 0.1 * trial})
    report(brain, 2, {2: 0.2})
    assert worth(brain)[2] == 0.6
    described = brain.describe()
    assert described["ys"] == [0.5, 0.6]
    assert len(described["Xs"]) == 4
    why = suggested(brain, 4).why
    assert why.endswith("(2 results, 1 estimated under way, 1 pending)")


def test_one_at_a_time_reports_on_the_way_change_nothing() -> None:
    told = Rehearsal(bayesian(), CURVES).play(8 * EIGHT)
    untold = bayesian()
    for trial, begun in enumerate(told.starts):
        assert untold.suggest(trial) == begun
        report(untold, trial, {EIGHT: max(curve(begun.params, EIGHT).values())})
    assert len(told.starts) == 8
    assert any(begun.why.startswith("expected improvement") for begun in told.starts)


def test_several_at_a_time_they_change_the_next_suggestion() -> None:
    told, untold = bayesian(), bayesian()
    for brain in (told, untold):
        every = started(brain, 6)
        for trial in range(3):
            report(brain, trial, curve(every[trial], EIGHT))
    for trial in (3, 4, 5):
        report(told, trial, curve(every[trial], 4))
    assert told.suggest(6) != untold.suggest(6)


@settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    reached=st.lists(st.integers(0, EIGHT), min_size=5, max_size=5),
    failing=st.sets(st.integers(0, 4)),
    seed=st.integers(0, 99),
)
def test_whose_report_came_first_does_not_matter(
    reached: Sequence[int], failing: set[int], seed: int
) -> None:
    in_order, mixed = bayesian(), bayesian()
    every = started(in_order, 5)
    started(mixed, 5)
    turns = [trial for trial, epochs in enumerate(reached) for _ in range(epochs)]
    shuffled = random.Random(seed).sample(turns, len(turns))
    for brain, order in ((in_order, turns), (mixed, shuffled)):
        epochs = [0] * 5
        for trial in order:
            epochs[trial] += 1
            report(brain, trial, {epochs[trial]: CURVES(every[trial], epochs[trial])})
        for trial in failing:
            fail(brain, trial)
    assert in_order.state() == mixed.state()
    assert in_order.suggest(5) == mixed.suggest(5)


def half_trained() -> Bayesian:
    """Three results, three trials under way."""
    brain = bayesian()
    every = started(brain, 6)
    for trial, epochs in enumerate((8, 8, 8, 5, 3, 1)):
        report(brain, trial, curve(every[trial], epochs))
    return brain


def test_a_state_with_half_trained_trials_goes_on_as_it_would_have() -> None:
    live, restored = half_trained(), bayesian()
    restored.load_state(through_json(live.state()))
    assert restored.suggest(6) == live.suggest(6)
    for brain in (live, restored):
        report(brain, 3, {6: 0.8, 7: 0.9})
        report(brain, 4, {4: 0.7})
    assert restored.state() == live.state()
    assert restored.suggest(7) == live.suggest(7)


def test_a_state_is_no_part_of_the_brain_that_it_is_of() -> None:
    brain = half_trained()
    state = brain.state()
    before = through_json(state)
    report(brain, 4, {4: 0.7, 5: 0.8})
    assert state == before


def test_an_older_version_s_state_has_results_and_nothing_of_trials_under_way() -> None:
    live, restored = half_trained(), bayesian()
    restored.load_state(without_marks(live.state()))
    known = worth(live)[:3]
    assert worth(restored) == [*known, None, None, None]
    assert "(3 results, 3 pending)" in suggested(restored, 6).why
    report(restored, 3, {6: 0.9})
    report(restored, 6, {2: 0.5})
    assert worth(restored) == [*known, None, None, None, 0.5]
    report(restored, 3, {8: 0.95})
    assert worth(restored)[3] == 0.95


@pytest.mark.parametrize("epochs", [1, 2, 3, 5, 16, 10_000])
def test_marks_are_few_and_none_is_the_end(epochs: int) -> None:
    marks = mark_epochs(epochs)
    assert len(marks) <= len(MARKS) == 12
    assert list(marks) == sorted(set(marks))
    assert all(epochs / 4 <= mark < epochs for mark in marks)


def test_a_long_training_leaves_few_numbers_and_its_reports_cost_no_more() -> None:
    brain = bayesian(epochs=10_000)
    started(brain, 1)

    def cost(epoch: int) -> int:
        return operations(lambda: report(brain, 0, {epoch: epoch / 10_000}))

    report(brain, 0, {9: 9 / 10_000})
    early = cost(10)
    report(brain, 0, {epoch: epoch / 10_000 for epoch in range(11, 9_000)})
    assert len(table(brain)[0].marks) == 11
    assert cost(9_000) <= early


def test_tao_s_own_search_learns_from_results_alone() -> None:
    settings = BayesianSettings(max_recommendations=5, compat="tao7")
    told, untold = (Bayesian(Task(SPACE, EIGHT), settings) for _ in range(2))
    for brain in (told, untold):
        started(brain, 2)
        report(brain, 0, {8: 0.5})
    report(told, 1, {2: 0.9, 4: 0.95})
    assert told.describe() == untold.describe()
