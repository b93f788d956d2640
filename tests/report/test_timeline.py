"""The timeline: every epoch lies in a stretch, and no two stretches share a place."""

from __future__ import annotations

from collections.abc import Callable
from itertools import groupby, pairwise

import pytest

from raytao.brains.base import Plan, PlanRow
from raytao.report.pictures.elapsed import elapsed
from raytao.report.pictures.stretches import End, stretches
from raytao.report.pictures.timeline import MOST_BARS, Levels, timeline
from raytao.runs.events import (
    Broke,
    Event,
    Judged,
    Leased,
    Lost,
    Opened,
    Placed,
    Reported,
    Resumed,
    Retried,
    Returned,
    Started,
)
from raytao.runs.log import Record
from raytao.setup.setup import Setup
from tests.report.picture_views import logged, ran, view_of

MakeRun = Callable[..., tuple[Setup, list[Record]]]
PLAN = Plan((PlanRow(0, 0, 1, 4),))
FOUR = {"epochs": 4}
OPENED = Opened({}, "acc", "maximize", "1")


def sometimes(trial: int, epoch: int) -> bool:
    return trial % 3 == 1 and epoch == 2


def report(attempt: int, epoch: int) -> Reported:
    return Reported(0, attempt, epoch, {"acc": 0.5, "score": 0.5}, 1.0)


def ends(*events: Event) -> list[tuple[End, float, float]]:
    """How the stretches of trial 0 ended; records are a second apart, the first is at second 1."""
    view = logged([OPENED, Started(0, {}, FOUR, FOUR, "why", "job"), *events], PLAN)
    return [(one.how, one.begin, one.end) for one in stretches(view.records, view.elapsed)]


@pytest.mark.parametrize("mode", ["sync", "async"])
def test_every_epoch_lies_in_a_stretch_of_its_trial(make_run: MakeRun, mode: str) -> None:
    brain = f"{{name: hyperband, R: 9, nu: 3, epoch_multiplier: 1, mode: {mode}}}"
    _, records = make_run(brain, fails=sometimes)
    times = elapsed(records)
    found = stretches(records, times)
    for record, at in zip(records, times.seconds, strict=True):
        event = record.event
        if isinstance(event, Reported):
            there = [s for s in found if s.trial == event.trial and s.begin <= at <= s.end]
            assert there, event
            assert event.epoch <= there[0].budget


def test_stretches_of_a_lane_never_overlap_and_lanes_are_as_few_as_workers(
    make_run: MakeRun,
) -> None:
    _, records = make_run(fails=sometimes)
    found = stretches(records, elapsed(records))
    ordered = sorted(found, key=lambda one: (one.node, one.lane, one.begin))
    for _, lane in groupby(ordered, key=lambda one: (one.node, one.lane)):
        assert all(old.end <= new.begin for old, new in pairwise(lane))
    assert {one.lane for one in found} == {0, 1, 2}  # the simulator's workers


def test_how_a_stretch_ended_is_what_the_log_says() -> None:
    lease = Leased(0, 1)
    assert ends(lease, report(1, 1), Judged(0, "stop")) == [(End.JUDGED, 3, 5)]
    assert ends(lease, Broke(0, 1, "error", "why")) == [(End.FAILED, 3, 4)]
    assert ends(lease, Lost(0, 1, "gone")) == [(End.LOST, 3, 4)]
    assert ends(lease, Retried(0, 1, "error", "why")) == [(End.RETRIED, 3, 4)]
    assert ends(lease, Returned(0, 1)) == [(End.RETURNED, 3, 4)]
    assert ends(lease, report(1, 1)) == [(End.OPEN, 3, 4)]


def test_a_driver_that_went_ends_what_it_held_before_the_next_one_began() -> None:
    lease, back = Leased(0, 1), Resumed("host", 1, "1", 2)
    again = (report(1, 1), back, Leased(0, 2), report(2, 2), Judged(0, "stop"))
    assert ends(lease, *again) == [(End.LOST, 3, 4), (End.JUDGED, 6, 8)]


def test_lanes_are_of_a_node() -> None:
    events: list[Event] = [OPENED]
    for trial, node in enumerate(("b", "a")):
        events += [
            Started(trial, {}, FOUR, FOUR, "why", "job"),
            Leased(trial, trial + 1),
            Placed(trial, trial + 1, node, 1, 1.0, 0.0),
        ]
    view = logged(events, PLAN)
    places = [(one.node, one.lane) for one in stretches(view.records, view.elapsed)]
    assert places == [("b", 0), ("a", 0)]
    figure, _ = timeline(view)
    assert figure is not None
    names = [label.get_text() for label in figure.axes[0].get_yticklabels()]
    assert names == ["a slot 1", "b slot 1"]


def test_very_many_stretches_are_told_by_their_number() -> None:
    few, caption = timeline(ran([{}] * 20, [0.5] * 20))
    many, told = timeline(ran([{}] * (MOST_BARS + 1), [0.5] * (MOST_BARS + 1)))
    assert few is not None
    assert many is not None
    assert few.axes[0].get_ylabel() == ""
    assert many.axes[0].get_ylabel() == "slots busy"
    assert "20 recommendations trained in 20 stretches on 1 slot" in caption
    assert f"{MOST_BARS + 1} recommendations" in told


def test_a_further_budget_is_thicker_and_never_less_dark(make_run: MakeRun) -> None:
    setup, records = make_run()
    view = view_of(setup, records)
    found = stretches(view.records, view.elapsed)
    levels = Levels(found)
    names = [levels.name(n) for n in range(levels.count)]
    assert names == ["to epoch 1", "to epoch 3", "to epoch 9"]
    heights = [levels.height(n) for n in range(levels.count)]
    assert heights == sorted(set(heights))
    assert all(levels.name(levels.of(one)) == f"to epoch {one.budget}" for one in found)
    joined = Levels(found, most=2)
    assert joined.name(joined.count - 1) == "further, to epoch 9 at most"
    assert {joined.of(one) for one in found if one.budget > 1} == {1}
