from __future__ import annotations

import csv
import io
import math

import pytest

from raytao.errors import TableError
from raytao.space import Eligibility, read_table
from raytao.space.table import COLUMNS


def table(*rows: dict[str, str], extra: tuple[str, ...] = ()) -> str:
    stream = io.StringIO()
    writer = csv.DictWriter(stream, (*COLUMNS, *extra), restval="")
    writer.writeheader()
    writer.writerows(rows)
    return stream.getvalue()


LR = {
    "parameter": "train.optim.lr",
    "value_type": "float",
    "default_value": "2.00E-04",
    "valid_min": "0",
    "valid_max": "inf",
    "automl_enabled": "TRUE",
    "popular": "yes",
    "required": "Yes",
    "parent_param": "True",
}


def test_a_row_is_read_with_types_and_place() -> None:
    (row,) = read_table(table(LR), file="params.csv")
    assert (row.parameter, row.value_type, row.default_value) == (
        "train.optim.lr",
        "float",
        "2.00E-04",
    )
    assert row.valid_min == 0.0
    assert row.valid_max == math.inf
    assert row.required
    assert row.popular
    assert row.parent_param
    assert row.automl_enabled is Eligibility.SEARCHED
    assert str(row.where) == "params.csv:2"


@pytest.mark.parametrize(
    ("text", "meaning"),
    [
        ("TRUE", Eligibility.SEARCHED),
        ("false", Eligibility.REFUSED),
        ("", Eligibility.ELIGIBLE),
        ("nan", Eligibility.ELIGIBLE),
    ],
)
def test_the_flag_has_three_meanings(text: str, meaning: Eligibility) -> None:
    (row,) = read_table(table({**LR, "automl_enabled": text}), file="t.csv")
    assert row.automl_enabled is meaning


def test_bounds_may_be_infinite_blank_or_scientific() -> None:
    rows = read_table(
        table(
            {**LR, "valid_min": "-inf", "valid_max": "3.00E-11"},
            {**LR, "parameter": "b", "valid_min": "", "valid_max": "NaN"},
        ),
        file="t.csv",
    )
    assert [(r.valid_min, r.valid_max) for r in rows] == [(-math.inf, 3e-11), (None, None)]


def test_options_and_weights_are_split() -> None:
    row = {"parameter": "o", "value_type": "categorical", "valid_options": "__L1__, __L2__"}
    (read,) = read_table(
        table({**row, "option_weights": "0.1,0.4"}, extra=("option_weights",)), file="t.csv"
    )
    assert read.valid_options == ("__L1__", "__L2__")
    assert read.option_weights == (0.1, 0.4)


def test_columns_that_tao_ignores_are_ignored() -> None:
    extra = ("CLI", "log_float", "param_type")
    assert read_table(table({**LR, "CLI": "x"}, extra=extra), file="t.csv")


def test_names_keep_their_inner_space() -> None:
    name = "training_config.learning_rate.soft_start .soft_start"
    (row,) = read_table(table({**LR, "parameter": f" {name} "}), file="t.csv")
    assert row.parameter == name


def test_a_byte_order_mark_and_windows_newlines_do_no_harm() -> None:
    text = "\ufeff" + table(LR, {**LR, "parameter": "b"})
    assert "\r\n" in text
    assert [str(r.where) for r in read_table(text, file="t.csv")] == ["t.csv:2", "t.csv:3"]


def test_lines_are_counted_through_quoted_newlines_and_blank_lines() -> None:
    rows = table({**LR, "description": "two\nlines"}, {**LR, "parameter": "b", "valid_min": "x"})
    with pytest.raises(TableError, match=r"t\.csv:5: b: valid_min 'x' is not a number"):
        read_table(rows.replace("\r\n", "\n\n", 1), file="t.csv")


def test_the_inverted_range_of_faster_rcnn_names_row_and_remedy() -> None:
    row = {
        "parameter": "training_config.regularizer.weight",
        "value_type": "float",
        "default_value": "3.00E-09",
        "valid_min": "3.00E-03",
        "valid_max": "3.00E-07",
        "automl_enabled": "TRUE",
    }
    with pytest.raises(TableError) as caught:
        read_table(table(LR, row), file="faster_rcnn.csv")
    assert str(caught.value) == (
        "faster_rcnn.csv:3: training_config.regularizer.weight: valid_min 3.00E-03 is above "
        "valid_max 3.00E-07\n  exchange the two cells"
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "empty"),
        (table(), "no rows"),
        (table(LR, LR), r"t\.csv:3: train\.optim\.lr: listed twice, first at t\.csv:2"),
        (table({**LR, "parameter": ""}), "no name"),
        (table({**LR, "automl_enabled": "maybe"}), "'maybe' is none of TRUE, FALSE"),
        (table(LR).replace("valid_min,", "", 1), "missing column: valid_min"),
        (table(LR).replace("regex", "regexp", 1), "unknown column 'regexp'(.|\n)*'regex'"),
        (table(LR).replace("regex", "popular", 1), "'popular' is there twice"),
        (table(LR).rstrip() + ",a,b\n", "the row has 18 cells, the header 16"),
        (table(LR).rstrip() + '"open', "not a CSV"),
        (
            table({**LR, "option_weights": "a"}, extra=("option_weights",)),
            "are not numbers",
        ),
    ],
)
def test_a_malformed_table_is_refused(text: str, message: str) -> None:
    with pytest.raises(TableError, match=message):
        read_table(text, file="t.csv")


def test_bounds_of_rows_that_are_never_searched_are_not_judged() -> None:
    (row,) = read_table(table({**LR, "value_type": "list", "valid_min": "[0, 0]"}), file="t.csv")
    assert row.valid_min is None
    assert not row.searchable
