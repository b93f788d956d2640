"""Pictures over parameters: where a value lies, who is drawn, and what is told apart."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.figure import Figure

from raytao.report.pictures.important import important
from raytao.report.pictures.parallel import APART, LINES, parallel
from raytao.report.pictures.scales import Numbers, Options, scale_of
from raytao.report.pictures.slices import slices
from raytao.report.pictures.tried import sampled, tries
from raytao.space import Bool, Categorical, Float, Int, Ordered, Parameter, Space
from raytao.space.conditions import Condition
from tests.report.picture_views import ran

SPACE = Space(
    [
        Float("lr", 1e-4, 1e-1, log=True),
        Categorical("kind", ("sgd", "adam")),
        Float("momentum", 0.0, 1.0, conditions=(Condition("==", "kind", "sgd"),)),
    ]
)


def tried(count: int) -> list[dict[str, Any]]:
    rng = np.random.default_rng(0)
    return [dict(SPACE.sample(rng)) for _ in range(count)]


def line(figure: Figure, label: str) -> np.ndarray[Any, np.dtype[np.float64]]:
    (found,) = [one for one in figure.axes[0].lines if one.get_label() == label]
    return np.asarray(found.get_ydata(), dtype=np.float64)


@settings(max_examples=50)
@given(st.floats(1e-300, 1e300), st.floats(1e-300, 1e300), st.booleans(), st.data())
def test_places_keep_the_order_of_numbers(a: float, b: float, log: bool, data: Any) -> None:
    scale = Numbers(min(a, b), max(a, b), log=log)
    inside = st.floats(min(a, b), max(a, b))
    values = sorted(data.draw(st.lists(inside, min_size=2, max_size=5)))
    places = [scale.place(value) for value in values]
    assert all(place is not None and 0 <= place <= 1 for place in places)
    assert all(old <= new for old, new in pairwise([p for p in places if p is not None]))
    assert [at for at, _ in scale.ticks] == sorted(at for at, _ in scale.ticks)


@pytest.mark.parametrize("value", [math.nan, math.inf, -1.0, 0.0, 2.0, "x", None, True, [1]])
def test_a_log_axis_has_no_place_for_what_is_not_on_it(value: Any) -> None:
    assert Numbers(1e-3, 1.0, log=True).place(value) is None


def test_every_option_has_a_place_of_its_own_in_the_order_of_the_space() -> None:
    given: list[tuple[Parameter, list[Any]]] = [
        (Categorical("c", ("b", "a", 3)), ["b", "a", 3]),
        (Ordered("o", (16, 32, 64)), [16, 32, 64]),
        (Bool("flag"), [False, True]),
    ]
    for parameter, options in given:
        scale = scale_of(parameter, [])
        places = [scale.place(option) for option in options]
        assert isinstance(scale, Options)
        assert None not in places
        assert places == sorted(set(places), key=lambda place: place or 0.0)


def test_an_axis_holds_the_users_own_value_beyond_the_range() -> None:
    assert scale_of(Float("lr", 0.1, 0.2), [0.15, 0.9]).place(0.9) == 1.0
    assert scale_of(Int("n", 1, 4), [9]).place(9) == 1.0
    assert scale_of(Categorical("c", ("a", "b")), ["z"]).place("z") is not None


def test_values_of_which_nothing_is_known_get_an_axis_too() -> None:
    wide = scale_of(None, [1e-4, 1e-1])
    assert isinstance(wide, Numbers)
    assert wide.log
    assert isinstance(scale_of(None, [[3, 5], [5, 7]]), Options)
    assert isinstance(scale_of(None, []), Options)


def test_axes_come_in_the_order_of_the_space_and_the_metric_last() -> None:
    figure, _ = parallel(ran(tried(5), [0.1, 0.2, 0.3, 0.4, 0.5], space=SPACE))
    assert figure is not None
    heads = [text for text in figure.axes[0].texts if text.get_position()[1] > 1]
    ordered = sorted(heads, key=lambda text: text.get_position()[0])
    names = [text.get_text().partition("\n")[0] for text in ordered]
    assert names == [*SPACE.names, "acc"]


def test_the_best_line_goes_through_the_best_ones_own_values() -> None:
    configurations = tried(8)
    view = ran(configurations, [0.1 * n for n in range(8)], space=SPACE)
    figure, caption = parallel(view)
    assert figure is not None
    best = line(figure, "best (#7)")[:-1]  # the last point lifts the pen
    lr = scale_of(SPACE.parameters[0], []).place(configurations[7]["lr"])
    assert best[0] == pytest.approx(lr)
    assert best[-1] == 1.0
    assert "recommendation 7" in caption


def test_what_is_not_set_is_drawn_apart() -> None:
    without = [{"lr": 0.01, "kind": "adam"}] * 3
    figure, _ = parallel(
        ran([*without, {"lr": 0.01, "kind": "sgd", "momentum": 0.5}], [1, 2, 3, 0])
    )
    assert figure is not None
    assert line(figure, "best (#2)")[2] == pytest.approx(APART, abs=0.04)
    said = [text.get_text() for text in figure.axes[0].texts]
    assert said.count("not set") == 1


def test_of_very_many_lines_the_best_are_drawn_and_the_users_own() -> None:
    count = 4 * LINES
    view = ran(tried(count), [n / count for n in range(count)], space=SPACE)
    found = tries(view)
    drawn = sampled(found, LINES, own=0)
    assert len(drawn) <= LINES + 1
    assert drawn[:10] == found[:10]
    assert drawn[-1].trial == 0
    _, caption = parallel(view)
    assert f"of {count} recommendations" in caption


@pytest.mark.parametrize("direction", ["maximize", "minimize"])
def test_a_diverged_value_lies_beyond_the_worse_end(direction: str) -> None:
    worst = -1e30 if direction == "maximize" else 1e30
    values = [0.5 + 0.01 * n for n in range(12)] + [worst]
    figure, _ = slices(ran(tried(13), values, space=SPACE, direction=direction))
    assert figure is not None
    axis = figure.axes[0].yaxis
    labels = {tick.get_text(): tick.get_position()[1] for tick in axis.get_ticklabels()}
    assert (labels["far worse"] < 0) == (direction == "maximize")


def test_the_caption_of_slices_tells_where_the_best_lie() -> None:
    configurations = [{"lr": 10.0 ** -(1 + n % 4), "kind": "adam"} for n in range(40)]
    values = [1.0 if one["lr"] == 0.01 else 0.1 for one in configurations]
    _, caption = slices(ran(configurations, values, space=SPACE))
    assert "lr 0.01 to 0.01" in caption
    assert "kind adam (4 of 4)" in caption


def test_importance_names_the_parameter_that_decides_and_is_refused_below_ten() -> None:
    configurations = tried(40)
    values = [math.log10(one["lr"]) for one in configurations]
    figure, caption = important(ran(configurations, values, space=SPACE))
    assert figure is not None
    assert caption.startswith(("Alone: lr 9", "Alone: lr 100"))
    assert figure.axes[0].get_yticklabels()[0].get_text() == "lr"
    nothing, why = important(ran(configurations[:9], values[:9], space=SPACE))
    assert nothing is None
    assert "10" in why
