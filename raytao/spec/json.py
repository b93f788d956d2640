"""JSON specs: duplicate keys refused, every error with its line, every key with its place."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from raytao.errors import SpecError, Where
from raytao.spec.text import at, with_caret
from raytao.spec.yaml import DEEPEST
from raytao.types import Json

_TOKEN = re.compile(r'"(?:[^"\\\n]|\\.)*"|[{}\[\],:]')


@dataclass
class _Open:
    """A bracket that is not closed yet."""

    path: tuple[Any, ...]
    is_object: bool
    expects_key: bool
    key: Any = 0
    seen: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class _Twice:
    """A key that an object has twice, and the offsets of both."""

    key: str
    first: int
    second: int


def read_json(text: str, *, file: str) -> tuple[dict[str, Json], Mapping[tuple[Any, ...], int]]:
    """Read a JSON object, and the offset of every key by the way down to it.

    Objects within one list share their ways: a list is one value of a spec.

    Args:
        text: what ``raytao.spec.text.decode`` gave.
        file: the file's name, for errors.

    Raises:
        SpecError: with line and column, for what is no JSON, no object, nested too deeply, or
            has a key twice.
    """
    offsets, twice = _scan(text, file)
    try:
        loaded = json.loads(text)
    except json.JSONDecodeError as error:
        raise _refused(f"not JSON: {error.msg}", text, at(file, text, error.pos)) from None
    if twice is not None:
        first = at(file, text, twice.first).line
        raise _refused(
            f"duplicate key {twice.key!r}, first given in line {first}",
            text,
            at(file, text, twice.second),
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


def _refused(message: str, text: str, where: Where, *, remedy: str = "") -> SpecError:
    return SpecError(with_caret(message, text, where), where=where, remedy=remedy)


def _scan(text: str, file: str) -> tuple[dict[tuple[Any, ...], int], _Twice | None]:
    """Find the offset of every key, and the first key that is there twice.

    Whatever is not JSON here is told by the parser afterwards; only depth is refused at once,
    because the parser would run out of stack.
    """
    offsets: dict[tuple[Any, ...], int] = {}
    twice: _Twice | None = None
    stack: list[_Open] = []
    for token in _TOKEN.finditer(text):
        offset = token.start()
        match token[0]:
            case "{" | "[" as bracket:
                if len(stack) >= DEEPEST:
                    message = f"nested deeper than {DEEPEST} levels"
                    raise _refused(message, text, at(file, text, offset))
                path = (*stack[-1].path, stack[-1].key) if stack else ()
                stack.append(_Open(path, bracket == "{", bracket == "{"))
            case "}" | "]" if stack:
                stack.pop()
            case "," if stack:
                stack[-1].expects_key = stack[-1].is_object
            case quoted if quoted[0] == '"' and stack and stack[-1].expects_key:
                key = _enter(stack[-1], quoted)
                first = stack[-1].seen.setdefault(key, offset)
                if first != offset:
                    twice = twice or _Twice(key, first, offset)
                offsets[(*stack[-1].path, key)] = offset
    return offsets, twice


def _enter(inside: _Open, quoted: str) -> str:
    """Make ``quoted`` the current key of an object, and return it."""
    try:
        key = str(json.loads(quoted))
    except json.JSONDecodeError:
        key = quoted
    inside.key, inside.expects_key = key, False
    return key
