"""JSON specs: duplicate keys refused, every error with its line, every key with its place."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from raytao.errors import SpecError, Where
from raytao.spec.edit import replaced
from raytao.spec.limits import DEEPEST, MOST_VALUES, has_half_character, refusal_of_number
from raytao.spec.source import Source
from raytao.spec.text import at, decode, refused_at
from raytao.spec.tree import Way
from raytao.types import Json

_TOKEN = re.compile(
    r"""
    (?P<text> "(?:[^"\\\n]|\\.)*"? )  # one that does not end is told by the parser
  | (?P<bracket> [{\[] )
  | (?P<mark> [}\],:] )
  | (?P<number> -? (?: \d [\d.eE+-]* | Infinity ) | NaN )
  | (?P<word> [a-z]+ )
    """,
    re.VERBOSE,
)
_HALF = re.compile(r"\\u[dD][89a-fA-F]")


@dataclass
class _Open:
    """A bracket that is not closed yet."""

    path: tuple[Any, ...]
    is_object: bool
    expects_key: bool
    key: Any = 0
    seen: dict[str, int] = field(default_factory=dict)

    @property
    def inner(self) -> tuple[Any, ...]:
        """The way to what stands in it now."""
        return (*self.path, self.key) if self.is_object else self.path


@dataclass(frozen=True)
class _Twice:
    """A key that an object has twice, and the offsets of both."""

    key: str
    first: int
    second: int


def read_json(text: str, *, file: str) -> tuple[dict[str, Json], Mapping[tuple[Any, ...], int]]:
    """Read a JSON object, and the offset of every key by the way down to it.

    Objects within one list share their ways, on which the list's numbers do not count: the first
    object that has a key tells its place.

    Args:
        text: what ``raytao.spec.text.decode`` gave.
        file: the file's name, for errors.

    Raises:
        SpecError: with line and column, for what is no JSON, no object, nested too deeply, too
            much, has a key twice, or a number that is not finite.
    """
    offsets, twice = _scan(text, file)
    try:
        loaded = json.loads(text)
    except json.JSONDecodeError as error:
        raise refused_at(f"not JSON: {error.msg}", text, file, error.pos) from None
    except ValueError as error:  # an endless number where none can stand
        raise SpecError(f"not JSON: {error}", where=Where(file)) from None
    if twice is not None:
        first = at(file, text, twice.first).line
        raise refused_at(
            f"duplicate key {twice.key!r}, first given in line {first}",
            text,
            file,
            twice.second,
            remedy="delete one of the two",
        )
    if not isinstance(loaded, dict):
        raise SpecError(
            "the file holds no JSON object",
            where=Where(file, 1, 1),
            remedy='write {"key": value, …}',
        )
    return loaded, offsets


def dump_json(tree: Json) -> str:
    """Return a tree as JSON, indented, with a newline at the end."""
    return json.dumps(tree, indent=2, ensure_ascii=False) + "\n"


class JsonSource(Source):
    """A spec in JSON, written out anew."""

    format = "json"

    def __init__(
        self, tree: Mapping[Any, Json], text: str, offsets: Mapping[Way, int], file: str
    ) -> None:
        self._tree = tree
        self._text = text
        self._offsets = offsets
        self._file = file

    @classmethod
    def read(cls, text: str | bytes, *, file: str) -> Self:
        """Read it, as ``read_json`` does."""
        decoded = decode(text, file=file)
        tree, offsets = read_json(decoded, file=file)
        return cls(tree, decoded, offsets, file)

    @property
    def tree(self) -> Mapping[Any, Json]:
        """Its values, plain."""
        return self._tree

    def where(self, way: Way) -> Where:
        """Return the place of a key in the text that was read."""
        offset = self._offsets.get(way)
        return Where(self._file) if offset is None else at(self._file, self._text, offset)

    def text(self) -> str:
        """Return it as ``dump_json`` does."""
        return dump_json(self._tree)

    def replaced(self, changes: Mapping[Way, Json]) -> Self:
        """Return it with values replaced or added."""
        tree = self._tree
        for way, value in changes.items():
            tree = replaced(tree, way, value)
        return type(self)(tree, self._text, self._offsets, self._file)


def _scan(text: str, file: str) -> tuple[dict[tuple[Any, ...], int], _Twice | None]:
    """Find the offset of every key, and the first key that is there twice.

    Whatever is not JSON here is told by the parser afterwards; refused at once is only what would
    take the parser's stack or time, or what it would read as no number.
    """
    offsets: dict[tuple[Any, ...], int] = {}
    twice: _Twice | None = None
    stack: list[_Open] = []
    values = 0
    for token in _TOKEN.finditer(text):
        values += token.lastgroup != "mark"
        if why := _refusal(token, len(stack), values):
            raise refused_at(why, text, file, token.start())
        match token.lastgroup:
            case "bracket":
                path = stack[-1].inner if stack else ()
                stack.append(_Open(path, token[0] == "{", token[0] == "{"))
            case "mark" if stack and token[0] in "}]":
                stack.pop()
            case "mark" if stack and token[0] == ",":
                stack[-1].expects_key = stack[-1].is_object
            case "text" if stack and stack[-1].expects_key:
                key, offset = _enter(stack[-1], token[0]), token.start()
                first = stack[-1].seen.setdefault(key, offset)
                if first != offset:
                    twice = twice or _Twice(key, first, offset)
                offsets.setdefault(stack[-1].inner, offset)
    return offsets, twice


def _refusal(token: re.Match[str], depth: int, values: int) -> str | None:
    """Why a token cannot be part of a spec, whatever follows."""
    if values > MOST_VALUES:
        return f"more than {MOST_VALUES:,} values"
    if depth >= DEEPEST and token.lastgroup != "mark":
        return f"nested deeper than {DEEPEST} levels"
    match token.lastgroup:
        case "number":
            return refusal_of_number(token[0])
        case "text" if _HALF.search(token[0]) and _is_half(token[0]):
            return "an escape is half a character"
        case _:
            return None


def _is_half(quoted: str) -> bool:
    try:
        return has_half_character(str(json.loads(quoted)))
    except json.JSONDecodeError:
        return False


def _enter(inside: _Open, quoted: str) -> str:
    """Make ``quoted`` the current key of an object, and return it."""
    try:
        key = str(json.loads(quoted))
    except json.JSONDecodeError:
        key = quoted
    inside.key, inside.expects_key = key, False
    return key
