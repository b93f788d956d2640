"""Numbers in what a trainer writes, taken as they are: NaN and infinities stay what they are."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

from raytao.types import Json


def json_object(text: str | bytes) -> dict[str, Any] | None:
    """The JSON object that a line is; None for a torn line, a foreign one, and other JSON."""
    try:
        plain = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return plain if isinstance(plain, dict) else None


def number(value: Json) -> float | None:
    """A number, also as text or inside TAO's ``{"value": …, "x_min": …}``; None if it is none.

    >>> number("0.5"), number({"value": 2, "x_min": 0}), number("nan"), number(True), number("-")
    (0.5, 2.0, nan, None, None)
    """
    if isinstance(value, Mapping):
        value = value.get("value")
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        return float(value)
    except ValueError:
        return None
    except OverflowError:
        return math.inf if int(value) > 0 else -math.inf


def numbers(values: Json) -> dict[str, float]:
    """The numbers of a mapping, by name; none of anything else."""
    if not isinstance(values, Mapping):
        return {}
    found = {str(name): number(value) for name, value in values.items()}
    return {name: value for name, value in found.items() if value is not None}


def whole(value: Json) -> int | None:
    """A whole number that is not negative, also as text or as a float.

    >>> whole(3), whole("007"), whole(3.0), whole("2.5"), whole(-1), whole(True), whole("nan")
    (3, 7, 3, None, None, None, None)
    """
    found = None if isinstance(value, Mapping) else number(value)
    if found is None or not math.isfinite(found) or found < 0 or found != int(found):
        return None
    return int(found)
