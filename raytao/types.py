"""The words every layer shares: parameters, budgets, directions, outcomes.

Nothing here imports anything of raytao. Values are plain and frozen, so that they can be written
to the event log, compared in tests and passed between processes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from types import MappingProxyType
from typing import Any, Final, TypeAlias

EPOCHS: Final = "epochs"
"""The fidelity that every network has: completed epochs, counted from 1."""

SCORE: Final = "score"
"""The metric that brains read: larger is better, whatever the user's metric was."""

Json: TypeAlias = Any
"""A value that ``json.dumps`` writes and ``json.loads`` reads back equal."""

ParamValue: TypeAlias = bool | int | float | str | list[int]
"""One searched value, as it is written into the train spec."""

Params: TypeAlias = Mapping[str, ParamValue]
"""What is searched: dotted spec key to value, active parameters only."""

Budget: TypeAlias = Mapping[str, int]
"""Granted fidelity, in total since the trial began: ``{"epochs": 9}``."""

Fidelity: TypeAlias = Mapping[str, int]
"""Reached fidelity, in total since the trial began: ``{"epochs": 3}``."""


def freeze(mapping: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return a read-only copy of ``mapping``."""
    return MappingProxyType(dict(mapping))


class Direction(Enum):
    """Whether a metric is better when larger or when smaller."""

    MAXIMIZE = "maximize"
    MINIMIZE = "minimize"

    def score(self, value: float) -> float:
        """Map a metric value to a score where larger is always better.

        Called where a metric enters, once; from there on only scores are compared.
        """
        return value if self is Direction.MAXIMIZE else -value


class Decision(Enum):
    """What happens to the trial that was just observed."""

    CONTINUE = "continue"
    """It trains on; its budget is not spent."""

    PAUSE = "pause"
    """It waits at its rung: its checkpoint is kept, it may be promoted later."""

    STOP = "stop"
    """It is over: finished, retired or failed."""


@dataclass(frozen=True)
class Scored:
    """Metrics measured at a fidelity; ``metrics["score"]`` is finite and larger is better."""

    metrics: Mapping[str, float]

    @property
    def score(self) -> float:
        """The value that brains compare."""
        return self.metrics[SCORE]


@dataclass(frozen=True)
class Failed:
    """A trial that ended without a value. A failure is never a number."""

    reason: str


Outcome: TypeAlias = Scored | Failed


@dataclass(frozen=True)
class Observation:
    """What became known about a trial at a fidelity (epochs completed in total)."""

    trial: int
    fidelity: Fidelity
    outcome: Outcome


@dataclass(frozen=True)
class Start:
    """A new trial: train ``params`` until ``budget`` is reached.

    ``horizon`` is the largest budget the trial can ever be granted (its bracket's last rung). It
    fixes the learning-rate schedule for life, so that a promotion goes on where the trial stopped.
    ``why`` is one short sentence for people; ``parent`` is a trial to inherit weights from.
    """

    params: Params
    budget: Budget
    horizon: Budget
    why: str
    parent: int | None = None


@dataclass(frozen=True)
class Wait:
    """Nothing to start until a running trial reports."""


@dataclass(frozen=True)
class Done:
    """Nothing will ever be started again."""


Suggestion: TypeAlias = Start | Wait | Done


@dataclass(frozen=True)
class Promotion:
    """A paused trial is granted more: it goes on from its checkpoint until ``budget``."""

    trial: int
    budget: Budget
    why: str


@dataclass(frozen=True)
class Verdict:
    """The answer to an observation.

    ``decision`` is for the observed trial. ``promote`` and ``retire`` may name any trials, this
    one included: promoted trials go on, retired ones are over and their checkpoints may go.
    """

    decision: Decision
    promote: tuple[Promotion, ...] = field(default=())
    retire: tuple[int, ...] = field(default=())
