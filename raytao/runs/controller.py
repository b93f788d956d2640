"""The controller: owns one brain and one event log, and answers what to train next.

It numbers the recommendations, applies the metric's direction once, counts the slots, and writes
every decision to the log before it answers. Its state is the fold of that log; recovery is
replay: logged configurations are handed back to the brain by ``adopt``, so nothing is refitted.
"""

from __future__ import annotations

import logging
import os
import socket
import uuid
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import TypeAlias, assert_never

import raytao
from raytao.brains.base import Brain
from raytao.errors import DamagedRun, RaytaoError
from raytao.runs.events import (
    Broke,
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
    Tested,
)
from raytao.runs.log import EventLog, Record, mend_tail, read_log
from raytao.runs.state import Phase, RunState
from raytao.runs.store import Store
from raytao.types import (
    EPOCHS,
    SCORE,
    Decision,
    Direction,
    Done,
    Failed,
    Json,
    Observation,
    Outcome,
    Params,
    Scored,
    Start,
    Verdict,
    Wait,
)

log = logging.getLogger(__name__)

MAX_LOSSES = 2
"""A trial whose worker vanished is offered again this often, then it has failed."""


@dataclass(frozen=True)
class Lease:
    """One segment of one trial: train from the latest checkpoint to ``stop_epoch``.

    ``attempt`` fences: reports of an older attempt are dropped. ``reported_epoch`` is the last
    epoch the log knows; later ones that were trained already are re-reported, not trained again.
    """

    trial: int
    attempt: int
    params: Params
    stop_epoch: int
    horizon: int
    reported_epoch: int


@dataclass(frozen=True)
class Evaluation:
    """Measure the winner, as it was after ``epoch``, on the test set: the last thing, once."""

    trial: int
    epoch: int
    params: Params
    horizon: int


