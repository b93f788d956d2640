"""The metric over epochs and over time, and the rungs: what a run's log shows at first sight.

Every function returns a figure of its own: no pyplot, no global state.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

from raytao.brains.base import Plan
from raytao.report.first import first_of
from raytao.report.pictures.axes import (
    WIDTH,
    direction_of,
    fit_scale,
    framed,
    legend,
    metric_of,
    name_value_axis,
    near,
    say_empty,
    short,
)
from raytao.report.pictures.canvas import BEST, FAILED, GRID, INK, MUTED, OWN, PALE, blank
from raytao.report.pictures.ladders import ladders
from raytao.report.pictures.panel import GAP, draw_bracket, explain_dots
from raytao.report.series import Improvement, evenly, takeovers, thinned
from raytao.runs.state import RunState, TrialState
from raytao.types import Direction

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

LIMIT = 40
"""Above so many trials the other curves are drawn thin, without dots at their ends."""
POINTS = 8_000
"""Points of all learning curves together; longer curves are thinned."""
CURVES, CROSSES = 1_200, 200
"""Of more trials so many are drawn, evenly by number; the same for failures."""
DOTS = 300
"""Dots for curves of a single epoch, where lines are thin."""
LABELS = 6
"""Changes of the leader that get its number."""


@dataclass(frozen=True)
class Along:
    """What the best value is drawn over.

    Args:
        label: of the axis.
        at: where each improvement lies.
        end: how far the run has come.
    """

    label: str
    at: Sequence[float]
    end: float


def incumbent(
    state: RunState, series: Sequence[Improvement], along: Along | None = None
) -> Figure:
    """The best value so far, over the epochs of all trials together or over another axis.

    Args:
        state: the run.
        series: `raytao.report.series.improvements` of the same log.
        along: the other axis.
    """
    over = "epochs" if along is None else "time"
    figure, axes = framed(f"Best {short(metric_of(state))} so far over {over}")
    if along is None:
        after = [point.after for point in series]
        label = "epochs trained, all recommendations together"
        along = Along(label, after, max([state.epochs, *after]))
    axes.set_xlabel(along.label)
    name_value_axis(axes, state)
    if not series:
        say_empty(axes)
        return figure
    steps = [near(point.value) for point in series]
    axes.step(
        [*along.at, along.end],
        [*steps, steps[-1]],
        where="post",
        color=BEST,
        linewidth=2,
        label="best so far",
    )
    leaders = set(takeovers(series))
    marks = [_Mark(at, p) for at, p in zip(along.at, series, strict=True) if p in leaders]
    axes.plot(
        [mark.at for mark in marks],
        [near(mark.point.value) for mark in marks],
        "o",
        color=BEST,
        markersize=4.5,
    )
    base = state.baseline
    scores = [point.score for point in series]
    if base is not None:
        level, name = near(base.value), f"{first_of(state).short} (#{base.trial})"
        axes.axhline(level, color=OWN, linestyle=(0, (5, 3)), linewidth=1.5, label=name)
        scores.append(base.score)
    axes.margins(y=0.08)
    fit_scale(axes, state, scores)
    axes.set_xlim(0, along.end * 1.03 or 1.0)
    for mark in _spread(marks, along.end):
        _number(axes, mark, steps_up=direction_of(state) is Direction.MAXIMIZE)
    legend(axes)
    return figure


def learning_curves(state: RunState, limit: int = LIMIT) -> Figure:
    """The metric by epoch: a line for each trial, the winner and the first one highlighted.

    Args:
        state: the run.
        limit: above so many trials the other curves turn thin and lose their end points.
    """
    figure, axes = framed(f"{short(metric_of(state))} by epoch, every recommendation")
    axes.set_xlabel("epoch of the recommendation")
    name_value_axis(axes, state)
    drawn = [trial for trial in state.trials.values() if _values(trial, state)]
    if not drawn:
        say_empty(axes)
        return figure
    for place, rung in enumerate(_rungs(drawn)):
        name = "_rung" if place else "rung"  # one line of them all is enough in the legend
        axes.axvline(rung, color=GRID, linewidth=5, zorder=0.5, label=name)
    best = state.incumbent
    own = _own_spec(drawn, state)
    special = {own.number} if own else set()
    special |= {best.trial} if best else set()
    others = evenly([trial for trial in drawn if trial.number not in special], CURVES)
    _others(axes, others, state, bold=len(drawn) <= limit)
    if own is not None:
        _curve(axes, own, state, OWN, f"{first_of(state).short} (#{own.number})")
    if best is not None:
        _curve(axes, state.trials[best.trial], state, BEST, f"best (#{best.trial})")
        point = ([best.epoch], [near(best.value)])
        axes.plot(*point, "o", color=BEST, markersize=7, zorder=4, clip_on=False)
    _failures(axes, drawn, state)
    direction = direction_of(state)
    fit_scale(axes, state, [direction.score(v) for t in drawn for v in _values(t, state).values()])
    last = max(trial.epochs for trial in drawn)
    axes.set_xlim(max(0.5, 1 - 0.04 * last), last * 1.04)  # there is no epoch 0
    legend(axes)
    return figure


def brackets(state: RunState, plan: Plan) -> Figure | None:
    """Who went on at every rung: a column for a rung, ranked from the top, lines for promotions.

    None for a plan without rungs: there every trial runs to its end.
    """
    found = ladders(state, plan)
    if not found:
        return None
    widths = [len(ladder) for ladder in found]
    tallest = max(rung.planned for ladder in found for rung in ladder)
    height = min(4.6, 1.9 + 0.15 * tallest)
    figure = blank(max(WIDTH, 0.6 + 1.05 * sum(widths)), height)
    figure.suptitle("Who went on at each rung", x=0.012, ha="left", color=INK, fontsize=12)
    panels = figure.subplots(
        1, len(found), sharey=True, squeeze=False, gridspec_kw={"width_ratios": widths}
    )
    winner = state.incumbent.trial if state.incumbent else None
    size = max(1.2, min(6.5, 170 / tallest))  # points; rows are a little farther apart
    for bracket, (axes, ladder) in enumerate(zip(panels[0], found, strict=True), start=1):
        name = f"bracket {bracket}" if plan.exact else "no rung waits for another"
        axes.set_title(name, loc="left", color=MUTED, fontsize=10)
        draw_bracket(axes, ladder, winner, size)
        axes.set_ylim(tallest + 0.8, 0.2)
    panels[0][0].set_ylabel("rank at the rung, best on top", color=MUTED, fontsize=10)
    explain_dots(figure, panels[0])
    return figure


@dataclass(frozen=True)
class _Mark:
    """A change of the leader, and where it lies."""

    at: float
    point: Improvement


def _spread(marks: Sequence[_Mark], end: float) -> list[_Mark]:
    """Those to be labelled: the last, then the largest that stand apart from the others."""
    gains = {b: b.point.score - a.point.score for a, b in pairwise(marks)}
    order = [marks[-1], *sorted(marks[:-1], key=lambda mark: -gains.get(mark, 0.0))]
    chosen: list[_Mark] = []
    for mark in order:
        if all(abs(mark.at - other.at) > 0.07 * end for other in chosen):
            chosen.append(mark)
    return chosen[:LABELS]


def _number(axes: Axes, mark: _Mark, *, steps_up: bool) -> None:
    axes.annotate(
        f"#{mark.point.trial}",
        (mark.at, near(mark.point.value)),
        xytext=(4, -5 if steps_up else 5),  # inside the corner of the step
        textcoords="offset points",
        ha="left",
        va="top" if steps_up else "bottom",
        color=BEST,
        fontsize=9,
    )


def _own_spec(drawn: Sequence[TrialState], state: RunState) -> TrialState | None:
    """The trial of the user's own spec, if it is among those drawn."""
    return next((t for t in drawn if state.has_own_spec and t.number == state.first), None)


