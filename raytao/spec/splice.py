"""Edits of a text that leave every other byte as it was."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple, TypeAlias

from raytao.types import Json

_REST_OF_LINE = re.compile(r"[ \t]*(?:#[^\n]*?)?(?P<newline>\r?\n|\r?\Z)")
_LINE_START = re.compile(r"\r?\n[^\n]*\Z")


class Span(NamedTuple):
    """Offsets into a text, the end not included."""

    start: int
    end: int


class Splice(NamedTuple):
    """A piece of a text, and what is to stand there instead."""

    start: int
    end: int
    text: str


Write: TypeAlias = Callable[[Json, int | None], str]
"""Writes an element of a list like the old element of that number."""


def spliced(text: str, splices: Iterable[Splice]) -> str:
    """Return ``text`` with pieces replaced; insertions at one offset keep their order."""
    parts: list[str] = []
    done = 0
    for splice in sorted(splices, key=lambda splice: splice.start):
        parts += [text[done : splice.start], splice.text]
        done = splice.end
    return "".join([*parts, text[done:]])


def overlap(splices: Iterable[Splice]) -> bool:
    """Whether two of them mean the same piece of a text."""
    ordered = sorted(splices)
    return any(later.start < earlier.end for earlier, later in pairwise(ordered))


def same(old: Json, new: Json) -> bool:
    """Whether two plain values are equal to the type: 1 is neither 1.0 nor True."""
    return repr(old) == repr(new)


def in_brackets(
    text: str, whole: Span, items: Sequence[Span], old: list[Json], new: list[Json], write: Write
) -> Iterator[Splice]:
    """Turn a list in brackets into another one, in its own style.

    Elements that stay are left alone with the comments beside them; the list grows and shrinks at
    its end.

    Args:
        text: what is edited.
        whole: the brackets and all between them.
        items: its elements.
        old: their values.
        new: what is to stand there.
        write: gives an element's text.
    """
    if not items or not new:
        if old != new:
            yield Splice(*whole, f"[{', '.join(write(value, None) for value in new)}]")
        return
    kept = min(len(old), len(new))
    for number in range(kept):
        if not same(old[number], new[number]):
            yield Splice(*items[number], write(new[number], number))
    end = items[-1].end
    if len(new) < len(old):
        yield Splice(items[kept - 1].end, end, "")
    elif len(new) > len(old):
        between = _separator(text, whole, items)
        yield Splice(end, end, "".join(between + write(v, len(old) - 1) for v in new[kept:]))


def _separator(text: str, whole: Span, items: Sequence[Span]) -> str:
    """What stands between two elements, without comments."""
    before = items[-2].end if len(items) > 1 else whole.start + 1
    found = text[before : items[-1].start]
    if line := _LINE_START.search(found):
        return "," + line[0]
    return found if len(items) > 1 and "#" not in found else ", "


def indent_of(text: str, offset: int) -> str | None:
    """The blanks before ``offset`` on its line; None if something else stands there."""
    before = text[text.rfind("\n", 0, offset) + 1 : offset]
    return before if not before.strip() else None


def end_of_line(text: str, offset: int) -> tuple[int, str] | None:
    """Where a line may be put below the one of ``offset``, and how lines end here.

    None if more than a comment stands behind ``offset`` on its line.
    """
    rest = _REST_OF_LINE.match(text, offset)
    if rest is None:
        return None
    return rest.start("newline"), rest["newline"] if "\n" in rest["newline"] else "\n"
