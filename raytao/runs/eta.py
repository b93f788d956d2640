"""How much is left: epochs still to train and the time they will take."""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import fmean
from typing import Final

from raytao.brains.base import Plan
from raytao.runs.budget import RunBudget
from raytao.runs.state import RunState

NO_BUDGET: Final = RunBudget()

SHORTEST: Final = 1e-3
"""Seconds of an epoch; a toy's may take none."""


@dataclass(frozen=True)
class Remaining:
    """``epochs`` still to train; ``seconds`` until the end, None before the first epoch.

    ``budget``: what is used of the run's budget, for people; empty if it has none.
    """

    epochs: int
    seconds: float | None
    epoch_seconds: float | None
    budget: str = ""


@dataclass(frozen=True)
class Whole:
    """What a run will have trained at its end, the searches before this one included."""

    trials: int
    epochs: int


def whole(state: RunState, plan: Plan) -> Whole:
    """Lay the plan of the search that goes on over what those before it have trained."""
    # A plan that is a bound on epochs only may begin more trials than its schedule has.
    return Whole(max(state.first + plan.trials, len(state.trials)), state.before + plan.epochs)


def remaining(
    state: RunState,
    plan: Plan,
    slots: int,
    budget: RunBudget = NO_BUDGET,
    driven: float | None = None,
) -> Remaining:
    """Estimate what is left of a run.

    The time is (epochs left) × (mean time of recent epochs, evaluation and checkpoint included)
    ÷ (slots that can be used), but never less than the longest chain of one trial's epochs.
    Epochs that failed trials will not train are not waited for, and none are that the budget does
    not pay for. A run that was stopped ends with the epochs that are under way.

    Args:
        state: the run.
        plan: what was planned.
        slots: trials at once.
        budget: what it may use in all.
        driven: seconds that drivers have been at work until now; default: until its last record.
    """
    driven = state.driven if driven is None else driven
    used, each = budget.used(state, driven), _epoch_seconds(state)
    if state.finished is not None:
        return Remaining(0, 0.0, each, used)
    epochs, seconds = budget.left(state, driven)
    left = _planned(state, plan)
    if each is not None and seconds < math.inf:
        epochs = min(epochs, math.ceil(seconds / max(each, SHORTEST)) * slots)
    left = math.ceil(min(left, epochs))
    if each is None:
        return Remaining(left, None, None, used)
    chain = max((t.budget - t.epochs for t in state.running()), default=0)
    rounds = max(math.ceil(left / max(1, slots)), min(chain, left))
    if state.stopped is not None:
        rounds = min(1, left)
    return Remaining(left, min(rounds * each, seconds), each, used)


def _planned(state: RunState, plan: Plan) -> int:
    """Epochs that the plan, or the order to stop, still asks for."""
    if state.stopped is not None:
        return state.busy
    return max(0, whole(state, plan).epochs - state.epochs - state.spared)


def _epoch_seconds(state: RunState) -> float | None:
    return fmean(state.recent) if state.recent else None
