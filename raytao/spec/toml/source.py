"""TOML that is edited where it stands."""

from __future__ import annotations

import datetime
import re
import tomllib
from collections.abc import Iterator, Mapping
from typing import Any, Self, cast

from raytao.errors import SpecError, Where
from raytao.spec.edit import replaced
from raytao.spec.limits import DEEPEST, MOST_VALUES, refusal_of_value
from raytao.spec.source import TextSource, refuse_unwritable
from raytao.spec.splice import Span, Splice, end_of_line, in_brackets, indent_of, same
from raytao.spec.text import at, decode, refused_at
from raytao.spec.toml.scan import STRING, Array, Leaf, Node, Table, Tables, scan
from raytao.spec.toml.write import dump_toml, key_text, literal, unwritable
from raytao.spec.tree import Way
from raytao.types import Json

_TOKEN = re.compile(
    rf"""
    (?P<text> {STRING} )
  | (?P<comment> \#[^\n]* )
  | (?P<open> [\[{{] )
  | (?P<close> [\]}}] )
  | (?P<dot> \. )
  | (?P<word> [A-Za-z0-9_+-]+ )
    """,
    re.VERBOSE | re.DOTALL,
)
_PLACE = re.compile(r"(?P<what>.*) \(at (?:line (?P<line>\d+), column (?P<column>\d+)|end.*)\)")
_LONG = re.compile(r"[0-9_]{4000,}")


class TomlSource(TextSource):
    """A spec in TOML; every byte that no edit means stays as it is.

    A float stays a float when an integer replaces it. Only where a table that has a header is
    replaced by one with other keys is the text written anew, without its comments.
    """

    format = "toml"

    def __init__(self, text: str, file: str) -> None:
        super().__init__(text, file)
        _refuse_depth(text, file)
        self._tree = _loaded(text, file)
        self._root = scan(text)
        _Inspection(text, file).look(self._root, self._tree, 0, 1)

    @classmethod
    def read(cls, text: str | bytes, *, file: str) -> Self:
        """Read it.

        Raises:
            SpecError: with line and column, for what is no TOML, or refused: dates, numbers
                without end, deep nesting.
        """
        return cls(decode(text, file=file, newlines=False), file)

    @property
    def tree(self) -> Mapping[Any, Json]:
        """Its values, plain."""
        return self._tree

    def where(self, way: Way) -> Where:
        """Return the place of a key, or of the table nearest to it."""
        offset: int | None = None
        node: Node = self._root
        for key in way:
            while isinstance(node, Tables | Array) and node.items:
                node = node.items[0]
            if not isinstance(node, Table) or str(key) not in node.children:
                break
            offset, node = node.offsets[str(key)], node.children[str(key)]
        return Where(self._file) if offset is None else at(self._file, self._text, offset)

    def replaced(self, changes: Mapping[Way, Json]) -> Self:
        """Return it with values replaced or added; the others keep every byte."""
        try:
            return super().replaced(changes)
        except _Anew:
            tree: Json = self._tree
            for way, value in changes.items():
                tree = replaced(tree, way, value)
            return self._again(dump_toml(tree))

    def _edits(self, way: Way, value: Json) -> list[Splice]:
        refuse_unwritable(value, unwritable, way, self.where(way))
        return list(_edits(self._text, self._root, self._tree, way, value))

    def _again(self, text: str) -> Self:
        return type(self)(text, self._file)


class _Anew(Exception):
    """An edit that is spread over the text."""


def _refuse_depth(text: str, file: str) -> None:
    """Refuse what would take tomllib's stack (brackets) or time (keys of very many parts)."""
    brackets = dots = 0
    last = ""
    for token in _TOKEN.finditer(text):
        kind = token.lastgroup or ""
        brackets += (kind == "open") - (kind == "close")
        if kind == "dot":
            dots += 1
        elif kind != "comment" and (last != "dot" or kind in ("open", "close")):
            dots = 0
        if max(brackets, dots) >= DEEPEST:
            raise refused_at(f"nested deeper than {DEEPEST} levels", text, file, token.start())
        last = kind


