"""Bars and sparklines of characters; plain ones where a terminal has no others."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, TypeAlias

from rich.text import Text

_BLOCKS: Final = "▁▂▃▄▅▆▇█"
_PLAIN_BLOCKS: Final = "_.-=+*#@"

Step: TypeAlias = tuple[float, float]
"""(when, the value from then on)."""


def sparkline(steps: Sequence[Step], end: float, width: int, *, plain: bool = False) -> str:
    """A series that changes in steps, from its first one to ``end``, as so many characters.

    >>> sparkline([(0.0, 0.1), (2.0, 0.5), (3.0, 0.9)], 4.0, 8)
    '▁▁▁▁▅▅██'
    """
    if not steps or width < 1:
        return ""
    blocks = _PLAIN_BLOCKS if plain else _BLOCKS
    values = [value for _, value in steps]
    low, span = min(values), max(values) - min(values)
    begin, shown, at = steps[0][0], "", 0
    for column in range(width):
        when = begin + (end - begin) * (column + 0.5) / width
        while at + 1 < len(steps) and steps[at + 1][0] <= when:
            at += 1
        if column == width - 1:
            at = len(steps) - 1  # the last change counts, however late it came
        level = (values[at] - low) / span if span else 0.5
        shown += blocks[min(int(level * len(blocks)), len(blocks) - 1)]
    return shown


def bar(
    done: float, under_way: float, width: int, *, plain: bool = False, style: str = "green"
) -> Text:
    """Shares of a whole, 0 to 1 together: done, under way, and the rest.

    Told apart by their characters, not by colour alone.

    >>> bar(0.5, 0.25, 8).plain, bar(0.5, 0.25, 8, plain=True).plain
    ('████▒▒░░', '####++..')
    """
    full, some, none = ("#", "+", ".") if plain else ("█", "▒", "░")
    filled = round(width * min(max(done, 0.0), 1.0))
    begun = round(width * min(max(done + under_way, 0.0), 1.0))
    text = Text(full * filled, style=style)
    text.append(some * (begun - filled), style="yellow")
    text.append(none * (width - begun), style="bright_black")
    return text
