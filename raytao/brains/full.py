"""What brains share that train every trial to the end: the table of trials.

The table is all the state there is; whatever else a brain knows is derived from it.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import ClassVar, assert_never

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


class FullLengthSettings(BrainSettings):
    """Settings of brains whose trials are all full trainings."""

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
    """One line of the table; ``best`` is the largest score over its epochs so far."""

    params: Params
    stage: Stage = Stage.RUNNING
    best: float | None = None


class FullLength(Brain):
    """A brain whose trials all train for the spec's epochs.

    A subclass answers `_propose` and inherits the rest.
    """

    extends: ClassVar[frozenset[str]] = frozenset({"max_recommendations"})

    def __init__(self, task: Task, settings: FullLengthSettings) -> None:
        self._task = task
        self._limit = settings.max_recommendations
        self._given = task.given
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
                seen = scored.score
                trial.best = seen if trial.best is None else max(trial.best, seen)
                if observation.fidelity[EPOCHS] < self._task.epochs:
                    return Verdict(Decision.CONTINUE)
                self._end(trial, Stage.DONE)
                return Verdict(Decision.STOP)
            case other:
                assert_never(other)

    def state(self) -> Json:
        """The table of trials."""
        return {
            "trials": [
                {"params": dict(line.params), "stage": line.stage.value, "best": line.best}
                for line in self._trials
            ]
        }

    def load_state(self, state: Json) -> None:
        """See `Brain.load_state`."""
        self._trials = [
            Trial(dict(line["params"]), Stage(line["stage"]), line["best"])
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

    def _end(self, trial: Trial, stage: Stage) -> None:
        trial.stage = stage
        self._running -= 1

    def _check_turn(self, trial: int) -> None:
        if trial != len(self._trials):
            raise ValueError(f"trial {trial} is out of turn: the next is {len(self._trials)}")
