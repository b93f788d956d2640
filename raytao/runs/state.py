"""The state of a run: a fold of its event log, and nothing else.

Whoever reads a log (controller, status, export, report) gets the same ``RunState``. Scores are
larger-is-better; ``value`` is the metric as the user knows it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import Enum
from typing import assert_never

from raytao.errors import DamagedRun
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
from raytao.runs.log import Record
from raytao.types import EPOCHS, SCORE, Decision, Params


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
    history: dict[int, dict[str, float]] = field(default_factory=dict)
    best_epoch: int | None = None
    place: Placed | None = None
    failure: Broke | None = None

    @property
    def epochs(self) -> int:
        """Epochs whose metrics are known; they come without gaps."""
        return len(self.history)

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

    ``launched`` is the trial that was leased last; ``recent`` holds what the last epochs took,
    in seconds.
    """

    def __init__(self) -> None:
        self.opened: Opened | None = None
        self.trials: dict[int, TrialState] = {}
        self.offers: list[int] = []
        self.tested: Tested | None = None
        self.finished: Finished | None = None
        self.launched: int | None = None
        self.recent: deque[float] = deque(maxlen=RECENT)
        self.next_seq = 0

    @classmethod
    def fold(cls, records: Iterable[Record]) -> RunState:
        """The state after all ``records``.

        Raises:
            DamagedRun: if a record cannot follow on those before it.
        """
        state = cls()
        for record in records:
            try:
                state.apply(record.event)
            except (LookupError, ValueError) as error:
                raise DamagedRun(
                    f"record {record.seq} ({record.event.kind}) does not follow on those before "
                    f"it: {error}. The log was edited."
                ) from error
        return state

    def apply(self, event: Event) -> None:
        """Take in one event."""
        self.next_seq += 1
        match event:
            case Opened():
                self.opened = event
            case Resumed():
                self._resume()
            case Started():
                self._start(event)
            case Tested():
                self.tested = event
            case Finished():
                self.finished = event
            case Reported():
                self._report(event)
            case Judged():
                self._judge(event)
            case Leased() | Placed() | Lost() | Broke():
                self._move(self.trials[event.trial], event)
            case other:
                assert_never(other)

    def _move(self, trial: TrialState, event: Leased | Placed | Lost | Broke) -> None:
        match event:
            case Leased(attempt=attempt):
                self.offers.remove(trial.number)
                trial.phase = Phase.RUNNING
                trial.attempt = attempt
                self.launched = trial.number
            case Placed():
                trial.place = event
            case Lost():
                trial.phase = Phase.OFFERED
                trial.losses += 1
                self.offers.insert(0, trial.number)
            case Broke():
                trial.phase = Phase.FAILED
                trial.failure = event
            case other:
                assert_never(other)

    def _start(self, event: Started) -> None:
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
        self.finished = None
        out = [t.number for t in self.trials.values() if t.phase is Phase.RUNNING]
        for number in out:
            self.trials[number].phase = Phase.OFFERED
        self.offers = sorted(out) + self.offers

    def _report(self, event: Reported) -> None:
        trial = self.trials[event.trial]
        trial.history[event.epoch] = event.metrics
        trial.losses = 0  # only losses without an epoch between them speak against a trial
        self.recent.append(event.seconds)
        best = trial.best_score
        if best is None or event.metrics[SCORE] > best:
            trial.best_epoch = event.epoch

    def _judge(self, event: Judged) -> None:
        trial = self.trials[event.trial]
        match Decision(event.decision):
            case Decision.PAUSE:
                trial.phase = Phase.PAUSED
            case Decision.STOP if trial.phase is not Phase.FAILED:
                trial.phase = Phase.FINISHED
            case _:
                pass
        for number in event.retire:
            if self.trials[number].phase is not Phase.FAILED:
                self.trials[number].phase = Phase.RETIRED
        for promotion in event.promote:
            promoted = self.trials[promotion["trial"]]
            promoted.budget = promotion["budget"][EPOCHS]
            promoted.phase = Phase.OFFERED
            promoted.why.append(promotion["why"])
            self.offers.append(promoted.number)

    def running(self) -> list[TrialState]:
        """Trials that hold a lease now."""
        return [t for t in self.trials.values() if t.phase is Phase.RUNNING]

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
    def incumbent_at_full_budget(self) -> Best | None:
        """The best among trials that were trained to their horizon."""
        return self._winner(t for t in self.trials.values() if t.epochs >= t.horizon)

    @property
    def baseline(self) -> Best | None:
        """Recommendation 0: the user's own spec."""
        return self.best_of(self.trials[0]) if 0 in self.trials else None

    def _winner(self, trials: Iterable[TrialState]) -> Best | None:
        candidates = [best for t in trials if (best := self.best_of(t)) is not None]
        return max(candidates, key=lambda b: (b.score, b.fidelity, -b.trial), default=None)
