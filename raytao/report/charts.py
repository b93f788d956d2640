"""A run in three pictures, shared by the report and by notebooks.

Every function returns a figure of its own: no pyplot, no global state.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING

from raytao.brains.base import Plan
from raytao.report.canvas import (
    BEST,
    FAILED,
    GRID,
    INK,
    MUTED,
    OWN,
    PALE,
    blank,
    plain_frame,
)
from raytao.report.ladders import ladders
from raytao.report.panel import GAP, draw_bracket, explain_dots
from raytao.report.series import Improvement, lowest_shown, takeovers, thinned
from raytao.report.visible import visible
from raytao.runs.state import RunState, TrialState
from raytao.types import SCORE, Direction

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

WIDTH, HEIGHT = 6.4, 3.7
"""Inches of the two charts over epochs."""
LIMIT = 40
"""Above so many trials the other curves are drawn thin, without dots at their ends."""
POINTS = 8_000
"""Points of all learning curves together; longer curves are thinned."""
LABELS = 6
"""Changes of the leader that get its number."""
FARTHEST = 1e300
"""Values beyond are drawn here: axes cannot span the whole range of floats."""


def incumbent(state: RunState, series: Sequence[Improvement]) -> Figure:
    """The best value so far over the epochs of all trials together.

    Args:
        state: the run.
        series: `raytao.report.series.improvements` of the same log.
    """
    figure, axes = _figure(f"Best {visible(_metric(state))} so far")
    axes.set_xlabel("epochs trained, all recommendations together")
    _name_value_axis(axes, state)
    if not series:
        _say_empty(axes)
        return figure
    end = max(state.epochs, series[-1].after)
    steps = [_near(point.value) for point in series]
    axes.step(
        [*(point.after for point in series), end],
        [*steps, steps[-1]],
        where="post",
        color=BEST,
        linewidth=2,
        label="best so far",
    )
    leaders = takeovers(series)
    places = [(point.after, _near(point.value)) for point in leaders]
    axes.plot(*zip(*places, strict=True), "o", color=BEST, markersize=4.5)
    base = state.baseline
    scores = [point.score for point in series]
    if base is not None:
        level, name = _near(base.value), "your spec (#0)"
        axes.axhline(level, color=OWN, linestyle=(0, (5, 3)), linewidth=1.5, label=name)
        scores.append(base.score)
    axes.margins(y=0.08)
    _fit_scale(axes, state, scores)
    axes.set_xlim(0, end * 1.03)
    for point in _spread(leaders, end):
        _number(axes, point, steps_up=_direction(state) is Direction.MAXIMIZE)
    _legend(axes)
    return figure


def learning_curves(state: RunState, limit: int = LIMIT) -> Figure:
    """The metric by epoch: a line for each trial, the winner and the user's spec highlighted.

    Args:
        state: the run.
        limit: above so many trials the other curves turn thin and lose their end points.
    """
    figure, axes = _figure(f"{visible(_metric(state))} by epoch, every recommendation")
    axes.set_xlabel("epoch of the recommendation")
    _name_value_axis(axes, state)
    drawn = [trial for trial in state.trials.values() if trial.history]
    if not drawn:
        _say_empty(axes)
        return figure
    for place, rung in enumerate(_rungs(drawn)):
        name = "_rung" if place else "rung"  # one line of them all is enough in the legend
        axes.axvline(rung, color=GRID, linewidth=5, zorder=0.5, label=name)
    best = state.incumbent
    own = state.has_own_spec and drawn[0].number == 0
    special = {0} if own else set()
    special |= {best.trial} if best else set()
    _others(axes, [t for t in drawn if t.number not in special], state, bold=len(drawn) <= limit)
    if own:
        _curve(axes, drawn[0], state, OWN, "your spec (#0)")
    if best is not None:
        _curve(axes, state.trials[best.trial], state, BEST, f"best (#{best.trial})")
        point = ([best.epoch], [_near(best.value)])
        axes.plot(*point, "o", color=BEST, markersize=7, zorder=4, clip_on=False)
    _failures(axes, drawn, state)
    _fit_scale(axes, state, [m[SCORE] for t in drawn for m in t.history.values()])
    last = max(trial.epochs for trial in drawn)
    axes.set_xlim(max(0.5, 1 - 0.04 * last), last * 1.04)  # there is no epoch 0
    _legend(axes)
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
        axes.set_title(f"bracket {bracket}", loc="left", color=MUTED, fontsize=10)
        draw_bracket(axes, ladder, winner, size)
        axes.set_ylim(tallest + 0.8, 0.2)
    panels[0][0].set_ylabel("rank at the rung, best on top", color=MUTED, fontsize=10)
    explain_dots(figure, panels[0], 6 / size)
    return figure


def _figure(title: str) -> tuple[Figure, Axes]:
    from matplotlib.ticker import MaxNLocator

    figure = blank(WIDTH, HEIGHT)
    axes = figure.subplots()
    axes.set_title(title, loc="left", color=INK, fontsize=12, pad=26, parse_math=False)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    axes.grid(axis="y", color=GRID, linewidth=0.8)
    axes.set_axisbelow(True)
    plain_frame(axes)
    return figure, axes


def _metric(state: RunState) -> str:
    return state.opened.metric if state.opened else "metric"


def _direction(state: RunState) -> Direction:
    return Direction(state.opened.direction) if state.opened else Direction.MAXIMIZE


def _name_value_axis(axes: Axes, state: RunState) -> None:
    better = "larger" if _direction(state) is Direction.MAXIMIZE else "smaller"
    label = f"{visible(_metric(state))} ({better} is better)"
    axes.set_ylabel(label, color=MUTED, fontsize=10, parse_math=False)


def _say_empty(axes: Axes) -> None:
    axes.set(xticks=[], yticks=[])
    axes.text(
        0.5, 0.5, "no result yet", transform=axes.transAxes, ha="center", va="center", color=MUTED
    )


def _near(value: float) -> float:
    return max(-FARTHEST, min(FARTHEST, value))


def _fit_scale(axes: Axes, state: RunState, scores: Iterable[float]) -> None:
    """Span the axis over ``scores``, but for those of diverged trainings; say that they miss."""
    every = [_near(m[SCORE]) for t in state.trials.values() for m in t.history.values()]
    shown = [_near(score) for score in scores]
    lowest, best = lowest_shown(every), max(shown)
    if min(shown) < lowest:
        room = 0.06 * (best - lowest) or 1.0
        ends = [_direction(state).score(end) for end in (lowest - room, best + room)]
        axes.set_ylim(min(ends), max(ends))
        _say_cut(axes, at_bottom=_direction(state) is Direction.MAXIMIZE)
    if 1e-3 <= max(abs(end) for end in axes.get_ylim()) < 1e6:
        axes.ticklabel_format(axis="y", style="plain", useOffset=False)
    else:
        # A common factor would be printed where the legend is.
        axes.yaxis.set_major_formatter(lambda value, _: f"{value:.4g}")


def _say_cut(axes: Axes, *, at_bottom: bool) -> None:
    axes.text(
        0.99,
        0.02 if at_bottom else 0.98,
        "far worse values are off the scale",
        transform=axes.transAxes,
        ha="right",
        va="bottom" if at_bottom else "top",
        color=MUTED,
        fontsize=9,
        style="italic",
    )


def _spread(series: Sequence[Improvement], end: int) -> list[Improvement]:
    """Those to be labelled: the last, then the largest that stand apart from the others."""
    gains = {b.after: b.score - a.score for a, b in pairwise(series)}
    order = [series[-1], *sorted(series[:-1], key=lambda p: -gains.get(p.after, 0.0))]
    chosen: list[Improvement] = []
    for point in order:
        if all(abs(point.after - other.after) > 0.07 * end for other in chosen):
            chosen.append(point)
    return chosen[:LABELS]


def _number(axes: Axes, point: Improvement, *, steps_up: bool) -> None:
    axes.annotate(
        f"#{point.trial}",
        (point.after, _near(point.value)),
        xytext=(4, -5 if steps_up else 5),  # inside the corner of the step
        textcoords="offset points",
        ha="left",
        va="top" if steps_up else "bottom",
        color=BEST,
        fontsize=9,
    )


def _rungs(trials: Sequence[TrialState]) -> list[int]:
    """Epochs at which trials were compared: every budget that was not a trial's last."""
    budgets = {trial.budget for trial in trials if trial.budget < trial.horizon}
    return sorted(budgets)


