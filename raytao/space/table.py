"""TAO's parameter table: a CSV with one row for each parameter of a network's spec."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Final

from raytao.errors import SpecError, TableError, Where, did_you_mean
from raytao.spec.text import decode

COLUMNS: Final = (
    "parameter",
    "display_name",
    "value_type",
    "description",
    "default_value",
    "examples",
    "valid_min",
    "valid_max",
    "valid_options",
    "required",
    "regex",
    "popular",
    "automl_enabled",
    "math_cond",
    "parent_param",
    "depends_on",
)
"""The columns that every table has (TAO facts)."""

OPTIONAL: Final = ("option_weights",)
IGNORED: Final = ("CLI", "log_float", "param_type")
"""Columns of some of TAO's files that it does not read either."""

SEARCHABLE: Final = (
    "int",
    "integer",
    "float",
    "bool",
    "ordered",
    "ordered_int",
    "categorical",
    "list_1_backbone",
    "list_1_normal",
    "list_2",
    "list_3",
)
"""Value types that can be searched; rows of other types only describe the spec."""

MOST_ROWS: Final = 5_000
"""Rows of the longest table; the specs of all of TAO's networks together have fewer values."""

_BLANK = ("", "nan")


class Eligibility(Enum):
    """The column ``automl_enabled``."""

    SEARCHED = "TRUE"
    """Searched unless removed."""

    REFUSED = "FALSE"
    """Not searched, even on request."""

    ELIGIBLE = ""
    """Searched on request."""


@dataclass(frozen=True)
class Row:
    """One parameter as its table describes it; blank numbers are None."""

    parameter: str
    value_type: str
    automl_enabled: Eligibility = Eligibility.ELIGIBLE
    display_name: str = ""
    description: str = ""
    default_value: str = ""
    examples: str = ""
    valid_min: float | None = None
    valid_max: float | None = None
    valid_options: tuple[str, ...] = ()
    required: bool = False
    regex: str = ""
    popular: bool = False
    math_cond: str = ""
    parent_param: bool = False
    depends_on: str = ""
    option_weights: tuple[float, ...] = ()
    where: Where | None = None

    @property
    def searchable(self) -> bool:
        """Whether its type can be searched at all."""
        return self.value_type in SEARCHABLE


def read_table(text: str | bytes, *, file: str) -> tuple[Row, ...]:
    """Read a parameter table.

    Args:
        text: the CSV, with a header line; bytes are UTF-8.
        file: its name, for errors.

    Raises:
        TableError: with file and line, for a missing or unknown column, a bad number or flag, an
            inverted range, a parameter listed twice, a row with too many cells, an empty table,
            and what is too large or in another encoding.
    """
    try:
        decoded = decode(text, file=file)
    except SpecError as error:
        raise TableError(error.message, where=error.where, remedy=error.remedy) from None
    numbered = _numbered(decoded, file)
    if len(numbered) < 2:
        raise TableError(
            "the table has no rows", where=Where(file), remedy="give a header and a row"
        )
    header = _header(numbered[0][1], Where(file, numbered[0][0]))
    rows: dict[str, Row] = {}
    for number, cells in numbered[1:]:
        row = _row(_by_column(header, cells, Where(file, number)), Where(file, number))
        if row.parameter in rows:
            raise TableError(
                f"{row.parameter}: listed twice, first at {rows[row.parameter].where}",
                where=row.where,
                remedy="delete one of the rows",
            )
        rows[row.parameter] = row
    return tuple(rows.values())


def _numbered(text: str, file: str) -> list[tuple[int, list[str]]]:
    """The rows that are not blank, header included, with the line that each begins in."""
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    numbered: list[tuple[int, list[str]]] = []
    line = 1
    try:
        for cells in reader:
            if any(cell.strip() for cell in cells):
                numbered.append((line, [cell.strip() for cell in cells]))
            if len(numbered) > MOST_ROWS + 1:
                raise TableError(f"more than {MOST_ROWS:,} rows", where=Where(file, line))
            line = reader.line_num + 1
    except csv.Error as error:
        raise TableError(
            f"not a CSV: {error}", where=Where(file, line), remedy="check the quotes"
        ) from None
    return numbered


