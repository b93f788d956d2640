"""How much is left: epochs still to train and the time they will take."""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import fmean

from raytao.brains.base import Plan
from raytao.runs.state import Phase, RunState


@dataclass(frozen=True)
class Remaining:
    """``epochs`` still to train; ``seconds`` until the end, None before the first epoch."""

    epochs: int
    seconds: float | None
    epoch_seconds: float | None


def remaining(state: RunState, plan: Plan, slots: int) -> Remaining:
    """Estimate what is left of a run.

    The time is (epochs left) × (mean time of recent epochs, evaluation and checkpoint included)
    ÷ (slots that can be used), but never less than the longest chain of one trial's epochs.
    Epochs that failed trials will not train are not waited for.
    """
    if state.finished is not None:
        return Remaining(0, 0.0, _epoch_seconds(state))
    spared = sum(t.budget - t.epochs for t in state.by_phase(Phase.FAILED))
    left = max(0, plan.epochs - state.epochs - spared)
    each = _epoch_seconds(state)
    if each is None:
        return Remaining(left, None, None)
    chain = max((t.budget - t.epochs for t in state.running()), default=0)
    rounds = max(math.ceil(left / max(1, slots)), chain)
    return Remaining(left, rounds * each, each)


def _epoch_seconds(state: RunState) -> float | None:
    return fmean(state.recent) if state.recent else None
