"""The JSON schema of run files, for editors; generated from the models that check them.

It knows every key that a run file may have, raytao's and TAO's, and refuses every other one.
Values it checks as far as a schema can: what a formula, a path or a network's spec makes of them
is told by ``raytao plan``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, cast

from pydantic import AliasChoices, BaseModel
from pydantic.fields import FieldInfo
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaMode, models_json_schema
from pydantic_core import core_schema

from raytao import catalog
from raytao.brains.base import Brain, BrainSettings
from raytao.errors import SettingsError
from raytao.networks.command.settings import FORMATS, CommandSettings, Status
from raytao.setup.docstrings import keys_of, prose_of
from raytao.setup.settings import Metric, Range, Settings, Tracking, WarmStart
from raytao.tao.automl.keys import INSIDE, KEYS, NOTHING, SECTION, SHOWN, SWITCH
from raytao.tao.networks import known_networks
from raytao.types import Json

DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"
BRAINS: Final = "raytao.brains"
TRACKERS: Final = "raytao.trackers"

_Schema = dict[str, Json]

_TEXT: Final[_Schema] = {"type": "string"}
_TEXTS: Final[_Schema] = {"type": "array", "items": _TEXT}
_IMPORTED: Final[_Schema] = {
    **_TEXT,
    "pattern": "^[^:]+:[^:]+$",
    "description": "`package.module:attribute` of an importable module",
}
_BOUNDS: Final[_Schema] = {
    "type": "array",
    "items": {"type": "number"},
    "minItems": 2,
    "maxItems": 2,
}
SHORT: Final[Mapping[type[BaseModel], tuple[_Schema, ...]]] = {
    Metric: (_TEXT,),
    Tracking: (_TEXT,),
    Range: (_BOUNDS,),
    WarmStart: (_TEXT, _TEXTS),
    Status: tuple(
        {
            "type": "object",
            "required": [name],
            "propertyNames": {"enum": [name, "file", "pattern"]},
        }
        for name in ("stdout", *FORMATS)
    ),
}
"""What a model's validators take in place of a mapping of its keys."""

EXAMPLES: Final[Mapping[str, list[Json]]] = {
    "network": ["image_classification", "./my_trainer"],
    "spec": ["my_spec.yaml"],
    "set": [{"train.num_epochs": 20}],
    "initial": [[{"train.optim.lr": 0.01}]],
    "results_dir": ["results/my_run", "s3://bucket/my_run"],
    "address": ["auto"],
}


def run_file_schema() -> _Schema:
    """The schema, of all that is installed: brains and trackers of other packages are in it.

    A brain that cannot be loaded is left out, as if it were not installed.
    """
    brains = _brains()
    models: list[type[BaseModel]] = [Settings, CommandSettings, *brains.values()]
    inputs: list[tuple[type[BaseModel], JsonSchemaMode]] = [
        (model, "validation") for model in dict.fromkeys(models)
    ]
    found, drawn = models_json_schema(inputs, schema_generator=_Generator)
    defs = drawn["$defs"]

    def of(model: type[BaseModel]) -> _Schema:
        reference = cast(str, found[(model, "validation")]["$ref"])
        return dict(defs[reference.rpartition("/")[2]])

    own = {f"brain_{name}": _brain(name, of(model)) for name, model in brains.items()}
    root, command = of(Settings), of(CommandSettings)
    for model in dict.fromkeys(models):
        del defs[found[(model, "validation")]["$ref"].rpartition("/")[2]]
    properties = root["properties"]
    properties["network"] |= _one_of(known_networks())
    properties["brain"] |= _any_brain(own)
    properties["command"] |= {key: command[key] for key in ("properties", "additionalProperties")}
    several = properties["tracking"]  # one alone, or none, is as good as a list
    one = several.pop("items")
    properties["tracking"] = {
        "anyOf": [one, {"type": several.pop("type"), "items": one}, {"type": "null"}],
        **several,
    }
    defs["Tracking"]["anyOf"][-1]["properties"]["name"] |= _one_of(catalog.registered(TRACKERS))
    for name, examples in EXAMPLES.items():
        properties[name]["examples"] = examples
    return {
        "$schema": DIALECT,
        "title": "raytao run file",
        "description": root["description"],
        "type": "object",
        "properties": {**properties, **_taos()},
        "additionalProperties": False,
        "anyOf": [{"required": [name]} for name in _naming_a_network()],
        "$defs": {**defs, **own},
    }


