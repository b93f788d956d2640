"""The time that is left, beside the time that was: runs in virtual time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from statistics import fmean
from types import SimpleNamespace

import numpy as np
import pytest

from raytao.brains.base import Brain, Plan, Task
from raytao.brains.full import FullLengthSettings
from raytao.brains.hyperband import Hyperband, HyperbandSettings
from raytao.brains.random import Random
from raytao.runs.controller import Lease
from raytao.runs.eta import remaining, segment
from raytao.runs.events import Event, Judged, Leased, Opened, Reported, Started
from raytao.runs.log import Record, read_log
from raytao.runs.opening import open_run
from raytao.runs.state import RunState
from raytao.runs.store import MemoryStore
from raytao.space import Float, Space
from raytao.testing.objectives import LearningCurves
from raytao.testing.simulator import LOG_KEY, Cluster, Functions
from raytao.trials.folder import Resumed
from raytao.trials.messages import EpochDone

SPACE = Space([Float("lr", 1e-4, 1e-1, log=True), Float("momentum", 0.0, 0.99)])
SLOTS = 4
EPOCH, START, WARMUP, GAP = 10.0, 20.0, 2.0, 1.5
"""Seconds: of a typical epoch, and of what comes with it."""

ALMOST = 0.25
"""How far the estimate may be off after the first rung, as a share of what is left …"""
NEARLY_ALWAYS = 0.9
"""… in so many of all reports of a run; …"""
NEVER = 0.45
"""… and how far it never is, until a tenth of the run is left."""


@dataclass(frozen=True)
class Uneven(Functions):
    """Workers whose epochs take as long as their configuration is wide."""

    seed: int = 0
    firsts: dict[int, int] = field(default_factory=dict)

    def begin(self, lease: Lease) -> Resumed:
        self.firsts[lease.trial] = lease.reported_epoch + 1
        return super().begin(lease)

    def train(self, lease: Lease, epoch: int, seconds: float) -> EpochDone:
        value = {"value": self.objective(lease.params, epoch)}
        return EpochDone(epoch, value, self.told(lease.trial, epoch))

    def told(self, trial: int, epoch: int) -> float:
        """What the trial says that its epoch took."""
        width = np.random.default_rng([self.seed, trial]).lognormal(0.0, 0.3)
        jitter = np.random.default_rng([self.seed, trial, epoch]).normal(1.0, 0.05)
        return float(EPOCH * width * jitter) + WARMUP * (self.firsts[trial] == epoch)

    def seconds(self, trial: int, epoch: int) -> float:
        """What it took in truth."""
        return self.told(trial, epoch) + GAP + START * (self.firsts[trial] == epoch)


def hyperband(seed: int) -> Brain:
    chosen = HyperbandSettings(R=27, nu=3, epoch_multiplier=1, mode="sync")
    return Hyperband(Task(SPACE, 27, seed=seed), chosen)


def full(seed: int) -> Brain:
    return Random(Task(SPACE, 9, seed=seed), FullLengthSettings(max_recommendations=24))


@pytest.fixture
def logged(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """Runs brains; their logs have the virtual clock's time."""

    def run(brain: Brain, seed: int) -> tuple[list[Record], Plan]:
        store, workers = MemoryStore(), Uneven(LearningCurves(SPACE), seed=seed)
        opened = Opened({}, "value", "maximize", "1.0")
        monkeypatch.setattr(
            "raytao.runs.log.time", SimpleNamespace(monotonic=lambda: 0.0, time=lambda: 0.0)
        )
        controller = open_run(store, LOG_KEY, brain, opened, slots=SLOTS)
        cluster = Cluster(controller, workers, seconds=workers.seconds)
        ticking = SimpleNamespace(monotonic=lambda: cluster.now, time=lambda: 0.0)
        monkeypatch.setattr("raytao.runs.log.time", ticking)
        cluster.run()
        controller.finish()
        return read_log(store, LOG_KEY), brain.plan()

    return SimpleNamespace(run=run)


