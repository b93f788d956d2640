"""The pictures of a run as parts of a page: in its colours, each with its words."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Final

from markupsafe import Markup

from raytao.report.pictures.canvas import COLORS
from raytao.report.pictures.gallery import View, pictures
from raytao.report.pictures.svg import inline_svg, largest_width, smallest_width

WHAT_MATTERED: Final = ("parallel", "slices", "importance")
"""Pictures of the parameters; all others tell how the run went."""


@dataclass(frozen=True)
class Shown:
    """A picture on the page; no ``svg`` where there is nothing to draw, as ``caption`` says.

    ``width`` is how many pixels it takes where there is room, ``least`` how many before its box
    scrolls.
    """

    key: str
    title: str
    svg: Markup | None
    caption: str
    wide: bool
    width: int
    least: int

    @property
    def of_parameters(self) -> bool:
        """Whether it tells what mattered, not how the run went."""
        return self.key in WHAT_MATTERED


def shown(view: View) -> Iterator[Shown]:
    """Draw all pictures, in their order; each figure is let go before the next is made."""
    names = {value: f"var(--{name})" for name, value in COLORS.items()}
    for one in pictures(view):
        svg, width, least = None, 0, 0
        if one.figure is not None:
            drawn = inline_svg(one.figure, one.key, names, labelled_by=f"{one.key}-words")
            svg, width = Markup(drawn), round(largest_width(one.figure))
            least = round(smallest_width(one.figure))
        yield Shown(one.key, one.title, svg, one.caption, one.wide, width, least)


def laid_out(pictures: Iterable[Shown]) -> Iterator[Shown]:
    """The pictures with those wide that would stand alone in a row of two."""
    for wide, group in groupby(pictures, key=lambda one: one.wide):
        row = list(group)
        if not wide and len(row) % 2:
            row[-1] = replace(row[-1], wide=True)
        yield from row
