"""What is searched: parameters, their dependencies, and the unit cube that brains draw from.

``read_table`` reads TAO's parameter table, ``build_space`` chooses and bounds what is searched,
``Space`` maps points of [0, 1]^d to values and back.
"""

from __future__ import annotations

from raytao.space.build import build_space
from raytao.space.conditions import Condition, Limits
from raytao.space.lists import IntRun, Pair, SortedInts
from raytao.space.options import Bool, Categorical, Ordered, OrderedInt
from raytao.space.overrides import RangeOverride
from raytao.space.parameters import Float, Int, Parameter
from raytao.space.space import Column, Space
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
