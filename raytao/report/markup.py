"""Text of others in the HTML of notebooks: it stays text, and takes no more room than it may.

Nothing here names a colour: what notebooks show follows their own theme, light or dark.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from typing import Final

from raytao.report.visible import visible

LONGEST: Final = 120
"""Characters of a name or a value in a table."""

_LEFT: Final = "text-align:left;padding:2px 12px 2px 0"


def text(value: str) -> str:
    """What others wrote, as text."""
    return escape(visible(value, lines=True), quote=True)


def cut(value: str, most: int = LONGEST) -> str:
    """The same; the end of a long one is left out."""
    return text(value if len(value) <= most else f"{value[: most - 1]}…")


def html_table(rows: Iterable[Sequence[str]], head: Sequence[str] = ()) -> str:
    """A table of texts, to be read from the left; empty without rows."""
    heads = "".join(f'<th style="{_LEFT}">{cut(name)}</th>' for name in head)
    body = "".join(f"<tr>{''.join(map(_cell, row))}</tr>" for row in rows)
    named = f"<tr>{heads}</tr>" if heads else ""
    return f"<table>{named}{body}</table>" if body else ""


def _cell(value: str) -> str:
    return f'<td style="{_LEFT}">{cut(value)}</td>'
