"""Whatever happens to a run, in whatever order, and wherever it crashes: a small model agrees.

The model knows what was told and answered, and what storage has confirmed. The controller, brain
and log are real; storage is memory that a crash may leave with a torn tail of any length.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from raytao.brains.base import Brain, Task
from raytao.brains.full import FullLengthSettings
from raytao.brains.hyperband import Hyperband, HyperbandSettings
from raytao.brains.random import Random
from raytao.runs.controller import Controller, Lease
from raytao.runs.events import (
    Broke,
    Event,
    Judged,
    Leased,
    Opened,
    Placed,
    Reported,
    Retried,
)
from raytao.runs.log import read_log
from raytao.runs.opening import open_run
from raytao.runs.retries import Retries
from raytao.runs.state import RunState
from raytao.runs.store import MemoryStore
from raytao.space import Float, Space
from raytao.testing.objectives import LearningCurves
from raytao.testing.simulator import LOG_KEY
from raytao.types import SCORE, Decision, Direction, Done, Wait

SPACE = Space([Float("lr", 1e-4, 1e-1, log=True), Float("momentum", 0.0, 0.99)])
CURVES = LearningCurves(SPACE)
OPENED = Opened({}, "loss", Direction.MINIMIZE.value, "1.0")
RETRIES = Retries(failures=1, losses=2)
CLOCKS = {"_up", "_driven_before", "at", "pace"}
"""What a state knows from the times of records, not from their events."""


def hyperband() -> Brain:
    return Hyperband(
        Task(SPACE, 9, seed=3), HyperbandSettings(R=9, nu=3, epoch_multiplier=1, mode="sync")
    )


def random() -> Brain:
    return Random(Task(SPACE, 3, seed=3), FullLengthSettings(max_recommendations=5))


class Crash(BaseException):
    """The process is gone in the middle of an append."""


class Fragile(MemoryStore):
    """Keeps the given share of the next append and crashes; 1.0: after the whole of it.

    ``whole``: the line that is being written is kept as a whole.
    """

    share: float | None = None
    whole = False

    def append_batch(
        self, key: str, data: bytes, *, durable: bool = True, at: int | None = None
    ) -> None:
        if self.share is None:
            super().append_batch(key, data, durable=durable, at=at)
            return
        size = round(len(data) * self.share)
        if self.whole:
            size = data.find(b"\n", size) + 1 or len(data)
        super().append_batch(key, data[:size], durable=durable, at=at)
        raise Crash


class RunMachine(RuleBasedStateMachine):
    """Drives a controller; after every step the invariants hold."""

    brains: tuple[Callable[[], Brain], ...] = (hyperband, random)

    @initialize(data=st.data(), slots=st.integers(1, 4))
    def begin(self, data: st.DataObject, slots: int) -> None:
        self.make = data.draw(st.sampled_from(self.brains))
        self.slots = slots
        self.store = Fragile()
        self.told: dict[tuple[int, int], float] = {}
        self.durable: set[tuple[int, int]] = set()
        self.live: dict[int, Lease] = {}
        self.attempts: Counter[int] = Counter()
        self.over: set[int] = set()
        self.settled: set[int] = set()
        self.done = False
        self.reopen()

    def reopen(self) -> None:
        """A new driver takes over what storage has kept."""
        self.store.share = None
        known = [record.event for record in read_log(self.store, LOG_KEY)]
        self.heard: list[Event] = []
        self.controller: Controller = open_run(
            self.store,
            LOG_KEY,
            self.make(),
            OPENED,
            slots=self.slots,
            retries=RETRIES,
            listen=lambda event, state: self.heard.append(event),
        )
        self.before = known or [OPENED]
        self.live.clear()
        self.done = False
        self.attempts = Counter(e.trial for e in self.events if isinstance(e, Leased))
        self.note()
        assert self.settled <= self.over, "a verdict that was answered is lost"
        self.confirm()

    # --- what happens ---

    @rule()
    def suggest(self) -> None:
        crowded = len(self.live) >= self.slots
        match self.controller.suggest():
            case Lease() as lease:
                assert not crowded
                assert lease.trial not in self.live, "two leases of one trial"
                assert lease.trial not in self.over, "a trial that is over was leased"
                self.attempts[lease.trial] += 1
                assert lease.attempt == self.attempts[lease.trial]
                assert lease.reported_epoch == self.reached(lease.trial)
                assert lease.stop_epoch > lease.reported_epoch
                self.live[lease.trial] = lease
                self.confirm()
            case Wait():
                assert self.live
            case Done():
                assert not self.live
                self.done = True
            case other:
                raise AssertionError(f"{other} was not asked for")

    @precondition(lambda self: self.live)
    @rule(data=st.data(), repeated=st.booleans())
    def report(self, data: st.DataObject, repeated: bool) -> None:
        """The next epoch of a lease; its worker may tell it twice."""
        lease = self.any_lease(data)
        epoch = self.train(lease)
        if repeated:
            self.unchanged_by(lambda: self.tell(lease, epoch, 9.0))

    def train(self, lease: Lease) -> int:
        """Report the next epoch; which one it was."""
        trial, epoch = lease.trial, self.reached(lease.trial) + 1
        value = -round(CURVES(lease.params, epoch), 1)  # so that there are ties
        self.told[trial, epoch] = value
        decision = self.tell(lease, epoch, value)
        self.note()
        assert (decision is Decision.STOP) == (trial in self.over)
        if decision is not Decision.CONTINUE:
            del self.live[trial]
            self.confirm()
        return epoch

    @precondition(lambda self: self.live)
    @rule(data=st.data())
    def report_again(self, data: st.DataObject) -> None:
        """What a lost driver had heard already is told again, at most once too often."""
        lease = self.any_lease(data)
        epoch = data.draw(st.integers(0, self.reached(lease.trial)))

        def tell() -> None:
            assert self.tell(lease, epoch, 0.0) is Decision.CONTINUE

        self.unchanged_by(tell)

    @precondition(lambda self: self.attempts)
    @rule(data=st.data(), how=st.sampled_from(["report", "broke", "lost"]))
    def an_old_attempt_speaks(self, data: st.DataObject, how: str) -> None:
        trial = data.draw(st.sampled_from(sorted(self.attempts)))
        newest = self.attempts[trial]
        attempt = data.draw(st.integers(0, newest - 1 if trial in self.live else newest))

        def speak() -> None:
            match how:
                case "report":
                    epoch = self.reached(trial) + 1
                    metrics = {"loss": -9.0}
                    answer = self.controller.report(trial, attempt, epoch, metrics, 1.0)
                    assert answer is Decision.STOP
                case "broke":
                    self.controller.broke(trial, attempt, "error", "stale")
                case _:
                    self.controller.lost(trial, attempt, "stale")

        self.unchanged_by(speak)

    @precondition(lambda self: self.live)
    @rule(data=st.data(), cause=st.sampled_from(["error", "diverged"]))
    def broke(self, data: st.DataObject, cause: str) -> None:
        lease = self.any_lease(data)
        self.controller.broke(lease.trial, lease.attempt, cause, "told to")
        del self.live[lease.trial]
        self.note()
        self.confirm()
        assert cause == "error" or lease.trial in self.over

    @precondition(lambda self: self.live)
    @rule(data=st.data())
    def lost(self, data: st.DataObject) -> None:
        lease = self.any_lease(data)
        self.controller.lost(lease.trial, lease.attempt, "told to")
        del self.live[lease.trial]
        self.note()
        self.confirm()

    @precondition(lambda self: self.live)
    @rule(data=st.data())
    def place(self, data: st.DataObject) -> None:
        lease = self.any_lease(data)
        self.controller.place(Placed(lease.trial, lease.attempt, "node", 1, 1.0, 0.0))

    @rule()
    def flush(self) -> None:
        self.controller.flush()
        self.confirm()

    @rule()
    def tick(self) -> None:
        self.controller.tick()

    @rule(slots=st.integers(1, 4))
    def change_slots(self, slots: int) -> None:
        self.slots = self.controller.slots = slots

    @precondition(lambda self: self.done)
    @rule()
    def finish(self) -> None:
        best = self.controller.state.incumbent
        assert self.controller.finish() == ("Error" if best is None else "Done")
        self.confirm()

    @rule(data=st.data(), share=st.floats(0.0, 1.0), whole=st.booleans())
    def crash(self, data: st.DataObject, share: float, whole: bool) -> None:
        """At the next append of whatever happens next, or right after it."""
        steps: dict[str, Callable[[], None]] = {"suggest": self.suggest, "flush": self.flush}
        if self.live:
            steps["report"] = lambda: self.report(data, repeated=False)
            steps["broke"] = lambda: self.broke(data, "error")
            steps["lost"] = lambda: self.lost(data)
        if self.done:
            steps["finish"] = self.finish
        step = steps[data.draw(st.sampled_from(sorted(steps)))]
        self.store.share, self.store.whole = share, whole
        with suppress(Crash):
            step()
        self.reopen()

    @precondition(lambda self: self.live)
    @rule(data=st.data(), share=st.floats(0.0, 1.0))
    def crash_between_a_report_and_its_verdict(self, data: st.DataObject, share: float) -> None:
        """One is kept as a whole, the other perhaps not at all."""
        lease = self.any_lease(data)
        for _ in range(self.reached(lease.trial) + 1, lease.stop_epoch):
            self.train(lease)
        self.store.share, self.store.whole = share, True
        with suppress(Crash):
            self.train(lease)
        self.reopen()

    # --- what must hold ---

    @invariant()
    def storage_holds_what_happened_and_perhaps_not_yet_the_last(self) -> None:
        committed = [record.event for record in read_log(self.store, LOG_KEY)]
        assert committed == self.events[: len(committed)]

    @invariant()
    def the_state_is_the_fold_of_the_events(self) -> None:
        folded = RunState()
        for event in self.events:
            folded.apply(event)
        assert _plain(folded) == _plain(self.controller.state)

    @invariant()
    def no_acknowledged_result_is_lost_and_none_is_doubled(self) -> None:
        reports = [e for e in self.events if isinstance(e, Reported)]
        kept = {(e.trial, e.epoch): e.metrics for e in reports}
        assert len(kept) == len(reports)
        assert self.durable <= set(kept)
        for place, metrics in kept.items():
            assert metrics == {"loss": self.told[place], SCORE: -self.told[place]}

    @invariant()
    def running_are_the_leases_that_are_out(self) -> None:
        running = {trial.number: trial.attempt for trial in self.controller.state.running()}
        assert running == {trial: lease.attempt for trial, lease in self.live.items()}

    @invariant()
    def a_trial_is_tried_again_as_often_as_it_may_be(self) -> None:
        retried = Counter(e.trial for e in self.events if isinstance(e, Retried))
        assert max(retried.values(), default=0) <= RETRIES.failures

    @invariant()
    def the_best_is_the_best(self) -> None:
        failed = {e.trial for e in self.events if isinstance(e, Broke)}
        candidates = [
            (-self.told[e.trial, e.epoch], self.reached(e.trial), -e.trial, -e.epoch)
            for e in self.events
            if isinstance(e, Reported) and e.trial not in failed
        ]
        best = self.controller.state.incumbent
        assert (best is None) == (not candidates)
        if best is not None:
            assert (best.score, best.fidelity, -best.trial, -best.epoch) == max(candidates)

    # --- the model ---

    @property
    def events(self) -> list[Event]:
        return [*self.before, *self.heard]

    def reached(self, trial: int) -> int:
        return sum(isinstance(e, Reported) and e.trial == trial for e in self.events)

    def any_lease(self, data: st.DataObject) -> Lease:
        return self.live[data.draw(st.sampled_from(sorted(self.live)))]

    def tell(self, lease: Lease, epoch: int, value: float) -> Decision:
        return self.controller.report(lease.trial, lease.attempt, epoch, {"loss": value}, 1.0)

    def unchanged_by(self, act: Callable[[], object]) -> None:
        before = self.events, _plain(self.controller.state)
        act()
        assert (self.events, _plain(self.controller.state)) == before

    def note(self) -> None:
        """Who is over, by the verdicts so far; nobody ever comes back."""
        over = set[int]()
        for event in self.events:
            match event:
                case Broke():
                    over.add(event.trial)
                case Judged():
                    over |= {event.trial} if event.decision == Decision.STOP.value else set()
                    over |= set(event.retire)
                    assert not over & {promotion["trial"] for promotion in event.promote}
                case _:
                    pass
        self.over = over

    def confirm(self) -> None:
        """Something was answered that must be in the log: so is all before it."""
        assert len(read_log(self.store, LOG_KEY)) == len(self.events)
        self.durable = {(e.trial, e.epoch) for e in self.events if isinstance(e, Reported)}
        self.settled = self.over


def _plain(state: RunState) -> dict[str, Any]:
    return {name: value for name, value in vars(state).items() if name not in CLOCKS}


QUICK = settings(
    max_examples=60,
    stateful_step_count=40,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=list(HealthCheck),
)
THOROUGH = settings(QUICK, max_examples=250, stateful_step_count=60)


def test_whatever_happens_the_model_agrees() -> None:
    run_state_machine_as_test(RunMachine, settings=QUICK)


@pytest.mark.chaos
def test_whatever_happens_for_long_the_model_agrees() -> None:
    run_state_machine_as_test(RunMachine, settings=THOROUGH)
