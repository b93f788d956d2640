"""Times of a run: they never fall, and waiting for the next driver is no work."""

from __future__ import annotations

import pytest

from raytao.report.pictures.elapsed import elapsed, moments
from raytao.report.series import improvements
from raytao.runs.events import Event, Leased, Opened, Reported, Resumed, Started
from raytao.runs.log import Record
from raytao.runs.state import RunState

TWO = {"epochs": 2}
EVENTS: list[Event] = [
    Opened({}, "acc", "maximize", "1"),
    Started(0, {}, TWO, TWO, "why", "job"),
    Leased(0, 1),
    Reported(0, 1, 1, {"acc": 0.5, "score": 0.5}, 1.0),
    Resumed("host", 1, "1", 2),
    Leased(0, 2),
    Reported(0, 2, 2, {"acc": 0.7, "score": 0.7}, 1.0),
]


def log(ups: list[float], walls: list[float]) -> list[Record]:
    return [
        Record(seq, wall, event, up)
        for seq, (event, up, wall) in enumerate(zip(EVENTS, ups, walls, strict=True))
    ]


WALLS = [100.0, 101.0, 102.0, 110.0, 90_000.0, 90_001.0, 90_005.0]


def test_the_time_between_two_drivers_is_left_out() -> None:
    records = log([0.1, 1, 2, 10, 0.2, 1, 5], WALLS)
    times = elapsed(records)
    assert times.seconds == (0.1, 1, 2, 10, 10.2, 11, 15)
    assert times.end == RunState.fold(records).driven
    assert not times.by_wall
    assert "interruptions left out" in times.label


def test_a_log_that_knows_no_drivers_clock_has_the_walls_which_never_falls() -> None:
    walls = [100.0, 101.0, 99.0, 110.0, 120.0, 121.0, 125.0]
    times = elapsed(log([0.0] * 7, walls))
    assert times.seconds == (0, 1, 1, 10, 20, 21, 25)
    assert times.by_wall


def test_an_improvement_is_as_old_as_its_report() -> None:
    records = log([0.1, 1, 2, 10, 0.2, 1, 5], WALLS)
    series = improvements(records)
    assert moments(series, records, elapsed(records)) == (10, 15)


@pytest.mark.parametrize(
    ("seconds", "unit"), [(0.1, "seconds"), (149, "seconds"), (150, "minutes"), (1e6, "days")]
)
def test_the_unit_suits_the_length(seconds: float, unit: str) -> None:
    records = log([seconds / 6 * n for n in range(7)], WALLS)
    assert elapsed(records).unit[0] == unit


def test_an_empty_log_has_no_times() -> None:
    assert elapsed([]).end == 0