def _loaded(text: str, file: str) -> dict[str, Json]:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        found = _PLACE.fullmatch(str(error))
        message = f"not TOML: {found['what'] if found else error}"
        if found is None or found["line"] is None:
            raise refused_at(message, text, file, len(text.rstrip())) from None
        lines = text.split("\n")[: int(found["line"]) - 1]
        offset = sum(len(line) + 1 for line in lines) + int(found["column"]) - 1
        raise refused_at(message, text, file, offset) from None
    except ValueError as error:  # an integer of more digits than Python reads
        long = _LONG.search(text)
        if long is None:
            raise SpecError(f"not TOML: {error}", where=Where(file)) from None
        raise refused_at("an integer is larger than 2**64", text, file, long.start()) from None


class _Inspection:
    """Refuses what the other readers refuse."""

    def __init__(self, text: str, file: str) -> None:
        self._text = text
        self._file = file
        self._values = 0

    def look(self, node: Node, value: Json, offset: int, level: int) -> None:
        """Look at a value and all below it; ``offset`` is its key's."""
        self._values += 1
        if isinstance(node, Leaf | Array):
            offset = node.start
        if self._values > MOST_VALUES:
            raise self._refused(f"more than {MOST_VALUES:,} values", offset)
        if level > DEEPEST:
            raise self._refused(f"nested deeper than {DEEPEST} levels", offset)
        if isinstance(node, Table):
            for key, inner in value.items():
                self._values += 1
                self.look(node.children[key], inner, node.offsets[key], level + 1)
        elif isinstance(node, Array | Tables):
            for child, inner in zip(node.items, value, strict=True):
                self.look(child, inner, offset, level + 1)
        elif isinstance(value, datetime.date | datetime.time):
            raise self._refused("a date is no value of a spec", node.start, "quote it")
        elif why := refusal_of_value(value):
            raise self._refused(why, node.start, "quotes make it a string")

    def _refused(self, message: str, offset: int, remedy: str = "") -> SpecError:
        return refused_at(message, self._text, self._file, offset, remedy=remedy)


def _edits(text: str, node: Node, old: Json, way: Way, new: Json) -> Iterator[Splice]:
    """Yield what to change so that ``way`` leads to ``new``, in every element of a list."""
    if isinstance(node, Array | Tables):
        for item, inner in zip(node.items, old, strict=True):
            yield from _edits(text, item, inner, way, new)
        return
    table, (first, *rest) = cast(Table, node), way
    name = str(first)
    if rest:
        yield from _edits(text, table.children[name], old[name], tuple(rest), new)
    elif name in table.children:
        yield from _changed(text, table.children[name], old[name], new)
    else:
        yield _added(text, table, name, new)


def _changed(text: str, node: Node, old: Json, new: Json) -> Iterator[Splice]:
    if same(old, new):
        return
    if isinstance(node, Array) and isinstance(new, list | tuple):
        spans = [_span(item) for item in node.items]

        def write(value: Json, number: int | None) -> str:
            like = None if number is None else (text[spans[number].start :], old[number])
            return _written(value, *(like or ("", None)))

        yield from in_brackets(text, Span(node.start, node.end), spans, old, list(new), write)
    elif isinstance(node, Leaf | Array) or (isinstance(node, Table) and node.inline):
        start, end = _span(node)
        yield Splice(start, end, _written(new, text[start:end], old))
    elif isinstance(node, Table) and isinstance(new, Mapping) and set(old) == set(new):
        for name, value in new.items():
            yield from _changed(text, node.children[name], old[name], value)
    else:
        raise _Anew


def _span(node: Node) -> Span:
    assert not isinstance(node, Tables)  # they are no value, but headers
    return Span(node.start, node.end)


def _written(value: Json, like: str, old: Json) -> str:
    """A value's text, in the quotes of what it replaces; a float stays one."""
    if isinstance(old, float) and type(value) is int and float(value) == value:
        return literal(float(value))
    return literal(value, like)


def _added(text: str, table: Table, name: str, value: Json) -> Splice:
    """A new key, on a line behind the table's others."""
    if table.last is None:
        raise _Anew
    line = f"{key_text(name)} = {literal(value)}"
    found = end_of_line(text, table.last)
    if table.last == 0 or found is None:
        return Splice(0, 0, f"{line}\n")
    place, newline = found
    indent = indent_of(text, table.last - len(text[: table.last].rpartition("\n")[2].lstrip()))
    return Splice(place, place, f"{newline}{indent or ''}{line}")
