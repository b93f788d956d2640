"""The state of a run: a fold of its event log, and nothing else.

Whoever reads a log (controller, status, export, report) gets the same ``RunState``. Scores are
larger-is-better; ``value`` is the metric as the user knows it.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import TypeAlias, assert_never

from raytao.errors import DamagedRun
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
    Repaired,
    Reported,
    Resumed,
    Retried,
    Returned,
    Started,
    Stopped,
    Tested,
)
from raytao.runs.log import Record
from raytao.types import EPOCHS, SCORE, Decision, Direction, Params

TurnOf: TypeAlias = Opened | Resumed | Changed | Repaired | Tested | Stopped | Finished
"""Events of the run as a whole."""

MoveOf: TypeAlias = Leased | Placed | Lost | Retried | Returned | Broke
"""Events that move one trial."""


class Phase(Enum):
    """Where a trial stands."""

    OFFERED = "offered"
    """Waits for a worker: new, promoted, or its worker was lost."""
    RUNNING = "running"
    PAUSED = "paused"
    """Waits at its rung for the others."""
    FINISHED = "finished"
    """Reached the end of its budget and of its plan."""
    RETIRED = "retired"
    """Beaten at its rung; its checkpoints may go."""
    FAILED = "failed"


RECENT = 50
"""Epoch times that are remembered for the estimate of the time remaining."""


@dataclass
class TrialState:
    """One recommendation: its configuration and what it has done so far."""

    number: int
    params: Params
    budget: int
    horizon: int
    job_id: str
    why: list[str]
    parent: int | None = None
    phase: Phase = Phase.OFFERED
    attempt: int = 0
    losses: int = 0
    retries: int = 0
    halvings: int = 0
    """How often its batch was halved after it ran out of memory."""
    history: dict[int, dict[str, float]] = field(default_factory=dict)
    best_epoch: int | None = None
    place: Placed | None = None
    failure: Broke | None = None

    @property
    def epochs(self) -> int:
        """The last epoch whose metrics are known; of our runs all before it are known, too."""
        return next(reversed(self.history), 0)

    @property
    def best_score(self) -> float | None:
        """Score at the best epoch, the earliest of equals; None before the first report."""
        return None if self.best_epoch is None else self.history[self.best_epoch][SCORE]


@dataclass(frozen=True)
class Best:
    """A candidate for the best model: a trial at its best epoch."""

    trial: int
    epoch: int
    score: float
    value: float
    fidelity: int
    """Epochs the trial was trained in all."""


class RunState:
    """What is known about a run after some prefix of its log.

    ``opened`` is what the run is now: its first record, or what it was changed to since.
    ``first`` is the first trial of the search that goes on: 0, unless the search began anew; it is
    the user's own spec, unless ``has_own_spec`` is false: TAO's runs begin with a random one.
    ``launched`` is the trial that was leased last, ``begun`` whether the latest driver leased any.
    ``recent`` holds what the last epochs took, ``gpu_seconds`` what all took, times their GPUs.
    ``alike`` failures in a row had one cause and reason, ``last_failure``, with no rung between.
    """

    def __init__(self) -> None:
        self.opened: Opened | None = None
        self.first = 0
        self.trials: dict[int, TrialState] = {}
        self.offers: list[int] = []
        self.tested: Tested | None = None
        self.stopped: Stopped | None = None
        self.finished: Finished | None = None
        self.launched: int | None = None
        self.begun = False
        self.recent: deque[float] = deque(maxlen=RECENT)
        self.gpu_seconds = 0.0
        self.alike = self.next_seq = 0
        self.has_own_spec = True
        self._chapters: list[tuple[int, Opened]] = []
        self._leased: set[int] = set()
        self.last_failure = ("", "")
        self._void_attempts = 0
        self._driven_before = self._up = 0.0

    @classmethod
    def fold(cls, records: Iterable[Record]) -> RunState:
        """The state after all ``records``.

        Raises:
            DamagedRun: if a record cannot follow on those before it.
        """
        state = cls()
        for record in records:
            state.take(record)
        return state

    def take(self, record: Record) -> None:
        """Take in one record.

        Raises:
            DamagedRun: if it cannot follow on those before it.
        """
        try:
            self.apply(record.event)
        except (LookupError, ValueError, TypeError) as error:
            raise DamagedRun(
                f"record {record.seq} ({record.event.kind}) does not follow on those before "
                f"it: {error}. The log was edited.",
                record=record.seq,
            ) from error
        self._up = record.up

    def apply(self, event: Event) -> None:
        """Take in one event."""
        self.next_seq += 1
        match event:
            case Opened() | Resumed() | Changed() | Repaired() | Tested() | Stopped() | Finished():
                self._turn(event)
            case Started():
                self._start(event)
            case Reported():
                self._report(event)
            case Judged():
                self._judge(event)
            case Leased() | Placed() | Lost() | Retried() | Returned() | Broke():
                self._move(self.trials[event.trial], event)
            case other:
                assert_never(other)

    def opened_for(self, trial: int) -> Opened:
        """What the run was when a trial was proposed: its search may have begun anew since."""
        return next(opened for first, opened in reversed(self._chapters) if first <= trial)

    @property
    def driven(self) -> float:
        """Seconds that drivers have been at work on the run, by clocks that never jump."""
        return self._driven_before + self._up

    @property
    def next_attempt(self) -> int:
        """Attempts up to here may have been handed out before a damaged log was cut."""
        return self._void_attempts + 1

    def _turn(self, event: TurnOf) -> None:
        match event:
            case Opened():
                self.opened = event
                self._chapters = [(0, event)]
            case Resumed():
                self._resume()
            case Changed():
                self._change(event)
            case Repaired(attempts=attempts):
                self._void_attempts = attempts
                self._driven_before, self._up = self.driven, 0.0
            case Tested():
                self.tested = event
            case Stopped():
                self.stopped = event
            case Finished():
                self.finished = event
            case other:
                assert_never(other)

    def _move(self, trial: TrialState, event: MoveOf) -> None:
        match event:
            case Leased(attempt=attempt):
                self.offers.remove(trial.number)
                self._put(trial, Phase.RUNNING)
                trial.attempt = attempt
                self.launched, self.begun = trial.number, True
            case Placed():
                trial.place = event
            case Lost():
                trial.losses += 1
                self._offer_first(trial)
            case Retried(smaller_batch=smaller):
                trial.retries += not smaller
                trial.halvings += smaller
                self._offer_first(trial)
            case Returned():
                self._offer_first(trial)
            case Broke(cause=cause, reason=reason):
                self._put(trial, Phase.FAILED)
                trial.failure = event
                self._count_alike(cause, reason)
            case other:
                assert_never(other)

    def _offer_first(self, trial: TrialState) -> None:
        self._put(trial, Phase.OFFERED)
        self.offers.insert(0, trial.number)

    def _count_alike(self, cause: str, reason: str) -> None:
        """Numbers in a reason (an address, a size) do not make it another one."""
        failure = (cause, re.sub(r"\d+", "#", reason))
        self.alike = self.alike + 1 if failure == self.last_failure else 1
        self.last_failure = failure

    def _change(self, event: Changed) -> None:
        if self.opened is None:
            raise ValueError("nothing was opened")
        self.opened = replace(
            self.opened, setup=event.setup, metric=event.metric, direction=event.direction
        )
        if not event.anew:
            self._chapters[-1] = (self.first, self.opened)
            return
        self.first = len(self.trials)
        self._chapters.append((self.first, self.opened))
        self.offers.clear()
        self.alike = 0
        for trial in self.trials.values():
            if trial.phase not in (Phase.FINISHED, Phase.FAILED):
                self._put(trial, Phase.RETIRED)
            _score_again(trial, event.metric, Direction(event.direction))

    def _start(self, event: Started) -> None:
        if event.trial != len(self.trials):
            raise ValueError(f"trial {event.trial} where {len(self.trials)} was expected")
        self.trials[event.trial] = TrialState(
            number=event.trial,
            params=event.params,
            budget=event.budget[EPOCHS],
            horizon=event.horizon[EPOCHS],
            job_id=event.job_id,
            why=[event.why],
            parent=event.parent,
        )
        self.offers.append(event.trial)

    def _resume(self) -> None:
        self.finished = self.stopped = None
        self.alike, self.begun = 0, False
        self._driven_before, self._up = self.driven, 0.0
        out = sorted(self._leased)
        for number in out:
            self._put(self.trials[number], Phase.OFFERED)
        self.offers = sorted(out) + self.offers

    def _report(self, event: Reported) -> None:
        trial = self.trials[event.trial]
        if event.epoch != trial.epochs + 1:
            raise ValueError(f"epoch {event.epoch} where {trial.epochs + 1} was expected")
        for name in (SCORE, *([self.opened.metric] if self.opened else [])):
            if name not in event.metrics:
                raise ValueError(f"no {name!r} among its metrics")
        trial.history[event.epoch] = event.metrics
        trial.losses = 0  # only losses without an epoch between them speak against a trial
        self.recent.append(event.seconds)
        self.gpu_seconds += event.seconds * (trial.place.gpus if trial.place else 0.0)
        best = trial.best_score
        if best is None or event.metrics[SCORE] > best:
            trial.best_epoch = event.epoch

    def _judge(self, event: Judged) -> None:
        trial = self.trials[event.trial]
        match Decision(event.decision):
            case Decision.PAUSE:
                self._put(trial, Phase.PAUSED)
                self.alike = 0
            case Decision.STOP if trial.phase is not Phase.FAILED:
                self._put(trial, Phase.FINISHED)
                self.alike = 0
        for number in event.retire:
            if self.trials[number].phase is not Phase.FAILED:
                self._put(self.trials[number], Phase.RETIRED)
        for promotion in event.promote:
            promoted = self.trials[promotion["trial"]]
            promoted.budget = promotion["budget"][EPOCHS]
            self._put(promoted, Phase.OFFERED)
            promoted.why.append(promotion["why"])
            self.offers.append(promoted.number)

    def running(self) -> list[TrialState]:
        """Trials that hold a lease now."""
        return [self.trials[number] for number in sorted(self._leased)]

    def _put(self, trial: TrialState, phase: Phase) -> None:
        trial.phase = phase
        if phase is Phase.RUNNING:
            self._leased.add(trial.number)
        else:
            self._leased.discard(trial.number)

    def by_phase(self, *phases: Phase) -> list[TrialState]:
        """Trials in one of ``phases``, by number."""
        return [t for t in self.trials.values() if t.phase in phases]

    @property
    def epochs(self) -> int:
        """Epochs trained by all trials together."""
        return sum(t.epochs for t in self.trials.values())

    def best_of(self, trial: TrialState) -> Best | None:
        """The trial at its best epoch; None if it failed or has not reported."""
        epoch = trial.best_epoch
        if epoch is None or trial.phase is Phase.FAILED or self.opened is None:
            return None
        metrics = trial.history[epoch]
        value = metrics[self.opened.metric]
        return Best(trial.number, epoch, metrics[SCORE], value, trial.epochs)

    def best_among(self, *phases: Phase) -> Best | None:
        """The best of the trials in one of ``phases``; see ``incumbent`` for ties."""
        return self._winner(self.by_phase(*phases))

    @property
    def incumbent(self) -> Best | None:
        """The best candidate; ties go to the larger fidelity, then to the earlier trial."""
        return self._winner(self.trials.values())

    @property
    def measured(self) -> Tested | None:
        """What the test set says of the incumbent; ``tested`` may be of one before it."""
        best, last = self.incumbent, self.tested
        same = best and last and (best.trial, best.epoch) == (last.trial, last.epoch)
        return last if same else None

    @property
    def incumbent_at_full_budget(self) -> Best | None:
        """The best among trials that were trained to their horizon."""
        return self._winner(t for t in self.trials.values() if t.epochs >= t.horizon)

    @property
    def baseline(self) -> Best | None:
        """The user's own spec: recommendation 0, or the first after the search began anew."""
        known = self.has_own_spec and self.first in self.trials
        return self.best_of(self.trials[self.first]) if known else None

    def _winner(self, trials: Iterable[TrialState]) -> Best | None:
        candidates = [best for t in trials if (best := self.best_of(t)) is not None]
        return max(candidates, key=lambda b: (b.score, b.fidelity, -b.trial), default=None)


def _score_again(trial: TrialState, metric: str, direction: Direction) -> None:
    """Give a trial's epochs their scores by another metric; it has none where that is missing."""
    scored = {
        epoch: {**metrics, SCORE: direction.score(metrics[metric])}
        for epoch, metrics in trial.history.items()
        if metric in metrics
    }
    trial.history.update(scored)
    trial.best_epoch = max(scored, key=lambda n: (scored[n][SCORE], -n), default=None)
