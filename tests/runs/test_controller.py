"""The controller: it counts, fences and judges, and logs a decision before it answers it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from raytao.brains.base import Brain, Task
from raytao.brains.bayesian import Bayesian, BayesianSettings
from raytao.brains.full import FullLengthSettings
from raytao.brains.hyperband import Hyperband, HyperbandSettings
from raytao.brains.random import Random
from raytao.errors import RaytaoError
from raytao.runs.controller import MAX_LOSSES, Controller, Evaluation, Lease
from raytao.runs.events import (
    Event,
    Finished,
    Judged,
    Lost,
    Opened,
    Placed,
    Reported,
    Returned,
    Started,
)
from raytao.runs.log import read_log
from raytao.runs.opening import open_run
from raytao.runs.retries import Retries
from raytao.runs.state import Phase, RunState
from raytao.runs.store import MemoryStore, StoreError
from raytao.space import Float, Space
from raytao.testing.objectives import LearningCurves
from raytao.testing.simulator import LOG_KEY, simulate
from raytao.types import Decision, Direction, Done, Suggestion, Wait

SPACE = Space([Float("lr", 1e-4, 1e-1, log=True), Float("momentum", 0.0, 0.99)])
CURVES = LearningCurves(SPACE)
OPENED = Opened({}, "value", "maximize", "1.0")


def hyperband(R: int = 9, multiplier: int = 1) -> Hyperband:
    chosen = HyperbandSettings(R=R, nu=3, epoch_multiplier=multiplier, mode="sync")
    return Hyperband(Task(SPACE, 9, seed=3), chosen)


def bayesian(many: int = 5) -> Bayesian:
    return Bayesian(Task(SPACE, 2, seed=3), BayesianSettings(max_recommendations=many))


def random(many: int = 4) -> Random:
    return Random(Task(SPACE, 2, seed=3), FullLengthSettings(max_recommendations=many))


def opened(brain: Brain | None = None, store: MemoryStore | None = None, **how: Any) -> Controller:
    return open_run(store or MemoryStore(), LOG_KEY, brain or random(), OPENED, **how)


def leased(controller: Controller) -> Lease:
    lease = controller.suggest()
    assert isinstance(lease, Lease)
    return lease


def report(controller: Controller, lease: Lease, epoch: int, value: float = 0.5) -> Decision:
    return controller.report(lease.trial, lease.attempt, epoch, {"value": value}, 1.0)


def train(controller: Controller, lease: Lease) -> Decision:
    """Every epoch of a lease; the last answer."""
    decision = Decision.CONTINUE
    for epoch in range(lease.reported_epoch + 1, lease.stop_epoch + 1):
        decision = report(controller, lease, epoch, CURVES(lease.params, epoch))
    return decision


def drive(controller: Controller, seed: int, *, lose: float = 0.0, fail: float = 0.0) -> None:
    """Run to the end; who reports, loses its worker or breaks next is drawn from ``seed``."""
    rng, held = np.random.default_rng(seed), dict[int, tuple[Lease, int]]()
    while True:
        task = controller.suggest()
        if isinstance(task, Lease):
            assert task.trial not in held
            held[task.trial] = task, task.reported_epoch
            continue
        if isinstance(task, Done):
            assert not held
            return
        trial = int(rng.choice(sorted(held)))
        lease, epoch = held.pop(trial)
        match rng.random():
            case dice if dice < lose:
                controller.lost(trial, lease.attempt, "node gone")
            case dice if dice < lose + fail:
                controller.broke(trial, lease.attempt, "error", "no memory")
            case _:
                value = CURVES(lease.params, epoch + 1)
                if report(controller, lease, epoch + 1, value) is Decision.CONTINUE:
                    held[trial] = lease, epoch + 1


def logged(store: MemoryStore) -> list[Event]:
    return [record.event for record in read_log(store, LOG_KEY)]


def final(controller: Controller) -> list[tuple[int, dict[str, Any], int]]:
    """What two runs are compared by: the number, configuration and epochs of every trial."""
    trials = controller.state.trials.values()
    return [(t.number, dict(t.params), t.epochs) for t in trials]


def known(state: RunState) -> dict[str, object]:
    """Everything a state holds."""
    return vars(state)


class TestCommitting:
    def test_what_is_answered_is_in_the_log(self) -> None:
        store = MemoryStore()
        controller = opened(hyperband(), store, slots=2)
        while not isinstance(task := controller.suggest(), Done):
            assert known(RunState.fold(read_log(store, LOG_KEY))) == known(controller.state)
            if isinstance(task, Lease):
                train(controller, task)
                assert known(RunState.fold(read_log(store, LOG_KEY))) == known(controller.state)

    def test_a_report_that_decides_nothing_waits_for_the_next_commit(self) -> None:
        store = MemoryStore()
        controller = opened(random(), store)
        lease = leased(controller)
        before = store.files[LOG_KEY]
        assert report(controller, lease, 1) is Decision.CONTINUE
        assert store.files[LOG_KEY] == before
        controller.flush()
        assert isinstance(logged(store)[-1], Reported)

    @settings(max_examples=25, deadline=None)
    @given(full_at=st.integers(1, 80), seed=st.integers(0, 999))
    def test_storage_that_refuses_loses_no_answered_decision(
        self, full_at: int, seed: int
    ) -> None:
        class Full(MemoryStore):
            left = full_at

            def append_batch(
                self, key: str, data: bytes, *, durable: bool = True, at: int | None = None
            ) -> None:
                self.left -= 1
                if self.left == 0:
                    raise StoreError("no space left")
                super().append_batch(key, data, at=at)

        store, told = Full(), list[Event]()
        try:
            drive(opened(hyperband(), store, slots=3), seed)
        except StoreError:
            told = logged(store)
        store.left = 0  # there is room again
        continued = opened(hyperband(), store, slots=3)
        assert logged(store)[: len(told)] == told
        drive(continued, seed)
        assert final(continued) == final(simulate(hyperband(), CURVES).controller)

    def test_the_listener_is_told_every_event_after_the_state_took_it_in(self) -> None:
        store, told, at = MemoryStore(), list[Event](), list[float]()

        def listen(event: Event, state: RunState) -> None:
            told.append(event)
            at.append(state.at)
            assert state.next_seq == len(told) + 1

        drive(opened(hyperband(), store, listen=listen), seed=0)
        assert [OPENED, *told] == logged(store)
        assert at == [record.at for record in read_log(store, LOG_KEY)][1:]


class TestLeases:
    @settings(max_examples=15, deadline=None)
    @given(seed=st.integers(0, 999), slots=st.integers(1, 8), trouble=st.sampled_from([0, 0.1]))
    def test_trials_are_numbered_in_order_and_never_more_run_than_there_are_slots(
        self, seed: int, slots: int, trouble: float
    ) -> None:
        crowds: list[int] = []

        def listen(event: Event, state: RunState) -> None:
            crowds.append(len(state.running()))

        store = MemoryStore()
        controller = opened(hyperband(), store, slots=slots, listen=listen)
        drive(controller, seed, lose=trouble, fail=trouble)
        assert max(crowds) == slots
        numbers = [e.trial for e in logged(store) if isinstance(e, Started)]
        assert numbers == list(range(12))
        over = {Phase.FINISHED, Phase.RETIRED, Phase.FAILED}
        assert {trial.phase for trial in controller.state.trials.values()} <= over

    def test_at_one_slot_a_suggestion_has_seen_every_result_before_it(self) -> None:
        class Witness(Bayesian):
            seen: list[int]

            def suggest(self, trial: int) -> Suggestion:
                self.seen.append(len(self.describe()["ys"]))
                return super().suggest(trial)

        store = MemoryStore()
        brain = Witness(Task(SPACE, 2), BayesianSettings(max_recommendations=5))
        brain.seen = []
        drive(opened(brain, store), seed=0)
        assert brain.seen == [0, 1, 2, 3, 4, 5]
        epochs = 0
        for event in logged(store):
            if isinstance(event, Started):
                assert epochs == 2 * event.trial
            epochs += isinstance(event, Reported)

    def test_more_slots_are_used_and_fewer_are_waited_for(self) -> None:
        controller = opened(slots=2)
        first, second = leased(controller), leased(controller)
        assert isinstance(controller.suggest(), Wait)
        controller.slots = 3
        third = leased(controller)
        controller.slots = 1
        for lease in (first, second):
            train(controller, lease)
            assert isinstance(controller.suggest(), Wait)
        train(controller, third)
        assert leased(controller).trial == 3

    def test_a_promotion_is_a_lease_of_the_same_trial_from_where_it_stopped(self) -> None:
        store = MemoryStore()
        drive(opened(hyperband(), store), seed=0)
        jobs = {e.trial: e.job_id for e in logged(store) if isinstance(e, Started)}
        assert len(set(jobs.values())) == 12
        controller, again = opened(hyperband()), list[Lease]()
        while isinstance(lease := controller.suggest(), Lease):
            if lease.attempt > 1:
                again.append(lease)
                assert lease.reported_epoch == controller.state.trials[lease.trial].epochs > 0
                assert lease.reported_epoch < lease.stop_epoch <= lease.horizon
            train(controller, lease)
        assert len(again) == 5

    def test_a_brain_that_waits_for_nobody_is_named(self) -> None:
        class Sleepy(Random):
            def suggest(self, trial: int) -> Suggestion:
                return Wait()

        brain = Sleepy(Task(SPACE, 2), FullLengthSettings())
        with pytest.raises(RaytaoError, match="'random' waits although no trial is running"):
            opened(brain).suggest()


class TestReports:
    def test_an_epoch_counts_once_and_the_first_report_of_it_does(self) -> None:
        controller = opened(hyperband(multiplier=3))
        lease = leased(controller)
        assert report(controller, lease, 1, 0.1) is Decision.CONTINUE
        before = known(controller.state)
        assert report(controller, lease, 1, 0.9) is Decision.CONTINUE
        assert known(controller.state) == before
        assert report(controller, lease, 2, 0.2) is Decision.CONTINUE
        assert report(controller, lease, 1, 0.9) is Decision.CONTINUE
        history = controller.state.trials[0].history
        assert {epoch: metrics["value"] for epoch, metrics in history.items()} == {1: 0.1, 2: 0.2}

    def test_an_epoch_past_the_budget_or_past_a_gap_is_refused(self) -> None:
        controller = opened()
        lease = leased(controller)
        assert report(controller, lease, 2) is Decision.STOP
        assert train(controller, lease) is Decision.STOP
        assert report(controller, lease, 3) is Decision.STOP
        assert controller.state.trials[0].epochs == 2

    def test_whatever_an_old_attempt_says_is_dropped(self) -> None:
        store = MemoryStore()
        controller = opened(random(), store)
        old = leased(controller)
        controller.lost(old.trial, old.attempt, "cut off")
        new = leased(controller)
        assert (new.trial, new.attempt) == (old.trial, old.attempt + 1)
        before = logged(store)
        assert report(controller, old, 1) is Decision.STOP
        controller.lost(old.trial, old.attempt, "late")
        controller.broke(old.trial, old.attempt, "error", "late")
        controller.place(Placed(old.trial, old.attempt, "node", 1, 1.0, 0.0))
        controller.flush()
        assert logged(store) == before
        assert report(controller, new, 1) is Decision.CONTINUE
        controller.place(Placed(new.trial, new.attempt, "node", 1, 1.0, 0.0))
        assert controller.state.trials[new.trial].place is not None

    def test_a_settled_lease_cannot_break_or_be_lost_any_more(self) -> None:
        controller = opened()
        lease = leased(controller)
        train(controller, lease)
        controller.lost(lease.trial, lease.attempt, "late")
        controller.broke(lease.trial, lease.attempt, "error", "late")
        assert controller.state.trials[0].phase is Phase.FINISHED

    def test_the_direction_is_applied_once(self) -> None:
        def loss(params: Any, epoch: int) -> float:
            return 1.0 - CURVES(params, epoch)

        low = simulate(hyperband(), loss, direction=Direction.MINIMIZE).controller.state
        high = simulate(hyperband(), CURVES).controller.state
        best = low.incumbent
        assert best is not None
        values = [m["value"] for t in low.trials.values() for m in t.history.values()]
        assert best.value == min(values)
        assert best.score == -best.value
        assert {n: t.epochs for n, t in low.trials.items()} == {
            n: t.epochs for n, t in high.trials.items()
        }


class TestTrouble:
    def test_a_lost_trial_is_offered_again_a_few_times_and_then_has_failed(self) -> None:
        store = MemoryStore()
        controller = opened(random(), store)
        for attempt in range(1, MAX_LOSSES + 2):
            lease = leased(controller)
            assert (lease.trial, lease.attempt) == (0, attempt)
            if attempt == 1:
                report(controller, lease, 1)
            else:
                assert lease.reported_epoch == 1
            controller.lost(0, attempt, f"node {attempt} gone")
            assert isinstance(logged(store)[-1], Lost if attempt <= MAX_LOSSES else Judged)
        trial = controller.state.trials[0]
        assert trial.phase is Phase.FAILED
        assert trial.failure is not None
        assert trial.failure.cause == "lost"
        assert trial.failure.reason == f"its worker was lost {attempt} times; last: node 3 gone"
        assert leased(controller).trial == 1

    def test_a_failed_trial_is_never_the_incumbent_and_the_run_goes_on(self) -> None:
        controller = opened()
        lease = leased(controller)
        report(controller, lease, 1, 100.0)
        controller.broke(lease.trial, lease.attempt, "error", "no memory")
        assert controller.state.incumbent is None
        drive(controller, seed=0)
        assert controller.state.incumbent is not None
        assert controller.state.incumbent.trial != 0
        assert controller.finish() == "Done"

    def test_a_run_whose_trials_all_failed_ends_in_error(self) -> None:
        run = simulate(hyperband(), CURVES, workers=2, fails=lambda trial, epoch: True)
        assert run.controller.state.finished == Finished("Error", "no trial has a result")
        assert run.controller.finish() == "Error"


class TestTheTestSet:
    def test_it_is_touched_once_at_the_end_for_the_winner(self) -> None:
        store = MemoryStore()
        controller = opened(random(), store, evaluate=True)
        while isinstance(task := controller.suggest(), Lease):
            train(controller, task)
        best = controller.state.incumbent
        assert best is not None
        params = controller.state.trials[best.trial].params
        assert task == Evaluation(best.trial, best.epoch, params, 2)
        assert isinstance(controller.suggest(), Wait)
        controller.tested(task, {"test_value": 0.4}, "")
        assert isinstance(controller.suggest(), Done)
        controller.finish()
        again = opened(random(), store, evaluate=True)
        assert isinstance(again.suggest(), Done)
        assert again.state.tested is not None

    def test_without_a_winner_it_is_left_alone(self) -> None:
        controller = opened(random(many=1), evaluate=True)
        lease = leased(controller)
        controller.broke(lease.trial, lease.attempt, "error", "no memory")
        assert isinstance(controller.suggest(), Done)


@pytest.mark.parametrize("cause", ["error", "stalled", "oom"])
def test_a_trial_that_may_be_tried_again_comes_back_when_the_run_stops(cause: str) -> None:
    store = MemoryStore()
    controller = opened(random(), store, retries=Retries(failures=1, smaller_batch=1))
    lease = leased(controller)
    report(controller, lease, 1)
    controller.stop("asked to")
    controller.broke(lease.trial, lease.attempt, cause, "by chance")
    assert logged(store)[-1] == Returned(lease.trial, lease.attempt)
    assert controller.state.incumbent is not None
    assert isinstance(controller.suggest(), Done)
    assert controller.finish() == "Done"


@pytest.mark.parametrize("make", [random, hyperband])
def test_what_a_trial_had_trained_is_taken_in_when_the_run_is_ended(
    make: Callable[[], Brain],
) -> None:
    store = MemoryStore()
    controller = opened(make(), store)
    lease = leased(controller)
    controller.stop("asked to")
    controller.lost(lease.trial, lease.attempt, "its driver was killed")
    told = [(n, {"value": float(n)}, 1.0) for n in range(1, lease.stop_epoch + 1)]
    controller.take_in(lease.trial, told)
    known = controller.state.trials[lease.trial]
    assert known.epochs == lease.stop_epoch
    assert known.phase is not Phase.RUNNING
    assert controller.state.incumbent is not None
    assert isinstance(controller.suggest(), Done)
    controller.flush()
    assert vars(RunState.fold(read_log(store, LOG_KEY))) == vars(controller.state)
    again = opened(make(), store)
    assert again.state.trials[lease.trial].epochs == lease.stop_epoch
