"""What each chart shows, in a sentence or two: for those who cannot see it, and for all others."""

from __future__ import annotations

from collections.abc import Sequence

from raytao.brains.base import Plan
from raytao.report.ladders import Rung, ladders
from raytao.report.series import Improvement, takeovers
from raytao.report.words import number, plural
from raytao.runs.state import Phase, RunState
from raytao.types import Direction


def incumbent(state: RunState, series: Sequence[Improvement]) -> str:
    """How the best value came about."""
    if not series or state.opened is None:
        return "No recommendation has a result yet."
    first, last, metric = series[0], series[-1], state.opened.metric
    lead = takeovers(series)[-1]
    trained = f"{state.epochs} {plural(state.epochs, 'epoch')}"
    if len(series) == 1:
        return (
            f"The best {metric} is {number(last.value)}: the first result, of recommendation "
            f"{last.trial}, was not beaten in {trained}."
        )
    moved = "rose" if Direction(state.opened.direction) is Direction.MAXIMIZE else "fell"
    return (
        f"The best {metric} {moved} from {number(first.value)} to {number(last.value)} in "
        f"{trained}; recommendation {lead.trial} took the lead after {lead.after} of them."
    )


def learning_curves(state: RunState) -> str:
    """How many curves there are, and where the best one ends."""
    drawn = [trial for trial in state.trials.values() if trial.history]
    failed = len(state.by_phase(Phase.FAILED))
    tail = f" {failed} failed." if failed else ""
    if not drawn or state.opened is None:
        return f"No recommendation has completed an epoch yet.{tail}"
    longest = max(trial.epochs for trial in drawn)
    curves = (
        f"{len(drawn)} {plural(len(drawn), 'recommendation')}, the longest trained for "
        f"{longest} {plural(longest, 'epoch')}."
    )
    best = state.incumbent
    if best is None:
        return f"{curves}{tail}"
    reached = (
        f"Recommendation {best.trial} is the best: {number(best.value)} at epoch {best.epoch}"
    )
    return f"{curves} {reached}.{tail}"


def brackets(state: RunState, plan: Plan) -> str:
    """How many trials reached which rung."""
    told = [
        f"Bracket {number}: {_ladder(ladder)}."
        for number, ladder in enumerate(ladders(state, plan), start=1)
    ]
    return " ".join(told)


def _ladder(ladder: Sequence[Rung]) -> str:
    first, *rest = ladder
    count = len(first.members)
    told = [f"{count} of {first.planned} {plural(first.planned, 'trial')} to epoch {first.epochs}"]
    told += [f"{len(rung.members)} of {rung.planned} to epoch {rung.epochs}" for rung in rest]
    return ", ".join(told)
