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
_ASCII: Final = str.maketrans({"–": "-", "…": "...", "·": "|", "×": "x", "→": "->"})


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


def in_ascii(text: str) -> str:
    """``text`` with the signs that raytao writes itself in characters that every terminal has.

    >>> in_ascii("raytao toy · 3 × 9 …")
    'raytao toy | 3 x 9 ...'
    """
    return text.translate(_ASCII)


def fit_for(text: str, encoding: str | None) -> str:
    """``text`` as a stream of that encoding can show our signs."""
    whole = encoding is None or encoding.lower().startswith("utf")
    return text if whole else in_ascii(text)
