"""The fields of nvidia-tao-core's schema classes, as rows of a parameter table and a spec.

Each field carries metadata (TAO facts: the 7.3 schema), which says what a column of a table says.
The default spec is the one that TAO's own service gives a user: every field's ``default_value``,
without the sections of the network's other actions.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Collection, Iterator, Mapping
from dataclasses import Field, dataclass
from typing import Any, Final

from raytao.space import Eligibility, Row
from raytao.space.table import split_options
from raytao.types import Json

_SECTION: Final = ("collection", "dict")
_INTEGERS: Final = ("int", "integer", "ordered_int")
_SCALARS: Final = ("int", "float", "bool")
_UNKNOWN: Final = ("", "hidden")
"""Value types that TAO leaves out of its schemas."""


@dataclass(frozen=True)
class Leaf:
    """One value of a spec: its row, and its default; a spec has it where it has a default."""

    row: Row
    default: Json

    @property
    def in_spec(self) -> bool:
        """Whether the default spec has it."""
        return self.default is not None


def leaves(schema: Any, *, without: Collection[str] = ()) -> Iterator[Leaf]:
    """All values below a dataclass, in their order.

    Args:
        schema: an instance, with its defaults.
        without: names at the top that are left out.
    """
    for field in dataclasses.fields(schema):
        if field.name not in without:
            yield from _below(field, getattr(schema, field.name), "")


def _below(field: Field[Any], value: Any, path: str) -> Iterator[Leaf]:
    name, metadata = f"{path}{field.name}", field.metadata
    kind = _kind(metadata)
    if kind in _UNKNOWN:
        return
    if kind in _SECTION and dataclasses.is_dataclass(value):
        for inner in dataclasses.fields(value):
            yield from _below(inner, getattr(value, inner.name), f"{name}.")
        return
    default = _default(kind, metadata.get("default_value"))
    yield Leaf(_row(name, kind, metadata, default), default)


def _kind(told: Mapping[str, Any]) -> str:
    """The value type; of several that are allowed, the first counts, as it does in TAO."""
    kind, several = _text(told.get("value_type")), told.get("union_types")
    first = str(several[0]) if kind == "union" and several else ""
    return first if first in _SCALARS else kind


def _row(name: str, kind: str, told: Mapping[str, Any], default: Json) -> Row:
    return Row(
        parameter=name,
        value_type=_value_type(kind, default),
        automl_enabled=_eligibility(told.get("automl_enabled")),
        display_name=_text(told.get("display_name")),
        description=_text(told.get("description")),
        default_value="" if default is None else str(default),
        examples=_text(told.get("examples")),
        valid_min=_bound(told.get("valid_min")),
        valid_max=_bound(told.get("valid_max")),
        valid_options=_options(told.get("valid_options")),
        required=_flag(told.get("required")),
        regex=_text(told.get("regex")),
        popular=_flag(told.get("popular")),
        math_cond=_text(told.get("math_cond")),
        parent_param=_flag(told.get("parent_param")),
        depends_on=_text(told.get("depends_on")),
        option_weights=_weights(told.get("option_weights")),
    )


def _value_type(kind: str, default: Json) -> str:
    """The type; a list of broken numbers such as Adam's betas is none of the searchable lists."""
    numbers = default if kind.startswith("list_") and isinstance(default, list) else []
    return "list" if any(isinstance(number, float) for number in numbers) else kind


def _default(kind: str, told: Any) -> Json:
    """A default as the spec holds it; None where there is none.

    Texts stand for numbers and switches in places (``"TRUE"``, ``"1.00E+10"``), as in TAO's own
    reading. A text may be blank, a number may not.
    """
    if told is None or (told == "" and kind != "string"):
        return None
    if kind == "bool":
        return str(told).lower() == "true"
    try:
        if kind in _INTEGERS:
            return int(told)
        if kind == "float":
            number = float(told)
            return number if math.isfinite(number) else None
    except (TypeError, ValueError):  # "???": the user is to give it
        return plain(told)
    return plain(told)


def plain(value: Any) -> Json:
    """A value without tuples and dataclasses; what no file can hold is text."""
    if dataclasses.is_dataclass(value):
        named = ((f.name, plain(getattr(value, f.name))) for f in dataclasses.fields(value))
        return {name: inner for name, inner in named if inner is not None}
    match value:
        case Mapping():
            return {str(key): plain(inner) for key, inner in value.items()}
        case list() | tuple():
            return [plain(inner) for inner in value]
        case bool() | int() | float() | str() | None:
            return value
        case _:
            return str(value)


def _text(told: Any) -> str:
    """One line of text; descriptions are indented as their source is."""
    return "" if told is None else " ".join(str(told).split())


def _flag(told: Any) -> bool:
    return _text(told).lower() in ("yes", "true")


def _eligibility(told: Any) -> Eligibility:
    """TRUE, FALSE, or neither: in any case, and as a bool."""
    text = _text(told).upper()
    return Eligibility(text) if text in ("TRUE", "FALSE") else Eligibility.ELIGIBLE


def _bound(told: Any) -> float | None:
    """A bound; a list of bounds counts as none."""
    try:
        number = float(told)
    except (TypeError, ValueError):
        return None
    return None if math.isnan(number) else number


def _options(told: Any) -> tuple[str, ...]:
    """The options, which are text with commas, or a list."""
    if isinstance(told, list | tuple):
        return tuple(str(option) for option in told)
    return split_options(_text(told))


def _weights(told: Any) -> tuple[float, ...]:
    return tuple(float(weight) for weight in told) if isinstance(told, list | tuple) else ()
