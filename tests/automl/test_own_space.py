"""``space={…}``: every short form means the parameter that a reader would guess."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ray import tune

from raytao.automl.spaces import read_space
from raytao.errors import SpaceError
from raytao.space import Bool, Categorical, Float, Int, Ordered, Parameter

FORMS = [
    ((0.0, 1.0), Float("p", 0.0, 1.0)),
    ((0, 1.0), Float("p", 0.0, 1.0)),
    ((1e-4, 1e-1), Float("p", 1e-4, 1e-1, log=True)),
    ((0.01, 1.0), Float("p", 0.01, 1.0)),
    ((1, 8), Int("p", 1, 8)),
    ((1, 1024), Int("p", 1, 1024, log=True)),
    (["sgd", "adamw"], Categorical("p", ("sgd", "adamw"))),
    ([16, 32, 64], Ordered("p", (16, 32, 64))),
    ([64, 32, 16], Ordered("p", (16, 32, 64))),
    ([16, 64, 32], Categorical("p", (16, 64, 32))),
    ([0.1, 1], Ordered("p", (0.1, 1.0))),
    ([True, False], Bool("p")),
    (Int("other", 2, 6), Int("p", 2, 6)),
    (tune.uniform(0, 0.5), Float("p", 0.0, 0.5)),
    (tune.loguniform(1e-4, 1e-1), Float("p", 1e-4, 1e-1, log=True)),
    (tune.randint(1, 4), Int("p", 1, 3)),
    (tune.choice(["a", "b"]), Categorical("p", ("a", "b"))),
    (tune.choice([1, 2, 4]), Ordered("p", (1, 2, 4))),
    (tune.quniform(0, 0.5, 0.1), Ordered("p", (0.0, 0.1, 0.2, 0.3, 0.4, 0.5))),
]


@pytest.mark.parametrize(("written", "meant"), FORMS)
def test_a_short_form_means_its_parameter(written: Any, meant: Parameter) -> None:
    assert read_space({"p": written}).parameters == (meant,)


@pytest.mark.parametrize(
    "written",
    [
        0.1,
        "adam",
        None,
        [],
        [1, "a"],
        [object()],
        ["a", "a"],
        (1, 2, 3),
        ("a", "b"),
        (2.0, 1.0),
        (float("nan"), 1.0),
        (0.0, float("inf")),
        tune.quniform(0, 1, 1e-6),
        tune.randn(0, 1),
    ],
)
def test_what_cannot_be_searched_is_refused_by_name(written: Any) -> None:
    with pytest.raises(SpaceError) as refused:
        read_space({"width": written})
    assert "width" in str(refused.value)


@pytest.mark.parametrize("space", [{}, None, [("lr", (0, 1))]])
def test_a_space_is_a_mapping_of_something(space: Any) -> None:
    with pytest.raises(SpaceError, match="mapping of at least one name"):
        read_space(space)


@pytest.mark.parametrize("name", ["", " lr", 3])
def test_a_name_is_a_word(name: Any) -> None:
    with pytest.raises(SpaceError, match="no name"):
        read_space({name: (0.0, 1.0)})


@given(low=st.floats(1e-6, 1e3), factor=st.floats(1.001, 1e6))
def test_a_range_goes_by_magnitude_if_it_spans_more_than_two_decades(
    low: float, factor: float
) -> None:
    (parameter,) = read_space({"p": (low, low * factor)}).parameters
    assert isinstance(parameter, Float)
    assert parameter.log == (low * factor / low > 100)
