"""A user's own range for a parameter, checked against the table."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from raytao.errors import SpaceError, did_you_mean
from raytao.space.parameters import is_number
from raytao.space.table import Row


@dataclass(frozen=True)
class RangeOverride:
    """What replaces a row's range or options; None keeps what the table says."""

    valid_min: float | None = None
    valid_max: float | None = None
    valid_options: tuple[bool | int | float | str, ...] | None = None
    option_weights: tuple[float, ...] | None = None


def with_overrides(rows: Mapping[str, Row], ranges: Mapping[str, RangeOverride]) -> dict[str, Row]:
    """Return the rows with the overrides laid over them.

    Raises:
        SpaceError: with every complaint at once, in TAO's words where TAO has them.
    """
    complaints: list[str] = []
    for name, override in ranges.items():
        if name in rows:
            complaints += [f"{name}: {c}" for c in _complaints(rows[name], override)]
        else:
            near = did_you_mean(name, rows)
            complaints.append(f"{name} is not in the parameter table ({near})")
    if complaints:
        raise SpaceError(
            "; ".join(complaints),
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
    return row


def _complaints(row: Row, override: RangeOverride) -> list[str]:
    return [*_range_complaints(row, override), *_option_complaints(row, override)]


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
