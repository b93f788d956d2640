"""``key=value``: changes of a setting or of the train spec, as arguments of a command."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from raytao.errors import SettingsError, did_you_mean
from raytao.setup.settings import Range, Settings
from raytao.spec import Document, flatten
from raytao.tao.automl.keys import KEYS, setting_named
from raytao.tao.automl.settings import setting_of
from raytao.types import Json


def _parsed(assignment: str) -> tuple[str, Json]:
    key, equals, text = assignment.partition("=")
    if not equals or not key:
        raise SettingsError(
            f"{assignment!r} is not key=value",
            remedy="for example slots=4, without blanks around the =",
        )
    if key != key.strip():
        raise SettingsError(
            f"{assignment!r} has a blank before the =", remedy=f"write {key.strip()}={text}"
        )
    value = Document.parse(f"value: {text}", file=f"the argument {assignment!r}").plain()["value"]
    return key, value


def assign_setting(data: dict[str, Any], assignment: str) -> None:
    """Put ``key=value`` among the settings, if that is where the key belongs."""
    key, value = _parsed(assignment)
    if key in KEYS:
        key, value = setting_of(key, value)
    if key.split(".")[0] in Settings.model_fields:
        _put(data, _steps(key), value)


def named_brain(assignments: Sequence[str]) -> str | None:
    """The brain that ``key=value`` arguments name; None if they name none."""
    data: dict[str, Any] = {}
    for assignment in assignments:
        if setting_named(assignment.partition("=")[0]) in ("brain", "brain.name"):
            assign_setting(data, assignment)
    brain = data.get("brain")
    name = brain.get("name") if isinstance(brain, Mapping) else brain
    return name if isinstance(name, str) else None


def assign_spec_key(data: dict[str, Any], assignment: str, spec: Document) -> None:
    """Put ``key=value`` below ``set``, if the key is one of the train spec."""
    key, value = _parsed(assignment)
    if key in KEYS or key.split(".")[0] in Settings.model_fields:
        return
    if not spec.has(key):
        names = [*Settings.model_fields, *spec.keys()]
        raise SettingsError(f"unknown key {key!r}", remedy=did_you_mean(key, names))
    changes = data.get("set") or {}
    if isinstance(changes, Mapping):  # what it is else is refused with the other settings
        data["set"] = {**flatten(changes), key: value}


def _steps(key: str) -> list[str]:
    """The path to a setting. Ranges are by parameter, and a parameter's name has dots itself."""
    steps = key.split(".")
    if steps[:2] != ["search", "ranges"]:
        return steps
    end = len(steps) - (len(steps) > 3 and steps[-1] in Range.model_fields)
    return [*steps[:2], *([".".join(steps[2:end])] if steps[2:] else []), *steps[end:]]


def _put(data: dict[str, Any], keys: Sequence[str], value: Json) -> None:
    *path, last = keys
    for depth, step in enumerate(path):
        inner = data.get(step)
        if path[:depth] == ["search", "ranges"] and isinstance(inner, list) and len(inner) == 2:
            inner = dict(zip(("valid_min", "valid_max"), inner, strict=True))
        data[step] = dict(inner) if isinstance(inner, Mapping) else _in_full(step, inner)
        data = data[step]
    data[last] = value


def _in_full(key: str, short: object) -> dict[str, Any]:
    """What is short for a mapping: ``brain: bayesian`` for ``brain: {name: bayesian}``.

    No brain at all is short for the one that searches where none is named.
    """
    if key == "brain" and short is None:
        return dict(Settings.model_fields[key].default)
    if key == "tracking" and isinstance(short, list):
        raise SettingsError(
            "there are several trackers: which one is meant?",
            remedy="write the whole list: tracking=[mlflow, {name: tensorboard}]",
        )
    if key == "warm_start" and isinstance(short, str | list):
        return {"runs": [short] if isinstance(short, str) else short}
    return {"name": short} if isinstance(short, str) else {}
