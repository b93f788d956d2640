from __future__ import annotations

import itertools
import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from raytao.errors import SpaceError
from raytao.space import (
    Bool,
    Categorical,
    Condition,
    Float,
    Int,
    IntRun,
    Ordered,
    OrderedInt,
    Pair,
    Parameter,
    SortedInts,
    Space,
)
from raytao.types import ParamValue

RELATIONS = ("<", "<=", ">", ">=")


@st.composite
def parameters(draw: st.DrawFn, name: str, older: list[Parameter]) -> Parameter:
    low = draw(st.integers(1, 50))
    high = low + draw(st.integers(0, 400))
    step = draw(st.sampled_from([1, 2, 32]))
    conditions: list[Condition] = []
    numbers = [p for p in older if p.comparable]
    choosers = [p for p in older if isinstance(p, Categorical)]
    made: list[Parameter] = [
        Float(name, low / 7, high / 7),
        Float(name, -low / 3, high / 7),
        Float(name, low / 1e5, high * 1.0, log=True),
        Int(name, low, high + step, multiple_of=step),
        Int(name, low, high, log=True),
        Int(name, 1, high + 1, power_of=2),
        OrderedInt(name, (low, high + 1, high + 7), (1, 2, 3)),
        Categorical(name, ("a", 1, True, 0.5), (1, 2, 3, 4)),
        Ordered(name, ("s", "m", "l")),
        Bool(name),
        IntRun(name, low, min(high, low + 9)),
        SortedInts(name, low, high + step, multiple_of=step),
        Pair(name, low, high),
    ]
    parameter = draw(st.sampled_from(made))
    if numbers and parameter.comparable and draw(st.booleans()):
        op: Any = draw(st.sampled_from(RELATIONS))
        conditions.append(Condition(op, draw(st.sampled_from(numbers)).name))
    if choosers and draw(st.integers(0, 3)) == 0:
        target = draw(st.sampled_from(choosers))
        conditions.append(Condition("in", target.name, target.options[:2]))
    return type(parameter)(
        **{k: v for k, v in vars(parameter).items() if k != "conditions"},
        conditions=tuple(conditions),
    )


@st.composite
def spaces(draw: st.DrawFn) -> Space:
    made: list[Parameter] = []
    for i in range(draw(st.integers(1, 6))):
        made.append(draw(parameters(f"p{i}", made)))
    return Space(draw(st.permutations(made)))


def point(draw: st.DrawFn, space: Space) -> np.ndarray[Any, np.dtype[np.float64]]:
    coordinate = st.sampled_from([0.0, 1.0]) | st.floats(0, 1)
    return np.array(draw(st.lists(coordinate, min_size=space.dim, max_size=space.dim)))


@settings(max_examples=150)
@given(data=st.data(), space=spaces())
def test_every_point_decodes_into_the_space_and_back(data: st.DataObject, space: Space) -> None:
    params = space.decode(point(data.draw, space))  # type: ignore[arg-type]
    assert space.contains(params)
    u = space.encode(params)
    assert u.shape == (space.dim,)
    assert np.all((u >= 0) & (u <= 1))
    assert space.decode(u) == params
    assert json.loads(json.dumps(params)) == params


@settings(max_examples=100)
@given(data=st.data(), space=spaces())
def test_relations_hold_wherever_the_range_allows(data: st.DataObject, space: Space) -> None:
    params = space.decode(point(data.draw, space))  # type: ignore[arg-type]
    for parameter in space.parameters:
        for condition in parameter.conditions:
            mine, theirs = params.get(parameter.name), params.get(condition.target)
            if not condition.is_relation or mine is None or theirs is None:
                continue
            assert isinstance(mine, int | float)
            assert isinstance(theirs, int | float)
            assert _holds(mine, condition.op, theirs) or not any(
                _holds(end, condition.op, theirs) for end in _ends(parameter)
            )


def _holds(a: float, op: str, b: float) -> bool:
    return {"<": a < b, "<=": a <= b, ">": a > b, ">=": a >= b}[op]


def _ends(parameter: Parameter) -> tuple[float, float]:
    if isinstance(parameter, Float):
        return parameter.low, parameter.high
    low, high = parameter.decode(np.array([0.0])), parameter.decode(np.array([1.0]))
    assert isinstance(low, int)
    assert isinstance(high, int)
    return low, high