def _header(names: Sequence[str], where: Where) -> Sequence[str]:
    known = (*COLUMNS, *OPTIONAL, *IGNORED)
    for name in filter(None, names):
        if name not in known:
            raise TableError(
                f"unknown column {name!r}", where=where, remedy=did_you_mean(name, known)
            )
        if names.count(name) > 1:
            raise TableError(f"column {name!r} is there twice", where=where)
    missing = [name for name in COLUMNS if name not in names]
    if missing:
        raise TableError(
            f"missing column{'s' * (len(missing) > 1)}: {', '.join(missing)}",
            where=where,
            remedy=f"a table has the columns {', '.join(COLUMNS)}",
        )
    return names


def _by_column(header: Sequence[str], cells: list[str], where: Where) -> Mapping[str, str]:
    """Cells by column; cells missing at the end are blank."""
    if any(cells[len(header) :]):
        raise TableError(
            f"the row has {len(cells)} cells, the header {len(header)}",
            where=where,
            remedy="put values that contain a comma in double quotes",
        )
    padded = [*cells, *[""] * (len(header) - len(cells))][: len(header)]
    return {n: "" if c.lower() in _BLANK else c for n, c in zip(header, padded, strict=True)}


def _row(cells: Mapping[str, str], where: Where) -> Row:
    name, value_type = cells["parameter"], cells["value_type"].lower()
    if not name:
        raise TableError("the parameter has no name", where=where, remedy="fill the first column")
    strict = value_type in SEARCHABLE
    low, high = (_bound(cells, column, where, strict=strict) for column in _RANGE)
    if low is not None and high is not None and low > high:
        raise TableError(
            f"{name}: valid_min {cells['valid_min']} is above valid_max {cells['valid_max']}",
            where=where,
            remedy="exchange the two cells",
        )
    return Row(
        parameter=name,
        value_type=value_type,
        automl_enabled=_eligibility(cells["automl_enabled"], name, where),
        display_name=cells["display_name"],
        description=cells["description"],
        default_value=cells["default_value"],
        examples=cells["examples"],
        valid_min=low,
        valid_max=high,
        valid_options=split_options(cells["valid_options"]),
        required=cells["required"].lower() in ("yes", "true"),
        regex=cells["regex"],
        popular=cells["popular"].lower() in ("yes", "true"),
        math_cond=cells["math_cond"],
        parent_param=cells["parent_param"].lower() == "true",
        depends_on=cells["depends_on"],
        option_weights=_weights(cells.get("option_weights", ""), name, where),
        where=where,
    )


_RANGE = ("valid_min", "valid_max")


def _bound(cells: Mapping[str, str], column: str, where: Where, *, strict: bool) -> float | None:
    """Read a bound; in rows that are never searched, lists and other text count as blank."""
    text = cells[column]
    if not text:
        return None
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isnan(value):
        return value
    if not strict:
        return None
    raise TableError(
        f"{cells['parameter']}: {column} {text!r} is not a number",
        where=where,
        remedy="give a number, inf, -inf, or leave it blank",
    )


def _eligibility(text: str, name: str, where: Where) -> Eligibility:
    try:
        return Eligibility(text.upper())
    except ValueError:
        raise TableError(
            f"{name}: automl_enabled {text!r} is none of TRUE, FALSE and blank",
            where=where,
            remedy="TRUE: searched by default; FALSE: never; blank: on request",
        ) from None


def _weights(text: str, name: str, where: Where) -> tuple[float, ...]:
    try:
        return tuple(float(part) for part in split_options(text))
    except ValueError:
        raise TableError(
            f"{name}: option_weights {text!r} are not numbers separated by commas", where=where
        ) from None


def split_options(text: str) -> tuple[str, ...]:
    """Split a cell of options, plain or written as a Python list.

    >>> split_options("__L1__, __L2__"), split_options("['linear', 'sqrt']")
    (('__L1__', '__L2__'), ('linear', 'sqrt'))
    """
    inner = text.strip().removeprefix("[").removesuffix("]")
    parts = (part.strip().strip("'\"") for part in inner.split(","))
    return tuple(part for part in parts if part)