def _others(axes: Axes, trials: Sequence[TrialState], state: RunState, *, bold: bool) -> None:
    """All other curves as one line with gaps: one path however many they are."""
    if not trials:
        return
    most = max(2, POINTS // len(trials))
    path: list[tuple[float, float]] = []
    for trial in trials:
        path += [*thinned(_values(trial, state), most).items(), GAP]
    width = 1.1 if bold else 0.5
    axes.plot(*zip(*path, strict=True), color=PALE, linewidth=width, label="others")
    ends = trials if bold else [trial for trial in trials if trial.epochs == 1]
    alive = [(t.epochs, _values(t, state)[t.epochs]) for t in ends if t.failure is None]
    if alive:
        axes.plot(*zip(*alive, strict=True), ".", color=PALE, markersize=5 if bold else 3)


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
    ends = [(t.epochs, _values(t, state)[t.epochs]) for t in trials if t.failure is not None]
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


def _values(trial: TrialState, state: RunState) -> dict[int, float]:
    metric = _metric(state)
    return {epoch: _near(metrics[metric]) for epoch, metrics in sorted(trial.history.items())}


def _legend(axes: Axes) -> None:
    """One row between title and picture, where it covers nothing."""
    axes.legend(
        loc="lower left",
        bbox_to_anchor=(-0.01, 0.985),
        ncols=5,
        frameon=False,
        fontsize=9.5,
        labelcolor=INK,
        handlelength=1.8,
        columnspacing=1.4,
        borderpad=0.2,
    )
