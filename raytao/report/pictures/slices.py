"""The metric over each searched parameter: one small chart a parameter."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from raytao.report.first import first_of
from raytao.report.pictures.axes import WIDE, direction_of, explain, short
from raytao.report.pictures.canvas import (
    BEST,
    GRID,
    INK,
    MUTED,
    OWN,
    PALE,
    PAPER,
    blank,
    plain_frame,
)
from raytao.report.pictures.panel import GAP
from raytao.report.pictures.scales import Numbers, Options, Scale, Tick, written
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
from raytao.report.words import plural
from raytao.types import Direction

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

IN_A_ROW: Final = 4
MOST: Final = 32
"""Parameters that are drawn."""
DOTS: Final = 1_800
"""Dots of all charts together."""
FEWEST: Final = 50
"""Dots of a chart, however many charts there are."""
APART: Final = 0.13
"""How far beyond the worse end dots lie whose value is far worse than the axis shows."""
LONGEST_LABELS: Final = 26
"""Characters that fit below a chart."""
BESIDE: Final = 1.09
"""Where dots lie whose parameter was not set."""
SIZE: Final = 0.009
"""Half the width of a dot, as a share of its chart's."""


def slices(view: View) -> Drawn:
    """A chart for every parameter."""
    found = tries(view)
    scored = [one for one in found if one.value is not None]
    every = axes_of(found, view)
    if not scored or not every:
        return None, "No recommendation has a result yet."
    scales = dict([*every.items()][:MOST])
    drawn = sampled(scored, max(FEWEST, DOTS // len(scales)), own_spec(view))
    values = value_axis(scored, direction_of(view.state))
    figure = _figure(view, drawn, scales, values)
    return figure, _caption(view, scored, drawn, scales, len(every))


def _figure(
    view: View, drawn: Sequence[Try], scales: Mapping[str, Scale], values: Numbers
) -> Figure:
    columns = min(IN_A_ROW, len(scales))
    rows = -(-len(scales) // columns)
    figure = blank(max(6.4, WIDE * columns / IN_A_ROW), 0.9 + 2.25 * rows)
    better = "larger" if direction_of(view.state) is Direction.MAXIMIZE else "smaller"
    figure.suptitle(
        f"Best {short(view.metric)} over each parameter ({better} is better)",
        x=0.012,
        ha="left",
        color=INK,
        fontsize=12,
        parse_math=False,
    )
    panels = figure.subplots(rows, columns, squeeze=False, sharey=True)
    cells = [axes for row in panels for axes in row]
    for axes, name in zip(cells, scales, strict=False):
        _draw(axes, name, view, drawn, scales[name], values)
    for axes in cells[len(scales) :]:
        axes.set_axis_off()
    explain(figure, cells[0])
    return figure


def _draw(
    axes: Axes, name: str, view: View, drawn: Sequence[Try], scale: Scale, values: Numbers
) -> None:
    worse = -APART if direction_of(view.state) is Direction.MAXIMIZE else 1 + APART
    plain_frame(axes)
    axes.set_title(short(name, 28), loc="left", color=INK, fontsize=10, parse_math=False)
    axes.set_axisbelow(True)
    axes.grid(axis="y", color=GRID, linewidth=0.8)
    placed = {one.trial: _point(one, name, scale, values, worse) for one in drawn}
    apart = {worse} if any(values.place(one.value) is None for one in drawn) else set()
    unset = any(x > 1 + SIZE for x, _ in placed.values())
    axes.set_xlim(-0.04, BESIDE + 0.06 if unset else 1.04)
    axes.set_ylim(*_limits(apart))
    ticks = [*scale.ticks, (BESIDE, "not set")] if unset else list(scale.ticks)
    _label(axes, ticks, options=isinstance(scale, Options) or unset)
    heights = [*values.ticks, *((y, "far worse") for y in apart)]
    axes.set_yticks([at for at, _ in heights], [text for _, text in heights], parse_math=False)
    best, own = best_of(drawn, view), own_spec(view)
    crowd = [one for one in drawn if one is not best and one.trial != own]
    part = [placed[one.trial] for one in crowd if not one.whole]
    full = [placed[one.trial] for one in crowd if one.whole]
    _dots(axes, part, "trained in part", PALE, 1.0)
    _dots(axes, full, "trained in full", MUTED, 1.5)
    if own is not None and own in placed and (best is None or own != best.trial):
        _single(axes, placed[own], OWN, f"{first_of(view.state).short} (#{own})", "D")
    if best is not None:
        _single(axes, placed[best.trial], BEST, f"best (#{best.trial})", "o")


def _limits(apart: Collection[float]) -> tuple[float, float]:
    """The ends of the axis of values, with room for those that lie apart."""
    return min([0.0, *apart]) - 0.06, max([1.0, *apart]) + 0.06


def _point(
    one: Try, name: str, scale: Scale, values: Numbers, worse: float
) -> tuple[float, float]:
    x = scale.place(one.params[name]) if name in one.params else None
    y = values.place(one.value)
    return (
        BESIDE + 0.02 * one.spread if x is None else x + scale.room * one.spread,
        worse + 0.02 * one.spread if y is None else y,
    )


def _label(axes: Axes, ticks: Sequence[Tick], *, options: bool) -> None:
    """Write below the axis: of long numbers some, and long options lean."""
    style: dict[str, Any] = {}
    while sum(len(text) + 1 for _, text in ticks) > LONGEST_LABELS and not style:
        fewer = evenly(ticks, len(ticks) - 1)
        if options or len(fewer) < 2:
            style = {"rotation": 25, "ha": "right"}
        else:
            ticks = fewer
    labels = [text for _, text in ticks]
    axes.set_xticks([at for at, _ in ticks], labels, parse_math=False, fontsize=9, **style)


def _dots(
    axes: Axes, points: Sequence[tuple[float, float]], name: str, color: str, scale: float
) -> None:
    """Squares as one path, however many they are."""
    if not points:
        return
    half = SIZE * scale
    path = [end for x, y in points for end in ((x - half, y), (x + half, y), GAP)]
    width = 2.4 * 72 * 2 * half  # points: a chart is about 2.4 inches wide
    axes.plot(
        *zip(*path, strict=True),
        color=color,
        linewidth=width,
        solid_capstyle="butt",
        label=name,
        clip_on=False,
    )


def _single(axes: Axes, point: tuple[float, float], color: str, name: str, marker: str) -> None:
    (dot,) = axes.plot([point[0]], [point[1]], marker, color=color, label=name, zorder=4)
    dot.set(markeredgecolor=PAPER, markersize=8, clip_on=False)


def _caption(
    view: View, scored: Sequence[Try], drawn: Sequence[Try], scales: Mapping[str, Scale], all_: int
) -> str:
    count = f"{len(scored)} {plural(len(scored), 'recommendation')}"
    if len(drawn) < len(scored):
        count = f"{len(drawn)} of {count}, the best and others evenly by rank"
    told = [f"The best {short(view.metric)} of {count} over {counted(len(scales), all_)}."]
    tenth = scored[: max(1, len(scored) // 10)]
    if len(tenth) < 3:
        return told[0]
    spans = listed(span for name in scales if (span := _span(name, tenth)))
    told.append(f"The best {len(tenth)} have: {spans}.")
    return " ".join(told)


def _span(name: str, tenth: Sequence[Try]) -> str:
    values: list[Any] = [one.params[name] for one in tenth if name in one.params]
    if not values:
        return ""
    if all(isinstance(value, int | float) and not isinstance(value, bool) for value in values):
        return f"{short(name)} {written(min(values))} to {written(max(values))}"
    counts = {text: 0 for text in map(written, values)}
    for value in values:
        counts[written(value)] += 1
    most = max(counts, key=lambda text: counts[text])
    return f"{short(name)} {short(most)} ({counts[most]} of {len(tenth)})"
