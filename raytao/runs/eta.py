"""How much is left: epochs still to train and the time they will take."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from statistics import fmean
from typing import Final

from raytao.brains.base import Plan
from raytao.runs.budget import RunBudget
from raytao.runs.forecast import Costs, seconds_left
from raytao.runs.state import RunState, TrialState

NO_BUDGET: Final = RunBudget()

SHORTEST: Final = 1e-3
"""Seconds of an epoch; a toy's may take none."""


@dataclass(frozen=True)
class Remaining:
    """``epochs`` still to train; ``seconds`` until the end, None before the first epoch.

    ``epoch_seconds`` is the mean of the last epochs, ``budget`` what is used of the run's budget,
    for people; empty if it has none. ``slots`` and ``driven`` are what was asked with.
    """

    epochs: int
    seconds: float | None
    epoch_seconds: float | None
    budget: str = ""
    slots: int = field(default=0, compare=False)
    driven: float = field(default=0.0, compare=False)


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

    The time is that of the plan, worked off by what epochs, starts, warm-ups and checkpoints have
    taken so far, and by what is over of the epochs under way; see `raytao.runs.forecast`. Where
    the budget does not pay for the whole plan, epochs take what the last ones took, and no longer
    than the budget lasts. Epochs that failed trials will not train are not waited for. A run that
    was stopped ends with the epochs that are under way.

    Args:
        state: the run.
        plan: what was planned.
        slots: trials at once.
        budget: what it may use in all.
        driven: seconds that drivers have been at work until now; default: until its last record.
    """
    driven = state.driven if driven is None else driven
    used, each = budget.used(state, driven), _epoch_seconds(state)

    def left(epochs: int, seconds: float | None) -> Remaining:
        return Remaining(epochs, seconds, each, used, slots, driven)

    if state.finished is not None:
        return left(0, 0.0)
    most, seconds = budget.left(state, driven)
    if each is not None and seconds < math.inf:
        most = min(most, math.ceil(seconds / max(each, SHORTEST)) * slots)
    planned = _planned(state, plan)
    epochs = math.ceil(min(planned, most))
    if each is None:
        return left(epochs, None)
    if state.stopped is not None:
        needed = _until_all_leave(state, driven) + _measuring(state)
    else:
        needed = seconds_left(state, plan, max(1, slots), planned, driven) + _measuring(state)
        if epochs < planned:
            needed = min(needed, math.ceil(epochs / max(1, slots)) * each)
    return left(epochs, min(needed, seconds))


@dataclass(frozen=True)
class Segment:
    """How far a trial is on the way to its rung: a share of its epochs, 0 to 1, and seconds."""

    done: float
    seconds: float | None


def segment(state: RunState, trial: TrialState, driven: float) -> Segment:
    """The segment that a running trial is in, the epoch under way included.

    Nobody knows how long it takes before the run's first epoch.
    """
    whole_epochs = trial.epochs / max(1, trial.budget)
    if not state.recent:
        return Segment(whole_epochs, None)
    costs = Costs.of(state.pace)
    part = costs.part_of_epoch(trial, driven)
    return Segment((trial.epochs + part) / max(1, trial.budget), costs.rest(trial, driven))


def _until_all_leave(state: RunState, driven: float) -> float:
    costs = Costs.of(state.pace)
    return max((costs.epoch_under_way(t, driven) for t in state.running()), default=0.0)


def _measuring(state: RunState) -> float:
    """Seconds of the measurement on the test set: the last one's, or its process's start."""
    canceled = state.stopped is not None and state.stopped.cancel
    if state.measured or canceled or not _is_measured(state):
        return 0.0
    return state.pace.start if state.pace.evaluation is None else state.pace.evaluation


def _is_measured(state: RunState) -> bool:
    """Whether the winner will be; a run that was not opened by `raytao.setup` does not say."""
    setup = state.opened.setup if state.opened else None
    settings = setup.get("settings") if isinstance(setup, Mapping) else None
    return isinstance(settings, Mapping) and settings.get("evaluate") is True


def _planned(state: RunState, plan: Plan) -> int:
    """Epochs that the plan, or the order to stop, still asks for."""
    if state.stopped is not None:
        return state.busy
    return max(0, whole(state, plan).epochs - state.epochs - state.spared)


def _epoch_seconds(state: RunState) -> float | None:
    return fmean(state.recent) if state.recent else None
