"""Every recommendation as a line through its values to its metric: parallel coordinates."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from raytao.report.first import first_of
from raytao.report.pictures.axes import WIDE, direction_of, explain, short
from raytao.report.pictures.canvas import BEST, FAILED, INK, MUTED, OWN, PALE, PAPER, blank
from raytao.report.pictures.panel import GAP
from raytao.report.pictures.scales import Numbers, Scale, written
from raytao.report.pictures.tried import (
    Try,
    axes_of,
    best_of,
    counted,
    listed,
    own_spec,
    sampled,
    tries,
    value_axis,
)
from raytao.report.pictures.view import Drawn, View
from raytao.report.series import evenly
from raytao.report.words import number, plural
from raytao.types import Direction

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

IN_A_ROW: Final = 8
"""Parameters side by side; more go into further rows."""
MOST_ROWS: Final = 4
LINES: Final = 300
"""Lines that are drawn, of ever so many trials."""
POINTS: Final = 5_000
"""Points of all lines together."""
MOST_TICKS: Final = 4
"""Ticks that an axis has room for."""
LONGEST_NAME: Final = 15
"""Characters of a name above an axis."""
APART: Final = -0.17
"""Where a line passes an axis that has no place for it."""
STYLES: Final[Mapping[str, Mapping[str, Any]]] = {
    "others": {"color": PALE, "linewidth": 0.7},
    "best tenth": {"color": MUTED, "linewidth": 1.1},
    "failed": {"color": FAILED, "linewidth": 0.9, "linestyle": (0, (1, 2))},
    "own": {"color": OWN, "linewidth": 1.8, "linestyle": (0, (5, 3))},
    "best": {"color": BEST, "linewidth": 2.4, "marker": "o", "markersize": 5},
}
"""What lines look like; the later, the higher."""


@dataclass(frozen=True)
class _Table:
    """What is drawn: the axes, and the lines in groups."""

    scales: Mapping[str, Scale]
    values: Numbers
    groups: Mapping[str, Sequence[Try]]
    named: Mapping[str, str]
    """What the legend calls each group."""


def parallel(view: View) -> Drawn:
    """All searched parameters and the metric, an axis each."""
    found = tries(view)
    every = axes_of(found, view)
    if not found or not every:
        return None, "No recommendation has begun."
    scales = dict([*every.items()][: IN_A_ROW * MOST_ROWS])
    most = min(LINES, POINTS // (len(scales) + MOST_ROWS))
    drawn = sampled(found, most, own_spec(view))
    values = value_axis(found, direction_of(view.state))
    groups, named = _groups(drawn, found, view)
    figure = _figure(_Table(scales, values, groups, named), view)
    return figure, _caption(view, found, drawn, scales, len(every))


def _groups(
    drawn: Sequence[Try], found: Sequence[Try], view: View
) -> tuple[dict[str, list[Try]], dict[str, str]]:
    best, own = best_of(found, view), own_spec(view)
    scored = [one.trial for one in found if one.score is not None]
    tenth = set(scored[: len(scored) // 10])
    groups: dict[str, list[Try]] = {kind: [] for kind in STYLES}
    for one in drawn:
        if best is not None and one.trial == best.trial:
            kind = "best"
        elif one.trial == own:
            kind = "own"
        elif one.score is None:
            kind = "failed" if one.failed else "others"
        else:
            kind = "best tenth" if one.trial in tenth else "others"
        groups[kind].append(one)
    named = {kind: kind for kind in STYLES}
    named["own"] = f"{first_of(view.state).short} (#{own})"
    named["best"] = f"best (#{best.trial})" if best else "best"
    return groups, named


def _figure(table: _Table, view: View) -> Figure:
    names = list(table.scales)
    count = -(-len(names) // IN_A_ROW)
    width = -(-len(names) // count)
    rows = [names[n : n + width] for n in range(0, len(names), width)]
    figure = blank(max(6.4, min(WIDE, 1.3 * (width + 1.4))), 0.9 + 2.9 * len(rows))
    figure.suptitle(
        "Every recommendation, from its values to its result",
        x=0.012,
        ha="left",
        color=INK,
        fontsize=12,
    )
    panels = figure.subplots(len(rows), 1, squeeze=False)[:, 0]
    for axes, row in zip(panels, rows, strict=True):
        _draw_row(axes, row, width, table, view)
    explain(figure, panels[0])
    return figure


def _draw_row(axes: Axes, names: Sequence[str], width: int, table: _Table, view: View) -> None:
    axes.set_axis_off()
    axes.set_xlim(-0.15, width + 0.45)
    axes.set_ylim(APART - 0.08, 1.2)
    for kind, group in table.groups.items():
        path = [point for one in group for point in [*_line(one, names, table), GAP]]
        if path:
            style = {"label": table.named[kind], "zorder": 2 + list(STYLES).index(kind) / 10}
            axes.plot(*zip(*path, strict=True), **{**style, **STYLES[kind]})
    better = "larger" if direction_of(view.state) is Direction.MAXIMIZE else "smaller"
    for place, name in enumerate(names):
        _draw_axis(axes, place, short(name, LONGEST_NAME), table.scales[name])
    _draw_axis(
        axes, len(names), f"{short(view.metric, LONGEST_NAME)}\n{better} is better", table.values
    )
    every = [one for group in table.groups.values() for one in group]
    for place, name in enumerate(names):
        if any(_at(table.scales[name], one.params.get(name), one) < 0 for one in every):
            _write(axes, place, APART, "not set", italic=True)
    if any(_at(table.values, one.value, one) < 0 for one in every):
        _write(axes, len(names), APART, "no result,\nor far worse", italic=True)


def _line(one: Try, names: Sequence[str], table: _Table) -> Iterable[tuple[float, float]]:
    for place, name in enumerate(names):
        yield place, _at(table.scales[name], one.params.get(name), one)
    yield len(names), _at(table.values, one.value, one)


def _at(scale: Scale, value: Any, one: Try) -> float:
    """Where a line crosses an axis; lines through one option lie side by side."""
    place = None if value is None else scale.place(value)
    return APART + 0.03 * one.spread if place is None else place + scale.room * one.spread


def _draw_axis(axes: Axes, place: int, name: str, scale: Scale) -> None:
    axes.plot([place, place], [0, 1], color=MUTED, linewidth=1.2, zorder=1.9)
    axes.text(
        place, 1.06, name, ha="center", va="bottom", color=INK, fontsize=9.5, parse_math=False
    )
    for at, label in evenly(scale.ticks, MOST_TICKS):
        axes.plot([place - 0.02, place + 0.02], [at, at], color=MUTED, linewidth=1.2, zorder=1.9)
        _write(axes, place, at, label)


def _write(axes: Axes, place: int, at: float, text: str, *, italic: bool = False) -> None:
    axes.text(
        place + 0.05,
        at,
        text,
        ha="left",
        va="center",
        color=MUTED,
        fontsize=8.5,
        parse_math=False,
        style="italic" if italic else "normal",
        zorder=2.25,  # above the crowd, below the best
        bbox={"facecolor": PAPER, "edgecolor": "none", "pad": 0.6},
    )


def _caption(
    view: View, found: Sequence[Try], drawn: Sequence[Try], scales: Mapping[str, Scale], all_: int
) -> str:
    told = [f"{len(found)} {plural(len(found), 'recommendation')}"]
    if len(drawn) < len(found):
        told = [
            f"{len(drawn)} of {len(found)} recommendations, the best and others evenly by rank"
        ]
    names = counted(len(scales), all_)
    told[0] += f", each a line through its values of {names} to its best {short(view.metric)}."
    best = best_of(found, view)
    if best is None or best.value is None:
        return f"{told[0]} None has a result."
    values = listed(f"{short(name)} {short(written(v))}" for name, v in best.params.items())
    told.append(f"The best, recommendation {best.trial}, {number(best.value)}: {values}.")
    without = sum(one.value is None for one in found)
    told += [f"{without} without a result."] if without else []
    return " ".join(told)
