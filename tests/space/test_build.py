from __future__ import annotations

from typing import Any

import pytest

from raytao.errors import SpaceError, Where
from raytao.space import (
    Bool,
    Categorical,
    Condition,
    Eligibility,
    Float,
    Int,
    IntRun,
    Ordered,
    OrderedInt,
    Pair,
    Parameter,
    RangeOverride,
    Row,
    SortedInts,
    Space,
    build_space,
)

SPEC: dict[str, Any] = {
    "lr": 0.0002,
    "wd": 0.0001,
    "momentum": 0.9,
    "n": 8,
    "flag": True,
    "reg": "__L1__",
    "size": 320,
    "freeze": [0],
    "arch": "resnet18",
    "steps": [10, 20],
    "scales": [480, 640],
    "kernel": [9, 9],
    "nothing": None,
}


def row(name: str, value_type: str = "float", enabled: str = "TRUE", **cells: Any) -> Row:
    return Row(name, value_type, Eligibility(enabled), where=Where("t.csv", 2), **cells)


def build(
    *rows: Row, spec: dict[str, Any] = SPEC, **options: Any
) -> tuple[Space, tuple[str, ...]]:
    return build_space(rows, spec, **{"epochs": 25, **options})


def only(made: Row, **options: Any) -> Parameter:
    space, notes = build(made, **options)
    assert notes == ()
    return space.parameters[0]


INF = float("inf")


@pytest.mark.parametrize(
    ("made", "parameter"),
    [
        (row("momentum", valid_min=0.0, valid_max=1.0), Float("momentum", 0.0, 1.0)),
        # 0 … 1 with a default of 2e-4: from default / 100, by magnitude
        (row("lr", valid_min=0.0, valid_max=1.0), Float("lr", 2e-6, 1.0, log=True)),
        (
            row("lr", valid_min=0.0, valid_max=1.0, math_cond="> 0.0"),
            Float("lr", 2e-6, 1.0, log=True),
        ),
        # an infinite maximum: values above the default can be reached
        (row("lr", valid_min=0.0, valid_max=INF), Float("lr", 2e-6, 2e-3, log=True)),
        (row("lr", valid_min=3e-11, valid_max=INF), Float("lr", 3e-11, 2e-3, log=True)),
        (row("lr"), Float("lr", 2e-5, 2e-3, log=True)),
        (row("lr", valid_max=1e-3), Float("lr", 2e-5, 1e-3)),
        (row("lr", valid_min=2e-6, valid_max=1e-3), Float("lr", 2e-6, 1e-3, log=True)),
        (row("lr", valid_min=3e-5, valid_max=9e-5), Float("lr", 3e-5, 9e-5)),
        # open at 0 on a linear scale
        (
            row("momentum", valid_min=0.0, valid_max=1.0, math_cond="> 0"),
            Float("momentum", 1e-6, 1.0),
        ),
        # the table's default where the spec has none
        (row("nothing", default_value="-0.5"), Float("nothing", -5.0, -0.05)),
        (row("n", "int", valid_min=1.0, valid_max=INF), Int("n", 1, 16)),
        (row("n", "integer"), Int("n", 4, 16)),
        (row("n", "int", valid_min=0.0, valid_max=9.0, math_cond="> 0"), Int("n", 1, 9)),
        (
            row("size", "int", valid_min=32.0, valid_max=400.0, math_cond="/ 32"),
            Int("size", 32, 400, multiple_of=32),
        ),
        (
            row("n", "int", valid_min=1.0, valid_max=256.0, math_cond="^ 2"),
            Int("n", 1, 256, power_of=2),
        ),
        (
            row(
                "size",
                "int",
                valid_min=32.0,
                valid_max=384.0,
                math_cond="/ 32",
                valid_options=("256", "384", "300", "512"),
            ),
            OrderedInt("size", (256, 384)),
        ),
        (row("flag", "bool"), Bool("flag")),
        (
            row("reg", "ordered", valid_options=("__NO_REG__", "__L1__")),
            Ordered("reg", ("__NO_REG__", "__L1__")),
        ),
        (
            row("reg", "categorical", valid_options=("1", "2"), option_weights=(0.1, 0.4)),
            Categorical("reg", ("1", "2"), (0.1, 0.4)),
        ),
        (row("n", "categorical", valid_options=("8", "16")), Categorical("n", (8, 16))),
        (row("lr", "ordered", valid_options=("1", "0.5")), Ordered("lr", (1.0, 0.5))),
        (row("n", "ordered_int", valid_options=("16", "8")), OrderedInt("n", (8, 16))),
        (row("freeze", "list_1_backbone", depends_on="arch"), IntRun("freeze", 0, 3)),
        (
            row("freeze", "list_1_normal", valid_min=1.0, valid_max=4.0),
            IntRun("freeze", 1, 4),
        ),
        (row("steps", "list_2"), SortedInts("steps", 1, 25)),
        (row("scales", "list_2"), SortedInts("scales", 540, 1080, multiple_of=16)),
        (
            row("scales", "list_2", math_cond="/ 32", depends_on="size"),
            SortedInts("scales", 160, 320, multiple_of=32),
        ),
        (row("kernel", "list_3"), Pair("kernel", 10, 108)),
        (row("kernel", "list_3", valid_min=3.0, valid_max=9.0), Pair("kernel", 3, 9)),
    ],
)
def test_a_row_becomes_a_parameter(made: Row, parameter: Parameter) -> None:
    assert only(made) == parameter


