"""From a parameter table and a spec to the space that is searched."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from raytao.errors import SpaceError
from raytao.space.conditions import Condition
from raytao.space.eligibility import choose
from raytao.space.lists import IntRun, Pair, SortedInts
from raytao.space.options import Bool, Categorical, Option, Ordered, OrderedInt
from raytao.space.overrides import RangeOverride, with_overrides
from raytao.space.parameters import Float, Int, Parameter, is_int, is_number
from raytao.space.ranges import float_range, int_range, range_required
from raytao.space.relations import conditions, literal, math_cond, parent
from raytao.space.space import Space
from raytao.space.table import Row
from raytao.spec.tree import Various, reachable
from raytao.types import Json

BACKBONE_BLOCKS: Final[Mapping[str, tuple[int, int]]] = {
    "resnet": (0, 3),
    "vgg": (1, 5),
    "efficientnet": (0, 7),
}
"""Blocks that may be frozen, by the backbone's name (TAO facts: list_1_backbone)."""

_IMAGE_STEP = 16
_IMAGE_BOUND = 1080


@dataclass(frozen=True)
class _Making:
    """What a row's parameter is made from."""

    row: Row
    original: Row
    conditions: tuple[Condition, ...]
    given: Mapping[str, Json]
    epochs: int

    @property
    def value(self) -> Json:
        """The user's own value; of several, the first."""
        value = self.given.get(self.row.parameter)
        return value[0] if isinstance(value, Various) else value


def build_space(
    rows: Sequence[Row],
    spec: Mapping[str, Json],
    *,
    add: Collection[str] = (),
    remove: Collection[str] = (),
    ranges: Mapping[str, RangeOverride] | None = None,
    override_disabled: bool = False,
    ineligible: Collection[str] = (),
    epochs: int,
) -> tuple[Space, tuple[str, ...]]:
    """Build the space of what a table enables, and notes for the user.

    TAO's rules of eligibility hold, but nothing is ignored in silence. Bounds that the table
    leaves open are chosen as ``raytao.space.ranges`` says; in particular a float from 0 with a
    positive default and a maximum of at least 100 times that default is searched on a log scale
    from default / 100.

    Args:
        rows: the parameter table.
        spec: the user's nested spec; rows that it has no value for are not searched.
        add: names to search on top of the table's defaults.
        remove: names not to search.
        ranges: the user's own ranges, within the table's.
        override_disabled: whether ``add`` may name rows that the table refuses.
        ineligible: names that cannot be searched and that the table has no row for.
        epochs: length of a full training, the bound of lists of epochs.

    Raises:
        SpaceError: if a name, a range or a condition cannot be used, or nothing is left.
    """
    ranges = ranges or {}
    originals = {row.parameter: row for row in rows}
    given = reachable(spec)
    table = with_overrides(originals, ranges, given)
    chosen, notes = choose(
        table,
        given,
        add=add,
        remove=remove,
        override_disabled=override_disabled,
        ineligible=ineligible,
    )
    searched = {row.parameter for row in chosen}
    notes += [
        f"{n}: its range override has no effect: not searched" for n in ranges if n not in searched
    ]
    parameters, complaints = _parameters(chosen, originals, given, epochs)
    notes += complaints
    if not parameters:
        raise SpaceError(
            "there is nothing to search: the table enables no parameter of this spec",
            remedy="; ".join(notes) or "add a parameter",
        )
    return Space(parameters, fixed=given), tuple(notes)


def _parameters(
    chosen: Sequence[Row], originals: Mapping[str, Row], given: Mapping[str, Json], epochs: int
) -> tuple[list[Parameter], list[str]]:
    """What the chosen rows become, and notes about those that become nothing."""
    searched = {row.parameter for row in chosen}
    parameters: list[Parameter] = []
    notes: list[str] = []
    for row in chosen:
        kept, complaints = conditions(row, searched, given)
        notes += complaints
        dead = next((c for c in kept if _never_holds(c, searched, given)), None)
        if dead is not None:
            notes.append(
                f"{row.parameter}: not searched, because {dead.target} is {given[dead.target]!r}"
            )
            continue
        making = _Making(row, originals[row.parameter], kept, given, epochs)
        parameters.append(_MAKERS[row.value_type](making))
    return parameters, notes


def _never_holds(
    condition: Condition, searched: Collection[str], given: Mapping[str, Json]
) -> bool:
    fixed = condition.target not in searched
    return fixed and not condition.is_relation and not condition.holds(given)


def _float(making: _Making) -> Parameter:
    row = making.row
    found = float_range(row, making.value, math_cond(row))
    log = found.log or (found.low > 0 and _was_log(making))
    return Float(row.parameter, found.low, found.high, log, conditions=making.conditions)


def _was_log(making: _Making) -> bool:
    """Whether the table's own range goes by magnitude; one that the user narrows still does."""
    try:
        return float_range(making.original, making.value, math_cond(making.original)).log
    except SpaceError:  # a range that only the user's makes complete
        return False


def _int(making: _Making) -> Parameter:
    """An integer; with options it is one of them (TAO 7.3: ordered_int)."""
    row, cond = making.row, math_cond(making.row)
    if row.valid_options:
        return _ordered_int(making)
    found = int_range(row, making.value, cond)
    return Int(
        row.parameter,
        int(found.low),
        int(found.high),
        multiple_of=int(cond.operand) if cond and cond.op == "/" else None,
        power_of=int(cond.operand) if cond and cond.op == "^" else None,
        conditions=making.conditions,
    )