def _brains() -> dict[str, type[BrainSettings]]:
    """The settings of every brain that is registered and can be loaded, by its name."""
    found: dict[str, type[BrainSettings]] = {}
    for name in catalog.registered(BRAINS):
        try:
            cls: type[Brain] = catalog.load(BRAINS, name, kind="brain", base=Brain)
        except SettingsError:
            continue
        found[name] = cls.Settings
    return found


def _brain(name: str, settings: _Schema) -> _Schema:
    """A brain's keys, as they stand below ``brain``: its name is one of them."""
    named = {"const": name, "description": "The brain's name."}
    return {
        **settings,
        "properties": {"name": named, **settings.get("properties", {})},
        "required": ["name", *settings.get("required", ())],
    }


def _any_brain(own: Mapping[str, _Schema]) -> _Schema:
    """A brain by its name alone, or with its keys; the keys of one by its path are not known."""
    names = [schema["properties"]["name"]["const"] for schema in own.values()]
    by_path = {"type": "object", "properties": {"name": _IMPORTED}, "required": ["name"]}
    return {
        "type": ["string", "object"],
        "anyOf": [
            {"enum": names},
            _IMPORTED,
            *({"$ref": f"#/$defs/{key}"} for key in own),
            by_path,
        ],
    }


def _one_of(names: tuple[str, ...] | list[str]) -> _Schema:
    """A name that editors complete, or another one."""
    return {"anyOf": [{"enum": sorted(names)}, _TEXT]}


def _taos() -> dict[str, _Schema]:
    """TAO's names, at the top of a run file; whoever writes raytao's own is not offered them."""
    names = [name for name in KEYS if name not in Settings.model_fields]
    return {name: _tao(name) for name in names}


def _tao(name: str) -> _Schema:
    key = KEYS[name]
    words = {
        SECTION: "holds AutoML settings of TAO",
        SWITCH: "false: the train spec is trained once, as it stands",
        SHOWN: "what a notebook shows; no setting of a run",
        NOTHING: f"a setting of {key.owner or 'TAO'}, which raytao has not; it has no effect",
    }
    told = words.get(key.means, f"`{key.means}`")
    drawn: _Schema = {"description": f"TAO {key.found}: {told}", "doNotSuggest": True}
    if key.means == SECTION:
        drawn["type"] = ["object", "null"]
        drawn["properties"] = {inner: _tao(inner) for inner in sorted(INSIDE[name])}
        drawn["additionalProperties"] = False
    return drawn


def _naming_a_network() -> list[str]:
    """Keys of which a run file needs one: a network's name stands in it, or may."""
    names = [name for name, key in KEYS.items() if key.means in ("network", SECTION)]
    return ["network", *(name for name in names if name not in Settings.model_fields)]


class _Generator(GenerateJsonSchema):
    """Pydantic's own generator; a model's docstring tells what its keys mean."""

    def model_schema(self, schema: core_schema.ModelSchema) -> _Schema:
        """Draw a model: its prose, its keys by all their names, its short forms."""
        drawn = super().model_schema(schema)
        model = cast(type[BaseModel], schema["cls"])
        drawn["description"] = prose_of(model.__doc__)
        del drawn["title"]
        told, properties = keys_of(model), drawn.get("properties", {})
        for name, field in model.model_fields.items():
            first, *others = names_of(name, field)
            described = properties[first]
            described.pop("title", None)
            if name in told and field.description is None:
                described["description"] = told[name]
            for other in others:
                also = {**described, "description": f"TAO's name of `{first}`."}
                properties[other] = {**also, "doNotSuggest": True}
        short = SHORT.get(model)
        if short is None:
            return drawn
        return {"description": drawn.pop("description"), "anyOf": [*short, drawn]}


def names_of(name: str, field: FieldInfo) -> list[str]:
    """The names that a run file may have for a field: the usual one, and TAO's."""
    alias = field.validation_alias
    match alias:
        case AliasChoices():
            return [str(choice) for choice in alias.choices]
        case str():
            return [alias]
        case _:
            return [name]
