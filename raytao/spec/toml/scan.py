"""Where everything stands in a TOML text that is known to be one.

``tomllib`` tells what a text means, but not where: this walks over the same text and finds the
offsets of its keys and values. It trusts the grammar, which ``tomllib`` has checked.
"""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass, field
from typing import Final, TypeAlias

STRING: Final = r'''
    """(?:\\.|[^\\])*?(?:"""["]{0,2}|\Z) | \'\'\'.*?(?:\'\'\'[']{0,2}|\Z)
  | "(?:[^"\\\n]|\\.)*"? | '[^'\n]*'?
'''
"""A string of any kind; a missing end is let through, so that no text is looked at twice."""

_STRING = re.compile(STRING, re.VERBOSE | re.DOTALL)
_BLANK = re.compile(r"(?:[ \t\r\n]+|#[^\n]*)*")
_SPACE = re.compile(r"[ \t]*")
_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
_BARE = re.compile(r"\d{4}-\d\d-\d\d[ ]\d\d:[^\s,\]}#]*|[^\s,\]}#]+")


@dataclass(slots=True)
class Leaf:
    """A string, number, bool or date."""

    start: int
    end: int


@dataclass(slots=True)
class Array:
    """A list in brackets."""

    start: int
    end: int
    items: list[Node]


@dataclass(slots=True)
class Table:
    """Keys with values, wherever they stand.

    ``start`` and ``end`` are those of an inline table's braces, else -1; ``last`` is the end of
    its header or of its last own value, behind which another can be written, None if the table has
    no header.
    """

    start: int = -1
    end: int = -1
    last: int | None = None
    children: dict[str, Node] = field(default_factory=dict)
    offsets: dict[str, int] = field(default_factory=dict)

    @property
    def inline(self) -> bool:
        """Whether it stands in braces, as one value."""
        return self.start >= 0


@dataclass(slots=True)
class Tables:
    """An array of tables, each under its own header."""

    items: list[Table]


Node: TypeAlias = Leaf | Array | Table | Tables


def scan(text: str) -> Table:
    """Return the root of a text that ``tomllib`` has read."""
    return _Scanner(text).root()


@dataclass(frozen=True, slots=True)
class _Part:
    """One part of a dotted key."""

    name: str
    offset: int


class _Scanner:
    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0

    def root(self) -> Table:
        root = current = Table(last=0)
        self._skip(_BLANK)
        while self._at < len(self._text):
            if self._text[self._at] == "[":
                current = self._header(root)
            else:
                self._pair(current)
            current.last = self._at
            self._skip(_BLANK)
        return root

    def _skip(self, pattern: re.Pattern[str]) -> str:
        match = pattern.match(self._text, self._at)
        assert match is not None, self._text[self._at : self._at + 20]  # the grammar was checked
        self._at = match.end()
        return match[0]

    def _header(self, root: Table) -> Table:
        several = self._text.startswith("[[", self._at)
        self._at += 1 + several
        *above, last = self._key()
        self._at += 1 + several
        table = _table_at(root, above)
        table.offsets.setdefault(last.name, last.offset)
        if several:
            found = table.children.setdefault(last.name, Tables([]))
            assert isinstance(found, Tables)  # tomllib refuses anything else
            found.items.append(Table())
            return found.items[-1]
        made = table.children.setdefault(last.name, Table())
        assert isinstance(made, Table)
        return made

    def _pair(self, table: Table) -> None:
        *above, last = self._key()
        self._at += 1  # the "="
        self._skip(_SPACE)
        node = self._value()
        inside = _table_at(table, above)
        inside.offsets[last.name] = last.offset
        inside.children[last.name] = node

    def _key(self) -> list[_Part]:
        """Read a dotted key and the blanks behind it."""
        parts: list[_Part] = []
        while True:
            self._skip(_SPACE)
            offset = self._at
            if self._text[offset] in "\"'":
                name = tomllib.loads(f"key = {self._skip(_STRING)}")["key"]
            else:
                name = self._skip(_BARE_KEY)
            parts.append(_Part(name, offset))
            self._skip(_SPACE)
            if self._text[self._at] != ".":
                return parts
            self._at += 1

    def _value(self) -> Node:
        start = self._at
        match self._text[start]:
            case "[":
                items = self._items()
                return Array(start, self._at, items)
            case "{":
                return self._inline()
            case '"' | "'":
                self._skip(_STRING)
            case _:
                self._skip(_BARE)
        return Leaf(start, self._at)

    def _items(self) -> list[Node]:
        items: list[Node] = []
        while self._opened_or_next("]"):
            items.append(self._value())
        return items

    def _inline(self) -> Table:
        table = Table(start=self._at)
        while self._opened_or_next("}"):
            self._pair(table)
        table.end = self._at
        return table

    def _opened_or_next(self, closing: str) -> bool:
        """Step over a bracket or comma; tell whether something stands behind it."""
        self._skip(_BLANK)
        if self._text[self._at] != closing:
            self._at += 1
            self._skip(_BLANK)
        if self._text[self._at] == closing:
            self._at += 1
            return False
        return True


def _table_at(table: Table, above: list[_Part]) -> Table:
    """The table that a dotted key means, of an array of tables the last one."""
    for part in above:
        table.offsets.setdefault(part.name, part.offset)
        found = table.children.setdefault(part.name, Table())
        if isinstance(found, Tables):
            found = found.items[-1]
        assert isinstance(found, Table)
        table = found
    return table
