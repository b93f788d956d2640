"""What happens to a trial that broke: tried again, or failed for good."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from raytao.errors import RaytaoError
from raytao.runs.state import RunState, TrialState

OUT_OF_MEMORY = "oom"
DIVERGED = "diverged"

BY_CHANCE = frozenset({"error", "timeout", "stalled", OUT_OF_MEMORY})
"""Causes that another attempt may not have. The others lie in the configuration or the code."""


class Again(Enum):
    """Whether, and how, a broken trial is tried again."""

    NO = "no"
    AS_IT_WAS = "as it was"
    SMALLER_BATCH = "smaller batch"


class HopelessRun(RaytaoError):
    """Trial after trial fails for one reason: going on would burn what is left of the plan.

    ``trial`` is the last of them, ``cause`` what they all broke of.
    """

    def __init__(self, message: str, *, trial: int, cause: str) -> None:
        super().__init__(message)
        self.trial = trial
        self.cause = cause


@dataclass(frozen=True)
class Retries:
    """How often a trial is tried again, from its checkpoint.

    Args:
        failures: after an exception, an exit code or a hang, in the trial's life.
        losses: after its worker vanished or was killed, without an epoch in between.
        nodes: after its worker's whole node was lost, without an epoch in between: no fault of
            the trial's, unless it is what brings nodes down.
        smaller_batch: after it ran out of memory, each time with half the batch.
        alike: so many trials that failed for one reason, in a row, stop the run; None: never.
            Divergence does not count, for it is a finding about the configuration.
    """

    failures: int = 0
    losses: int = 2
    nodes: int = 10
    smaller_batch: int = 0
    alike: int | None = None

    def after(self, trial: TrialState, cause: str) -> Again:
        """What becomes of a trial that broke."""
        if cause == OUT_OF_MEMORY and trial.halvings < self.smaller_batch:
            return Again.SMALLER_BATCH
        if cause in BY_CHANCE and trial.retries < self.failures:
            return Again.AS_IT_WAS
        return Again.NO

    def lost_too_often(self, trial: TrialState, *, node: bool) -> bool:
        """Whether a trial that was lost once more has failed; ``node``: with its whole node."""
        return trial.nodes_lost >= self.nodes if node else trial.losses >= self.losses

    def hopeless(self, state: RunState, cause: str) -> bool:
        """Whether the failure just counted is one too many of its kind."""
        return self.alike is not None and cause != DIVERGED and state.alike >= self.alike
