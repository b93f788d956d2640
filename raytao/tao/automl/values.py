"""Values of TAO's AutoML settings, as users paste them: flags, numbers, lists and their strings.

A reader takes the path of a setting (``automl_settings.automl_R``) and what was written there,
and returns what raytao's own setting would hold. Nothing that is read here is evaluated.
"""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Mapping
from typing import Any

from raytao.errors import SettingsError, did_you_mean
from raytao.tao.automl.keys import ALGORITHMS, LONGEST, NEAREST, RANGE_KEYS, WITHOUT_EFFECT
from raytao.types import Json

_SHOWN = 80

_EXAMPLE = "[{'parameter': 'train.optim.lr', 'valid_min': 0.001, 'valid_max': 0.1}]"


def flag(path: str, value: Json) -> bool:
    """A bool, also as the string that TAO's runner is given; the string "False" is false."""
    text = value.lower() if isinstance(value, str) else value
    if text is True or text == "true":
        return True
    if text is False or text == "false":
        return False
    raise wrong(path, value, "True or False")


def integer(path: str, value: Json) -> int:
    """An integer, or the string of one."""
    if isinstance(value, str) and re.fullmatch(r"\s*[+-]?[0-9]{1,18}\s*", value):
        return int(value)
    if type(value) is not int:
        raise wrong(path, value, "an integer")
    return value


def text(path: str, value: Json) -> str:
    """A string."""
    if not isinstance(value, str):
        raise wrong(path, value, "a string")
    return value


def brain_name(path: str, value: Json) -> str:
    """The brain for one of TAO's algorithms."""
    name = text(path, value).lower()
    brains = sorted(set(ALGORITHMS.values()))
    if name in NEAREST:
        raise SettingsError(
            f"{path}: TAO's algorithm {value!r} is not among raytao's brains",
            remedy=f"it may be {', '.join(brains)}; nearest is {NEAREST[name]}",
        )
    if name not in ALGORITHMS:
        raise SettingsError(
            f"{path} must be one of: {', '.join(brains)}; not {shown(value)}",
            remedy=did_you_mean(name, brains),
        )
    return ALGORITHMS[name]


def names(path: str, value: Json) -> list[str]:
    """A list of parameters."""
    found = _list(path, value, "['train.optim.lr']")
    for i, name in enumerate(found):
        if not isinstance(name, str):
            raise wrong(f"{path}[{i}]", name, "the name of a parameter")
    return found


def ranges(path: str, value: Json) -> dict[str, dict[str, Json]]:
    """``automl_range_override`` as ``search.ranges``."""
    found: dict[str, dict[str, Json]] = {}
    for i, item in enumerate(_list(path, value, _EXAMPLE)):
        place = f"{path}[{i}]"
        if not isinstance(item, Mapping):
            raise wrong(place, item, f"a mapping such as {_EXAMPLE[1:-1]}")
        _refuse_unknown(place, item)
        name = item.get("parameter")
        if not isinstance(name, str) or not name:
            raise wrong(f"{place}.parameter", name, "the name of a parameter")
        limits = _limits(place, name, item)
        if found.setdefault(name, limits) != limits:
            raise clash(name, found[name], place, limits, f"search.ranges.{name}")
    return found


def range_remarks(path: str, value: Json) -> list[str]:
    """What an ``automl_range_override`` says that has no effect; it was read before."""
    return [
        f"{path}[{i}].{key} has no effect: {why}"
        for i, item in enumerate(_list(path, value, _EXAMPLE))
        for key, why in WITHOUT_EFFECT.items()
        if item.get(key) and not (key == "disable_list" and _has_lists(item))
    ]


def _refuse_unknown(path: str, item: Mapping[str, Json]) -> None:
    known = ("parameter", *RANGE_KEYS, *WITHOUT_EFFECT)
    for key in item:
        if key not in known:
            raise SettingsError(
                f"unknown key '{path}.{key}'", remedy=did_you_mean(str(key), known)
            )


def _limits(path: str, name: str, item: Mapping[str, Json]) -> dict[str, Json]:
    """The range in an entry of ``automl_range_override``.

    None says nothing, and so does a blank bound or list; a blank condition takes the table's away.
    """
    given = {key: item.get(key) for key in RANGE_KEYS}
    if _has_lists(item):
        given |= dict(zip(("valid_min", "valid_max"), _first(path, name, item), strict=True))
    conditions = ("math_cond", "depends_on")
    for key in conditions:
        if given[key] is not None:
            given[key] = text(f"{path}.{key}", given[key])
    nothing: tuple[Json, ...] = (None, "", [])
    return {
        key: value
        for key, value in given.items()
        if value not in (nothing if key not in conditions else (None,))
    }


def _has_lists(item: Mapping[str, Json]) -> bool:
    return any(isinstance(item.get(key), list) and item[key] for key in ("valid_min", "valid_max"))


def _first(path: str, name: str, item: Mapping[str, Json]) -> tuple[Json, Json]:
    """The first bounds of a range of lists, between which TAO 7.3 searches one number.

    Without ``disable_list`` its handler of the network makes a list of that number: raytao has no
    such handlers.
    """
    low, high = item.get("valid_min"), item.get("valid_max")
    if not (isinstance(low, list) and isinstance(high, list)):
        raise SettingsError(f"{path}: valid_min and valid_max must both be lists, or both numbers")
    said = f"{path}: Parameter {name!r}"
    if len(low) != len(high):
        raise SettingsError(f"{said}: valid_min and valid_max must have same length")
    for i, pair in enumerate(zip(low, high, strict=True)):
        if not all(type(bound) in (int, float) for bound in pair):
            raise wrong(f"{path}.valid_min[{i}]", pair, "a number, and that of valid_max too")
        if not pair[0] < pair[1]:
            raise SettingsError(f"{said}: valid_min[{i}] must be less than valid_max[{i}]")
    if not flag(f"{path}.disable_list", item.get("disable_list") or False):
        raise SettingsError(
            f"{said}: ranges of lists are not searched: what TAO makes of them is its networks'",
            remedy="give valid_min and valid_max as numbers, or disable_list: True to search "
            "one number between their first elements",
        )
    return low[0], high[0]


def _list(path: str, value: Json, example: str) -> list[Any]:
    """A list, also as the string of one in Python's or JSON's notation; "" is empty."""
    if isinstance(value, str) and len(value) > LONGEST:
        raise wrong(path, value, f"at most {LONGEST} characters long")
    parsed = _literal(value.strip() or "[]") if isinstance(value, str) else value
    if isinstance(parsed, list) or isinstance(value, tuple):
        return list(parsed)
    raise wrong(path, value, f"a list such as {example}, or the string of one")


def _literal(written: str) -> Json:
    """The value that ``written`` stands for; None if it is no literal. Nothing is evaluated."""
    for parse in (json.loads, ast.literal_eval):
        try:
            return parse(written)
        except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
            continue
    return None


def wrong(path: str, value: Json, rule: str) -> SettingsError:
    """The error of a value of the wrong kind."""
    return SettingsError(f"{path!r} must be {rule}, not {shown(value)}")


def clash(path: str, value: Json, other: str, second: Json, means: str) -> SettingsError:
    """The error of two values for one setting."""
    return SettingsError(
        f"{path} is {shown(value)}, but {other} is {shown(second)}",
        remedy=f"both set {means}: keep one of them",
    )


def shown(value: Json) -> str:
    """A value, for a message: long ones are cut."""
    written = repr(value)
    return written if len(written) <= _SHOWN else f"{written[:_SHOWN]}…"