def _bool(making: _Making) -> Parameter:
    return Bool(making.row.parameter, conditions=making.conditions)


def _options(making: _Making) -> tuple[Option, ...]:
    """The options, typed like the user's own value where all of them can be."""
    row, value = making.row, making.value
    if not row.valid_options:
        raise SpaceError(
            f"{row.parameter}: no valid_options to choose from",
            where=row.where,
            remedy="list them, in the table or as a range override",
        )
    typed = tuple(literal(option) for option in row.valid_options)
    kinds = {type(option) for option in typed}
    if type(value) in kinds and len(kinds) == 1:
        return typed
    if isinstance(value, float) and kinds <= {int, float}:
        return tuple(float(option) for option in typed)
    return row.valid_options


def _categorical(making: _Making) -> Parameter:
    weights = making.row.option_weights or None
    return Categorical(
        making.row.parameter, _options(making), weights, conditions=making.conditions
    )


def _ordered(making: _Making) -> Parameter:
    weights = making.row.option_weights or None
    return Ordered(making.row.parameter, _options(making), weights, conditions=making.conditions)


def _ordered_int(making: _Making) -> Parameter:
    row, cond = making.row, math_cond(making.row)
    options = [literal(option) for option in row.valid_options]
    bad = [option for option in options if not is_int(option)]
    if bad or not options:
        raise SpaceError(
            f"{row.parameter}: valid_options {list(row.valid_options)} must be integers",
            where=row.where,
            remedy="list integers, separated by commas",
        )
    low = -float("inf") if row.valid_min is None else row.valid_min
    high = float("inf") if row.valid_max is None else row.valid_max
    step = int(cond.operand) if cond and cond.op == "/" else 1
    weights = row.option_weights or (1.0,) * len(options)
    legal = {
        int(option): weight
        for option, weight in zip(options, weights, strict=True)
        if low <= int(option) <= high and int(option) % step == 0
    }
    return OrderedInt(
        row.parameter,
        tuple(legal),
        tuple(legal.values()) if row.option_weights else None,
        conditions=making.conditions,
    )


def _bounds(row: Row) -> tuple[int, int] | None:
    """Both bounds of a row as whole numbers, if both are given and finite."""
    low, high = row.valid_min, row.valid_max
    if low is None or high is None or not (math.isfinite(low) and math.isfinite(high)):
        return None
    return math.ceil(low), math.floor(high)


def _run_of_backbone(making: _Making) -> Parameter:
    row = making.row
    backbone = str(making.given.get(parent(row), "")).lower()
    known = (blocks for name, blocks in BACKBONE_BLOCKS.items() if backbone.startswith(name))
    bounds = _bounds(row) or next(known, None)
    if bounds is None:
        raise range_required(
            row,
            f"the blocks of backbone {backbone!r} ({parent(row) or 'depends_on is blank'}) are "
            f"not known; known: {', '.join(BACKBONE_BLOCKS)}",
        )
    return IntRun(row.parameter, *bounds, conditions=making.conditions)


def _run(making: _Making) -> Parameter:
    bounds = _bounds(making.row)
    if bounds is None:
        raise range_required(making.row, "a run of integers needs both ends")
    return IntRun(making.row.parameter, *bounds, conditions=making.conditions)


def _sorted_ints(making: _Making) -> Parameter:
    """Image sizes if the row speaks of multiples, sizes or scales; else epochs, as lr_steps."""
    row, cond = making.row, math_cond(making.row)
    leaf = row.parameter.rpartition(".")[2]
    step = int(cond.operand) if cond and cond.op == "/" else 1
    bounds = _bounds(row)
    if cond or "size" in leaf or "scale" in leaf:
        step = step if step > 1 else _IMAGE_STEP
        bound = _image_bound(making)
        bounds = bounds or (-(-bound // 2), bound)
    low, high = bounds or (1, making.epochs)
    return SortedInts(row.parameter, low, high, multiple_of=step, conditions=making.conditions)


def _pair(making: _Making) -> Parameter:
    """[k, k] with k between a hundredth and a tenth of the bound (TAO facts: list_3)."""
    bound = _image_bound(making)
    low, high = _bounds(making.row) or (max(bound // 100, 1), max(bound // 10, 1))
    return Pair(making.row.parameter, low, high, conditions=making.conditions)


def _image_bound(making: _Making) -> int:
    """The largest image size: of the parent if it is a number or a list of numbers, else 1080."""
    row = making.row
    value = making.given.get(parent(row))
    if isinstance(value, list) and value and all(is_number(item) for item in value):
        return int(max(value))
    if is_number(value):
        return int(value)
    bound = row.valid_max
    return int(bound) if bound is not None and math.isfinite(bound) else _IMAGE_BOUND


_MAKERS: Final[Mapping[str, Callable[[_Making], Parameter]]] = {
    "int": _int,
    "integer": _int,
    "float": _float,
    "bool": _bool,
    "ordered": _ordered,
    "ordered_int": _ordered_int,
    "categorical": _categorical,
    "list_1_backbone": _run_of_backbone,
    "list_1_normal": _run,
    "list_2": _sorted_ints,
    "list_3": _pair,
}
