"""A bracket as a panel: a column of dots for each rung, lines for the trials that went on."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final, cast

from raytao.report.pictures.canvas import BEST, FAILED, INK, MUTED, PALE, PAPER, plain_frame
from raytao.report.pictures.ladders import Rung
from raytao.report.series import evenly
from raytao.report.words import plural

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

GAP: Final = (math.nan, math.nan)
"""Lifts the pen: many lines become one path."""
DOT: Final[Mapping[str, Any]] = {"linestyle": "", "marker": "o", "zorder": 3}
DOTS: Final[Mapping[str, Mapping[str, Any]]] = {
    "best": {"color": BEST, "zorder": 4},
    "went on": {"color": MUTED},
    "stopped": {"color": PALE},
    "not arrived": {"markerfacecolor": PAPER, "markeredgecolor": MUTED},
    "failed": {"marker": "x", "color": FAILED},
}
"""What a trial looks like at a rung."""

SEEN: Final = 4.0
"""Points of a dot that has to be found among very many."""
MOST_DASHES, DASH = 1_000, 0.03
"""Dashes of one kind in a bracket, and half the width of one, in columns."""


def draw_bracket(axes: Axes, ladder: Sequence[Rung], winner: int | None, size: float) -> None:
    """Draw a bracket, the winner's way through it highlighted; dots are ``size`` points wide."""
    plain_frame(axes)
    axes.spines["bottom"].set_visible(False)
    axes.set_xlim(-0.5, len(ladder) - 0.5)
    axes.set_yticks([])
    axes.set_xticks(range(len(ladder)), [_name(rung) for rung in ladder])
    rows = [{trial: row for row, trial in enumerate(r.members, start=1)} for r in ladder]
    paths: dict[str, list[tuple[float, float]]] = {PALE: [], BEST: []}
    for column, (here, there) in enumerate(pairwise(rows)):
        for trial in there:
            path = paths[BEST if trial == winner else PALE]
            path += [(column, here[trial]), (column + 1, there[trial]), GAP]
    for order, (color, path) in enumerate(paths.items(), start=1):
        if path:
            axes.plot(*zip(*path, strict=True), color=color, linewidth=1.2 * order, zorder=order)
    dots: dict[str, list[tuple[float, float]]] = {kind: [] for kind in DOTS}
    for column, (rung, row) in enumerate(zip(ladder, rows, strict=True)):
        for trial in rung.members:
            dots[_kind(trial, rung, winner, last=rung is ladder[-1])].append((column, row[trial]))
    for kind, points in dots.items():
        if points:
            _draw_dots(axes, points, kind, size)


def _draw_dots(axes: Axes, points: Sequence[tuple[float, float]], kind: str, size: float) -> None:
    """Dots; very small ones as short dashes, which are one path however many they are."""
    style, tiny = {**DOT, **DOTS[kind]}, size < SEEN
    if kind in ("best", "failed") or not tiny:
        style["markersize"] = max(size, SEEN)
        axes.plot(*zip(*evenly(points, MOST_DASHES // 10), strict=True), label=kind, **style)
        return
    shown = evenly(points, MOST_DASHES)
    path = [end for x, y in shown for end in ((x - DASH, y), (x + DASH, y), GAP)]
    color = MUTED if kind == "not arrived" else style["color"]
    axes.plot(*zip(*path, strict=True), color=color, linewidth=size, solid_capstyle="butt")
    axes.plot([], [], label=kind, **{**style, "markersize": size})


def _name(rung: Rung) -> str:
    there = len(rung.ranked)
    count = f"{rung.planned}" if there == rung.planned else f"{there} of {rung.planned}"
    return f"epoch {rung.epochs}\n{count} {plural(rung.planned, 'trial')}"


def _kind(trial: int, rung: Rung, winner: int | None, *, last: bool) -> str:
    """The key of DOTS for a trial at a rung."""
    if trial == winner:
        return "best"
    if trial in rung.failed:
        return "failed"
    if trial in rung.open:
        return "not arrived"
    return "went on" if trial in rung.on or last else "stopped"


def explain_dots(figure: Figure, panels: Iterable[Axes]) -> None:
    """Add one legend of the dots on all panels."""
    named = [
        pair for axes in panels for pair in zip(*axes.get_legend_handles_labels(), strict=True)
    ]
    there = {name: handle for handle, name in named}
    order = [kind for kind in DOTS if kind in there]
    if not order:
        return
    legend = figure.legend(
        [there[kind] for kind in order],
        order,
        loc="outside lower left",
        ncols=len(order),
        frameon=False,
        fontsize=9.5,
        labelcolor=INK,
        handletextpad=0.2,
    )
    for handle in legend.legend_handles:
        cast("Line2D", handle).set_markersize(6)
