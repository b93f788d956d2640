"""What is searched: parameters, their dependencies, and the unit cube that brains draw from.

``read_table`` reads TAO's parameter table, ``build_space`` chooses and bounds what is searched,
``Space`` maps points of [0, 1]^d to values and back.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from raytao.space.conditions import Condition, Limits
from raytao.space.lists import IntRun, Pair, SortedInts
from raytao.space.options import Bool, Categorical, Ordered, OrderedInt
from raytao.space.parameters import Float, Int, Parameter
from raytao.space.space import Column, Space

if TYPE_CHECKING:
    from raytao.space.build import build_space
    from raytao.space.overrides import RangeOverride
    from raytao.space.table import Eligibility, Row, read_table

__all__ = [
    "Bool",
    "Categorical",
    "Column",
    "Condition",
    "Eligibility",
    "Float",
    "Int",
    "IntRun",
    "Limits",
    "Ordered",
    "OrderedInt",
    "Pair",
    "Parameter",
    "RangeOverride",
    "Row",
    "SortedInts",
    "Space",
    "build_space",
    "read_table",
]

_HOMES = {
    "Eligibility": "raytao.space.table",
    "RangeOverride": "raytao.space.overrides",
    "Row": "raytao.space.table",
    "build_space": "raytao.space.build",
    "read_table": "raytao.space.table",
}
"""What makes a space of a table: a run that is only looked at has its own in its log."""


def __getattr__(name: str) -> Any:
    """Import what reads tables when it is first asked for."""
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