@settings(max_examples=100)
@given(space=spaces())
def test_json_describes_a_space_exactly(space: Space) -> None:
    again = Space.from_json(json.loads(json.dumps(space.to_json())))
    assert again == space
    assert again.columns == space.columns
    assert again.decode(np.full(space.dim, 0.3)) == space.decode(np.full(space.dim, 0.3))


def test_a_child_stays_below_its_sampled_parent() -> None:
    space = Space(
        [
            Float("min_lr", 1e-7, 1.0, log=True, conditions=(Condition("<", "max_lr"),)),
            Float("max_lr", 1e-5, 1.0, log=True),
        ]
    )
    assert space.names == ("max_lr", "min_lr")
    assert space.decode([0.6, 1.0]) == {"max_lr": 0.01, "min_lr": 0.0099999}
    for u in (0.0, 0.3, 1.0):
        drawn = space.decode([u, 1.0])
        assert isinstance(drawn["min_lr"], float)
        assert drawn["min_lr"] < drawn["max_lr"]  # type: ignore[operator]


def test_a_constant_of_the_spec_limits_as_a_parent_does() -> None:
    child = Int("n", 1, 10, conditions=(Condition("<=", "m"),))
    space = Space([child], fixed={"m": 4, "other": "x"})
    assert {space.decode([u])["n"] for u in np.linspace(0, 1, 50)} == {1, 2, 3, 4}
    assert dict(space.fixed) == {"m": 4}
    assert space.size == 4


def test_an_emptied_range_leaves_the_nearest_bound() -> None:
    child = Float("x", 0.1, 1.0, conditions=(Condition("<", "m"),))
    space = Space([child], fixed={"m": 0.05})
    assert space.decode([0.9]) == {"x": 0.1}
    assert space.encode({"x": 0.1}).tolist() == [0.5]


def momentum_space() -> Space:
    return Space(
        [
            Categorical("type", ("adam", "sgd", "lion")),
            Float("momentum", 0.1, 0.9, conditions=(Condition("==", "type", "sgd"),)),
            Float("beta", 0.1, 0.9, conditions=(Condition("in", "type", ("adam", "lion")),)),
            Bool("nesterov", conditions=(Condition("in", "momentum", (0.9,)),)),
        ]
    )


def test_an_inactive_parameter_is_absent_and_encodes_as_the_middle() -> None:
    space = momentum_space()
    assert space.decode([0.0, 0.9, 0.5, 0.9]) == {"type": "adam", "beta": 0.5}
    assert space.decode([0.5, 1.0, 0.5, 0.9]) == {"type": "sgd", "momentum": 0.9, "nesterov": True}
    encoded = space.encode({"type": "adam", "momentum": 0.9, "nesterov": True, "beta": 0.9})
    assert encoded.tolist() == [1 / 6, 0.5, 1.0, 0.5]
    assert not space.contains({"type": "adam", "momentum": 0.9, "beta": 0.9})


def test_columns_say_what_each_coordinate_is() -> None:
    space = Space([Categorical("o", ("a", "b"), (1, 3)), Float("x", 0, 1), IntRun("r", 0, 3)])
    assert [(c.parameter, c.kind, c.options) for c in space.columns] == [
        ("o", "categorical", 2),
        ("x", "numeric", None),
        ("r", "numeric", None),
        ("r", "numeric", None),
    ]
    assert space.columns[0].edges == (0.25, 1.0)


def test_values_outside_are_clipped_and_unknown_names_refused() -> None:
    space = Space([Float("lr", 0.1, 0.5), Int("n", 1, 4)])
    assert space.encode({"lr": 7, "n": -3}).tolist() == [1.0, 0.125]
    assert space.encode({}).tolist() == [0.5, 0.5]
    with pytest.raises(SpaceError, match="did you mean 'lr'"):
        space.encode({"lrr": 0.1})


def test_sampling_needs_only_the_generator() -> None:
    space = momentum_space()
    first = [space.sample(np.random.default_rng(3)) for _ in range(2)]
    assert first[0] == first[1]


