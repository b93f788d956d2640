"""When which trial trained on which slot; of very many stretches, how many slots were busy."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from raytao.report.pictures.axes import WIDE, short
from raytao.report.pictures.canvas import (
    BEST,
    FAILED,
    GRID,
    INK,
    MUTED,
    PALE,
    PAPER,
    blank,
    plain_frame,
)
from raytao.report.pictures.elapsed import Elapsed
from raytao.report.pictures.ladders import first_trials
from raytao.report.pictures.stretches import End, Stretch, stretches
from raytao.report.pictures.view import Drawn, View
from raytao.report.series import evenly
from raytao.report.words import INTERRUPTED, clock, plural

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MOST_BARS, MOST_LANES = 1_500, 48
"""More stretches, or slots side by side, are told by their number."""
MOST_NUMBERED: Final = 120
"""So many stretches have room for their trials' numbers."""
MOST_MARKS: Final = 200
"""Of one kind; more are thinned."""
COLUMNS: Final = 240
"""Points in time at which busy slots are counted."""

MARKS: Final[Mapping[End, tuple[str, Mapping[str, Any]]]] = {
    End.FAILED: ("failed", {"marker": "x", "color": FAILED, "markeredgewidth": 1.8}),
    End.LOST: ("lost", {"marker": "v", "color": FAILED, "markerfacecolor": PAPER}),
    End.RETRIED: ("retried", {"marker": "^", "color": FAILED, "markerfacecolor": PAPER}),
    End.RETURNED: ("returned", {"marker": "<", "color": MUTED, "markerfacecolor": PAPER}),
}
"""What ends that were no judgement look like, and what they are called."""


def timeline(view: View) -> Drawn:
    """The stretches of training in lanes, or the number of busy slots."""
    found = stretches(view.records, view.elapsed)
    if not view.records:
        return None, "Nothing tells when its recommendations trained: it has no event log."
    if not found:
        return None, "No recommendation has begun to train."
    lanes = {(one.node, one.lane) for one in found}
    few = len(found) <= MOST_BARS and len(lanes) <= MOST_LANES
    draw = _lanes if few else _busy
    return draw(view, found), _caption(view, found, len(lanes))


def _lanes(view: View, found: Sequence[Stretch]) -> Figure:
    places = _places(found)
    size = max(0.16, min(0.36, 9.0 / len(places)))
    figure = blank(WIDE, 1.5 + size * len(places))
    axes = _axes(figure, "Who trained when, and where", view.elapsed)
    axes.set_ylim(len(places) - 0.4, -0.6)
    axes.set_yticks(range(len(places)), _names(places), parse_math=False)
    unit, levels = view.elapsed.unit[1], Levels(found)
    best = view.state.incumbent.trial if view.state.incumbent else None
    bars: dict[tuple[int, bool], list[tuple[float, float, float]]] = {}
    for one in found:
        bar = (one.begin / unit, one.end / unit, places[one.node, one.lane])
        bars.setdefault((levels.of(one), one.trial == best), []).append(bar)
    for (level, leads), group in sorted(bars.items()):
        color = BEST if leads else levels.color(level)
        _draw_bars(axes, group, color, levels.height(level))
    if len(found) <= MOST_NUMBERED:
        _write_numbers(axes, view, found, places, levels)
    marked = _mark(axes, [(one.how, one.end / unit, places[one.node, one.lane]) for one in found])
    _say_brackets(axes, view, found)
    _explain(figure, levels, best, marked)
    return figure


