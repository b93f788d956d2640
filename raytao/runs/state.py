"""The state of a run: a fold of its event log, and nothing else.

Whoever reads a log (controller, status, export, report) gets the same ``RunState``. Scores are
larger-is-better; ``value`` is the metric as the user knows it.

What is asked about all trials together while a run goes on (epochs, who runs, who leads) is kept
event by event: an event costs the same after ten thousand trials as after ten.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterable
from dataclasses import replace
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
from raytao.runs.pace import Pace
from raytao.runs.trial import Best, Phase, TrialState
from raytao.types import EPOCHS, SCORE, Decision, Direction

__all__ = ["RECENT", "Best", "Phase", "RunState", "TrialState"]

TurnOf: TypeAlias = Opened | Resumed | Changed | Repaired | Tested | Stopped | Finished
"""Events of the run as a whole."""

MoveOf: TypeAlias = Leased | Placed | Lost | Retried | Returned | Broke
"""Events that move one trial."""


RECENT = 50
"""Epoch times that are remembered for the estimate of the time remaining."""


class RunState:
    """What is known about a run after some prefix of its log.

    ``opened`` is what the run is now: its first record, or what it was changed to since.
    ``first`` is the first trial of the search that goes on: 0, unless the search began anew; it is
    the user's own spec, unless ``has_own_spec`` is false: TAO's runs begin with a random one.
    ``launched`` is the trial that was leased last, ``begun`` whether the latest driver leased any.
    ``recent`` holds what the last epochs took, ``gpu_seconds`` what all took, times their GPUs.
    ``alike`` failures in a row had one cause and reason, ``last_failure``, with no rung between.
    ``epochs`` were trained by all trials together, ``before`` by those of earlier searches;
    ``granted`` are all that trials may train, of which failed ones of this search ``spared`` some.
    ``leads`` has the best value and the epochs trained by then, whenever it became another one.
    ``at`` is when the last record was written, by the wall clock.
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
        self.epochs = self.granted = self.before = self.spared = 0
        self.has_own_spec = True
        self._chapters: list[tuple[int, Opened]] = []
        self._leased: set[int] = set()
        self._leaders: dict[bool, Best | None] = {False: None, True: None}
        self.last_failure = ("", "")
        self._void_attempts = 0
        self.at = self._driven_before = self._up = 0.0
        self.pace = Pace()
        self.leads: list[tuple[int, float]] = []

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
        if record.up < self._up:  # another driver's first one, whatever it tells
            self._driven_before = self.driven
        self._up, self.at = record.up, record.at
        try:
            self.apply(record.event)
        except (LookupError, ValueError, TypeError) as error:
            raise DamagedRun(
                f"record {record.seq} ({record.event.kind}) does not follow on those before "
                f"it: {error}. The log was edited.",
                record=record.seq,
            ) from error

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
        self.pace.take(event, self.trials, self.driven, self.busy)
        best = self.incumbent
        if best is not None and (not self.leads or self.leads[-1][1] != best.value):
            self.leads.append((self.epochs, best.value))

    def add(self, trial: TrialState) -> None:
        """Take in a trial as it is: a new one, or one of a run that has no log."""
        self.trials[trial.number] = trial
        self.granted += trial.budget
        self.epochs += trial.epochs
        self._overtake(trial)
        trial.changed = self.next_seq

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
                trial.place, trial.changed = event, self.next_seq
            case Lost(node=node):
                trial.losses += not node
                trial.nodes_lost += node
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
                self.spared += (trial.budget - trial.epochs) * (trial.number >= self.first)
                if any(one and one.trial == trial.number for one in self._leaders.values()):
                    self._find_leaders()
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
        if event.metric != self.opened.metric:
            self.leads.clear()
        self.opened = replace(
            self.opened, setup=event.setup, metric=event.metric, direction=event.direction
        )
        if not event.anew:
            self._chapters[-1] = (self.first, self.opened)
            self._find_leaders()
            return
        self.first = len(self.trials)
        self.before, self.spared = self.epochs, 0
        self._chapters.append((self.first, self.opened))
        self.offers.clear()
        self.alike = 0
        for trial in self.trials.values():
            if trial.phase not in (Phase.FINISHED, Phase.FAILED):
                self._put(trial, Phase.RETIRED)
            _score_again(trial, event.metric, Direction(event.direction))
            trial.changed = self.next_seq
        self._find_leaders()

    def _start(self, event: Started) -> None:
        if event.trial != len(self.trials):
            raise ValueError(f"trial {event.trial} where {len(self.trials)} was expected")
        self.add(
            TrialState(
                number=event.trial,
                params=event.params,
                budget=event.budget[EPOCHS],
                horizon=event.horizon[EPOCHS],
                job_id=event.job_id,
                why=[event.why],
                parent=event.parent,
            )
        )
        self.offers.append(event.trial)

    def _resume(self) -> None:
        self.finished = self.stopped = None
        self.alike, self.begun = 0, False
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
        trial.use = event.use
        trial.losses = trial.nodes_lost = 0  # what speaks against a trial has no epoch between
        self.recent.append(event.seconds)
        self.gpu_seconds += event.seconds * (trial.place.gpus if trial.place else 0.0)
        self.epochs += 1
        trial.changed = self.next_seq
        best = trial.best_score
        if best is None or event.metrics[SCORE] > best:
            trial.best_epoch = event.epoch
        self._overtake(trial)

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
            self.granted += promotion["budget"][EPOCHS] - promoted.budget
            promoted.budget = promotion["budget"][EPOCHS]
            self._put(promoted, Phase.OFFERED)
            promoted.why.append(promotion["why"])
            self.offers.append(promoted.number)

    def running(self) -> list[TrialState]:
        """Trials that hold a lease now."""
        return [self.trials[number] for number in sorted(self._leased)]

    def _put(self, trial: TrialState, phase: Phase) -> None:
        trial.phase, trial.changed = phase, self.next_seq
        if phase is Phase.RUNNING:
            self._leased.add(trial.number)
        else:
            self._leased.discard(trial.number)

    def by_phase(self, *phases: Phase) -> list[TrialState]:
        """Trials in one of ``phases``, by number."""
        return [t for t in self.trials.values() if t.phase in phases]

    @property
    def busy(self) -> int:
        """How many trials hold a lease now."""
        return len(self._leased)

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
        return self._leaders[False]

    @property
    def measured(self) -> Tested | None:
        """What the test set says of the incumbent; ``tested`` may be of one before it."""
        best, last = self.incumbent, self.tested
        same = best and last and (best.trial, best.epoch) == (last.trial, last.epoch)
        return last if same else None

    @property
    def incumbent_at_full_budget(self) -> Best | None:
        """The best among trials that were trained to their horizon."""
        return self._leaders[True]

    @property
    def baseline(self) -> Best | None:
        """The user's own spec: recommendation 0, or the first after the search began anew."""
        known = self.has_own_spec and self.first in self.trials
        return self.best_of(self.trials[self.first]) if known else None

    def _overtake(self, trial: TrialState) -> None:
        """A trial is new or has reported, which makes none worse: does it lead now?"""
        for full, leader in self._leaders.items():
            if trial.epochs >= trial.horizon or not full:
                self._leaders[full] = _first([leader, self.best_of(trial)])

    def _find_leaders(self) -> None:
        """Look at every trial: one that led has failed, or all are measured otherwise."""
        full = [trial for trial in self.trials.values() if trial.epochs >= trial.horizon]
        self._leaders = {False: self._winner(self.trials.values()), True: self._winner(full)}

    def _winner(self, trials: Iterable[TrialState]) -> Best | None:
        return _first(map(self.best_of, trials))


def _first(candidates: Iterable[Best | None]) -> Best | None:
    """The best; ties go to the larger fidelity, then to the earlier trial."""
    known = (one for one in candidates if one is not None)
    return max(known, key=lambda b: (b.score, b.fidelity, -b.trial), default=None)


def _score_again(trial: TrialState, metric: str, direction: Direction) -> None:
    """Give a trial's epochs their scores by another metric; it has none where that is missing."""
    scored = {
        epoch: {**metrics, SCORE: direction.score(metrics[metric])}
        for epoch, metrics in trial.history.items()
        if metric in metrics
    }
    trial.history.update(scored)
    trial.best_epoch = max(scored, key=lambda n: (scored[n][SCORE], -n), default=None)