@pytest.mark.parametrize(
    ("backbone", "low", "high"), [("vgg_16", 1, 5), ("EfficientNet_b0", 0, 7), ("resnet", 0, 3)]
)
def test_blocks_depend_on_the_backbone_of_the_spec(backbone: str, low: int, high: int) -> None:
    made = row("freeze", "list_1_backbone", depends_on="arch")
    assert only(made, spec={**SPEC, "arch": backbone}) == IntRun("freeze", low, high)


def test_a_searched_parent_narrows_its_child() -> None:
    space, _ = build(
        row("wd", valid_min=0.0, valid_max=INF, depends_on="< lr"),
        row("lr", valid_min=0.0, valid_max=INF),
    )
    assert space.names == ("lr", "wd")
    assert space.parameters[1].conditions == (Condition("<", "lr"),)


def test_a_parent_that_is_not_searched_limits_with_its_value_in_the_spec() -> None:
    space, notes = build(row("wd", valid_min=0.0, valid_max=INF, depends_on="< lr"))
    assert notes == ()
    assert dict(space.fixed) == {"lr": 0.0002}
    assert space.decode([1.0]) == {"wd": 0.000199999}


def test_the_relation_may_stand_in_math_cond() -> None:
    made = row(
        "n", "int", valid_min=1.0, valid_max=999.0, math_cond="> depends_on", depends_on="size"
    )
    assert only(made).conditions == (Condition(">", "size"),)


def test_names_with_a_space_are_found_in_relations() -> None:
    spec = {"soft_start ": {"a": 0.1, "b": 0.7}}
    made = row("soft_start .a", valid_min=0.0, valid_max=1.0, depends_on="< soft_start .b")
    assert only(made, spec=spec).conditions == (Condition("<", "soft_start .b"),)


def test_a_range_that_the_user_narrows_keeps_the_scale_of_its_table() -> None:
    wide = row("lr", valid_min=1e-4, valid_max=0.1)
    narrow = {"lr": RangeOverride(valid_min=1e-3, valid_max=0.05)}
    assert only(wide) == Float("lr", 1e-4, 0.1, log=True)
    space, _ = build(wide, ranges=narrow)
    assert space.parameters == (Float("lr", 1e-3, 0.05, log=True),)


@pytest.mark.parametrize("depends_on", ["< absent", "< reg"])
def test_a_dependency_that_cannot_be_kept_is_told(depends_on: str) -> None:
    space, notes = build(row("lr", depends_on=depends_on))
    assert space.parameters[0].conditions == ()
    assert f"its dependency '{depends_on}' is ignored" in notes[0]


def test_activity_follows_the_spec() -> None:
    reg = row("reg", "ordered", valid_options=("__NO_REG__", "__L1__"))
    weight = row("wd", depends_on="reg == __L1__")
    space, _ = build(reg, weight)
    assert space.decode([0.0, 0.5]) == {"reg": "__NO_REG__"}
    space, notes = build(row("lr"), row("wd", depends_on="reg in __L2__,__NO_REG__"))
    assert space.names == ("lr",)
    assert notes == ("wd: not searched, because reg is '__L1__'",)


