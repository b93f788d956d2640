"""What the charts of a metric have in common: frame, axis of values, legend."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

from raytao.report.pictures.canvas import GRID, INK, MUTED, blank, plain_frame
from raytao.report.series import lowest_shown
from raytao.report.visible import visible
from raytao.runs.state import RunState
from raytao.types import SCORE, Direction

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

WIDTH, HEIGHT = 6.4, 3.7
"""Inches of a chart that takes half of a page."""
WIDE: Final = 11.5
"""Inches of a picture that takes the whole width."""
FARTHEST: Final = 1e300
"""Values beyond are drawn here: axes cannot span the whole range of floats."""
LONGEST_NAME: Final = 40
"""Characters of a name in a title or at an axis."""


def framed(title: str) -> tuple[Figure, Axes]:
    """A figure of one chart with its title, room for a legend below it, and lines to read by."""
    from matplotlib.ticker import MaxNLocator

    figure = blank(WIDTH, HEIGHT)
    axes = figure.subplots()
    axes.set_title(title, loc="left", color=INK, fontsize=12, pad=26, parse_math=False)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    axes.grid(axis="y", color=GRID, linewidth=0.8)
    axes.set_axisbelow(True)
    plain_frame(axes)
    return figure, axes


def metric_of(state: RunState) -> str:
    """The metric by which the run compares."""
    return state.opened.metric if state.opened else "metric"


def direction_of(state: RunState) -> Direction:
    """Which way the metric is better."""
    return Direction(state.opened.direction) if state.opened else Direction.MAXIMIZE


def short(name: str, most: int = LONGEST_NAME) -> str:
    """A name of others, visible and in one line; of a long one its end, which tells most.

    >>> short("optim.lr"), short("train.optimizer.learning_rate", most=16)
    ('optim.lr', '…r.learning_rate')
    """
    shown = visible(name)
    return shown if len(shown) <= most else f"…{shown[1 - most :]}"


def name_value_axis(axes: Axes, state: RunState) -> None:
    """Write the metric's name along the axis of values, and which way it is better."""
    better = "larger" if direction_of(state) is Direction.MAXIMIZE else "smaller"
    label = f"{short(metric_of(state))} ({better} is better)"
    axes.set_ylabel(label, color=MUTED, fontsize=10, parse_math=False)


def say_empty(axes: Axes) -> None:
    """Say in the middle of a chart why it is empty."""
    axes.set(xticks=[], yticks=[])
    axes.text(
        0.5, 0.5, "no result yet", transform=axes.transAxes, ha="center", va="center", color=MUTED
    )


def near(value: float) -> float:
    """The value, or where it is drawn if axes cannot span it."""
    return max(-FARTHEST, min(FARTHEST, value))


def fit_scale(axes: Axes, state: RunState, scores: Iterable[float]) -> None:
    """Span the axis over ``scores``, but for those of diverged trainings; say that they miss."""
    metric = metric_of(state)
    history = [m for t in state.trials.values() for m in t.history.values() if metric in m]
    every = [near(m[SCORE]) for m in history]
    shown = [near(score) for score in scores]
    lowest, best = lowest_shown(every), max(shown)
    if min(shown) < lowest:
        room = 0.06 * (best - lowest) or 1.0
        ends = [direction_of(state).score(end) for end in (lowest - room, best + room)]
        axes.set_ylim(min(ends), max(ends))
        _say_cut(axes, at_bottom=direction_of(state) is Direction.MAXIMIZE)
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


def legend(axes: Axes) -> None:
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


def explain(figure: Figure, panel: Axes) -> None:
    """One legend below a figure of several charts, as one of them has it."""
    handles, names = panel.get_legend_handles_labels()
    if handles:
        figure.legend(
            handles,
            names,
            loc="outside lower left",
            ncols=len(names),
            frameon=False,
            fontsize=9.5,
            labelcolor=INK,
            handlelength=1.8,
            columnspacing=1.6,
        )
