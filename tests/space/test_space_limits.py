"""A parameter table or a range of any size and any content: a space in no time, or a sentence."""

from __future__ import annotations

import math
from typing import Any

import pytest

from raytao.errors import SpaceError, TableError
from raytao.space import (
    Categorical,
    Float,
    Int,
    IntRun,
    Parameter,
    RangeOverride,
    Row,
    Space,
    build_space,
    read_table,
)
from raytao.space.lists import LONGEST_RUN
from raytao.space.ordering import MOST_PARAMETERS
from raytao.space.parameters import is_number
from raytao.space.table import COLUMNS, MOST_ROWS, Eligibility
from tests.at_once import at_once

HEADER = ",".join(COLUMNS)
HUGE = 10**400


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"x" * 100_000_000, "100,000,000 bytes"),
        (HEADER + "\n" + "a,int\n" * 1_000_000, "bytes, more than"),
        ("\n".join([HEADER, *(f"p{i},x" for i in range(MOST_ROWS + 1))]), "more than 5,000 rows"),
        (",".join(f"c{i}" for i in range(30_000)), "the table has no rows"),
        (",".join(f"c{i}" for i in range(30_000)) + "\nx", "unknown column 'c0'"),
        (HEADER + "\n" + "," * 200_000 + "x", "200001 cells"),
        (HEADER + '\n"' + "x" * 200_000, "not a CSV"),
        ((HEADER + "\na,int\n").encode("utf-16"), "UTF-16"),
        ((HEADER + "\né,int\n").encode("latin-1"), "0xe9 is not UTF-8"),
        (b"", "empty"),
    ],
)  # fmt: skip
def test_a_table_without_end_or_of_other_bytes_is_refused(text: str | bytes, message: str) -> None:
    with at_once(), pytest.raises(TableError, match=message) as caught:
        read_table(text, file="params.csv")
    assert str(caught.value).startswith("params.csv")


def test_bytes_with_a_mark_and_windows_line_ends_are_read() -> None:
    text = b"\xef\xbb\xbf" + HEADER.encode() + b"\r\na,int\r\n"
    assert [row.parameter for row in read_table(text, file="t")] == ["a"]


@pytest.mark.parametrize("value", [HUGE, -HUGE, math.inf, math.nan, True, "1"])
def test_what_no_float_holds_is_no_number(value: object) -> None:
    assert not is_number(value)


def searched(value_type: str, **more: Any) -> Row:
    return Row("p", value_type, Eligibility.SEARCHED, **more)


@pytest.mark.parametrize(
    ("row", "value"),
    [
        (searched("int", default_value="1e308"), None),
        (searched("int", default_value="9" * 400), None),
        (searched("int"), HUGE),
        (searched("float"), HUGE),
        (searched("float", default_value="1e308"), None),
        (searched("list_1_normal", valid_min=0, valid_max=1e12), [1]),
        (searched("list_2", valid_min=0, valid_max=1e300), [1]),
        (searched("ordered", valid_options=("inf", "1.5")), 1.5),
        (searched("categorical", valid_options=("nan", "1")), math.nan),
        (searched("ordered_int", valid_options=("9" * 400,)), 1),
    ],
)
def test_a_row_without_bounds_in_reach_is_refused_by_name(row: Row, value: Any) -> None:
    with at_once(), pytest.raises(SpaceError, match="p: "):
        build_space([row], {"p": value}, epochs=9)


@pytest.mark.parametrize("bound", [math.nan, math.inf, -math.inf, HUGE])
@pytest.mark.parametrize("end", ["valid_min", "valid_max"])
def test_an_override_with_a_bound_that_is_no_number_is_refused(bound: float, end: str) -> None:
    row = searched("float", default_value="1")
    low, high = (bound, None) if end == "valid_min" else (None, bound)
    override = RangeOverride(valid_min=low, valid_max=high)
    with pytest.raises(SpaceError, match=rf"Parameter 'p': {end} .* must be a finite number"):
        build_space([row], {"p": 1.0}, ranges={"p": override}, epochs=9)


def test_a_run_is_no_longer_than_a_spec_can_show() -> None:
    assert len(IntRun("p", 1, LONGEST_RUN).levels) == LONGEST_RUN
    with pytest.raises(SpaceError, match="more than 1,000 members"):
        IntRun("p", 0, LONGEST_RUN)


def test_many_options_are_compared_in_no_time_and_twins_are_found() -> None:
    with at_once():
        Categorical("p", tuple(range(20_000)))
    for twins in ((1, 1.0), (True, True), ("a", "a")):
        with pytest.raises(SpaceError, match="listed twice"):
            Categorical("p", twins)
    assert Categorical("p", (1, True)).options == (1, True)
    with pytest.raises(SpaceError, match="cannot be used: nan is not finite"):
        Categorical("p", (1.0, math.nan))


def test_a_space_has_as_many_parameters_as_can_be_searched() -> None:
    def chain(length: int) -> list[Parameter]:
        return [Int(f"p{i}", 0, 1) for i in range(length)]

    assert Space(chain(MOST_PARAMETERS)).size == 2**MOST_PARAMETERS
    with pytest.raises(SpaceError, match="201 parameters are searched at once; 200 are the most"):
        Space(chain(MOST_PARAMETERS + 1))


@pytest.mark.parametrize(
    "described",
    [
        None,
        [],
        {},
        {"parameters": 5, "fixed": {}},
        {"parameters": [None], "fixed": {}},
        {"parameters": [{"type": ["x"]}], "fixed": {}},
        {"parameters": [{"type": "float", "name": "x"}], "fixed": {}},
        {"parameters": [{"type": "float", "name": "x", "low": "a", "high": 1}], "fixed": {}},
        {"parameters": [{"type": "float", "name": "x", "low": 0, "high": HUGE}], "fixed": {}},
        {"parameters": [{"type": "int", "name": "x", "low": 0, "high": 1, "y": 2}], "fixed": {}},
        {"parameters": [{"type": "bool", "name": "x", "conditions": [{}]}], "fixed": {}},
        {"parameters": [{"type": "bool", "name": "x"}], "fixed": 7},
    ],
)
def test_json_that_describes_no_space_is_refused(described: Any) -> None:
    with pytest.raises(SpaceError):
        Space.from_json(described)
    assert Space.from_json(Space([Float("x", 0, 1)]).to_json()) == Space([Float("x", 0, 1)])
