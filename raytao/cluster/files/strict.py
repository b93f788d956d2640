"""Settings of other programs as strict models, and their mistakes as findings."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, ClassVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic.alias_generators import to_camel
from pydantic_core import ErrorDetails, PydanticCustomError

from raytao.cluster.files.finding import Finding, Keys, Manifest, as_shown, dotted
from raytao.errors import did_you_mean

Count = Annotated[int, Field(ge=0)]


class Strict(BaseModel):
    """A mapping whose keys are all known.

    ``others`` are keys that the program knows and the check passes over.
    """

    model_config = ConfigDict(strict=True, frozen=True, allow_inf_nan=False)

    others: ClassVar[tuple[str, ...]] = ()

    @model_validator(mode="before")
    @classmethod
    def _known_keys_alone(cls, value: object) -> object:
        """Before the fields: a key that is written wrong is no key that is missing."""
        fields = cls.model_fields.items()
        known = {*(field.alias or name for name, field in fields), *cls.others}
        unknown = [key for key in value if key not in known] if isinstance(value, dict) else []
        if unknown:
            raise PydanticCustomError(
                "unknown_keys", "unknown keys", {"keys": unknown, "known": sorted(known)}
            )
        return value


class Camel(Strict):
    """The same for Kubernetes, whose keys are in camel case."""

    model_config = ConfigDict(alias_generator=to_camel)


def mistakes(model: type[Strict], manifest: Manifest, *below: str | int) -> list[Finding]:
    """Every way in which a document, or what is below a key of it, breaks a model."""
    try:
        model.model_validate(manifest.get(*below) if below else manifest.plain)
    except ValidationError as error:
        there = manifest.get(*below)
        problems = [(_written(p["loc"], there), p) for p in error.errors(include_url=False)]
        ways = [way for way, _ in problems]
        return [
            finding
            for way, problem in problems
            if not _is_other_branch(way, problem, ways)
            for finding in _findings(problem, manifest, (*below, *way))
        ]
    return []


def _is_other_branch(way: Keys, problem: ErrorDetails, ways: list[Keys]) -> bool:
    """Whether a wrong type is that of a union's branch, and another branch came further down."""
    deeper = any(len(other) > len(way) and other[: len(way)] == way for other in ways)
    return deeper and problem["type"].endswith("_type")


def _findings(problem: ErrorDetails, manifest: Manifest, keys: Keys) -> Iterator[Finding]:
    context: Mapping[str, Any] = problem.get("ctx", {})
    match problem["type"]:
        case "unknown_keys":
            for key in context["keys"]:
                remedy = did_you_mean(str(key), context["known"])
                rule = "no such key is known here"
                at = (*keys, key)
                yield Finding(manifest.where(*at), dotted(at), "unknown", rule, remedy)
        case "missing":
            name = str(problem["loc"][-1])
            at = (*keys, name)
            place = manifest.where(*keys)
            yield Finding(place, dotted(at), "", "it must be given", f"add {name}: …")
        case kind:
            rule = re.sub(r"^(Input should|Value error,) ?(be )?", "must be ", problem["msg"])
            value = as_shown(problem["input"]) or "null"
            remedy = _remedy(kind, problem["input"], context)
            yield Finding(manifest.where(*keys), dotted(keys), value, rule, remedy)


def _remedy(kind: str, value: object, context: Mapping[str, Any]) -> str:
    if kind == "literal_error":
        return did_you_mean(str(value), re.findall(r"'([^']*)'", str(context["expected"])))
    if kind == "string_type" and isinstance(value, int | float):
        return f'write it in quotes: "{str(value).lower()}"'
    return "mend the value"


def _written(loc: tuple[str | int, ...], value: Any) -> Keys:
    """The part of an error's place that the file has: a union adds names of its own."""
    way: list[str | int] = []
    for part in loc:
        try:
            value = value[part]
        except (KeyError, IndexError, TypeError):
            continue
        way.append(part)
    return tuple(way)