def _rungs(trials: Sequence[TrialState]) -> list[int]:
    """Epochs at which trials were compared: every budget that was not a trial's last."""
    budgets = {trial.budget for trial in trials if trial.budget < trial.horizon}
    return sorted(budgets)


def _others(axes: Axes, trials: Sequence[TrialState], state: RunState, *, bold: bool) -> None:
    """All other curves as one line with gaps: one path however many they are."""
    if not trials:
        return
    most = _points_each([len(trial.history) for trial in trials])
    path: list[tuple[float, float]] = []
    for trial in trials:
        path += [*thinned(_values(trial, state), most).items(), GAP]
    width = 1.1 if bold else 0.5
    axes.plot(*zip(*path, strict=True), color=PALE, linewidth=width, label="others")
    ends = trials if bold else evenly([t for t in trials if t.epochs == 1], DOTS)
    alive = [_end(trial, state) for trial in ends if trial.failure is None]
    if alive:
        axes.plot(*zip(*alive, strict=True), ".", color=PALE, markersize=5 if bold else 3)


def _points_each(lengths: Sequence[int]) -> int:
    """The points that a curve may have, so that all together are about ``POINTS``."""
    most = max(2, *lengths)
    while most > 2 and sum(min(length, most) for length in lengths) > POINTS:
        most = max(2, most * 3 // 4)
    return most


def _curve(axes: Axes, trial: TrialState, state: RunState, color: str, name: str) -> None:
    points = thinned(_values(trial, state), POINTS)
    dashed = (0, (5, 3)) if color == OWN else "-"
    marker = "o" if len(points) == 1 else None
    axes.plot(
        [*points],
        [*points.values()],
        color=color,
        linestyle=dashed,
        linewidth=2,
        label=name,
        marker=marker,
        markersize=4.5,
        zorder=3,
    )


def _failures(axes: Axes, trials: Sequence[TrialState], state: RunState) -> None:
    failed = [trial for trial in trials if trial.failure is not None]
    ends = [_end(trial, state) for trial in evenly(failed, CROSSES)]
    if ends:
        axes.plot(
            *zip(*ends, strict=True),
            "x",
            color=FAILED,
            markersize=6.5,
            markeredgewidth=1.8,
            label="failed",
            zorder=5,
            clip_on=False,
        )


def _end(trial: TrialState, state: RunState) -> tuple[int, float]:
    """Where a trial's curve ends."""
    return max(_values(trial, state).items())


def _values(trial: TrialState, state: RunState) -> dict[int, float]:
    """The metric by epoch, where it was reported: a run may have been changed to another one."""
    metric = metric_of(state)
    return {n: near(m[metric]) for n, m in sorted(trial.history.items()) if metric in m}
