"""Text that others wrote, made fit to be shown: it cannot move the cursor or turn words around."""

from __future__ import annotations

import re
from typing import Final

_UNSEEN: Final = (
    r"\x00-\x09\x0b-\x1f\x7f-\x9f"  # control characters: ESC, BEL, CR, C1; all but the line end
    r"\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"  # marks that change the direction of text
    r"\u2028\u2029\ud800-\udfff"  # other line ends; halves of characters, which nothing prints
)
_IN_A_LINE: Final = re.compile(rf"[\n{_UNSEEN}]")
_IN_LINES: Final = re.compile(rf"[{_UNSEEN}]")


def visible(text: str, *, lines: bool = False) -> str:
    r"""Return ``text`` with characters that would steer a terminal spelled out.

    Args:
        text: a name, a value, a reason: whatever a user or a trainer wrote.
        lines: whether line ends are ours, and stay.

    >>> print(visible("val_acc\x1b[2J\r"))
    val_acc\x1b[2J\r
    """
    pattern = _IN_LINES if lines else _IN_A_LINE
    return pattern.sub(lambda found: found[0].encode("unicode_escape").decode(), text)
