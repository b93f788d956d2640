"""The controller: owns one brain and one event log, and answers what to train next.

It numbers the recommendations, applies the metric's direction once, counts the slots, and writes
every decision to the log before it answers. Its state is the fold of that log; recovery is
replay: logged configurations are handed back to the brain by ``adopt``, so nothing is refitted.
"""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import Callable, Iterable, Mapping
from typing import TypeAlias, assert_never

import raytao
from raytao.brains.base import Brain
from raytao.errors import DamagedRun, RaytaoError
from raytao.runs.ahead import Ahead
from raytao.runs.chapter import Chapter
from raytao.runs.ending import ending
from raytao.runs.events import (
    FORMAT,
    Broke,
    Changed,
    Event,
    Judged,
    Leased,
    Lost,
    Placed,
    Reported,
    Resumed,
    Retried,
    Returned,
    Started,
    Stopped,
    Tested,
)
from raytao.runs.log import EventLog
from raytao.runs.records import is_decision, judged, started
from raytao.runs.retries import Again, HopelessRun, Retries
from raytao.runs.state import Phase, RunState, TrialState
from raytao.runs.tasks import Evaluation, Lease, Task
from raytao.types import (
    SCORE,
    Decision,
    Direction,
    Done,
    Failed,
    Scored,
    Start,
    Suggestion,
    Verdict,
    Wait,
)

__all__ = ["MAX_LOSSES", "Controller", "Evaluation", "Lease", "Listener", "Task"]

log = logging.getLogger(__name__)

MAX_LOSSES = 2
"""An evaluation whose worker vanished is tried again this often."""

Listener: TypeAlias = Callable[[Event, RunState], None]


