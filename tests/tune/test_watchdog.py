"""The driver's watchdog, on a clock of ours; on real Ray see test_trial_faults.py."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from raytao.trials.messages import Limits
from raytao.trials.running import BURIAL_SECONDS, LEAVING_SECONDS, WARMING_SECONDS
from raytao.tune.watchdog import LISTENED_SECONDS, MARGIN_SECONDS, Watchdog

pytestmark = [pytest.mark.ray, pytest.mark.filterwarnings("ignore::DeprecationWarning")]


class Bench:
    """A watchdog, one Tune trial on an actor, and time that passes as we say."""

    def __init__(self, limits: Limits, monkeypatch: pytest.MonkeyPatch) -> None:
        self.time = 1000.0
        self.killed: list[str] = []
        self.blamed: list[tuple[str, str]] = []
        monkeypatch.setattr("raytao.tune.watchdog.ray.kill", self.killed.append)
        self.dog = Watchdog(
            limits,
            lambda tune_id, reason: self.blamed.append((tune_id, reason)),
            margin=10.0,
            clock=lambda: self.time,
        )
        self.trial: Any = SimpleNamespace(
            trial_id="t1",
            status="RUNNING",
            temporary_state=SimpleNamespace(ray_actor="actor"),
        )

    def turn(self) -> None:
        self.dog.on_step_end(1, [self.trial])

    def passes(self, seconds: float) -> None:
        for _ in range(round(seconds * 2)):
            self.time += 0.5
            self.turn()

    def tells(self) -> None:
        self.dog.on_trial_result(1, [self.trial], self.trial, {})


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> Bench:
    made = Bench(Limits(idle_seconds=30), monkeypatch)
    made.turn()
    return made


def test_an_actor_that_tells_lives_for_ever(bench: Bench) -> None:
    for _ in range(20):
        bench.tells()
        bench.passes(39)
    assert bench.killed == []


def test_a_silent_actor_is_killed_once_after_the_limit_and_the_margin(bench: Bench) -> None:
    bench.tells()
    bench.passes(40)
    assert bench.killed == []
    bench.passes(60)
    assert bench.killed == ["actor"]
    assert bench.blamed == [("t1", "its worker said nothing for 40 s: given up")]


def test_a_segment_may_take_its_limit_and_the_margin(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench(Limits(seconds=50), monkeypatch)
    bench.turn()
    for _ in range(6):
        bench.tells()
        bench.passes(10)
    assert bench.killed == []
    bench.passes(1)
    assert bench.killed == ["actor"]
    assert "due after 50 s" in bench.blamed[0][1]


def test_warming_up_has_a_limit_of_its_own(bench: Bench) -> None:
    bench.passes(WARMING_SECONDS + 10)
    assert bench.killed == []
    bench.passes(1)
    assert bench.killed == ["actor"]


def test_waiting_for_a_worker_counts_for_nothing(bench: Bench) -> None:
    bench.trial.temporary_state.ray_actor = None
    bench.trial.status = "PENDING"
    bench.passes(3 * WARMING_SECONDS)
    assert bench.killed == []


def test_an_actor_that_does_not_take_its_next_lease_is_given_up(bench: Bench) -> None:
    bench.trial.status = "PENDING"
    bench.passes(WARMING_SECONDS + 11)
    assert bench.killed == ["actor"]


def test_a_trial_that_is_over_is_forgotten(bench: Bench) -> None:
    bench.tells()
    bench.trial.status = "TERMINATED"
    bench.passes(100)
    assert bench.killed == []


def test_time_in_which_the_driver_did_not_listen_does_not_count(bench: Bench) -> None:
    bench.tells()
    bench.time += 10_000
    bench.turn()
    assert bench.killed == []
    bench.passes(40 - LISTENED_SECONDS)
    assert bench.killed == []
    bench.passes(1)
    assert bench.killed == ["actor"]


def test_without_limits_nobody_watches(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench(Limits(), monkeypatch)
    bench.turn()
    bench.tells()
    bench.passes(3 * WARMING_SECONDS)
    assert bench.killed == []


def test_the_margin_leaves_a_supervisor_time_to_bury_its_job() -> None:
    assert MARGIN_SECONDS > BURIAL_SECONDS + LEAVING_SECONDS