@pytest.mark.parametrize("u", [[0.5, 0.5], [1.1], [float("nan")], [-0.1]])
def test_a_point_outside_the_cube_is_refused(u: list[float]) -> None:
    with pytest.raises(ValueError, match=r"shape|outside"):
        Space([Float("x", 0, 1)]).decode(u)


def small_values(space: Space) -> set[str]:
    cells = 40 if space.dim < 3 else 6
    points = itertools.product([(i + 0.5) / cells for i in range(cells)], repeat=space.dim)
    return {json.dumps(space.decode(p), sort_keys=True) for p in points}


@pytest.mark.parametrize(
    "space",
    [
        Space([Int("a", 1, 5), Bool("b")]),
        Space([Int("a", 1, 5), Int("b", 3, 9, conditions=(Condition("<", "a"),))]),
        Space([OrderedInt("a", (2, 4, 8)), Int("b", 1, 9, conditions=(Condition(">=", "a"),))]),
        Space([Bool("a"), Int("b", 1, 3, conditions=(Condition("==", "a", True),))]),
        Space([IntRun("a", 0, 3)]),
        Space(
            [
                Int("a", 1, 3),
                Int("b", 1, 3, conditions=(Condition("<=", "a"),)),
                Int("c", 1, 3, conditions=(Condition(">=", "a"),)),
            ]
        ),
        Space(
            [
                Int("a", 1, 3),
                Int("b", 1, 3, conditions=(Condition("<=", "a"),)),
                Int("c", 1, 3, conditions=(Condition("<=", "b"),)),
            ]
        ),
    ],
)
def test_size_counts_the_distinct_configurations(space: Space) -> None:
    assert space.size == len(small_values(space))


def test_lists_are_counted_without_order() -> None:
    assert Space([SortedInts("s", 1, 2, min_len=1, max_len=2)]).size == 5
    assert Space([Pair("p", 1, 7)]).size == 7


def test_a_continuum_has_no_size() -> None:
    assert Space([Float("x", 0, 1), Bool("b")]).size is None
    assert momentum_space().size is None


def test_the_users_own_values_are_read_from_the_spec() -> None:
    space = Space(
        [
            Float("train.lr", 1e-5, 1e-2),
            Categorical("train.type", ("adam", "sgd")),
            Float("train.momentum", 0, 1, conditions=(Condition("==", "train.type", "sgd"),)),
            Int("train.open", 1, 3),
            Int("train.absent", 1, 3),
        ]
    )
    spec = {"train": {"lr": 1, "type": "adamw", "momentum": 0.9, "open": "???"}}
    assert space.of_spec(spec) == {"train.lr": 1.0, "train.type": "adamw"}
    with pytest.raises(SpaceError, match=r"train\.lr: 'x' in the spec is no number"):
        space.of_spec({"train": {"lr": "x"}})


def a(op: Any, target: str, value: ParamValue | None = None) -> tuple[Condition, ...]:
    return (Condition(op, target, value),)


@pytest.mark.parametrize(
    ("made", "message"),
    [
        ([], "nothing to search"),
        ([Bool("x"), Bool("x")], "given twice"),
        ([Bool("x", conditions=a("==", "y", 1))], "neither searched nor in the spec"),
        ([Bool("x", conditions=a("<", "y")), Int("y", 1, 2)], "only numbers"),
        ([Int("x", 1, 2, conditions=a("<", "y")), Bool("y")], "no number"),
        (
            [
                Int("x", 1, 2, conditions=a("<", "y")),
                Int("y", 1, 2, conditions=a(">", "z")),
                Int("z", 1, 2, conditions=a("<", "x")),
            ],
            "circle: x -> y -> z -> x",
        ),
        ([Int("x", 1, 2, conditions=a("<", "x"))], "circle: x -> x"),
    ],
)
def test_a_space_that_cannot_be_searched_is_refused(made: list[Parameter], message: str) -> None:
    with pytest.raises(SpaceError, match=message):
        Space(made)


def test_an_unknown_kind_in_json_is_refused() -> None:
    with pytest.raises(SpaceError, match="did you mean 'float'"):
        Space.from_json({"parameters": [{"type": "flaot", "name": "x"}], "fixed": {}})


def test_an_unknown_condition_is_refused() -> None:
    with pytest.raises(SpaceError, match="unknown condition '!='"):
        a("!=", "x")
