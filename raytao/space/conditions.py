"""How one parameter depends on another: narrowed bounds and activity."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal, TypeAlias, get_args

from raytao.errors import SpaceError
from raytao.types import Json

Relation: TypeAlias = Literal["<", "<=", ">", ">="]
Activity: TypeAlias = Literal["==", "in"]
Op: TypeAlias = Relation | Activity

RELATIONS: Final[tuple[str, ...]] = get_args(Relation)
ACTIVITIES: Final[tuple[str, ...]] = get_args(Activity)


@dataclass(frozen=True)
class Limits:
    """The interval that relations leave to a number; open where the relation is strict."""

    low: float = -math.inf
    high: float = math.inf
    low_open: bool = False
    high_open: bool = False

    def tightened(self, op: str, value: float) -> Limits:
        """Return these limits with ``x op value`` added."""
        low, high = (self.low, self.low_open), (self.high, not self.high_open)
        if op in (">", ">="):
            low = max(low, (value, op == ">"))
        else:
            high = min(high, (value, op == "<="))
        return Limits(low[0], high[0], low[1], not high[1])


FREE: Final = Limits()
"""No limit at all."""


@dataclass(frozen=True)
class Condition:
    """A dependency on ``target``, another parameter's sampled value or a constant of the spec.

    ``<``, ``<=``, ``>``, ``>=`` narrow a number's range. ``==`` (with ``value``) and ``in`` (with
    a tuple as ``value``) decide whether the parameter is active: an inactive one is absent from
    Params.
    """

    op: Op
    target: str
    value: Any = None

    def __post_init__(self) -> None:
        if self.op not in RELATIONS + ACTIVITIES:
            raise SpaceError(
                f"unknown condition {self.op!r} on {self.target!r}",
                remedy=f"use one of {', '.join(RELATIONS + ACTIVITIES)}",
            )
        if self.op == "in":
            object.__setattr__(self, "value", tuple(self.value))

    @property
    def is_relation(self) -> bool:
        """Whether it narrows a range (otherwise it decides activity)."""
        return self.op in RELATIONS

    def holds(self, values: Mapping[str, Any]) -> bool:
        """Whether an activity condition is met; an absent target meets none."""
        if self.target not in values:
            return False
        found = values[self.target]
        return bool(found in self.value if self.op == "in" else found == self.value)

    def to_json(self) -> Json:
        """Describe the condition as plain JSON."""
        described: dict[str, Json] = {"op": self.op, "target": self.target}
        if not self.is_relation:
            described["value"] = list(self.value) if self.op == "in" else self.value
        return described

    @classmethod
    def from_json(cls, described: Json) -> Condition:
        """Rebuild what ``to_json`` described."""
        return cls(described["op"], described["target"], described.get("value"))