class Controller:
    """See the module. Made by ``open_run``; not thread-safe.

    Args:
        brain: fresh, or rebuilt to match ``state``.
        events: the open log.
        state: the fold of what is in the log.
        slots: trials that may run at once; may be changed while the run goes on.
        evaluate: whether the winner is measured on the test set at the end.
        listen: is told every event, after the state took it in.
        retries: what becomes of trials that break.
        ahead: prepares suggestions while more than one slot is there; closed by the caller.
    """

    def __init__(
        self,
        brain: Brain,
        events: EventLog,
        state: RunState,
        *,
        slots: int = 1,
        evaluate: bool = False,
        listen: Listener | None = None,
        retries: Retries | None = None,
        ahead: Ahead | None = None,
    ) -> None:
        if state.opened is None:
            raise DamagedRun("the event log is empty")
        self.brain = brain
        self.state = state
        self.slots = slots
        self.hold: Callable[[], str] = lambda: ""
        """Why no new trial may start now (those that have begun go on); empty: it may. Asked
        before each of them."""
        self.settle: Callable[[], None] = lambda: None
        """Called when no more work is given out and nothing runs, before the winner is taken."""
        self.hungry = True
        """Whether there was work the last time a slot was free for it."""
        self._retries = retries or Retries()
        self._events = events
        self._evaluate = evaluate
        self._listen = listen
        self._ahead = ahead
        self._evaluating: Evaluation | None = None
        self._evaluations_lost = 0
        self._done = False
        self._metric = state.opened.metric
        self._direction = Direction(state.opened.direction)

    def suggest(self) -> Task:
        """What to train next. Committed to the log before it is answered."""
        if self.state.busy >= self.slots or self._evaluating is not None:
            return Wait()
        task = self._next_task()
        self.hungry = isinstance(task, Lease)
        return task

    def _next_task(self) -> Task:
        state = self.state
        if state.stopped is not None:
            return self._last_task()
        if state.offers:
            return self._lease(state.offers[0])
        hold = self.hold()
        if hold:
            return self._wait(hold)
        trial = len(state.trials)
        suggestion, saw = self._proposal(trial)
        match suggestion:
            case Start() as start:
                self._do(started(trial, start, saw))
                return self._lease(trial)
            case Wait():
                return self._wait(
                    f"brain {self.brain.name!r} waits although no trial is running: "
                    "it breaks its contract and the run would hang"
                )
            case Done():
                return self._last_task()
            case other:
                assert_never(other)

    def report(
        self,
        trial: int,
        attempt: int,
        epoch: int,
        metrics: Mapping[str, float],
        seconds: float,
        use: Mapping[str, float] | None = None,
    ) -> Decision:
        """Take in an epoch's metrics; idempotent by epoch: the first report counts.

        Returns:
            CONTINUE while the lease goes on; PAUSE or STOP end it.
        """
        known = self.state.trials[trial]
        if attempt != known.attempt or known.phase is not Phase.RUNNING:
            log.info("dropped a report of attempt %d of trial %d: it is void", attempt, trial)
            return Decision.STOP
        if epoch != known.epochs + 1 or epoch > known.budget:
            return Decision.CONTINUE if epoch <= known.epochs else Decision.STOP
        decision = self._learn(known, epoch, metrics, seconds, use)
        if decision is Decision.CONTINUE and self.state.stopped is not None:
            self.give_back(trial, attempt)
            return Decision.STOP
        return decision

    def take_in(self, trial: int, told: Iterable[tuple[int, Mapping[str, float], float]]) -> None:
        """Learn the next epochs of a trial that waits for a worker: its folder knew them first.

        Args:
            trial: offered, and trained by nobody.
            told: epoch, metrics and seconds of each, in order and within the trial's budget.
        """
        lease, known = self._lease(trial), self.state.trials[trial]
        for epoch, metrics, seconds in told:
            self._learn(known, epoch, metrics, seconds)
        self.give_back(trial, lease.attempt)

    def place(self, placed: Placed) -> None:
        """Note where an attempt runs."""
        if placed.attempt == self.state.trials[placed.trial].attempt:
            self._do(placed)

    def broke(self, trial: int, attempt: int, cause: str, reason: str) -> None:
        """The attempt broke: the trial is tried again, or has failed and the run goes on.

        Raises:
            HopelessRun: if too many trials in a row have failed for this reason.
        """
        known = self._running(trial, attempt)
        if known is None:
            return
        again = self._retries.after(known, cause)
        if again is not Again.NO:
            smaller = again is Again.SMALLER_BATCH
            stops = self.state.stopped is not None
            retried = Retried(trial, attempt, cause, reason, smaller_batch=smaller)
            self._do(Returned(trial, attempt) if stops else retried)
            self._events.commit()
            return
        self._do(Broke(trial, attempt, cause, reason))
        self._settle(trial, self._chapter.observe(trial, known.epochs, Failed(reason)))
        self._events.commit()
        if self._retries.hopeless(self.state, cause):
            raise HopelessRun(
                f"{self.state.alike} trials in a row failed alike ({cause}); the last, "
                f"recommendation {trial}: {reason}",
                trial=trial,
                cause=cause,
            )

    def lost(self, trial: int, attempt: int, reason: str, *, node: bool = False) -> None:
        """An attempt vanished with its worker: offer it again, as often as ``retries`` say.

        Args:
            trial: its number.
            attempt: that of its lease.
            reason: what is known, for people.
            node: the worker's whole node is gone, which is no fault of the trial's.
        """
        known = self._running(trial, attempt)
        if known is None:
            return
        if self.state.stopped is not None:
            self.give_back(trial, attempt)
        elif self._retries.lost_too_often(known, node=node):
            times = f"its worker was lost {known.losses + known.nodes_lost + 1} times"
            self.broke(trial, attempt, "lost", f"{times}; last: {reason}")
        else:
            self._do(Lost(trial, attempt, reason, node=node))
            self._events.commit()

    def give_back(self, trial: int, attempt: int) -> None:
        """Offer a lease again that nobody works on; nothing speaks against the trial."""
        if self._running(trial, attempt) is not None:
            self._do(Returned(trial, attempt))
            self._events.commit()

    def stop(self, reason: str, *, cancel: bool = False) -> None:
        """Give out no more work; what runs comes back with its next epoch.

        Args:
            reason: who asked, or which budget is spent, for people.
            cancel: the run ends at once: no winner is measured.
        """
        if self.state.finished is None and (self.state.stopped is None or cancel):
            self._do(Stopped(reason, cancel=cancel))
            self._events.commit()

    def tested(self, evaluation: Evaluation, metrics: Mapping[str, float], reason: str) -> None:
        """The winner was measured on the test set, or could not be (``reason``)."""
        if evaluation == self._evaluating:
            self._evaluating, self._evaluations_lost = None, 0
            self._do(Tested(evaluation.trial, evaluation.epoch, dict(metrics), reason))
            self._events.commit()

    def untested(self, evaluation: Evaluation, reason: str) -> None:
        """The evaluation's worker was lost: try again, ``MAX_LOSSES`` times."""
        if evaluation != self._evaluating:
            return
        if self._evaluations_lost < MAX_LOSSES:
            self._evaluating = None
            self._evaluations_lost += 1
        else:
            self.tested(evaluation, {}, reason)

    def finish(self) -> str:
        """Write the run's last record; return TAO's status.

        Raises:
            RaytaoError: if there is work left: a run that was cut short is not finished.
        """
        if self.state.finished is None:
            self._do(ending(self.state, done=self._done))
        self._events.commit()
        return self.state.finished.status if self.state.finished else "Error"

    def go_on(
        self,
        unsettled: tuple[int, Verdict] | None,
        changed: Changed | None,
        stopped: Stopped | None = None,
    ) -> None:
        """Begin where another driver's records end: leases that were out are offered again.

        Args:
            unsettled: a verdict that the log ends too early to hold.
            changed: what is different from now on.
            stopped: that driver's end, which it did not live to see; this one ends so.
        """
        if unsettled is not None:
            self._settle(*unsettled)
        if changed is not None:  # first, for a torn record must not stand after another one
            self._do(changed)
            self._metric, self._direction = changed.metric, Direction(changed.direction)
        self._do(Resumed(socket.gethostname(), os.getpid(), raytao.__version__, FORMAT))
        if stopped is not None:
            self._do(stopped)
        self._events.commit()

    def tick(self) -> None:
        """Commit reports that have waited long enough for company."""
        self._events.tick()

    def flush(self) -> None:
        """Commit everything, before an orderly stop."""
        self._events.commit()

    @property
    def _chapter(self) -> Chapter:
        return Chapter(self.brain, self.state.first)

    def _proposal(self, trial: int) -> tuple[Suggestion, int | None]:
        """The brain's next, and the last event that it had seen; None: all of them."""
        if self._ahead is None or self.slots == 1:
            return self._chapter.suggest(trial), None
        return self._ahead.suggest(self._chapter, trial)

    def _running(self, trial: int, attempt: int) -> TrialState | None:
        """The trial, if this attempt holds its lease; else what the attempt says is void."""
        known = self.state.trials[trial]
        current = attempt == known.attempt and known.phase is Phase.RUNNING
        return known if current else None

    def _wait(self, otherwise: str) -> Wait:
        """Wait for what runs; say why, if there is nothing to wait for."""
        if not self.state.busy:
            raise RaytaoError(otherwise)
        return Wait()

    def _last_task(self) -> Task:
        if self.state.busy:
            return Wait()
        self.settle()
        best, tested = self.state.incumbent, self.state.tested
        measured = (tested.trial, tested.epoch) if tested else None
        stopped = self.state.stopped
        evaluate = self._evaluate and not (stopped is not None and stopped.cancel)
        if evaluate and best is not None and measured != (best.trial, best.epoch):
            winner = self.state.trials[best.trial]
            self._evaluating = Evaluation(
                best.trial, best.epoch, winner.params, winner.horizon, self._evaluations_lost
            )
            return self._evaluating
        self._done = True
        return Done()

    def _lease(self, trial: int) -> Lease:
        known = self.state.trials[trial]
        self._do(Leased(trial, max(known.attempt + 1, self.state.next_attempt)))
        self._events.commit()
        return Lease(
            trial=trial,
            attempt=known.attempt,
            params=known.params,
            stop_epoch=known.budget,
            horizon=known.horizon,
            reported_epoch=known.epochs,
            halvings=known.halvings,
        )

    def _learn(
        self,
        known: TrialState,
        epoch: int,
        metrics: Mapping[str, float],
        seconds: float,
        use: Mapping[str, float] | None = None,
    ) -> Decision:
        scored = {**metrics, SCORE: self._direction.score(metrics[self._metric])}
        used = None if use is None else dict(use)
        self._do(Reported(known.number, known.attempt, epoch, scored, round(seconds, 4), used))
        verdict = self._chapter.observe(known.number, epoch, Scored(scored))
        return self._settle(known.number, verdict)

    def _settle(self, trial: int, verdict: Verdict) -> Decision:
        if is_decision(verdict):
            self._do(judged(trial, verdict))
            self._events.commit()
        return verdict.decision

    def _do(self, event: Event) -> None:
        record = self._events.add(event)
        self.state.take(record)
        if self._listen:
            self._listen(event, self.state)
        news = isinstance(event, Started | Judged) and self.state.stopped is None
        if self._ahead and news and self.slots > 1:
            self._ahead.prepare(self._chapter, len(self.state.trials), record.seq)
