"""The reference of run files, as a Markdown page; generated from the models that check them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, Final

from raytao.setup.schema import run_file_schema
from raytao.tao.automl.keys import KEYS
from raytao.types import Json

_Schema = Mapping[str, Any]

HEAD: Final = """\
# The run file

Every key that a run file may have. `raytao init NETWORK` writes one with comments, `raytao plan
FILE` checks it, and `raytao schema` prints this page as a JSON schema, by which editors complete
and check it while it is written. Only `network` is needed. Any key may be given as an argument
too: `raytao run FILE slots=4 brain.R=9`.
"""

BRAIN: Final = """\
## `brain`

Who proposes trials: `brain: hyperband` alone, or its name and its keys.
"""

TAOS: Final = """\
## Names of TAO

What stands in TAO's `automl_information` or `automl_settings` may stand in a run file as it is,
beside raytao's own keys: this is what it means there.

| TAO's name | means |
|---|---|
"""

TABLE: Final = """\
| key | value | default | meaning |
|---|---|---|---|
"""

_RULES: Final[Mapping[str, str]] = {
    "minimum": "≥ {}",
    "exclusiveMinimum": "> {}",
    "maximum": "≤ {}",
    "exclusiveMaximum": "< {}",
}
_NOUNS: Final[Mapping[str, str]] = {"object": "mapping", "array": "list", "boolean": "true, false"}
_HIDDEN: Final = "doNotSuggest"
"""Marks TAO's names in the schema."""

_LONGEST: Final = 8
"""Words that a cell lists of a value that may be another one, too."""


def run_file_reference() -> str:
    """The page: keys, values, defaults, rules, what they mean, and TAO's names for them."""
    schema = run_file_schema()
    return "\n".join(_page(schema)) + "\n"


def _page(schema: _Schema) -> Iterator[str]:
    defs: _Schema = schema["$defs"]
    properties: _Schema = schema["properties"]
    own = {name: part for name, part in properties.items() if not part.get(_HIDDEN)}
    yield HEAD
    yield _table(own, defs)
    for name, part in own.items():
        if name == "brain":
            yield from (f"\n{BRAIN}", *_brains(defs))
        elif (inner := _mapping(part, defs)) is not None:
            yield from _section(name, part, inner, defs)
    yield "\n" + TAOS + "\n".join(_taos({n: p for n, p in properties.items() if p.get(_HIDDEN)}))


def _section(name: str, part: _Schema, inner: _Schema, defs: _Schema) -> Iterator[str]:
    """A mapping's keys, and below them those of the mappings in it."""
    yield f"\n## `{name}`\n"
    yield f"{_prose(part, defs)}\n"
    yield _table(inner["properties"], defs, f"{name}.")
    drawn: list[_Schema] = []
    for key, below in inner["properties"].items():
        each = _of_each(below)
        deeper = None if below.get(_HIDDEN) else _mapping(each, defs)
        if deeper is not None and deeper not in drawn:
            drawn.append(deeper)
            yield f"\n### `{name}.{key}{'' if each is below else '.*'}`\n"
            yield f"{_prose(each, defs)}\n"
            yield _table(deeper["properties"], defs)


def _brains(defs: _Schema) -> Iterator[str]:
    for brain in (part for key, part in defs.items() if key.startswith("brain_")):
        keys = dict(brain["properties"])
        name = keys.pop("name")["const"]
        yield f"### `brain: {name}`\n"
        yield f"{brain['description']}\n"
        yield _table(keys, defs, "brain.") + "\n"


def _table(properties: _Schema, defs: _Schema, prefix: str = "") -> str:
    """A row a key; TAO's names of it stand in its row."""
    rows = [
        _row(prefix + name, part, defs)
        for name, part in properties.items()
        if not part.get(_HIDDEN)
    ]
    return TABLE + "\n".join(rows)


def _row(key: str, part: _Schema, defs: _Schema) -> str:
    meaning = str(part.get("description", ""))
    taos = [f"`{name}`" for name, known in KEYS.items() if known.means == key != name]
    if taos and not any(name in meaning for name in taos):
        meaning += f" TAO: {', '.join(taos)}."
    shown = _shown(part["default"]) if "default" in part else "–"
    return f"| `{key}` | {_cell(_values(part, defs))} | {_cell(shown)} | {_cell(meaning)} |"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


def _shown(default: Json) -> str:
    """A default; of a mapping, the keys have theirs."""
    if isinstance(default, dict) and default:
        return "see below" if "name" not in default else f"`{default['name']}`"
    return f"`{json.dumps(default)}`"


def _values(part: _Schema, defs: _Schema) -> str:
    """What may stand there, with its rule: ``integer ≥ 1 or null``."""
    choices = _resolved(part, defs).get("anyOf")
    if choices is None:
        return _value(_resolved(part, defs), defs)
    told = dict.fromkeys(_value(_resolved(choice, defs), defs) for choice in choices)
    return " or ".join(one for one in told if one)


def _value(part: _Schema, defs: _Schema) -> str:
    if "const" in part:
        return f"`{part['const']}`"
    if "enum" in part:
        names = [f"`{name}`" for name in part["enum"]]
        return ", ".join(names[:_LONGEST]) + (", …" if len(names) > _LONGEST else "")
    if "anyOf" in part:
        return _values(part, defs)
    rules = (rule.format(part[name]) for name, rule in _RULES.items() if name in part)
    kind = str(part.get("type", "anything"))
    items = part.get("items")
    of = (
        f" of {_values(items, defs)}s"
        if items and items.get("type") in ("string", "number")
        else ""
    )
    return " ".join((f"{_NOUNS.get(kind, kind)}{of}", *rules))


def _resolved(part: _Schema, defs: _Schema) -> _Schema:
    """What a reference refers to; of something that may be null, what it is else."""
    if "$ref" in part:
        found: _Schema = defs[part["$ref"].rpartition("/")[2]]
        return found
    return part


def _prose(part: _Schema, defs: _Schema) -> str:
    """What a mapping is for: what its model says, or else what the key does."""
    choices = (_resolved(choice, defs) for choice in (part, *part.get("anyOf", ())))
    told = [str(one["description"]) for one in choices if "description" in one]
    return max(told, key=len, default="")


def _of_each(part: _Schema) -> _Schema:
    """What every entry of a list or a mapping is; of anything else, the thing itself."""
    inner = part.get("items", part.get("additionalProperties"))
    return inner if isinstance(inner, Mapping) and inner else part


def _mapping(part: _Schema, defs: _Schema) -> _Schema | None:
    """The mapping with known keys that may stand there, if one may."""
    part = _resolved(part, defs)
    if part.get("properties"):
        return part
    inner = (_mapping(choice, defs) for choice in part.get("anyOf", ()))
    return next((found for found in inner if found is not None), None)


def _taos(properties: _Schema) -> Iterator[str]:
    for name, part in properties.items():
        yield f"| `{name}` | {_cell(str(part['description']))} |"
