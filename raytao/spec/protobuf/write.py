"""Plain values as protobuf text."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from raytao.spec.protobuf.syntax import NAME
from raytao.spec.source import NOTHING, key_name, refuse_unwritable
from raytao.types import Json

INDENT: Final = "  "

_FIELD = re.compile(rf"{NAME.pattern}|\[[A-Za-z_][A-Za-z0-9_./-]*\]")
_ESCAPES: Final = {"\\": r"\\", "\n": r"\n", "\r": r"\r", "\t": r"\t"}


def dump_protobuf(tree: Mapping[str, Json]) -> str:
    """Return nested values as protobuf text that reads back equal.

    Strings are quoted: without its schema, nobody can tell an enum's value. Lists are written in
    brackets, lists of two sections and more as a message repeated.

    Raises:
        SpecError: for what protobuf text has not: null, lists in lists or of sections and values,
            names that are not letters, digits and underscores.
    """
    refuse_unwritable(tree, unwritable, ())
    return "".join(f"{line}\n" for name in tree for line in field(name, tree[name])) or NOTHING


def unwritable(value: Json) -> str | None:
    """Why protobuf text cannot hold a value; None if it can."""
    if value is None:
        return "protobuf text has no null: a field that is not set is left out"
    if isinstance(value, Mapping):
        wrong = next((key for key in value if not _FIELD.fullmatch(key_name(key))), None)
        return None if wrong is None else f"{wrong!r} cannot be the name of a protobuf field"
    if isinstance(value, list | tuple):
        if any(isinstance(inner, list | tuple) for inner in value):
            return "protobuf text has no lists in lists"
        if len({isinstance(inner, Mapping) for inner in value}) > 1:
            return "a list of protobuf text holds messages or values, not both"
    return None


def field(name: Any, value: Json, indent: str = "") -> Iterator[str]:
    """Yield the lines of a field, or of a message repeated."""
    name = key_name(name)
    if isinstance(value, Mapping):
        yield f"{indent}{name} {message(value, indent)}"
    elif isinstance(value, list | tuple) and len(value) > 1 and isinstance(value[0], Mapping):
        for inner in value:
            yield f"{indent}{name} {message(inner, indent)}"
    elif isinstance(value, list | tuple):
        yield f"{indent}{name}: [{', '.join(element(inner, indent) for inner in value)}]"
    else:
        yield f"{indent}{name}: {scalar(value)}"


def element(value: Json, indent: str) -> str:
    """Return a scalar's text, or a message's, the first line without its indent."""
    return message(value, indent) if isinstance(value, Mapping) else scalar(value)


def message(fields: Mapping[Any, Json], indent: str) -> str:
    """Return a message in braces, on lines of its own unless it is empty."""
    inner = [line for key, value in fields.items() for line in field(key, value, indent + INDENT)]
    return "\n".join(["{", *inner, f"{indent}}}"]) if inner else "{ }"


def scalar(value: Json) -> str:
    """Return a scalar's text, strings in double quotes."""
    if isinstance(value, bool):
        return str(value).lower()
    return quoted(value) if isinstance(value, str) else repr(value)


def quoted(text: str, quote: str = '"') -> str:
    """Return a string in quotes; control characters are escaped, others are as they are."""
    return f"{quote}{''.join(_escaped(character, quote) for character in text)}{quote}"


def _escaped(character: str, quote: str) -> str:
    if character in _ESCAPES:
        return _ESCAPES[character]
    if character == quote:
        return f"\\{quote}"
    code = ord(character)
    return f"\\{code:03o}" if code < 32 or code == 127 else character
