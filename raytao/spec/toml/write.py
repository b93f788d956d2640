"""Plain values as TOML."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from raytao.spec.source import NOTHING, key_name, refuse_unwritable
from raytao.types import Json

_BARE = re.compile(r"[A-Za-z0-9_-]+")
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
_UNTYPEABLE = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")
_ESCAPES: Final = {"\\": r"\\", '"': r"\"", "\b": r"\b", "\n": r"\n", "\f": r"\f", "\r": r"\r"}


def dump_toml(tree: Mapping[str, Json]) -> str:
    """Return nested values as TOML that reads back equal.

    A table's own values come before the tables in it, as TOML demands.

    Raises:
        SpecError: for null, which TOML has not.
    """
    refuse_unwritable(tree, unwritable, ())
    return "\n".join(_table(tree, "")).lstrip("\n") + "\n" if tree else NOTHING


def unwritable(value: Json) -> str | None:
    """Why TOML cannot hold a value; None if it can."""
    return "TOML has no null: a key that is not set is left out" if value is None else None


def _table(table: Mapping[Any, Json], path: str) -> Iterator[str]:
    for key, value in table.items():
        if not (isinstance(value, Mapping) or _is_of_tables(value)):
            yield f"{key_text(key)} = {literal(value)}"
    for key, value in table.items():
        name = f"{path}{key_text(key)}"
        if isinstance(value, Mapping):
            if not value or not all(isinstance(inner, Mapping) for inner in value.values()):
                yield from ("", f"[{name}]")
            yield from _table(value, f"{name}.")
        elif _is_of_tables(value):
            for inner in value:
                yield from ("", f"[[{name}]]")
                yield from _table(inner, f"{name}.")


def _is_of_tables(value: Json) -> bool:
    is_list = isinstance(value, list | tuple) and bool(value)
    return is_list and all(isinstance(inner, Mapping) for inner in value)


def key_text(key: Any) -> str:
    """Return a key, in quotes if it needs them."""
    name = key_name(key)
    return name if _BARE.fullmatch(name) else _basic(name)


def literal(value: Json, like: str = '"') -> str:
    """Return a value's text on one line, a string in the quotes that ``like`` begins with."""
    match value:
        case bool():
            return str(value).lower()
        case str():
            return _string(value, like)
        case Mapping():
            pairs = ", ".join(
                f"{key_text(key)} = {literal(inner)}" for key, inner in value.items()
            )
            return f"{{ {pairs} }}" if pairs else "{}"
        case list() | tuple():
            return f"[{', '.join(literal(inner) for inner in value)}]"
        case _:
            return repr(value)


def _string(value: str, like: str) -> str:
    if like.startswith("'''"):
        fits = "'''" not in value and not value.endswith("'") and not _UNTYPEABLE.search(value)
        return f"'''{_opening(value, like)}{value}'''" if fits else _basic(value)
    if like.startswith('"""'):
        lines = (_basic(line)[1:-1] for line in value.split("\n"))
        return f'"""{_opening(value, like)}{chr(10).join(lines)}"""'
    if like.startswith("'") and "'" not in value and not _CONTROL.search(value):
        return f"'{value}'"
    return _basic(value)


def _opening(value: str, like: str) -> str:
    """The first newline of a string of several lines is not part of it."""
    return "\n" if like[3:5].lstrip("\r").startswith("\n") or value.startswith("\n") else ""


def _basic(value: str) -> str:
    return f'"{"".join(_escaped(character) for character in value)}"'


def _escaped(character: str) -> str:
    code = ord(character)
    short = _ESCAPES.get(character)
    if short is not None or not (code < 32 or code == 127) or character == "\t":
        return short or character
    return f"\\u{code:04x}"
