"""One recommendation of a run: its configuration, and what it has done so far."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum

from raytao.runs.events import Broke, Placed
from raytao.types import SCORE, Params


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
    nodes_lost: int = 0
    """Losses with the whole node."""
    retries: int = 0
    halvings: int = 0
    """How often its batch was halved after it ran out of memory."""
    history: dict[int, dict[str, float]] = field(default_factory=dict)
    best_epoch: int | None = None
    place: Placed | None = None
    failure: Broke | None = None
    use: Mapping[str, float] | None = None
    """What its last epoch used of its machine, where that is known."""
    changed: int = 0
    """How many events the run had when one last changed something here."""

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