Task: TypeAlias = Lease | Evaluation | Wait | Done
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
    ) -> None:
        if state.opened is None:
            raise DamagedRun("the event log is empty")
        self.brain = brain
        self.state = state
        self.slots = slots
        self._events = events
        self._evaluate = evaluate
        self._listen = listen
        self._evaluating = False
        self._evaluations_lost = 0
        self._done = False
        self._metric = state.opened.metric
        self._direction = Direction(state.opened.direction)

    def suggest(self) -> Task:
        """What to train next. Committed to the log before it is answered."""
        state = self.state
        if len(state.running()) >= self.slots or self._evaluating:
            return Wait()
        if state.offers:
            return self._lease(state.offers[0])
        match self.brain.suggest(len(state.trials)):
            case Start() as start:
                trial = len(state.trials)
                self._do(_started(trial, start))
                return self._lease(trial)
            case Wait():
                if not state.running():
                    raise RaytaoError(
                        f"brain {self.brain.name!r} waits although no trial is running: "
                        "it breaks its contract and the run would hang"
                    )
                return Wait()
            case Done():
                return self._last_task()
            case other:
                assert_never(other)

    def report(
        self, trial: int, attempt: int, epoch: int, metrics: Mapping[str, float], seconds: float
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
        scored = {**metrics, SCORE: self._direction.score(metrics[self._metric])}
        self._do(Reported(trial, attempt, epoch, scored, round(seconds, 4)))
        verdict = self.brain.observe(Observation(trial, {EPOCHS: epoch}, Scored(scored)))
        return self._settle(trial, verdict)

    def place(self, placed: Placed) -> None:
        """Note where an attempt runs."""
        if placed.attempt == self.state.trials[placed.trial].attempt:
            self._do(placed)

    def broke(self, trial: int, attempt: int, cause: str, reason: str) -> None:
        """The trial failed for good; the run goes on without it."""
        known = self.state.trials[trial]
        if attempt != known.attempt or known.phase is not Phase.RUNNING:
            return
        self._do(Broke(trial, attempt, cause, reason))
        fidelity = {EPOCHS: known.epochs}
        self._settle(trial, self.brain.observe(Observation(trial, fidelity, Failed(reason))))
        self._events.commit()

    def lost(self, trial: int, attempt: int, reason: str) -> None:
        """An attempt vanished with its worker: offer it again, ``MAX_LOSSES`` times."""
        known = self.state.trials[trial]
        if attempt != known.attempt or known.phase is not Phase.RUNNING:
            return
        if known.losses >= MAX_LOSSES:
            times = f"its worker was lost {known.losses + 1} times; last: {reason}"
            self.broke(trial, attempt, "lost", times)
            return
        self._do(Lost(trial, attempt, reason))
        self._events.commit()

    def tested(self, evaluation: Evaluation, metrics: Mapping[str, float], reason: str) -> None:
        """The winner was measured on the test set, or could not be (``reason``)."""
        self._evaluating = False
        self._do(Tested(evaluation.trial, evaluation.epoch, dict(metrics), reason))
        self._events.commit()

    def untested(self, evaluation: Evaluation, reason: str) -> None:
        """The evaluation's worker was lost: try again, ``MAX_LOSSES`` times."""
        self._evaluating = False
        self._evaluations_lost += 1
        if self._evaluations_lost > MAX_LOSSES:
            self.tested(evaluation, {}, reason)

    def finish(self) -> str:
        """Write the run's last record; return TAO's status, Done or Error.

        Raises:
            RaytaoError: if there is work left: a run that was cut short is not finished.
        """
        if self.state.finished is None:
            if not self._done:
                raise RaytaoError("the run ended before its work was done; it can be resumed")
            best = self.state.incumbent
            reason = "" if best else "no trial has a result"
            self._do(Finished("Done" if best else "Error", reason))
        self._events.commit()
        return self.state.finished.status if self.state.finished else "Error"

    def tick(self) -> None:
        """Commit reports that have waited long enough for company."""
        self._events.tick()

    def flush(self) -> None:
        """Commit everything, before an orderly stop."""
        self._events.commit()

    def _last_task(self) -> Task:
        if self.state.running():
            return Wait()
        best = self.state.incumbent
        if self._evaluate and best is not None and self.state.tested is None:
            self._evaluating = True
            winner = self.state.trials[best.trial]
            return Evaluation(best.trial, best.epoch, winner.params, winner.horizon)
        self._done = True
        return Done()

    def _lease(self, trial: int) -> Lease:
        known = self.state.trials[trial]
        self._do(Leased(trial, known.attempt + 1))
        self._events.commit()
        return Lease(
            trial=trial,
            attempt=known.attempt,
            params=known.params,
            stop_epoch=known.budget,
            horizon=known.horizon,
            reported_epoch=known.epochs,
        )

    def _settle(self, trial: int, verdict: Verdict) -> Decision:
        if is_decision(verdict):
            self._do(judged(trial, verdict))
            self._events.commit()
        return verdict.decision

    def _do(self, event: Event) -> None:
        self._events.add(event)
        self.state.apply(event)
        if self._listen:
            self._listen(event, self.state)


def open_run(
    store: Store,
    key: str,
    brain: Brain,
    opened: Opened,
    *,
    slots: int = 1,
    evaluate: bool = False,
    listen: Listener | None = None,
    only_look: bool = False,
) -> Controller:
    """Start a run, or go on where its log ends.

    Args:
        store: the run's files.
        key: the log's key in it.
        brain: fresh; a log that is there is replayed into it.
        opened: what a new log begins with; ignored if there is one (the caller compared).
        slots: trials that may run at once.
        evaluate: whether the winner is measured on the test set at the end.
        listen: is told every new event.
        only_look: write nothing; for drawing what is there.

    Raises:
        DamagedRun: if the log cannot be trusted or was written by a brain that decides otherwise.
    """
    records = read_log(store, key)
    unsettled = _replay(records, brain)  # may refuse, so nothing is written before
    state = RunState.fold(records)
    events = EventLog(store, key, next_seq=len(records))
    if only_look:
        return Controller(brain, events, state)
    mend_tail(store, key)
    if not records:
        events.add(opened)
        state.apply(opened)
        events.commit()
        return Controller(brain, events, state, slots=slots, evaluate=evaluate, listen=listen)
    controller = Controller(brain, events, state, slots=slots, evaluate=evaluate, listen=listen)
    if unsettled is not None:
        controller._settle(*unsettled)
    controller._do(Resumed(socket.gethostname(), os.getpid(), raytao.__version__))
    controller.flush()
    return controller


def is_decision(verdict: Verdict) -> bool:
    """Whether a verdict is more than "go on", so that it must be in the log."""
    return bool(verdict.decision is not Decision.CONTINUE or verdict.promote or verdict.retire)


def judged(trial: int, verdict: Verdict) -> Judged:
    """The verdict as a record."""
    promote: list[dict[str, Json]] = [
        {**asdict(p), "budget": dict(p.budget)} for p in verdict.promote
    ]
    return Judged(trial, verdict.decision.value, promote, list(verdict.retire))


def _started(trial: int, start: Start) -> Started:
    return Started(
        trial=trial,
        params=dict(start.params),
        budget=dict(start.budget),
        horizon=dict(start.horizon),
        why=start.why,
        job_id=str(uuid.uuid4()),
        parent=start.parent,
    )


def _replay(records: list[Record], brain: Brain) -> tuple[int, Verdict] | None:
    """Feed a log to a fresh brain; return a verdict that the log ends too early to hold."""
    due: tuple[int, Verdict] | None = None
    epochs: Counter[int] = Counter()
    for record in records:
        event = record.event
        if isinstance(event, Judged) or due is not None:
            _agree(record, due)
            due = None
            continue
        match event:
            case Started():
                _adopt(record.seq, event, brain)
            case Reported():
                epochs[event.trial] = event.epoch
                outcome: Outcome = Scored(event.metrics)
                verdict = brain.observe(Observation(event.trial, {EPOCHS: event.epoch}, outcome))
                due = (event.trial, verdict) if is_decision(verdict) else None
            case Broke():
                fidelity = {EPOCHS: epochs[event.trial]}
                outcome = Failed(event.reason)
                verdict = brain.observe(Observation(event.trial, fidelity, outcome))
                due = (event.trial, verdict) if is_decision(verdict) else None
            case _:
                pass
    return due


def _gist(verdict: Judged) -> tuple[object, ...]:
    """What a verdict does; its prose may change from version to version."""
    promoted = [(one["trial"], one["budget"]) for one in verdict.promote]
    return verdict.trial, verdict.decision, promoted, verdict.retire


def _adopt(seq: int, event: Started, brain: Brain) -> None:
    try:
        start = brain.adopt(event.trial, event.params)
    except LookupError as error:
        raise DamagedRun(f"record {seq}: {error}: the log is of a longer run") from error
    if dict(start.budget) != dict(event.budget) or dict(start.horizon) != dict(event.horizon):
        raise DamagedRun(
            f"record {seq}: trial {event.trial} was granted {dict(event.budget)}, but brain "
            f"{brain.name!r} grants {dict(start.budget)}: the log was written by another schedule"
        )


def _agree(record: Record, due: tuple[int, Verdict] | None) -> None:
    logged = record.event
    if due is None or not isinstance(logged, Judged) or _gist(judged(*due)) != _gist(logged):
        raise DamagedRun(
            f"record {record.seq}: the logged verdict {record.event} is not what the brain "
            "decides from the same reports: the log was edited or written by another version"
        )
