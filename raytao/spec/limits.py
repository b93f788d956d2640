"""Bounds of what is read: a spec is written by people, and a slip must not exhaust a machine."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from typing import Final

from raytao.types import Json

LARGEST: Final = 250_000
"""Bytes (or characters) of the longest file: a pure YAML reader takes a second over more."""

DEEPEST: Final = 50
"""Levels of nesting; the readers are recursive."""

MOST_VALUES: Final = 10_000
"""Values (keys included) of a document, its aliases expanded: half a second to read."""

LARGEST_INT: Final = 2**64 - 1
"""Integers beyond this fit no tensor, no seed and no float; Python refuses to print long ones."""

_PREFIXES: Final = {"0x": 16, "0o": 8, "0b": 2}
_LONGEST_INT = 64
"""Digits of the longest integer that may lie within the bound, in base 2."""

_SURROGATE = re.compile("[\ud800-\udfff]")


def refusal_of_number(written: str) -> str | None:
    """Return why a number, as YAML or JSON writes it, is not taken; None if it is.

    >>> refusal_of_number("-.inf"), refusal_of_number("1e-3")
    ('-.inf is not finite', None)
    """
    shown = written if len(written) <= _LONGEST_INT else f"{written[:20]}…"
    plain = written.replace("_", "").lstrip("+-").lower()
    base = _PREFIXES.get(plain[:2], 10)
    if base != 10 or plain.isdecimal():
        digits = plain[2 if base != 10 else 0 :] or "0"
        huge = len(digits) > _LONGEST_INT or int(digits, base) > LARGEST_INT
        return f"{shown} is larger than 2**64, or too long" if huge else None
    try:
        finite = math.isfinite(float(plain.removeprefix(".") if plain[1:].isalpha() else plain))
    except ValueError:  # no number after all: the parser tells
        return None
    return None if finite else f"{shown} is not finite"


def refusal_of_value(value: Json, levels: int = DEEPEST) -> str | None:
    """Return why a value, which is no text yet, could be written but not read; None if it could.

    Args:
        value: plain.
        levels: of nesting that are left to it.

    >>> refusal_of_value([1, {"x": float("nan")}])
    'nan is not finite'
    """
    if levels < 1:
        return f"nested deeper than {DEEPEST} levels"
    match value:
        case bool():
            return None
        case int():
            return None if abs(value) <= LARGEST_INT else "an integer is larger than 2**64"
        case float():
            return None if math.isfinite(value) else f"{value} is not finite"
        case str():
            return "a character is half of one" if has_half_character(value) else None
        case Mapping():
            parts: Iterable[Json] = (part for pair in value.items() for part in pair)
            return _first(parts, levels - 1)
        case list() | tuple():
            return _first(value, levels - 1)
        case _:
            return None


def _first(values: Iterable[Json], levels: int) -> str | None:
    return next((why for value in values if (why := refusal_of_value(value, levels))), None)


def has_half_character(text: str) -> bool:
    """Whether an escape left half of a surrogate pair, which no file can hold."""
    return _SURROGATE.search(text) is not None
