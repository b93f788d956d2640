"""A value that a model refuses, told to who wrote it: what, where, the rule, the remedy."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from types import UnionType
from typing import Any, Final, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from raytao.errors import SettingsError, Where, did_you_mean
from raytao.setup.places import Places
from raytao.types import Json

_MODEL: Final = ("model_type", "model_attributes_type")

_NUMBERS: Final[Mapping[str, re.Pattern[str]]] = {
    "int_type": re.compile(r"[+-]?\d+"),
    "float_type": re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?"),
}

_NOUNS: Final[Mapping[str, str]] = {
    "int_type": "an integer",
    "int_parsing": "an integer",
    "int_from_float": "an integer",
    "float_type": "a number",
    "float_parsing": "a number",
    "string_type": "a string",
    "bool_type": "true or false",
    "bool_parsing": "true or false",
    "list_type": "a list",
    "dict_type": "a mapping of keys to values",
    "model_type": "a mapping of keys to values",
    "model_attributes_type": "a mapping of keys to values",
}

_RANGE: Final = re.compile(r"search\.ranges\.(.+)")

_EXAMPLES: Final = (
    (r"brain", "brain: bayesian"),
    (r"metric", "metric: kpi"),
    (r"tracking", "tracking: mlflow"),
    (r"set", "set: {train.num_epochs: 3}"),
    (r"search\.ranges", "ranges: {train.optim.lr: [0.001, 0.1]}"),
    (_RANGE, r"\1: [0.001, 0.1]"),
)
"""Mappings that are rarely written in full, by dotted key: how they mostly are."""


def readable(
    error: ValidationError, model: type[BaseModel], data: Json, *, place: Places, below: str
) -> SettingsError:
    """The first mistake as one readable error; see `raytao.setup.settings.validate`."""
    first = _telling(error.errors(include_url=False))
    own = _as_written(data, first["loc"])
    keys = [*below.split("."), *own] if below else own
    inside = first["type"] in _MODEL
    known = _known_keys(model, first["loc"] if inside else first["loc"][:-1])
    return _readable(first, keys, known, place(keys, within=first["type"] != "missing"))


def _telling(mistakes: Sequence[ErrorDetails]) -> ErrorDetails:
    """The first one; where it is a key that is missing, the unknown one that stands for it."""
    first = mistakes[0]
    beside = (m for m in mistakes if m["type"] == "extra_forbidden")
    beside = (m for m in beside if m["loc"][:-1] == first["loc"][:-1])
    return next(beside, first) if first["type"] == "missing" else first


def _as_written(data: Json, path: Sequence[str | int]) -> list[str | int]:
    """A path as the user has it: what is short for a list of one has no index."""
    keys: list[str | int] = []
    for step in path:
        if isinstance(step, int) and not isinstance(data, list):
            continue
        keys.append(step)
        held: Any = dict(enumerate(data)) if isinstance(data, list) else data
        # What is written in short does not have the model's own key.
        data = held.get(step) if isinstance(held, Mapping) else None
    return keys


def _readable(
    problem: ErrorDetails, keys: Sequence[str | int], known: list[str], where: Where
) -> SettingsError:
    name = ".".join(str(k) for k in keys)
    value = problem["input"]
    match problem["type"]:
        case "extra_forbidden":
            remedy = did_you_mean(str(keys[-1]), known)
            return SettingsError(f"unknown key {name!r}", where=where, remedy=remedy)
        case "missing":
            return SettingsError(f"{name!r} is missing", where=where, remedy=f"add {name}: …")
        case kind if kind in _NOUNS:
            shown = "empty" if value is None else _shown(name, value)
            bounds = kind in _MODEL and _RANGE.fullmatch(name)
            noun = "two bounds, or a mapping" if bounds else _NOUNS[kind]
            rule = f"{name!r} must be {noun}, not {shown}"
            return SettingsError(rule, where=where, remedy=_how(problem, name, known))
        case _:
            rule = re.sub(r"^(Input|Value error,) ?", "", str(problem["msg"]))
            return SettingsError(f"{name!r} is {_shown(name, value)}; it {rule}", where=where)


def _shown(name: str, value: object) -> str:
    return "…" if "uri" in name.split(".") else repr(value)  # it may hold a password


def _how(problem: ErrorDetails, name: str, known: list[str]) -> str:
    """What to write instead of a value of the wrong type, where that is not plain."""
    kind, value = problem["type"], problem["input"]
    if value is None:
        return "give it a value"
    if kind == "list_type":
        return f"write {name}: [{value}]"
    if isinstance(value, str) and kind in _NUMBERS and _NUMBERS[kind].fullmatch(value):
        return f"write it without quotes: {value}"
    if kind not in (*_MODEL, "dict_type"):
        return ""
    matches = ((re.fullmatch(key, name), example) for key, example in _EXAMPLES)
    short = next((f"for example {m.expand(example)}" for m, example in matches if m), "")
    keys = f"its keys: {', '.join(known)}" if kind in _MODEL else ""
    return "; ".join(filter(None, (short, keys)))


def _known_keys(model: type[BaseModel], path: Sequence[str | int]) -> list[str]:
    """Keys that may stand below ``path``; a list or mapping of models is one step."""
    inner: Any = model
    for step in path:
        inner = _required(inner)
        if get_origin(inner) in (dict, list):
            inner = get_args(inner)[-1]
        elif isinstance(inner, type) and issubclass(inner, BaseModel):
            info = inner.model_fields.get(str(step))
            inner = info.annotation if info else None
    inner = _required(inner)
    is_model = isinstance(inner, type) and issubclass(inner, BaseModel)
    return [info.alias or name for name, info in inner.model_fields.items()] if is_model else []


def _required(kind: Any) -> Any:
    """``X`` of ``X | None``."""
    if get_origin(kind) not in (Union, UnionType):
        return kind
    return next(option for option in get_args(kind) if option is not type(None))
