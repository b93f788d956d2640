"""What is left of a run: it falls to nothing, and never below."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from raytao.brains.base import Brain, Plan, PlanRow, Task
from raytao.brains.full import FullLengthSettings
from raytao.brains.hyperband import Hyperband, HyperbandSettings
from raytao.brains.random import Random
from raytao.runs.eta import Remaining, remaining, whole
from raytao.runs.events import (
    Broke,
    Changed,
    Event,
    Finished,
    Judged,
    Leased,
    Opened,
    Reported,
    Started,
)
from raytao.runs.log import Record, read_log
from raytao.runs.opening import open_run
from raytao.runs.state import RECENT, RunState
from raytao.runs.store import MemoryStore
from raytao.space import Float, Space
from raytao.testing.objectives import LearningCurves
from raytao.testing.simulator import LOG_KEY, simulate

SPACE = Space([Float("lr", 1e-4, 1e-1, log=True), Float("momentum", 0.0, 0.99)])
FIVE_BY_FOUR = Plan((PlanRow(bracket=0, rung=0, trials=5, epochs=4),))


def hyperband() -> Brain:
    chosen = HyperbandSettings(R=9, nu=3, epoch_multiplier=1, mode="sync")
    return Hyperband(Task(SPACE, 9), chosen)


def random() -> Brain:
    return Random(Task(SPACE, 3), FullLengthSettings(max_recommendations=5))


def fold(*events: Event) -> RunState:
    opened = Opened({}, "value", "maximize", "1.0")
    return RunState.fold(Record(n, 0.0, event) for n, event in enumerate([opened, *events]))


def running(trial: int, *seconds: float) -> list[Event]:
    """A trial of four epochs that took these seconds so far."""
    budget = {"epochs": 4}
    return [
        Started(trial, {}, budget, budget, "why", "job"),
        Leased(trial, 1),
        *(
            Reported(trial, 1, epoch, {"value": 0.5, "score": 0.5}, took)
            for epoch, took in enumerate(seconds, start=1)
        ),
    ]


@pytest.mark.parametrize("make", [hyperband, random])
@settings(max_examples=20, deadline=None)
@given(data=st.data())
def test_it_never_rises_nor_falls_below_nothing_and_ends_at_nothing(
    make: Callable[[], Brain], data: st.DataObject
) -> None:
    workers = data.draw(st.integers(1, 8))
    breaking = data.draw(st.sets(st.integers(0, 11), max_size=6))
    brain = make()
    run = simulate(
        brain,
        LearningCurves(SPACE),
        workers=workers,
        fails=lambda trial, epoch: trial in breaking and epoch == 1 + trial % 3,
    )
    state, left = RunState(), [brain.plan().epochs]
    for record in read_log(run.store, LOG_KEY):
        state.apply(record.event)
        found = remaining(state, brain.plan(), workers)
        assert 0 <= found.epochs <= left[-1]
        assert found.seconds is None or 0.0 <= found.seconds < math.inf
        assert (found.seconds is None) == (state.epochs == 0 and state.finished is None)
        left.append(found.epochs)
    assert (left[-1], found.seconds) == (0, 0.0)


@pytest.mark.parametrize("make", [hyperband, random])
@pytest.mark.parametrize("workers", [1, 4])
def test_undisturbed_every_epoch_counts_down_by_one(
    make: Callable[[], Brain], workers: int
) -> None:
    brain = make()
    run = simulate(brain, LearningCurves(SPACE), workers=workers)
    state, left = RunState(), list[int]()
    for record in read_log(run.store, LOG_KEY):
        state.apply(record.event)
        if isinstance(record.event, Reported):
            left.append(remaining(state, brain.plan(), workers).epochs)
    assert left == list(range(brain.plan().epochs - 1, -1, -1))


def test_before_the_first_epoch_nobody_knows_how_long() -> None:
    assert remaining(fold(*running(0)), FIVE_BY_FOUR, 1) == Remaining(20, None, None)


def test_the_time_is_that_of_every_trial_at_its_own_pace_shared_by_the_slots() -> None:
    alone = fold(*running(0, 3.0, 3.0))
    assert remaining(alone, FIVE_BY_FOUR, 1) == Remaining(18, 18 * 3.0, 3.0)
    two = fold(*running(0, 3.0, 3.0), *running(1, 5.0, 5.0))
    # Those to come are as fast as those known, in turn: 4 epochs of 5 s, of 3 s, of 5 s.
    # Slot 1: trial 0 until 6 s, a new one until 26 s; slot 2: until 10, 22 and 42 s.
    assert remaining(two, FIVE_BY_FOUR, 2) == Remaining(16, 42.0, 4.0)


def test_it_takes_no_less_than_the_longest_trial_still_needs() -> None:
    state = fold(*running(0, 2.0))
    fresh = 4 * 2.0
    assert remaining(state, FIVE_BY_FOUR, 100) == Remaining(19, fresh, 2.0)


def test_epochs_of_a_failed_trial_are_not_waited_for() -> None:
    state = fold(*running(0, 2.0), Broke(0, 1, "error", "no memory"), Judged(0, "stop"))
    assert remaining(state, FIVE_BY_FOUR, 1).epochs == 20 - 1 - 3


def test_a_finished_run_has_nothing_left_even_if_trials_never_ran() -> None:
    assert remaining(fold(Finished("Error", "stopped")), FIVE_BY_FOUR, 1) == Remaining(
        0, 0.0, None
    )
    state = fold(*running(0, 2.0), Finished("Done"))
    assert remaining(state, FIVE_BY_FOUR, 1) == Remaining(0, 0.0, 2.0)


def test_only_recent_epochs_tell_the_pace() -> None:
    slow = [event for trial in range(5) for event in running(trial, *[100.0] * 4)]
    fast = [event for trial in range(5, 5 + RECENT) for event in running(trial, 1.0)]
    assert remaining(fold(*slow, *fast), FIVE_BY_FOUR, 1).epoch_seconds == 1.0


def test_recent_is_what_was_reported_last_whatever_the_trial_s_number() -> None:
    slow = [event for trial in range(1, 1 + RECENT) for event in running(trial, 100.0)]
    promoted = running(0)
    late = [Reported(0, 1, n, {"value": 0.5, "score": 0.5}, 1.0) for n in range(1, RECENT + 1)]
    assert remaining(fold(*promoted, *slow, *late), FIVE_BY_FOUR, 1).epoch_seconds == 1.0


def test_a_search_that_began_anew_is_planned_on_top_of_what_was_trained() -> None:
    store = MemoryStore()
    early = simulate(hyperband(), LearningCurves(SPACE), store=store).controller.state
    change = Changed({}, "value", "maximize", anew=True)
    opened = Opened({}, "value", "maximize", "1.0")
    state = open_run(store, LOG_KEY, hyperband(), opened, changed=change).state
    plan = hyperband().plan()
    end = whole(state, plan)
    assert (end.trials, end.epochs) == (
        len(early.trials) + plan.trials,
        early.epochs + plan.epochs,
    )
    assert remaining(state, plan, 1).epochs == plan.epochs
    assert remaining(early, plan, 1).epochs == 0
