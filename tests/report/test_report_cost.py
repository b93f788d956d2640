"""What a run has cost: times by its drivers' clocks, GPUs as they were placed, money if priced."""

from __future__ import annotations

import math

import pytest

from raytao.errors import SettingsError
from raytao.report.page.cost import Cost, Price, cost_facts, cost_of, money
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
)
from raytao.runs.log import Record
from raytao.runs.state import RunState

OPENED = Opened({}, "value", "maximize", "1.0")
HOUR = 3600.0
Told = tuple[float, Event]
"""When, by its driver's clock, and what."""


def log(*events: Told) -> list[Record]:
    return [Record(seq, 1e9, event, up) for seq, (up, event) in enumerate(events)]


def placed(trial: int, *, gpus: float = 1.0) -> Placed:
    return Placed(trial, 1, "node", 7, 2.0, gpus)


def reported(trial: int, seconds: float, epoch: int = 1) -> Reported:
    return Reported(trial, 1, epoch, {"value": 0.5}, seconds)


def test_a_trial_holds_its_gpus_from_its_place_to_its_verdict() -> None:
    cost = cost_of(
        log(
            (0, OPENED),
            (1, Leased(0, 1)),
            (10, placed(0, gpus=0.5)),
            (30, reported(0, 15)),
            (40, Judged(0, "pause")),
            (90, Judged(1, "stop")),
        )
    )
    assert cost == Cost(30, 15, 60, 15, 7.5, 90)


def test_a_place_that_is_told_with_its_first_epoch_was_held_while_that_trained() -> None:
    events: list[Told] = [(0, OPENED), (1, Leased(0, 1)), (20, placed(0)), (20, reported(0, 12))]
    assert cost_of(log(*events, (21, Judged(0, "stop")))).gpus == 13
    # Clocks of two machines: no epoch began before its trial was leased.
    long: list[Told] = [*events[:3], (20, reported(0, 100))]
    assert cost_of(log(*long, (21, Judged(0, "stop")))).gpus == 20


@pytest.mark.parametrize(
    "end", [Broke(0, 1, "error", "no"), Lost(0, 1, "gone"), Judged(1, "pause", retire=[0])]
)
def test_whatever_ends_a_trial_frees_its_gpus(end: Event) -> None:
    begun: list[Told] = [(0, OPENED), (0, Leased(0, 1)), (5, placed(0))]
    assert cost_of(log(*begun, (9, end), (50, Leased(1, 1)))).gpus == 4


def test_a_verdict_to_continue_frees_nothing() -> None:
    begun: list[Told] = [(0, OPENED), (0, Leased(0, 1)), (5, placed(0))]
    assert cost_of(log(*begun, (9, Judged(0, "continue")), (25, reported(1, 1)))).gpus == 20


def test_nothing_is_counted_between_two_drivers() -> None:
    cost = cost_of(
        log(
            (0, OPENED),
            (0, Leased(0, 1)),
            (10, placed(0)),
            (30, reported(0, 5)),
            (2, Resumed("host", 1, "1.0")),
            (4, Leased(0, 2)),
            (6, placed(0)),
            (8, Judged(0, "stop")),
        )
    )
    assert cost.gpus == 20 + 2
    assert cost.driven == 30 + 8


def test_what_goes_on_counts_as_far_as_the_log_has_come() -> None:
    begun: list[Told] = [(0, OPENED), (0, Leased(0, 1)), (5, placed(0)), (25, reported(0, 3))]
    assert cost_of(log(*begun)).held == 20


def test_an_empty_log_cost_nothing() -> None:
    assert cost_of([]) == Cost()


def told(cost: Cost | None, price: float | None = None) -> dict[str, str]:
    return dict(cost_facts(RunState(), cost, None if price is None else Price(price)))


def test_money_is_gpu_hours_times_their_price() -> None:
    cost = Cost(held=8 * HOUR, trained=6 * HOUR, gpus=4 * HOUR, gpus_trained=3 * HOUR, driven=60)
    said = told(cost, 2.5)
    assert said["Price"] == "10.00 at 2.5 a GPU hour; 7.50 of it for epochs"
    assert said["GPU time"] == "4.00 h; 3.00 h of it in epochs"
    assert "Price" not in told(cost)
    assert money(4 * HOUR, Price(0)) == "0.0000"


def test_without_gpus_there_is_no_price_and_without_a_clock_no_time() -> None:
    said = told(Cost(held=50, cpus=100, driven=60), 2.5)
    assert said["GPU time"] == "none: no trial was given a GPU"
    assert said["CPU time"] == "0:01:40"
    assert "Price" not in said
    for unknown in (None, Cost(trained=50)):
        assert told(unknown)["Time"] == "not known: nothing tells when its trials ran"


@pytest.mark.parametrize("price", [-0.01, math.nan, math.inf])
def test_what_is_no_price_is_refused(price: float) -> None:
    with pytest.raises(SettingsError, match="must be 0 or more"):
        Price(price)