def told(records: list[Record], plan: Plan) -> Iterator[tuple[RunState, float, float]]:
    """State, estimate and truth after every record, from the first epoch to the end."""
    state, end = RunState(), records[-1].up
    for record in records:
        state.take(record)
        left = remaining(state, plan, SLOTS)
        assert (left.seconds is None) == (state.epochs == 0)
        if left.seconds is not None and state.finished is None:
            assert left.seconds >= 0.0
            yield state, left.seconds, end - record.up


@pytest.mark.parametrize("seed", range(6))
def test_after_the_first_rung_the_estimate_is_right_to_a_quarter(
    logged: SimpleNamespace, seed: int
) -> None:
    records, plan = logged.run(hyperband(seed), seed)
    end, errors = records[-1].up, []
    for state, estimate, truth in told(records, plan):
        first_rung_is_over = state.pace.arrived[1, 1] == 27
        if first_rung_is_over and truth > end / 10:
            errors.append(abs(estimate - truth) / truth)
    assert len(errors) > 100
    assert max(errors) < NEVER
    assert fmean(error < ALMOST for error in errors) > NEARLY_ALWAYS


@pytest.mark.parametrize("seed", range(3))
def test_a_plan_without_rungs_is_right_to_a_third_from_half_way_on(
    logged: SimpleNamespace, seed: int
) -> None:
    records, plan = logged.run(full(seed), seed)
    end = records[-1].up
    for _, estimate, truth in told(records, plan):
        if end / 10 < truth < end / 2:
            assert estimate == pytest.approx(truth, rel=0.33)


def test_starts_warm_ups_and_checkpoints_are_learned_from_the_log(
    logged: SimpleNamespace,
) -> None:
    records, _ = logged.run(hyperband(0), 0)
    pace = RunState.fold(records).pace
    assert pace.start == pytest.approx(START + GAP, abs=0.1)
    assert pace.gap == pytest.approx(GAP, abs=0.1)
    assert pace.warmup == pytest.approx(WARMUP, abs=0.5)
    assert pace.widest == SLOTS


def test_between_two_epochs_the_time_goes_on_and_a_late_epoch_is_not_counted_twice(
    logged: SimpleNamespace,
) -> None:
    records, plan = logged.run(hyperband(0), 0)
    state = RunState.fold(records[: len(records) // 2])
    now, trial = state.driven, state.running()[0]

    def left(after: float) -> float:
        seconds = remaining(state, plan, SLOTS, driven=now + after).seconds
        assert seconds is not None
        return seconds

    assert left(0.0) > left(3.0) > left(6.0) >= left(1000.0) == left(2000.0) > 0.0
    parts = [segment(state, trial, now + after) for after in (0.0, 3.0, 1000.0)]
    assert [one.done for one in parts] == sorted(one.done for one in parts)
    assert parts[-1].done <= 1.0
    assert parts[0].seconds is not None
    assert parts[-1].seconds is not None
    assert parts[0].seconds > parts[-1].seconds >= 0.0


def test_a_worker_that_starts_itself_first_says_nothing_of_later_starts() -> None:
    """The first lease of each slot waits for imports; those after it do not."""
    state, up = RunState(), 0.0
    events: list[tuple[Event, float]] = [(Opened({}, "value", "maximize", "1.0"), 0.0)]
    for trial, start in enumerate((30.0, 0.5, 0.5)):
        budget = {"epochs": 1}
        metrics = {"value": 0.5, "score": 0.5}
        events += [
            (Started(trial, {}, budget, budget, "why", "job"), 0.0),
            (Leased(trial, 1), 0.0),
            (Reported(trial, 1, 1, metrics, 2.0), start + 2.0),
            (Judged(trial, "stop"), 0.0),
        ]
    for seq, (event, takes) in enumerate(events):
        up += takes
        state.take(Record(seq, 0.0, event, up))
    assert state.pace.start == pytest.approx(0.5)
