"""Which parameters matter, as bars with the intervals in which their true shares lie."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from raytao.analysis.evidence import run_importance
from raytao.analysis.importance import GOOD_FIT, Importance, Share
from raytao.errors import UserError
from raytao.report.pictures.axes import WIDE, short
from raytao.report.pictures.canvas import BEST, GRID, INK, MUTED, PALE, blank, plain_frame
from raytao.report.pictures.view import Drawn, View

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MOST: Final = 10
"""Bars of a panel."""
FEWEST: Final = 5
"""Bars that a panel has at least, if there are so many."""
SEEN: Final = 0.005
"""Smaller shares are none to tell of."""
TOLD: Final = 3
"""Shares that the caption tells of each kind."""


def important(view: View) -> Drawn:
    """The shares of every parameter, of every pair, and around the best trial."""
    if view.space is None:
        return None, "Which parameters matter is not told: TAO's files do not say their ranges."
    try:
        found = run_importance(view.space, view.state)
    except UserError as error:
        return None, f"Which parameters matter is not told: {error.message}."
    return (_figure(found) if found.main else None), caption(found)


def _figure(found: Importance) -> Figure:
    panels = [
        ("alone, over the whole space", found.main),
        ("two together, beyond each alone", found.pairs),
        ("around the best one", found.local),
    ]
    drawn = [(name, shares[: _rows(shares)]) for name, shares in panels if shares]
    rows = max(len(shares) for _, shares in drawn)
    figure = blank(WIDE * len(drawn) / 3 if len(drawn) > 1 else 6.4, 1.7 + 0.36 * rows)
    sure = "" if found.fit >= GOOD_FIT else ": do not trust the order"
    figure.suptitle(
        "Which parameters matter: shares of the variance\n"
        f"{found.trials} trials; the forest explains {max(0.0, found.fit):.0%} of what it has "
        f"not seen{sure}",
        x=0.012,
        ha="left",
        color=INK,
        fontsize=12,
    )
    cells = figure.subplots(1, len(drawn), squeeze=False)[0]
    for axes, (name, shares) in zip(cells, drawn, strict=True):
        _bars(axes, name, shares, rows)
    return figure


def _rows(shares: Sequence[Share]) -> int:
    """How many bars are drawn: the few smallest say nothing, but some are always there."""
    return min(MOST, max(FEWEST, sum(one.share >= SEEN for one in shares)))


def _bars(axes: Axes, name: str, shares: Sequence[Share], rows: int) -> None:
    plain_frame(axes)
    axes.set_title(name, loc="left", color=MUTED, fontsize=10)
    axes.grid(axis="x", color=GRID, linewidth=0.8)
    axes.set_axisbelow(True)
    places = range(len(shares))
    colors = [BEST, *[PALE] * (len(shares) - 1)]
    axes.barh(places, [one.share for one in shares], height=0.62, color=colors)
    for place, one in zip(places, shares, strict=True):
        axes.plot([one.low, one.high], [place, place], "|-", color=INK, linewidth=1.2)
        axes.annotate(
            f"{one.share:.0%}",
            (max(one.high, one.share), place),
            xytext=(5, 0),
            textcoords="offset points",
            va="center",
            color=INK,
            fontsize=9,
        )
    longest = 24 if len(shares[0].names) == 1 else 13
    names = [" × ".join(short(part, longest) for part in one.names) for one in shares]
    axes.set_yticks(places, names, parse_math=False)
    axes.set_ylim(rows - 0.4, -0.6)
    axes.set_xlim(0, 1.18)
    axes.set_xticks([0, 0.25, 0.5, 0.75, 1], ["0", "25 %", "50 %", "75 %", "100 %"])


def caption(found: Importance) -> str:
    """The largest shares with their intervals, and what a reader has to know of them."""
    told = []
    if found.main:
        told.append(
            f"Alone: {_listed(found.main)}. The bars' lines are 90 % intervals; the forest "
            f"explains {max(0.0, found.fit):.0%} of what it has not seen."
        )
    if found.pairs:
        told.append(f"Two together, beyond each alone: {_listed(found.pairs)}.")
    if found.local:
        told.append(f"Around the best one: {_listed(found.local)}.")
    return " ".join([*told, *found.notes])


def _listed(shares: Sequence[Share]) -> str:
    return ", ".join(
        f"{' × '.join(short(name) for name in one.names)} {one.share:.0%} "
        f"({one.low:.0%} to {one.high:.0%})"
        for n, one in enumerate(shares[:TOLD])
        if n == 0 or one.share >= SEEN
    )
