"""Blank figures, and the only colours that are put on them.

A page may exchange these colours for its own. They stay apart for readers who tell few colours
apart (Okabe and Ito's blue, green and vermilion, darkened for white paper), and line style or
marker always says the same again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

PAPER: Final = "#ffffff"
INK: Final = "#1c2430"
MUTED: Final = "#5b6675"
GRID: Final = "#e3e7ec"
PALE: Final = "#aab4c0"
BEST: Final = "#0072b2"
OWN: Final = "#008060"
FAILED: Final = "#c44e00"

COLORS: Final = {
    "paper": PAPER,
    "ink": INK,
    "muted": MUTED,
    "grid": GRID,
    "pale": PALE,
    "best": BEST,
    "own": OWN,
    "failed": FAILED,
}
"""Every colour by its name."""


def blank(width: float, height: float) -> Figure:
    """An empty figure, so many inches wide and high, that arranges what is put on it."""
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained", facecolor=PAPER)


def plain_frame(axes: Axes) -> None:
    """Leave of the frame what is needed to read a value."""
    axes.set_facecolor(PAPER)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.spines["bottom"].set_color(PALE)
    axes.tick_params(colors=MUTED, length=0, labelsize=9.5)
    axes.xaxis.label.set(color=MUTED, fontsize=10)