@pytest.mark.parametrize(
    ("made", "message"),
    [
        (row("nothing"), r"^t\.csv:2: nothing: range required"),
        (row("nothing", default_value="0", valid_min=0.0), "range required: one bound"),
        (row("momentum", valid_min=1.0), "the default 0.9 lies beyond the only bound"),
        (row("freeze", "list_1_normal"), "range required"),
        (row("freeze", "list_1_backbone", depends_on="reg"), "known: resnet, vgg, efficientnet"),
        (row("reg", "ordered"), "no valid_options"),
        (row("n", "ordered_int", valid_options=("a",)), "must be integers"),
        (row("n", "int", math_cond="% 3"), "math_cond '% 3' is not understood"),
        (row("n", "int", math_cond="/ 0"), "is not understood"),
        (row("n", "int", valid_min=33.0, valid_max=63.0, math_cond="/ 32"), "multiples of 32"),
        (row("lr", valid_min=0.0, valid_max=1.0, math_cond="> 2"), "nothing is left"),
    ],
)
def test_a_row_without_a_usable_range_is_refused(made: Row, message: str) -> None:
    with pytest.raises(SpaceError, match=message):
        build(made)


def test_dependencies_in_a_circle_are_named() -> None:
    with pytest.raises(SpaceError, match="circle: lr -> wd -> lr"):
        build(row("lr", depends_on="> wd"), row("wd", depends_on="< lr"))


def test_an_eligible_row_is_searched_on_request() -> None:
    rows = (row("lr"), row("wd", enabled=""))
    assert build(*rows)[0].names == ("lr",)
    assert build(*rows, add=["wd"])[0].names == ("lr", "wd")
    assert build(*rows, add=["wd"], remove=["lr"])[0].names == ("wd",)


def test_a_refused_row_needs_the_override_and_the_error_lists_the_others() -> None:
    rows = (row("lr"), row("wd", enabled="FALSE"), row("momentum", enabled=""))
    with pytest.raises(SpaceError, match=r"wd: not eligible(.|\n)*may be added: momentum;"):
        build(*rows, add=["wd"])
    assert build(*rows, add=["wd"], override_disabled=True)[0].names == ("lr", "wd")
    assert build(*rows, override_disabled=True)[0].names == ("lr",)


def test_a_name_in_both_lists_is_searched_and_told() -> None:
    space, notes = build(row("lr"), row("wd", enabled=""), add=["wd"], remove=["wd"])
    assert space.names == ("lr", "wd")
    assert notes == ("wd: in both lists; searched, because add wins as it does in TAO",)
    space, _ = build(row("lr"), row("wd"), add=["wd"], remove=["wd"])
    assert space.names == ("lr", "wd")


def test_what_the_user_insists_on_is_told() -> None:
    rows = (row("lr"), row("wd", enabled="FALSE"))
    _, notes = build(*rows, add=["wd"], override_disabled=True)
    assert notes == ("wd: added although its table says automl_enabled FALSE: untested",)


def test_many_names_that_may_be_added_are_counted() -> None:
    many = [row(f"p{n}", enabled="") for n in range(15)]
    spec = {**SPEC, **{made.parameter: 0.5 for made in many}}
    with pytest.raises(SpaceError, match="p11 and 3 more"):
        build(row("lr"), row("wd", enabled="FALSE"), *many, spec=spec, add=["wd"])


def test_nothing_is_ignored_in_silence() -> None:
    _, notes = build(
        row("lr"),
        row("gone"),
        row("reg", "string"),
        row("wd", enabled=""),
        add=["lr"],
        remove=["wd"],
        ranges={"wd": RangeOverride(valid_min=0.1)},
    )
    assert set(notes) == {
        "lr: added, but it is already searched",
        "wd: removed, but it was not searched anyway",
        "gone: not searched, because the spec has no such value",
        "reg: not searched, because its type is 'string'",
        "wd: its range override has no effect: not searched",
    }


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"add": ["lrr"]}, "no parameter 'lrr'(.|\n)*did you mean 'lr'"),
        ({"remove": ["lrr"]}, "did you mean 'lr'"),
        ({"add": ["odd"], "ineligible": ["odd"]}, "odd: not eligible(.|\n)*may be added: wd"),
        ({"add": ["reg"]}, "type 'string' cannot be searched"),
        ({"remove": ["lr"]}, "nothing to search"),
    ],
)
def test_a_name_that_cannot_be_used_is_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(SpaceError, match=message):
        build(row("lr"), row("wd", enabled=""), row("reg", "string"), **options)


