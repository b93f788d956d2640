"""Which trials of a run are compared, and at which epoch."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from raytao.analysis.evidence import evidence, run_importance
from raytao.analysis.importance import TooFewTrials
from raytao.brains.base import Task
from raytao.brains.bayesian import Bayesian, BayesianSettings
from raytao.brains.hyperband import Hyperband, HyperbandSettings
from raytao.runs.events import Broke, Changed, Event, Leased, Opened, Reported, Started
from raytao.runs.log import Record, read_log
from raytao.runs.state import RunState
from raytao.space import Float, Space
from raytao.testing.objectives import LearningCurves
from raytao.testing.simulator import LOG_KEY, simulate

SPACE = Space([Float("rate", 1e-4, 1e-1, log=True), Float("momentum", 0.0, 0.99)])


def fold(*events: Event) -> RunState:
    opened = Opened({}, "loss", "minimize", "1.0")
    return RunState.fold(Record(n, float(n), event) for n, event in enumerate([opened, *events]))


def ran(trial: int, *scores: float, rate: float = 0.01) -> list[Event]:
    """A trial that was started and trained: its losses are the scores' negatives."""
    params = {"rate": rate, "momentum": 0.5}
    return [
        Started(trial, params, {"epochs": 9}, {"epochs": 9}, "why", "job"),
        Leased(trial, 1),
        *(
            Reported(trial, 1, epoch, {"loss": -score, "score": score}, 2.0)
            for epoch, score in enumerate(scores, start=1)
        ),
    ]


def trials(lengths: Mapping[int, int]) -> RunState:
    """A run of ``lengths[e]`` trials that trained ``e`` epochs, for each e."""
    events: list[Event] = []
    each = [epochs for epochs, count in lengths.items() for _ in range(count)]
    for number, epochs in enumerate(each):
        events += ran(number, *(0.01 * number + 0.1 * epoch for epoch in range(epochs)))
    return fold(*events)


def hyperband() -> RunState:
    brain = Hyperband(
        Task(SPACE, 27), HyperbandSettings(R=27, nu=3, epoch_multiplier=1, mode="sync")
    )
    run = simulate(brain, LearningCurves(SPACE), workers=4)
    return RunState.fold(read_log(run.store, LOG_KEY))


def test_full_trainings_are_compared_at_their_last_epoch() -> None:
    brain = Bayesian(Task(SPACE, 4), BayesianSettings(max_recommendations=12))
    run = simulate(brain, LearningCurves(SPACE), workers=2)
    state = RunState.fold(read_log(run.store, LOG_KEY))
    found = evidence(state)
    assert found.epochs == 4
    assert len(found.params) == len(found.scores) == 12
    assert found.params[0] == state.trials[0].params  # the user's own
    assert found.scores == tuple(trial.best_score for trial in state.trials.values())
    assert found.words == "Score at epoch 4 of 12 recommendations, each with its best until then."
    assert found.notes == ()


def test_trials_of_different_budgets_are_compared_at_an_epoch_that_half_of_them_reached() -> None:
    state = hyperband()
    found = evidence(state)
    assert found.epochs == 3
    reached = [trial for trial in state.trials.values() if trial.epochs >= 3]
    assert found.params == tuple(trial.params for trial in reached)
    assert len(reached) >= len(state.trials) / 2
    assert sum(trial.epochs >= 9 for trial in state.trials.values()) < len(state.trials) / 2
    left_out = len(state.trials) - len(reached)
    assert found.notes == (f"{left_out} trials did not reach epoch 3 and are left out.",)


def test_a_common_epoch_leaves_ten_trials_where_there_are_ten() -> None:
    assert evidence(trials({1: 3, 3: 6, 9: 5})).epochs == 3
    assert evidence(trials({1: 3, 9: 10})).epochs == 9
    assert evidence(trials({1: 5, 9: 6})).epochs == 1
    assert evidence(trials({2: 2, 9: 4})).epochs == 2  # of fewer than ten, all


def test_a_score_is_the_best_until_the_common_epoch_and_none_after_it() -> None:
    events = [event for n in range(10) for event in ran(n, 0.5, 0.1 * n)]
    found = evidence(fold(*events, *ran(10, 0.7, 0.2, 0.9)))
    assert found.epochs == 2
    assert found.scores[:7] == pytest.approx([0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.6])
    assert found.scores[10] == pytest.approx(0.7)


def test_a_failed_trial_is_no_score_and_one_that_has_not_reported_neither() -> None:
    state = fold(
        *(event for n in range(10) for event in ran(n, 0.1 * n)),
        *ran(10, 0.9),
        Broke(10, 1, "error", "diverged"),
        *ran(11),
    )
    found = evidence(state)
    assert len(found.scores) == 10
    assert found.notes == ("1 failed trial left out: a failure is not a score.",)


def test_trials_of_an_earlier_search_answer_another_question() -> None:
    state = fold(
        *ran(0, 0.5),
        Changed({}, "loss", "minimize", anew=True),
        *(event for n in range(1, 12) for event in ran(n, 0.1 * n)),
    )
    found = evidence(state)
    assert len(found.scores) == 11
    assert found.notes == ("1 trial of an earlier search left out.",)


def test_of_nothing_there_is_no_evidence() -> None:
    found = evidence(fold())
    assert (found.params, found.scores, found.epochs) == ((), (), 0)
    assert found.words == "No recommendation has a score."
    with pytest.raises(TooFewTrials, match="from 0 trials"):
        run_importance(SPACE, fold())


def test_the_importance_of_a_run_says_what_it_is_told_from() -> None:
    state = hyperband()
    found = run_importance(SPACE, state)
    told = evidence(state)
    assert found.notes[: 1 + len(told.notes)] == (told.words, *told.notes)
    assert found.trials == len(told.scores)
    assert {share.names[0] for share in found.main} == set(SPACE.names)


def test_failed_trials_only_are_too_few() -> None:
    events: list[Event] = []
    for number in range(12):
        events += [*ran(number, 0.5), Broke(number, 1, "error", "diverged")]
    with pytest.raises(TooFewTrials, match="until more trials"):
        run_importance(SPACE, fold(*events))
