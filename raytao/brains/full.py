"""What brains share that train every trial to the end: the table of trials.

The table is all the state there is; whatever else a brain knows is derived from it.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import ClassVar, Final, assert_never

from pydantic import Field
from pydantic.aliases import AliasChoices

from raytao.brains.base import Brain, BrainSettings, Plan, PlanRow, Task
from raytao.types import (
    EPOCHS,
    Decision,
    Done,
    Failed,
    Json,
    Observation,
    Params,
    Scored,
    Start,
    Suggestion,
    Verdict,
    Wait,
)

MARKS: Final = tuple(sixteenth / 16 for sixteenth in range(4, 16))
"""Shares of a full training after which a trial's best so far is noted: a dozen numbers, however
long the training. See `raytao.brains.underway` for what they are good for, and why none is
earlier."""


def mark_epochs(epochs: int) -> tuple[int, ...]:
    """The epochs of the marks in a training of ``epochs``, ascending; none is its last.

    >>> mark_epochs(1), mark_epochs(4), mark_epochs(52)[:3]
    ((), (1, 2, 3), (13, 17, 20))
    """
    return tuple(sorted({math.ceil(share * epochs) for share in MARKS} - {epochs}))


class FullLengthSettings(BrainSettings):
    """Settings of brains whose trials are all full trainings.

    Args:
        max_recommendations: full trainings in all (TAO: ``automl_max_recommendations``).
    """

    max_recommendations: int = Field(
        default=20,
        ge=1,
        validation_alias=AliasChoices("max_recommendations", "automl_max_recommendations"),
    )


class Stage(Enum):
    """How far a full-length trial has come."""

    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"


@dataclass
class Trial:
    """One line of the table.

    Args:
        params: its configuration.
        stage: how far it has come.
        best: the largest score over its epochs so far; None before the first.
        marks: ``best`` by each of `mark_epochs` that it has come to; None where it is not known.
    """

    params: Params
    stage: Stage = Stage.RUNNING
    best: float | None = None
    marks: list[float | None] = field(default_factory=list)


class FullLength(Brain):
    """A brain whose trials all train for the spec's epochs.

    A subclass answers `_propose` and inherits the rest.
    """

    extends: ClassVar[frozenset[str]] = frozenset({"max_recommendations"})

    def __init__(self, task: Task, settings: FullLengthSettings) -> None:
        self._task = task
        self._limit = settings.max_recommendations
        self._given = task.given
        self._marks = mark_epochs(task.epochs)
        self._trials: list[Trial] = []
        self._running = 0

    @abstractmethod
    def _propose(self, trial: int) -> tuple[Params, str] | None:
        """The next configuration and why, after those that were asked for.

        None where the space has nothing new.
        """

    def suggest(self, trial: int) -> Suggestion:
        """See `Brain.suggest`; Done comes when the last trial is over."""
        self._check_turn(trial)
        if trial < min(self._limit, len(self._given)):
            return self._start(self._given[trial].params, self._given[trial].why)
        if trial < self._limit and (proposal := self._propose(trial)) is not None:
            params, why = proposal
            return self._start(params, why)
        return Wait() if self._running else Done()

    def adopt(self, trial: int, params: Params) -> Start:
        """See `Brain.adopt`."""
        self._check_turn(trial)
        if trial >= self._limit:
            raise LookupError(f"no room for trial {trial}: the plan has {self._limit} trials")
        return self._start(params, "adopted")

    def observe(self, observation: Observation) -> Verdict:
        """See `Brain.observe`; what comes after a trial's end changes nothing."""
        trial = self._trials[observation.trial]
        if trial.stage is not Stage.RUNNING:
            return Verdict(Decision.STOP)
        match observation.outcome:
            case Failed():
                self._end(trial, Stage.FAILED)
                return Verdict(Decision.STOP)
            case Scored() as scored:
                epoch = observation.fidelity[EPOCHS]
                self._note(trial, epoch, scored.score)
                if epoch < self._task.epochs:
                    return Verdict(Decision.CONTINUE)
                self._end(trial, Stage.DONE)
                return Verdict(Decision.STOP)
            case other:
                assert_never(other)

    def state(self) -> Json:
        """The table of trials."""
        return {
            "trials": [
                {
                    "params": dict(line.params),
                    "stage": line.stage.value,
                    "best": line.best,
                    "marks": list(line.marks),
                }
                for line in self._trials
            ]
        }

    def load_state(self, state: Json) -> None:
        """See `Brain.load_state`; a state without marks is an older version's."""
        self._trials = [
            Trial(dict(line["params"]), Stage(line["stage"]), line["best"], self._marks_of(line))
            for line in state["trials"]
        ]
        self._running = sum(line.stage is Stage.RUNNING for line in self._trials)

    def plan(self) -> Plan:
        """As many full trainings as the settings allow."""
        return Plan((PlanRow(bracket=0, rung=0, trials=self._limit, epochs=self._task.epochs),))

    def _start(self, params: Params, why: str) -> Start:
        self._trials.append(Trial(dict(params)))
        self._running += 1
        full: Mapping[str, int] = {EPOCHS: self._task.epochs}
        return Start(dict(params), budget=full, horizon=full, why=why)

    def _note(self, trial: Trial, epoch: int, score: float) -> None:
        """Take in a score; a mark that was passed without a report has the best before it."""
        before = trial.best
        trial.best = score if before is None else max(before, score)
        for mark in self._marks[len(trial.marks) :]:
            if mark > epoch:
                break
            trial.marks.append(trial.best if mark == epoch else before)

    def _marks_of(self, line: Json) -> list[float | None]:
        """Those of a state's line; where there are none, nobody knows at which epoch it is."""
        if "marks" in line:
            return list(line["marks"])
        return [] if line["best"] is None else [None] * len(self._marks)

    def _end(self, trial: Trial, stage: Stage) -> None:
        trial.stage = stage
        self._running -= 1

    def _check_turn(self, trial: int) -> None:
        if trial != len(self._trials):
            raise ValueError(f"trial {trial} is out of turn: the next is {len(self._trials)}")