def test_an_override_narrows_the_range() -> None:
    made = row("momentum", valid_min=0.0, valid_max=1.0)
    narrowed = only(made, ranges={"momentum": RangeOverride(valid_min=0.8, valid_max=0.99)})
    assert narrowed == Float("momentum", 0.8, 0.99)


def test_an_override_chooses_and_weighs_options() -> None:
    made = row("reg", "categorical", valid_options=("a", "b", "c"), option_weights=(1, 1, 1))
    override = RangeOverride(valid_options=("a", "c"), option_weights=(0.4, 0.1))
    assert only(made, ranges={"reg": override}) == Categorical("reg", ("a", "c"), (0.4, 0.1))


@pytest.mark.parametrize(
    ("name", "override", "message"),
    [
        (
            "x",
            RangeOverride(valid_min=1),
            r"^Validation errors: Parameter 'x' not found in schema",
        ),
        ("reg", RangeOverride(valid_min=1), "valid_min has no effect on .* type 'categorical'"),
        ("lr", RangeOverride(valid_options=(1,)), "valid_options has no effect on .* 'float'"),
        ("lr", RangeOverride(math_cond="% 3"), r"math_cond '% 3' is not understood \(write"),
        ("lr", RangeOverride(math_cond="/ 32"), "math_cond '/ 32' has no effect on"),
        ("lr", RangeOverride(math_cond="> depends_on"), "math_cond '> depends_on' needs"),
        ("lr", RangeOverride(depends_on="reg"), "states no relation, such as '< reg'"),
        ("lr", RangeOverride(depends_on="< lr"), "depends_on '< lr' names itself"),
        ("lr", RangeOverride(depends_on="< ler"), r"names no parameter \(did you mean 'lr'"),
        ("lr", RangeOverride(valid_min=0.5, valid_max=0.5), "valid_min must be less than"),
        ("lr", RangeOverride(valid_min=-1), r"\(-1\) cannot be less than schema minimum \(0.0\)"),
        ("lr", RangeOverride(valid_max=2), r"cannot be greater than schema maximum \(1.0\)"),
        ("reg", RangeOverride(valid_options=("z",)), r"\['z'\] are not in schema options"),
        ("n", RangeOverride(option_weights=(1,)), "provided but no valid_options exist"),
        ("reg", RangeOverride(option_weights=(1,)), r"length \(1\) must match .* \(2\)"),
        ("reg", RangeOverride(option_weights=(1, -1)), "must be positive numbers"),
    ],
)
def test_an_override_beyond_the_table_is_refused(
    name: str, override: RangeOverride, message: str
) -> None:
    rows = (
        row("lr", valid_min=0.0, valid_max=1.0),
        row("reg", "categorical", valid_options=("a", "b")),
        row("n", "int"),
    )
    with pytest.raises(SpaceError, match=message):
        build(*rows, ranges={name: override})


def test_an_override_replaces_the_conditions() -> None:
    wd = row("wd", valid_min=0.0, valid_max=1.0, depends_on="> momentum")
    lr = row("lr", valid_min=1e-4, valid_max=1.0)
    space, _ = build(wd, lr, ranges={"wd": RangeOverride(depends_on="< lr")})
    assert space.parameters[1].conditions == (Condition("<", "lr"),)
    assert only(wd, ranges={"wd": RangeOverride(depends_on="")}).conditions == ()
    size = row("size", "int", valid_min=32.0, valid_max=400.0, math_cond="/ 32")
    finer = only(size, ranges={"size": RangeOverride(math_cond="/ 8")})
    assert finer == Int("size", 32, 400, multiple_of=8)
    assert only(size, ranges={"size": RangeOverride(math_cond="")}) == Int("size", 32, 400)


def test_a_condition_may_name_a_value_of_the_spec_alone() -> None:
    n = row("n", "int", valid_min=1.0, valid_max=900.0)
    narrowed = only(n, ranges={"n": RangeOverride(depends_on="<= size")})
    assert narrowed.conditions == (Condition("<=", "size"),)


def test_all_complaints_about_overrides_come_at_once() -> None:
    ranges = {"lr": RangeOverride(valid_min=-1, valid_max=2), "x": RangeOverride()}
    with pytest.raises(SpaceError) as caught:
        build(row("lr", valid_min=0.0, valid_max=1.0), ranges=ranges)
    assert caught.value.message.count(";") == 2
