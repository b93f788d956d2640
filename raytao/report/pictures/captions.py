"""What each chart shows, in a sentence or two: for those who cannot see it, and for all others."""

from __future__ import annotations

from collections.abc import Sequence

from raytao.brains.base import Plan
from raytao.report.pictures.axes import short
from raytao.report.pictures.charts import CURVES
from raytao.report.pictures.elapsed import Elapsed
from raytao.report.pictures.ladders import Rung, ladders
from raytao.report.series import Improvement, takeovers
from raytao.report.words import clock, number, plural
from raytao.runs.state import Phase, RunState
from raytao.types import Direction


def incumbent(state: RunState, series: Sequence[Improvement]) -> str:
    """How the best value came about."""
    if not series or state.opened is None:
        return "No recommendation has a result yet."
    first, last, metric = series[0], series[-1], short(state.opened.metric)
    lead = takeovers(series)[-1]
    trained = f"{state.epochs} {plural(state.epochs, 'epoch')}"
    if len(series) == 1:
        return (
            f"The best {metric} is {number(last.value)}: the first result, of recommendation "
            f"{last.trial}, was not beaten in {trained}.{_drew_level(state, last)}"
        )
    moved = "rose" if Direction(state.opened.direction) is Direction.MAXIMIZE else "fell"
    return (
        f"The best {metric} {moved} from {number(first.value)} to {number(last.value)} in "
        f"{trained}; recommendation {lead.trial} took the lead after {lead.after} of them."
        f"{_drew_level(state, last)}"
    )


def _drew_level(state: RunState, last: Improvement) -> str:
    """Who came to the best value later, and is called the best all the same."""
    best = state.incumbent
    if best is None or best.trial == last.trial:
        return ""
    further = best.fidelity > state.trials[last.trial].epochs
    why = "trained for longer" if further else "the earlier recommendation"
    return (
        f" Recommendation {best.trial} came to the same value: of equals, the one that was "
        f"{why} is called the best."
    )


def over_time(
    state: RunState, series: Sequence[Improvement], at: Sequence[float], times: Elapsed
) -> str:
    """When the best value came about; ``at`` are the improvements' seconds."""
    if not series or state.opened is None:
        return "No recommendation has a result yet."
    last, metric = series[-1], short(state.opened.metric)
    kind = "since the run began" if times.by_wall else "of work, interruptions left out"
    told = (
        f"The best {metric}, {number(last.value)} of recommendation {last.trial}, was reached "
        f"after {clock(at[-1])} of {clock(times.end)} {kind}."
    )
    if len(series) == 1 or times.end == 0:
        return told
    half = next(place for place in zip(at, series, strict=True) if _is_half(place[1], series))
    return (
        f"{told} Half of the way there from the first result, {number(series[0].value)}, was "
        f"made after {clock(half[0])}."
    )


def _is_half(point: Improvement, series: Sequence[Improvement]) -> bool:
    first, last = series[0].score, series[-1].score
    return point.score >= first / 2 + last / 2


def learning_curves(state: RunState) -> str:
    """How many curves there are, and where the best one ends."""
    drawn = [trial for trial in state.trials.values() if trial.history]
    failed = len(state.by_phase(Phase.FAILED))
    tail = f" {failed} failed." if failed else ""
    if not drawn or state.opened is None:
        return f"No recommendation has completed an epoch yet.{tail}"
    longest = max(trial.epochs for trial in drawn)
    some = f" (about {CURVES} drawn)" if len(drawn) > CURVES else ""
    curves = (
        f"{len(drawn)} {plural(len(drawn), 'recommendation')}{some}, the longest trained for "
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
    if not plan.exact:
        return " ".join(f"{_climbed(ladder)}." for ladder in ladders(state, plan))
    told = [
        f"Bracket {number}: {_ladder(ladder)}."
        for number, ladder in enumerate(ladders(state, plan), start=1)
    ]
    return " ".join(told)


def _climbed(ladder: Sequence[Rung]) -> str:
    first, *rest = ladder
    count = len(first.ranked)
    told = [f"{count} {plural(count, 'trial')} to epoch {first.epochs}"]
    told += [f"{len(rung.ranked)} of them to epoch {rung.epochs}" for rung in rest]
    return f"No rung waits for another: {', '.join(told)}"


def _ladder(ladder: Sequence[Rung]) -> str:
    first, *rest = ladder
    count = len(first.ranked)
    told = [f"{count} of {first.planned} {plural(first.planned, 'trial')} to epoch {first.epochs}"]
    told += [f"{len(rung.ranked)} of {rung.planned} to epoch {rung.epochs}" for rung in rest]
    return ", ".join(told)