def _busy(view: View, found: Sequence[Stretch]) -> Figure:
    import numpy as np

    figure = blank(WIDE, 3.9)
    axes = _axes(figure, "How many trained at once", view.elapsed)
    axes.set_ylabel("slots busy", color=MUTED, fontsize=10)
    axes.grid(axis="y", color=GRID, linewidth=0.8)
    levels = Levels(found, most=3)
    step = (view.elapsed.end or 1.0) / COLUMNS
    counts = np.zeros((levels.count, COLUMNS))
    edges = np.arange(COLUMNS) * step
    for one in found:
        overlap = np.minimum(one.end, edges + step) - np.maximum(one.begin, edges)
        counts[levels.of(one)] += np.clip(overlap, 0, None) / step
    unit = view.elapsed.unit[1]
    bottom = np.zeros(COLUMNS)
    for level, share in enumerate(counts):
        top = bottom + share
        style: dict[str, Any] = {
            "color": levels.color(level),
            "edgecolor": PAPER,
            "linewidth": 0.8,
        }
        axes.fill_between((edges + step / 2) / unit, bottom, top, **style)
        bottom = top
    highest = float(bottom.max())
    axes.set_ylim(0, highest * 1.12 or 1.0)
    marked = _mark(axes, [(one.how, one.end / unit, highest * 1.06) for one in found])
    _say_brackets(axes, view, found)
    _explain(figure, levels, None, marked)
    return figure


class Levels:
    """How far stretches were to go: each level has its thickness and its shade.

    Args:
        found: the stretches.
        most: levels; all budgets beyond the smallest ones are the last of them.
    """

    def __init__(self, found: Sequence[Stretch], most: int = 5) -> None:
        budgets = sorted({one.budget for one in found})
        self._own = budgets if len(budgets) <= most else budgets[: most - 1]
        self._joined = budgets[len(self._own) :]

    @property
    def count(self) -> int:
        """How many levels there are."""
        return len(self._own) + bool(self._joined)

    def of(self, stretch: Stretch) -> int:
        """The level of a stretch."""
        return bisect_left(self._own, stretch.budget)

    def color(self, level: int) -> str:
        """Further is darker."""
        return (PALE, MUTED, INK)[round(2 * level / max(2, self.count - 1))]

    def height(self, level: int) -> float:
        """Further is thicker; a share of a lane."""
        return 0.46 + 0.4 * (level + 1) / self.count

    def name(self, level: int) -> str:
        """What the legend calls it."""
        if level < len(self._own):
            return f"to epoch {self._own[level]}"
        return f"further, to epoch {self._joined[-1]} at most"


def _axes(figure: Figure, title: str, times: Elapsed) -> Axes:
    axes = figure.subplots()
    axes.set_title(title, loc="left", color=INK, fontsize=12, pad=20)
    plain_frame(axes)
    axes.set_xlim(0, times.end / times.unit[1] * 1.005 or 1.0)
    axes.set_xlabel(times.label)
    axes.set_axisbelow(True)
    return axes


def _places(found: Sequence[Stretch]) -> dict[tuple[str, int], int]:
    """The row of every lane: node by node."""
    lanes = sorted({(one.node, one.lane) for one in found})
    return {lane: row for row, lane in enumerate(lanes)}


def _names(places: Mapping[tuple[str, int], int]) -> list[str]:
    nodes = {node for node, _ in places}
    slots = [f"slot {lane + 1}" for _, lane in places]
    if len(nodes) == 1:
        return slots
    return [f"{short(n, 20) or '?'} {slot}" for (n, _), slot in zip(places, slots, strict=True)]


def _draw_bars(
    axes: Axes, bars: Sequence[tuple[float, float, float]], color: str, height: float
) -> None:
    """Rectangles (from, to, row) as one path."""
    import numpy as np
    from matplotlib.patches import PathPatch
    from matplotlib.path import Path

    begin, end, row = np.array(bars).T
    low, high = row - height / 2, row + height / 2
    corners = [(begin, low), (end, low), (end, high), (begin, high), (begin, low)]
    points = np.array(corners).transpose(2, 0, 1).reshape(-1, 2)
    codes = [Path.MOVETO, Path.LINETO, Path.LINETO, Path.LINETO, Path.CLOSEPOLY] * len(bars)
    axes.add_patch(PathPatch(Path(points, codes), facecolor=color, edgecolor=PAPER, linewidth=0.6))


