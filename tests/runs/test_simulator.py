"""Schedules in virtual time: what they train does not depend on who is fast."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from raytao.brains.base import Brain, Task
from raytao.brains.full import FullLengthSettings
from raytao.brains.hyperband import Hyperband, HyperbandSettings
from raytao.brains.random import Random
from raytao.runs.events import Event, Judged, Reported
from raytao.runs.log import read_log
from raytao.runs.store import MemoryStore
from raytao.setup.resolve import resolve_values
from raytao.space import Float, Space
from raytao.testing.folder_run import Conditions, run_in_folder
from raytao.testing.objectives import LearningCurves
from raytao.testing.simulator import LOG_KEY, Simulated, simulate
from raytao.testing.toy import curve
from raytao.types import Direction

SPACE = Space([Float("lr", 1e-4, 1e-1, log=True), Float("momentum", 0.0, 0.99)])
CURVES = LearningCurves(SPACE)
Seconds = Callable[[int, int], float]

SCHEDULES = [(9, 3), (8, 2), (27, 3)]


def hyperband(R: int = 9, nu: int = 3, *, overlap: bool = True) -> Hyperband:
    chosen = HyperbandSettings(R=R, nu=nu, epoch_multiplier=1, overlap=overlap, mode="sync")
    return Hyperband(Task(SPACE, 9, seed=1), chosen)


def random() -> Random:
    return Random(Task(SPACE, 3, seed=1), FullLengthSettings(max_recommendations=11))


def uneven(seed: int) -> Seconds:
    """Epoch times that differ by trial and by epoch, with stragglers."""
    times = np.random.default_rng(seed).lognormal(0.0, 1.0, (100, 30))
    return lambda trial, epoch: float(times[trial, epoch - 1])


def events(run: Simulated) -> list[Event]:
    return [record.event for record in read_log(run.store, LOG_KEY)]


def promotions(run: Simulated) -> list[tuple[int, int, str]]:
    verdicts = [event for event in events(run) if isinstance(event, Judged)]
    return sorted(
        (p["trial"], p["budget"]["epochs"], p["why"]) for v in verdicts for p in v.promote
    )


@pytest.mark.parametrize("make", [hyperband, random])
@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 999))
def test_seven_uneven_workers_train_what_one_trains(make: Callable[[], Brain], seed: int) -> None:
    alone = simulate(make(), CURVES)
    crowd = simulate(make(), CURVES, workers=7, seconds=uneven(seed))
    assert crowd.configurations() == alone.configurations()
    assert crowd.trained == alone.trained
    assert promotions(crowd) == promotions(alone)


@settings(max_examples=15, deadline=None)
@given(
    schedule=st.sampled_from(SCHEDULES[:2]),
    workers=st.integers(1, 20),
    seed=st.integers(0, 999),
)
def test_overlap_changes_when_but_not_what(
    schedule: tuple[int, int], workers: int, seed: int
) -> None:
    on, off = (
        simulate(
            hyperband(*schedule, overlap=overlap), CURVES, workers=workers, seconds=uneven(seed)
        )
        for overlap in (True, False)
    )
    assert on.configurations() == off.configurations()
    assert promotions(on) == promotions(off)
    assert on.trained == off.trained
    assert on.busy == pytest.approx(off.busy)


@pytest.mark.parametrize(("R", "nu"), SCHEDULES)
@pytest.mark.parametrize("workers", [1, 2, 3, 5, 8, 16, 64])
def test_with_even_epochs_overlap_is_never_slower(R: int, nu: int, workers: int) -> None:
    on, off = (
        simulate(hyperband(R, nu, overlap=overlap), CURVES, workers=workers)
        for overlap in (True, False)
    )
    assert on.makespan <= off.makespan
    assert on.utilisation >= off.utilisation


def test_with_stragglers_overlap_saves_a_fifth_of_the_time() -> None:
    """A single run may lose a little (scheduling anomalies, Graham 1969); together they gain."""
    spent = {
        overlap: [
            simulate(hyperband(overlap=overlap), CURVES, workers=6, seconds=uneven(seed)).makespan
            for seed in range(20)
        ]
        for overlap in (True, False)
    }
    assert sum(spent[True]) < 0.8 * sum(spent[False])


@pytest.mark.parametrize(("R", "nu"), SCHEDULES)
@pytest.mark.parametrize("workers", [1, 3, 256])
def test_trained_epochs_are_those_of_the_plan(R: int, nu: int, workers: int) -> None:
    brain = hyperband(R, nu)
    run = simulate(brain, CURVES, workers=workers)
    assert sum(run.trained.values()) == brain.plan().epochs
    assert len(run.trained) == brain.plan().trials
    assert max(run.trained.values()) == brain.plan().longest


@settings(max_examples=25, deadline=None)
@given(
    workers=st.integers(1, 12),
    seed=st.integers(0, 999),
    breaking=st.dictionaries(st.integers(0, 11), st.integers(1, 9), max_size=12),
)
def test_with_failures_every_run_ends_and_no_epoch_is_trained_twice(
    workers: int, seed: int, breaking: dict[int, int]
) -> None:
    brain = hyperband()
    run = simulate(
        brain,
        CURVES,
        workers=workers,
        seconds=uneven(seed),
        fails=lambda trial, epoch: breaking.get(trial) == epoch,
    )
    reported = [(e.trial, e.epoch) for e in events(run) if isinstance(e, Reported)]
    assert len(reported) == len(set(reported)) == sum(run.trained.values())
    assert sum(run.trained.values()) <= brain.plan().epochs
    assert run.controller.state.finished is not None


def test_at_one_worker_the_makespan_is_the_time_that_was_worked() -> None:
    run = simulate(hyperband(), CURVES, seconds=uneven(0))
    assert run.makespan == pytest.approx(run.busy)
    assert run.utilisation == pytest.approx(1.0)


def test_more_even_workers_never_train_more_slowly_than_half_as_many() -> None:
    spent = [simulate(hyperband(27), CURVES, workers=2**n).makespan for n in range(7)]
    assert spent == sorted(spent, reverse=True)
    assert spent[-1] >= 27


def test_a_minimised_loss_is_searched_as_its_mirror_image_is() -> None:
    high = simulate(hyperband(), CURVES, workers=3)
    low = simulate(
        hyperband(), lambda p, n: -CURVES(p, n), workers=3, direction=Direction.MINIMIZE
    )
    assert low.configurations() == high.configurations()
    assert promotions(low) == promotions(high)


def test_the_best_that_was_found_is_better_than_the_first() -> None:
    state = simulate(hyperband(27), CURVES, workers=5).controller.state
    best, baseline = state.incumbent, state.baseline
    assert best is not None
    assert baseline is not None
    assert best.score > baseline.score


def test_a_run_in_a_folder_trains_what_a_simulated_one_trains() -> None:
    brain = {"name": "hyperband", "R": 9, "nu": 3, "epoch_multiplier": 1, "mode": "sync"}
    values = {"network": "toy", "results_dir": "unused", "brain": brain}
    setup, store = resolve_values(values, caller="test"), MemoryStore()
    state = run_in_folder(setup, store, Conditions(slots=4, seconds=uneven(0), draw_every=3))
    simulated = simulate(setup.new_brain(), curve).controller.state
    assert {n: (t.params, t.epochs) for n, t in state.trials.items()} == {
        n: (t.params, t.epochs) for n, t in simulated.trials.items()
    }
    written = store.list()
    assert {f"recommendation_{n}.yaml" for n in state.trials} <= set(written)
    assert {f"experiment_{n}/status.json" for n in state.trials} <= set(written)
    assert "best_model/raytao.json" in written
