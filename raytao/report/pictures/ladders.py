"""What became of every rung of a schedule: who was compared there, and who went on."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise

from raytao.brains.base import Plan, PlanRow
from raytao.runs.state import RunState, TrialState
from raytao.types import SCORE


@dataclass(frozen=True)
class Rung:
    """One rung: ``planned`` trials are compared at ``epochs``.

    ``ranked`` are those with a score there, best first and the earlier of equals first; ``open``
    those on their way to it, ``failed`` those that broke before it; ``on`` went to the next one.
    """

    epochs: int
    planned: int
    ranked: tuple[int, ...]
    open: tuple[int, ...]
    failed: tuple[int, ...]
    on: frozenset[int]

    @property
    def members(self) -> tuple[int, ...]:
        """All that were granted this rung, as they are drawn from top to bottom."""
        return (*self.ranked, *self.open, *self.failed)


def ladders(state: RunState, plan: Plan) -> tuple[tuple[Rung, ...], ...]:
    """The rungs of every bracket of the search that goes on, as far as it has come.

    Trials are numbered bracket by bracket, as the plan's first rungs are wide. Where no rung waits
    for another, the plan is but a bound: all trials climb one ladder, whose rungs are those that
    somebody was granted. A plan without a second rung anywhere has no ladders.
    """
    rows = _by_bracket(plan)
    if rows and not plan.exact:
        trials = [state.trials[n] for n in state.trials if n >= state.first]
        return (_climbed(trials),) if trials else ()
    return tuple(
        _ladder(bracket, [state.trials[n] for n in range(first, end) if n in state.trials])
        for bracket, (first, end) in zip(rows, pairwise(first_trials(state, plan)), strict=True)
    )


def _climbed(trials: Sequence[TrialState]) -> tuple[Rung, ...]:
    """The one ladder of trials that do not wait for each other."""
    rungs = sorted({trial.budget for trial in trials})
    there = [sum(trial.budget >= rung for trial in trials) for rung in rungs]
    rows = enumerate(zip(there, rungs, strict=True))
    return _ladder([PlanRow(0, rung, width, epochs) for rung, (width, epochs) in rows], trials)


def first_trials(state: RunState, plan: Plan) -> tuple[int, ...]:
    """The first trial of every bracket, and the one after the last; none without brackets."""
    widths = [bracket[0].trials for bracket in _by_bracket(plan) if plan.exact]
    return tuple(accumulate(widths, initial=state.first)) if widths else ()


def _by_bracket(plan: Plan) -> list[list[PlanRow]]:
    """The rows of every bracket, rung by rung; none for a plan without a second rung anywhere."""
    rows: dict[int, list[PlanRow]] = {}
    for row in sorted(plan.rows, key=lambda row: (row.bracket, row.rung)):
        rows.setdefault(row.bracket, []).append(row)
    return [*rows.values()] if any(len(bracket) > 1 for bracket in rows.values()) else []


def _ladder(rows: Sequence[PlanRow], trials: Sequence[TrialState]) -> tuple[Rung, ...]:
    return tuple(_rung(row, [t for t in trials if t.budget >= row.epochs]) for row in rows)


def _rung(row: PlanRow, members: Sequence[TrialState]) -> Rung:
    on = frozenset(t.number for t in members if t.budget > row.epochs)
    there = [t for t in members if row.epochs in t.history or t.number in on]
    waiting = [t for t in members if row.epochs not in t.history and t.number not in on]
    ranked = sorted(there, key=lambda t: (-_score(t, row.epochs), t.number))
    return Rung(
        epochs=row.epochs,
        planned=row.trials,
        ranked=tuple(t.number for t in ranked),
        open=tuple(t.number for t in waiting if t.failure is None),
        failed=tuple(t.number for t in waiting if t.failure is not None),
        on=on,
    )


def _score(trial: TrialState, epoch: int) -> float:
    """Whoever went on was among the best, also where TAO deleted the score."""
    return trial.history[epoch][SCORE] if epoch in trial.history else math.inf