def _write_numbers(
    axes: Axes,
    view: View,
    found: Sequence[Stretch],
    places: Mapping[tuple[str, int], int],
    levels: Levels,
) -> None:
    """Write the trials' numbers into the bars that are wide enough."""
    unit, end = view.elapsed.unit[1], view.elapsed.end or 1.0
    best = view.state.incumbent.trial if view.state.incumbent else None
    for one in found:
        text = f"#{one.trial}"
        if one.seconds / end * WIDE < 0.11 * (1 + len(text)):
            continue
        pale = one.trial != best and levels.color(levels.of(one)) == PALE
        axes.text(
            (one.begin + one.end) / 2 / unit,
            places[one.node, one.lane],
            text,
            ha="center",
            va="center_baseline",
            color=INK if pale else PAPER,
            fontsize=8.5,
        )


def _mark(axes: Axes, ends: Sequence[tuple[End, float, float]]) -> list[Any]:
    """Mark what did not end by a judgement; return the marks for the legend."""
    drawn = []
    for how, (name, style) in MARKS.items():
        points = [(at, row) for found, at, row in ends if found is how]
        if points:
            shown = evenly(points, MOST_MARKS)
            (line,) = axes.plot(
                *zip(*shown, strict=True),
                linestyle="",
                markersize=6.5,
                label=name,
                clip_on=False,
                zorder=4,
                **style,
            )
            drawn.append(line)
    return drawn


def _say_brackets(axes: Axes, view: View, found: Sequence[Stretch]) -> None:
    """A line where the first trial of a bracket began."""
    unit, end = view.elapsed.unit[1], view.elapsed.end or 1.0
    began: dict[int, float] = {}
    for one in found:
        began.setdefault(one.trial, one.begin)
    told = -1.0
    for number, first in enumerate(first_trials(view.state, view.plan)[:-1], start=1):
        if first not in began:
            continue
        at = began[first]
        axes.axvline(at / unit, color=MUTED, linewidth=0.8, linestyle=(0, (1, 2)), zorder=0.5)
        if told < 0 or at - told > 0.08 * end:
            axes.annotate(
                f"bracket {number} begins",
                (at / unit, 1.0),
                xycoords=("data", "axes fraction"),
                xytext=(2, 3),
                textcoords="offset points",
                color=MUTED,
                fontsize=9,
            )
            told = at


def _explain(figure: Figure, levels: Levels, best: int | None, marked: Sequence[Any]) -> None:
    from matplotlib.lines import Line2D

    handles = [
        Line2D(
            [],
            [],
            color=levels.color(level),
            linewidth=11 * levels.height(level),
            label=levels.name(level),
        )
        for level in range(levels.count)
    ]
    if best is not None:
        handles.append(Line2D([], [], color=BEST, linewidth=8, label=f"best (#{best})"))
    handles += marked
    figure.legend(
        handles=handles,
        loc="outside lower left",
        ncols=len(handles),
        frameon=False,
        fontsize=9.5,
        labelcolor=INK,
        handlelength=1.6,
        columnspacing=1.6,
    )


def _caption(view: View, found: Sequence[Stretch], lanes: int) -> str:
    trials, end = len({one.trial for one in found}), view.elapsed.end
    share = sum(one.seconds for one in found) / (lanes * end) if end else 1.0
    parts = "1 stretch" if len(found) == 1 else f"{len(found)} stretches"
    told = [
        f"{trials} {plural(trials, 'recommendation')} trained in {parts} on {lanes} "
        f"{plural(lanes, 'slot')}, busy for {share:.0%} of {clock(end)}, "
        "start-up included."
    ]
    longest = max(found, key=lambda one: one.seconds)
    if len(found) > 1:
        told.append(
            f"The longest was recommendation {longest.trial}'s on its way to epoch "
            f"{longest.budget}: {clock(longest.seconds)}."
        )
    counts = {how: sum(one.how is how for one in found) for how in End}
    ends = [f"{counts[how]} {name}" for how, (name, _) in MARKS.items() if counts[how]]
    how = "still training" if view.driven else INTERRUPTED
    ends += [f"{counts[End.OPEN]} {how}"] if counts[End.OPEN] else []
    return " ".join([*told, f"Of these stretches: {', '.join(ends)}."] if ends else told)
