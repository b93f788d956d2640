"""The block of a notebook: it shows any state, and whatever names hold shows as text."""

from __future__ import annotations

import pytest

from raytao.brains.base import Plan, PlanRow
from raytao.report.live.block import block, block_text
from raytao.runs import events
from raytao.runs.eta import Remaining
from raytao.runs.events import Broke, Event, Judged, Leased, Opened, Reported, Started
from raytao.runs.log import Record
from raytao.runs.state import RunState

PLAN = Plan((PlanRow(0, 0, 3, 1),))
LEFT = Remaining(epochs=1, seconds=None, epoch_seconds=None)
MARKUP = "<script>alert(1)</script>"


def drawn(*events: Event, metric: str = "acc") -> str:
    records = [Record(0, 0.0, Opened({}, metric, "maximize", "1"))]
    records += [Record(n, 0.0, event) for n, event in enumerate(events, start=1)]
    return block("a title", "a place", "Running", RunState.fold(records), LEFT, PLAN)


def trial(number: int, value: float, why: str = "random", metric: str = "acc") -> list[Event]:
    budget = {"epochs": 1}
    return [
        Started(number, {"x": MARKUP}, budget, budget, why, "job"),
        Leased(number, 1),
        Reported(number, 1, 1, {metric: value, "score": value}, 0.1),
        Judged(number, "stop"),
    ]


def failed(number: int, reason: str) -> list[Event]:
    budget = {"epochs": 1}
    begun = Started(number, {}, budget, budget, "random", "job")
    return [begun, Leased(number, 1), Broke(number, 1, "error", reason)]


def test_markup_in_a_reason_or_a_metric_shows_as_text() -> None:
    page = drawn(*trial(0, 0.5, MARKUP, MARKUP), *failed(1, MARKUP), metric=MARKUP)
    assert "<script" not in page
    assert "&lt;script&gt;" in page


@pytest.mark.parametrize(
    "events",
    [
        [],
        trial(0, 0.5),
        [*trial(0, 0.5), *trial(1, 0.5)],
        failed(0, "no memory"),
        [event for n in range(30) for event in trial(n, n / 30)],
    ],
    ids=["none", "one", "equal", "failed", "many"],
)
def test_every_state_is_drawn(events: list[Event]) -> None:
    page = drawn(*events)
    assert page.count("<div") == page.count("</div>")
    assert "a title" in page


def test_the_test_set_s_numbers_are_shown_with_the_model_that_they_are_of() -> None:
    measured = events.Tested(0, 1, {"test_acc": 0.25})
    assert "test_acc 0.25" in drawn(*trial(0, 0.5), measured)
    assert "test_acc" not in drawn(*trial(0, 0.5), measured, *trial(1, 0.6))


def test_brackets_show_how_far_they_have_filled() -> None:
    plan = Plan((PlanRow(0, 0, 3, 1), PlanRow(0, 1, 1, 3)))
    events: list[Event] = [
        Opened({}, "acc", "maximize", "1"),
        Started(0, {}, {"epochs": 1}, {"epochs": 3}, "random", "job"),
        Leased(0, 1),
        Reported(0, 1, 1, {"acc": 0.5, "score": 0.5}, 0.1),
        Judged(0, "pause"),
    ]
    state = RunState.fold(Record(n, 0.0, event) for n, event in enumerate(events))
    page = block("a title", "a place", "Running", state, LEFT, plan)
    assert "1/3 at epoch 1" in page
    assert "0/1 at epoch 3" in page


def test_the_block_stays_small_however_many_trials_there_are() -> None:
    events = [event for n in range(3_000) for event in trial(n, n / 3_000)]
    page = drawn(*events)
    assert len(page) < 40_000
    assert "3000 trials" in page


def test_a_diverged_value_is_short_and_leaves_the_sparkline_its_shape() -> None:
    events = [event for n in range(6) for event in trial(n, 0.5 + n / 100)]
    page = drawn(*events, *trial(6, -1e30))
    assert "-1e+30" in page
    assert "e+29" not in page.replace("-1e+30", "")
    line = page.partition('points="')[2].partition('"')[0]
    assert len({point.partition(",")[2] for point in line.split()}) >= 6


def test_without_html_the_block_is_one_line() -> None:
    state = RunState.fold(
        [Record(0, 0.0, Opened({}, "acc", "maximize", "1"))]
        + [Record(n, 0.0, event) for n, event in enumerate(trial(0, 0.5), start=1)]
    )
    said = block_text("a title", "Running", state, PLAN)
    assert said == ("a title: Running, 1 of 3 recommendations, 1 of 3 epochs; best acc 0.5000")


def test_a_trial_that_nobody_trains_now_is_interrupted() -> None:
    state = RunState.fold(
        [Record(0, 0.0, Opened({}, "acc", "maximize", "1"))]
        + [Record(n, 0.0, event) for n, event in enumerate(trial(0, 0.5)[:3], start=1)]
    )
    left = block("a title", "a place", "Interrupted", state, LEFT, PLAN, driven=False)
    assert '<tr title="interrupted"' in left
    assert "▶" not in left
    assert '<tr title="running"' in block("a title", "a place", "Running", state, LEFT, PLAN)
