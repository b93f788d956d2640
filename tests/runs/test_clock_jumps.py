"""Clocks that jump: a run's order, its durations and what is left of it do not depend on them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from itertools import cycle, pairwise
from types import SimpleNamespace
from zoneinfo import ZoneInfo

import pytest

from raytao.report.page.whole import render
from raytao.report.series import improvements
from raytao.runs.eta import remaining
from raytao.runs.events import Event, Finished, Opened, Reported, Resumed, Started
from raytao.runs.log import EventLog, Record, read_log
from raytao.runs.state import RunState
from raytao.runs.store import MemoryStore
from raytao.setup.resolve import resolve_values
from raytao.testing.simulator import LOG_KEY, simulate
from raytao.testing.toy import curve

HOUR = 3600.0
SUMMER_ENDS = datetime(2025, 10, 26, 0, 59, 58, tzinfo=UTC).timestamp()
"""Two seconds before 3 o'clock becomes 2 o'clock in Berlin."""


def steady() -> Iterator[float]:
    at = 1_750_000_000.0
    while True:
        yield at
        at += 1.0


def jumping() -> Iterator[float]:
    for at, jump in zip(steady(), cycle([0.0, HOUR, 0.0, -HOUR, -30.0]), strict=False):
        yield at + jump


def local() -> Iterator[float]:
    """A machine whose wall clock shows local time in the night that summer ends."""
    for second in range(10**6):
        at = SUMMER_ENDS + second
        zone = datetime.fromtimestamp(at, ZoneInfo("Europe/Berlin")).utcoffset()
        assert zone is not None
        yield at + zone.total_seconds()


CLOCKS = [pytest.param(clock, id=clock.__name__) for clock in (steady, jumping, local)]
Clock = Callable[[], Iterator[float]]


@pytest.fixture
def up(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """The clock that never jumps: a quarter of a second an event."""
    clock = SimpleNamespace(now=5000.0)
    monkeypatch.setattr(
        "raytao.runs.log.time", SimpleNamespace(monotonic=lambda: clock.now, time=None)
    )
    return clock


def written(up: SimpleNamespace, clock: Clock) -> list[Record]:
    """A log of two drivers: of 3 epochs, and after a resumption of 2."""
    store, wall = MemoryStore(), clock()
    drivers: list[list[Event]] = [
        [
            Opened({}, "value", "maximize", "0"),
            Started(0, {}, {"epochs": 9}, {"epochs": 9}, "why", "id"),
            *(Reported(0, 1, n, {"value": n / 10, "score": n / 10}, 2.0) for n in (1, 2, 3)),
        ],
        [
            Resumed("host", 1, "0", 2),
            *(Reported(0, 1, n, {"value": n / 10, "score": n / 10}, 2.0) for n in (4, 5)),
        ],
    ]
    for events in drivers:
        known = read_log(store, LOG_KEY)
        size = store.size(LOG_KEY) or 0
        log = EventLog(store, LOG_KEY, next_seq=len(known), size=size, clock=lambda: next(wall))
        for event in events:
            up.now += 0.25
            log.add(event)
        log.commit()
        up.now += 99.0  # between two drivers nobody is at work
    return read_log(store, LOG_KEY)


@pytest.mark.parametrize("clock", CLOCKS)
def test_records_keep_their_order_and_their_drivers_time(
    clock: Clock, up: SimpleNamespace
) -> None:
    records = written(up, clock)
    assert [record.seq for record in records] == list(range(8))
    driven = [RunState.fold(records[: n + 1]).driven for n in range(len(records))]
    assert driven == [0.25 * n for n in range(1, 9)]


@pytest.mark.parametrize("clock", CLOCKS)
def test_what_is_left_is_what_the_epochs_took(clock: Clock, up: SimpleNamespace) -> None:
    plan = resolve_values(
        {"network": "toy", "brain": {"name": "random", "max_recommendations": 1}}, caller="test"
    ).new_brain()
    records = written(up, clock)
    for n in range(1, len(records)):
        left = remaining(RunState.fold(records[:n]), plan.plan(), 1)
        assert left.seconds is None or left.seconds == 2.0 * left.epochs >= 0.0


def test_a_clock_did_jump(up: SimpleNamespace) -> None:
    for clock in (jumping, local):
        times = [record.at for record in written(up, clock)]
        assert any(old > new for old, new in pairwise(times))


@pytest.mark.parametrize("clock", CLOCKS)
def test_charts_and_page_do_not_run_backwards(clock: Clock) -> None:
    setup = resolve_values(
        {
            "network": "toy",
            "brain": {"name": "hyperband", "R": 9, "mode": "sync"},
            "results_dir": "r",
        },
        caller="test",
    )
    run = simulate(setup.new_brain(), curve, workers=3)
    wall = clock()
    events = [setup.opened(), *(r.event for r in read_log(run.store, LOG_KEY)[1:])]
    records = [Record(seq, next(wall), event, up=seq / 4 + 1) for seq, event in enumerate(events)]
    assert isinstance(events[-1], Finished)
    series = improvements(records)
    assert all(old.after < new.after for old, new in pairwise(series))
    page = render(setup, records[:36], datetime(2025, 10, 26, tzinfo=UTC))
    assert "of work" in page
    assert "-1 day" not in page
    early = [Record(record.seq, record.at, record.event) for record in records[:12]]
    assert "of work" not in render(setup, early, datetime(2025, 10, 26, tzinfo=UTC))
