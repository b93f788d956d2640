"""The state of a run: a fold of its log, and the rules by which it names the best."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from raytao.brains.base import Task
from raytao.brains.hyperband import Hyperband, HyperbandSettings
from raytao.runs.events import (
    Broke,
    Changed,
    Event,
    Finished,
    Judged,
    Leased,
    Lost,
    Opened,
    Placed,
    Reported,
    Resumed,
    Started,
)
from raytao.runs.events import Tested as Measured  # pytest would collect a Test…
from raytao.runs.log import Record, read_log
from raytao.runs.state import Phase, RunState
from raytao.space import Float, Space
from raytao.testing.objectives import LearningCurves
from raytao.testing.simulator import LOG_KEY, simulate
from raytao.types import Decision

SPACE = Space([Float("lr", 1e-4, 1e-1, log=True), Float("momentum", 0.0, 0.99)])
OPENED = Opened({}, "loss", "minimize", "1.0")


def fold(*events: Event) -> RunState:
    return RunState.fold(Record(n, float(n), event) for n, event in enumerate([OPENED, *events]))


def started(trial: int, *, epochs: int = 3, horizon: int = 9) -> Started:
    return Started(trial, {"lr": 0.1}, {"epochs": epochs}, {"epochs": horizon}, "why", "job")


def reported(trial: int, *scores: float, attempt: int = 1) -> list[Event]:
    """Epochs 1, 2, … of a loss: the score is its negative."""
    return [
        Reported(trial, attempt, epoch, {"loss": -score, "score": score}, 2.0)
        for epoch, score in enumerate(scores, start=1)
    ]


def ran(trial: int, *scores: float, horizon: int = 9) -> list[Event]:
    """A trial that was started and trained."""
    return [started(trial, horizon=horizon), Leased(trial, 1), *reported(trial, *scores)]


def finished(trial: int) -> Judged:
    return Judged(trial, Decision.STOP.value)


def log_of_a_run() -> list[Record]:
    brain = Hyperband(
        Task(SPACE, 9), HyperbandSettings(R=9, nu=3, epoch_multiplier=1, mode="sync")
    )
    run = simulate(
        brain,
        LearningCurves(SPACE),
        workers=3,
        fails=lambda trial, epoch: (trial in (2, 9) and epoch == 2) or trial == 5,
    )
    return read_log(run.store, LOG_KEY)


LOG = log_of_a_run()


@pytest.mark.parametrize("cut", range(0, len(LOG) + 1, 7))
def test_folding_a_prefix_and_then_the_rest_is_folding_all(cut: int) -> None:
    state = RunState.fold(LOG[:cut])
    for record in LOG[cut:]:
        state.take(record)
    assert vars(state) == vars(RunState.fold(LOG))


def test_a_finished_run_has_settled_every_trial() -> None:
    state = RunState.fold(LOG)
    assert state.finished == Finished("Done")
    assert state.offers == []
    assert state.running() == []
    assert state.by_phase(Phase.OFFERED, Phase.RUNNING, Phase.PAUSED) == []
    assert {t.number for t in state.by_phase(Phase.FAILED)} == {2, 5, 9}
    assert state.epochs == sum(isinstance(record.event, Reported) for record in LOG)
    assert state.next_seq == len(LOG)


def test_offers_and_phases_always_agree() -> None:
    state = RunState()
    for record in LOG:
        state.apply(record.event)
        assert sorted(state.offers) == [t.number for t in state.by_phase(Phase.OFFERED)]


def moved(event: Event, by: int) -> Event:
    """The same event of trials whose numbers are larger by so many."""
    match event:
        case Judged(promote=promote, retire=retire):
            further = [{**one, "trial": one["trial"] + by} for one in promote]
            gone = [number + by for number in retire]
            return replace(event, trial=event.trial + by, promote=further, retire=gone)
        case Started() | Leased() | Reported() | Broke():
            return replace(event, trial=event.trial + by)
        case _:
            return event


@pytest.mark.parametrize("cut", [10, 57, 101])
def test_what_is_kept_of_all_trials_is_what_a_look_at_each_of_them_finds(cut: int) -> None:
    """Also where one that led fails, and where the search begins anew by the opposite measure."""
    state = RunState.fold(LOG[:cut])
    anew = Changed({}, "value", "minimize", anew=True)
    again = [moved(record.event, len(state.trials)) for record in LOG[1:-1]]
    leads = 0
    for event in [anew, *again]:
        state.apply(event)
        trials = list(state.trials.values())
        assert state.epochs == sum(len(t.history) for t in trials)
        assert state.granted == sum(t.budget for t in trials)
        assert state.before == sum(t.epochs for t in trials[: state.first])
        failed = [t for t in trials[state.first :] if t.phase is Phase.FAILED]
        assert state.spared == sum(t.budget - t.epochs for t in failed)
        assert state.busy == len(state.running()) == len(state.by_phase(Phase.RUNNING))
        for leader, among in (
            (state.incumbent, trials),
            (state.incumbent_at_full_budget, [t for t in trials if t.epochs >= t.horizon]),
        ):
            known = [best for t in among if (best := state.best_of(t)) is not None]
            assert leader == max(
                known, key=lambda b: (b.score, b.fidelity, -b.trial), default=None
            )
        leads += isinstance(event, Broke) and state.incumbent is not None
    assert leads


def test_a_trial_is_offered_then_runs_then_waits_and_is_offered_again() -> None:
    grant = {"trial": 0, "budget": {"epochs": 9}, "why": "rank 1 of 3"}
    history: list[tuple[Event, Phase]] = [
        (started(0), Phase.OFFERED),
        (Leased(0, 1), Phase.RUNNING),
        (reported(0, 0.5)[0], Phase.RUNNING),
        (Judged(0, Decision.PAUSE.value), Phase.PAUSED),
        (Judged(0, Decision.PAUSE.value, [grant]), Phase.OFFERED),
        (Leased(0, 2), Phase.RUNNING),
        (Lost(0, 2, "node gone"), Phase.OFFERED),
        (Leased(0, 3), Phase.RUNNING),
        (finished(0), Phase.FINISHED),
    ]
    state = fold()
    for event, phase in history:
        state.apply(event)
        assert state.trials[0].phase is phase
    trial = state.trials[0]
    assert (trial.budget, trial.horizon, trial.attempt, trial.losses) == (9, 9, 3, 1)
    assert trial.why == ["why", "rank 1 of 3"]
    assert state.offers == []


def test_a_retired_trial_is_over_but_a_failed_one_stays_failed() -> None:
    state = fold(
        *ran(0, 0.1),
        Judged(0, Decision.PAUSE.value),
        *ran(1),
        Broke(1, 1, "error", "no memory"),
        Judged(1, Decision.STOP.value, [], [0, 1]),
    )
    assert state.trials[0].phase is Phase.RETIRED
    assert state.trials[1].phase is Phase.FAILED
    assert state.trials[1].failure == Broke(1, 1, "error", "no memory")


def test_a_lost_trial_is_offered_before_those_that_wait_longer() -> None:
    state = fold(started(0), started(1), started(2), Leased(0, 1), Lost(0, 1, "gone"))
    assert state.offers == [0, 1, 2]


def test_a_new_driver_offers_again_what_was_out_first() -> None:
    state = fold(
        *(started(n) for n in range(5)),
        *(Leased(n, 1) for n in (3, 1)),
        Finished("Error", "stopped"),
        Resumed("host", 1, "1.0"),
    )
    assert state.offers == [1, 3, 0, 2, 4]
    assert state.running() == []
    assert state.finished is None
    assert state.trials[3].losses == 0


def test_where_an_attempt_runs_is_remembered() -> None:
    place = Placed(0, 1, "node-a", 42, 1.0, 0.5)
    assert fold(*ran(0), place).trials[0].place == place


def test_the_value_is_the_user_s_and_the_score_larger_is_better() -> None:
    best = fold(*ran(0, -0.5, -0.2, -0.3)).incumbent
    assert best is not None
    assert (best.trial, best.epoch, best.value, best.score, best.fidelity) == (0, 2, 0.2, -0.2, 3)


def test_the_best_epoch_is_the_earliest_of_equals() -> None:
    state = fold(*ran(0, 0.1, 0.7, 0.7, 0.3))
    assert state.trials[0].best_epoch == 2
    assert state.trials[0].best_score == 0.7


def test_a_tie_goes_to_the_larger_fidelity() -> None:
    best = fold(*ran(0, 0.7), *ran(1, 0.2, 0.7), *ran(2, 0.7)).incumbent
    assert best is not None
    assert best.trial == 1


def test_a_tie_at_the_same_fidelity_goes_to_the_earlier_trial() -> None:
    best = fold(*ran(0, 0.1), *ran(1, 0.7), *ran(2, 0.7)).incumbent
    assert best is not None
    assert best.trial == 1


def test_a_failed_trial_is_never_the_best_whatever_it_had_reached() -> None:
    state = fold(*ran(0, 0.1), *ran(1, 0.9), Broke(1, 1, "error", "broke"), finished(1))
    best = state.incumbent
    assert best is not None
    assert best.trial == 0
    assert state.best_of(state.trials[1]) is None


def test_before_the_first_report_nothing_is_best() -> None:
    state = fold(started(0), Leased(0, 1))
    assert state.incumbent is None
    assert state.incumbent_at_full_budget is None
    assert state.baseline is None
    assert state.trials[0].best_score is None
    assert fold().baseline is None


def test_the_best_at_full_budget_was_trained_to_its_horizon() -> None:
    state = fold(*ran(0, 0.9, horizon=2), *ran(1, 0.1, 0.6, horizon=2), *ran(2, 0.5, horizon=1))
    full = state.incumbent_at_full_budget
    assert full is not None
    assert full.trial == 1


def test_the_baseline_is_recommendation_0() -> None:
    baseline = fold(*ran(0, 0.1), *ran(1, 0.9)).baseline
    assert baseline is not None
    assert (baseline.trial, baseline.score) == (0, 0.1)


def test_the_test_result_is_kept() -> None:
    measured = Measured(0, 2, {"test_acc": 0.8})
    assert fold(*ran(0, 0.1), measured).tested == measured


@settings(max_examples=100, deadline=None)
@given(
    curves=st.lists(
        st.lists(st.sampled_from([0.1, 0.2, 0.3]), min_size=1, max_size=4), min_size=1, max_size=7
    ),
    failed=st.sets(st.integers(0, 6)),
)
def test_the_incumbent_is_what_comparing_all_epochs_of_all_trials_finds(
    curves: Sequence[Sequence[float]], failed: set[int]
) -> None:
    events: list[Event] = []
    for trial, scores in enumerate(curves):
        events += ran(trial, *scores)
        if trial in failed:
            events.append(Broke(trial, 1, "error", "broke"))
    candidates = [
        (-score, -len(scores), trial, epoch)
        for trial, scores in enumerate(curves)
        if trial not in failed
        for epoch, score in enumerate(scores, start=1)
    ]
    best = fold(*events).incumbent
    if not candidates:
        assert best is None
        return
    score, fidelity, trial, epoch = min(candidates)
    assert best is not None
    assert (best.trial, best.epoch, best.score, best.fidelity) == (trial, epoch, -score, -fidelity)
