"""A user's own range for a parameter, checked against the table: TAO's ``automl_range_override``.

What is wrong is said in the words of TAO 7.3, all of it at once.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import Final

from raytao.errors import SpaceError, did_you_mean
from raytao.space.parameters import is_number
from raytao.space.relations import dependency, idle, math_cond
from raytao.space.table import Row

_UNBOUNDED: Final = ("bool", "ordered", "categorical")
"""Types whose values lie between no bounds."""

_WITHOUT_OPTIONS: Final = ("float", "bool", "list_1_backbone", "list_1_normal", "list_2", "list_3")


@dataclass(frozen=True)
class RangeOverride:
    """What replaces cells of a row; None keeps what the table says, "" takes a condition away."""

    valid_min: float | None = None
    valid_max: float | None = None
    valid_options: tuple[bool | int | float | str, ...] | None = None
    option_weights: tuple[float, ...] | None = None
    math_cond: str | None = None
    depends_on: str | None = None


def with_overrides(
    rows: Mapping[str, Row], ranges: Mapping[str, RangeOverride], in_spec: Collection[str] = ()
) -> dict[str, Row]:
    """Return the rows with the overrides laid over them.

    Args:
        rows: the table, by parameter.
        ranges: the overrides, by parameter.
        in_spec: dotted keys of the user's spec, which a condition may name too.

    Raises:
        SpaceError: with every complaint at once, in TAO's words where TAO has them.
    """
    complaints: list[str] = []
    for name, override in ranges.items():
        if name in rows:
            found = _complaints(rows[name], override, {*rows, *in_spec})
            complaints += [f"Parameter {name!r}: {complaint}" for complaint in found]
        else:
            near = did_you_mean(name, rows)
            complaints.append(f"Parameter {name!r} not found in schema ({near})")
    if complaints:
        raise SpaceError(
            f"Validation errors: {'; '.join(complaints)}",
            remedy="an override may only narrow what the parameter table allows",
        )
    return {n: _laid_over(row, ranges[n]) if n in ranges else row for n, row in rows.items()}


def _laid_over(row: Row, override: RangeOverride) -> Row:
    if override.valid_min is not None:
        row = replace(row, valid_min=override.valid_min)
    if override.valid_max is not None:
        row = replace(row, valid_max=override.valid_max)
    if override.valid_options is not None:
        # The table's weights belong to the table's options.
        options = tuple(str(option) for option in override.valid_options)
        row = replace(row, valid_options=options, option_weights=())
    if override.option_weights is not None:
        row = replace(row, option_weights=tuple(override.option_weights))
    if override.math_cond is not None:
        row = replace(row, math_cond=override.math_cond.strip())
    if override.depends_on is not None:
        row = replace(row, depends_on=override.depends_on.strip())
    return row


def _complaints(row: Row, override: RangeOverride, known: Collection[str]) -> list[str]:
    return [
        *_misfits(row, override),
        *_range_complaints(row, override),
        *_option_complaints(row, override),
        *_condition_complaints(row, override, known),
    ]


def _misfits(row: Row, override: RangeOverride) -> list[str]:
    """What would have no effect on a parameter of this type."""
    bounds, options = ("valid_min", "valid_max"), ("valid_options", "option_weights")
    idle = [*bounds] if row.value_type in _UNBOUNDED else []
    idle += options if row.value_type in _WITHOUT_OPTIONS else ()
    return [
        f"{cell} has no effect on a parameter of type {row.value_type!r}"
        for cell in idle
        if getattr(override, cell) is not None
    ]


def _condition_complaints(row: Row, override: RangeOverride, known: Collection[str]) -> list[str]:
    if override.math_cond is None and override.depends_on is None:
        return []
    laid = _laid_over(row, override)
    try:
        math_cond(laid)
    except SpaceError as error:
        return [f"{error.message.partition(': ')[2]} ({error.remedy})"]
    target, why = dependency(laid), idle(laid)
    found = [why] if why else []
    if target == row.parameter:
        found.append(f"depends_on {laid.depends_on!r} names itself")
    elif target and target not in known:
        near = did_you_mean(target, known)
        found.append(f"depends_on {laid.depends_on!r} names no parameter ({near})")
    return found


def _range_complaints(row: Row, override: RangeOverride) -> list[str]:
    low, high = override.valid_min, override.valid_max
    found = [
        f"{bound} ({value}) must be a finite number"
        for bound, value in (("valid_min", low), ("valid_max", high))
        if value is not None and not is_number(value)
    ]
    if found:
        return found
    if low is not None and row.valid_min is not None and low < row.valid_min:
        found.append(f"valid_min ({low}) cannot be less than schema minimum ({row.valid_min})")
    if high is not None and row.valid_max is not None and high > row.valid_max:
        found.append(f"valid_max ({high}) cannot be greater than schema maximum ({row.valid_max})")
    new_low = row.valid_min if low is None else low
    new_high = row.valid_max if high is None else high
    if new_low is not None and new_high is not None and not new_low < new_high:
        found.append(f"valid_min must be less than valid_max, not {new_low} and {new_high}")
    return found


def _option_complaints(row: Row, override: RangeOverride) -> list[str]:
    found: list[str] = []
    options = [str(option) for option in override.valid_options or ()]
    beyond = [option for option in options if option not in row.valid_options]
    if beyond and row.valid_options:
        found.append(f"valid_options {beyond} are not in schema options {list(row.valid_options)}")
    weights = override.option_weights
    if weights is None:
        return found
    effective = options or list(row.valid_options)
    if not effective:
        found.append("option_weights provided but no valid_options exist")
    elif len(weights) != len(effective):
        found.append(
            f"option_weights length ({len(weights)}) must match "
            f"valid_options length ({len(effective)})"
        )
    if not all(weight > 0 for weight in weights):
        found.append("all option_weights must be positive numbers")
    return found
