"""Rows 20-26, 34 and 35 of TAO's checklist: what is searched, by the table and the user's lists.

The table is the shipped one of DetectNet_v2, which TAO's documents take their examples from.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pytest

from raytao.catalog import configs
from raytao.errors import SpaceError
from raytao.space import (
    Categorical,
    Condition,
    Eligibility,
    Float,
    RangeOverride,
    Row,
    Space,
    build_space,
    read_table,
)
from raytao.space.relations import literal

WEIGHT = "training_config.regularizer.weight"
WIDTH = "augmentation_config.preprocessing.output_image_width"
MAPPING = "dataset_config.target_class_mapping"
PIXELS = "augmentation_config.preprocessing.min_bbox_width"

TABLE = configs() / "networks" / "detectnet_v2" / "params.csv"
ROWS = read_table(TABLE.read_bytes(), file="params.csv")
SPEC = {row.parameter: literal(row.default_value) for row in ROWS}
ENABLED = {row.parameter for row in ROWS if row.automl_enabled is Eligibility.SEARCHED}


def searched(**options: Any) -> tuple[set[str], tuple[str, ...]]:
    """Names of what is searched, and the notes."""
    space, notes = build_space(ROWS, SPEC, epochs=10, **options)
    return set(space.names), notes


def refused(**options: Any) -> SpaceError:
    with pytest.raises(SpaceError) as caught:
        searched(**options)
    return caught.value


def one(made: Row, **override: Any) -> Space:
    """The space of one row and a user's range."""
    ranges = {made.parameter: RangeOverride(**override)}
    return build_space([made], {made.parameter: None}, ranges=ranges, epochs=10)[0]


FRUIT = Row("fruit", "categorical", Eligibility.SEARCHED, valid_options=("a", "b", "c"))
RATE = Row("rate", "float", Eligibility.SEARCHED, valid_min=1e-4, valid_max=0.1)


def test_row_020_a_blank_flag_may_be_added() -> None:
    assert searched(add=[WIDTH]) == (ENABLED | {WIDTH}, ())


def test_row_021_what_is_not_eligible_is_refused_with_the_reason() -> None:
    error = refused(add=[PIXELS])
    assert "not eligible, the parameter table says automl_enabled FALSE" in error.message
    assert str(error).startswith("params.csv:")
    assert error.remedy.startswith(f"may be added: {WIDTH}, ")
    assert error.remedy.endswith("; or override disabled parameters")
    names, notes = searched(add=[PIXELS], override_disabled=True)
    assert PIXELS in names
    assert notes == (f"{PIXELS}: added although its table says automl_enabled FALSE: untested",)


@pytest.mark.parametrize("override", [False, True])
def test_row_021_a_list_cannot_be_searched_whatever_its_flag(override: bool) -> None:
    error = refused(add=[MAPPING], override_disabled=override)
    assert error.message.startswith(f"{MAPPING}: not eligible, a parameter of type 'list'")
    unlisted = "dataset_config.data_sources"
    error = refused(add=[unlisted], ineligible=[unlisted], override_disabled=override)
    assert error.message == f"{unlisted}: not eligible to be included in the search space"


def test_row_022_what_is_enabled_already_is_told() -> None:
    told = f"{WEIGHT}: added, but it is already searched"
    assert searched(add=[WEIGHT]) == (ENABLED, (told,))


@pytest.mark.parametrize("option", ["add", "remove"])
def test_row_023_a_misspelt_name_is_refused_with_the_nearest(option: str) -> None:
    error = refused(**{option: ["training_config.regulariser.weight"]})
    assert error.remedy == f"did you mean {WEIGHT!r}?"


def test_row_024_what_is_removed_is_not_searched() -> None:
    assert searched(remove=[WEIGHT]) == (ENABLED - {WEIGHT}, ())
    _, notes = searched(remove=[WIDTH])
    assert notes == (f"{WIDTH}: removed, but it was not searched anyway",)


def test_row_025_of_both_lists_the_added_wins_and_is_told() -> None:
    names, notes = searched(add=[WIDTH, WEIGHT], remove=[WEIGHT, WIDTH])
    assert names == ENABLED | {WIDTH}
    assert sum("add wins as it does in TAO" in note for note in notes) == 2


def test_row_026_the_default_search_is_what_the_table_enables() -> None:
    assert searched() == (ENABLED, ())
    assert WEIGHT in ENABLED
    assert not ENABLED & {WIDTH, MAPPING, PIXELS}


def test_row_034_a_users_range_holds_and_replaces_conditions() -> None:
    assert one(RATE, valid_min=1e-3, valid_max=1e-2).parameters == (
        Float("rate", 1e-3, 1e-2, log=True),
    )
    chosen = one(FRUIT, valid_options=("a", "c"), option_weights=(0.4, 0.1))
    assert chosen.parameters == (Categorical("fruit", ("a", "c"), (0.4, 0.1)),)
    other = Row("decay", "float", Eligibility.SEARCHED, valid_min=1e-4, valid_max=0.1)
    spec = {"rate": 0.01, "decay": 0.001}
    below = {"decay": RangeOverride(depends_on="< rate")}
    space, _ = build_space([RATE, other], spec, ranges=below, epochs=10)
    assert space.parameters[1].conditions == (Condition("<", "rate"),)


@pytest.mark.parametrize(
    ("name", "override", "said"),
    [
        ("rate", {"valid_min": 0.1, "valid_max": 0.01}, "valid_min must be less than valid_max"),
        ("rate", {"valid_min": 0}, "valid_min (0) cannot be less than schema minimum (0.0001)"),
        ("rate", {"valid_max": 1}, "valid_max (1) cannot be greater than schema maximum (0.1)"),
        ("fruit", {"valid_options": ("d",)}, "valid_options ['d'] are not in schema options ["),
        ("fruit", {"option_weights": (1,)}, "option_weights length (1) must match valid_options"),
        ("fruit", {"option_weights": (1, 0, 1)}, "all option_weights must be positive numbers"),
        ("size", {"option_weights": (1,)}, "option_weights provided but no valid_options exist"),
    ],
)
def test_row_034_ranges_are_refused_in_taos_words(
    name: str, override: dict[str, Any], said: str
) -> None:
    size = Row("size", "int", Eligibility.SEARCHED, valid_min=1.0, valid_max=9.0)
    made = next(row for row in (RATE, FRUIT, size) if row.parameter == name)
    with pytest.raises(SpaceError) as caught:
        one(made, **override)
    assert caught.value.message.startswith(f"Validation errors: Parameter {name!r}: {said}")


def test_row_034_a_range_of_nothing_is_refused_in_taos_words() -> None:
    error = refused(ranges={"training_config.x": RangeOverride(valid_min=1)})
    assert "Parameter 'training_config.x' not found in schema" in error.message


def test_row_035_a_weight_of_0_4_is_drawn_four_times_as_often_as_one_of_0_1() -> None:
    space = one(FRUIT, valid_options=("a", "c"), option_weights=(0.4, 0.1))
    draws = np.random.default_rng(0).random((4_000, space.dim))
    drawn = Counter(str(space.decode(point)["fruit"]) for point in draws)
    assert drawn["a"] / drawn["c"] == pytest.approx(4, rel=0.1)
