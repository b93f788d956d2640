"""Views of runs for the tests of pictures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from raytao.brains.base import Plan, PlanRow
from raytao.report.pictures.view import View
from raytao.runs.events import (
    Event,
    Judged,
    Leased,
    Opened,
    Reported,
    Started,
)
from raytao.runs.log import Record
from raytao.runs.state import RunState
from raytao.setup.setup import Setup
from raytao.space import Space


def view_of(setup: Setup, records: Sequence[Record]) -> View:
    """What a run's pictures are drawn from."""
    plan = setup.new_brain().plan()
    return View(RunState.fold(records), records, plan, setup.space, setup.metric)


def ran(
    configurations: Sequence[Mapping[str, Any]],
    values: Sequence[float],
    *,
    space: Space | None = None,
    metric: str = "acc",
    direction: str = "maximize",
) -> View:
    """A run of one epoch a trial, one after the other, a second each."""
    budget = {"epochs": 1}
    sign = 1 if direction == "maximize" else -1
    events: list[Event] = [Opened({}, metric, direction, "1")]
    for number, (params, value) in enumerate(zip(configurations, values, strict=True)):
        events += [
            Started(number, params, budget, budget, "random", "job"),
            Leased(number, number + 1),
            Reported(number, number + 1, 1, {metric: value, "score": sign * value}, 1.0),
            Judged(number, "stop"),
        ]
    return logged(events, Plan((PlanRow(0, 0, len(values), 1),)), space=space, metric=metric)


def logged(
    events: Sequence[Event], plan: Plan, *, space: Space | None = None, metric: str = "acc"
) -> View:
    """A run whose log holds ``events``, a second apart."""
    records = [Record(seq, 1e9 + seq, event, 1.0 + seq) for seq, event in enumerate(events)]
    return View(RunState.fold(records), records, plan, space, metric)
