"""Workers wait for nothing while there is work, and the controller for nothing that is past."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Callable
from statistics import median
from typing import TypeVar

import numpy as np
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from raytao.brains.base import Brain, Task
from raytao.brains.bayesian import Bayesian, BayesianSettings
from raytao.brains.full import FullLengthSettings
from raytao.brains.hyperband import Hyperband, HyperbandSettings
from raytao.brains.random import Random
from raytao.runs.eta import remaining
from raytao.runs.events import Opened
from raytao.runs.opening import open_run
from raytao.runs.store import MemoryStore
from raytao.runs.tasks import Lease
from raytao.space import Float, Space
from raytao.testing.busy import busy
from raytao.testing.objectives import LearningCurves
from raytao.testing.operations import operations
from raytao.testing.simulator import LOG_KEY, Seconds
from raytao.types import Decision

SPACE = Space([Float("lr", 1e-4, 1e-1, log=True), Float("momentum", 0.0, 0.99)])
CURVES = LearningCurves(SPACE)
Make = Callable[[int], Brain]
Answer = TypeVar("Answer")


def bayesian(workers: int) -> Brain:
    return Bayesian(Task(SPACE, 3), BayesianSettings(max_recommendations=3 * workers))


def climbing(brackets: int, **chosen: str) -> Brain:
    plan = {"R": 9, "nu": 3, "epoch_multiplier": 1, "brackets": brackets}
    return Hyperband(Task(SPACE, 9), HyperbandSettings(**plan, **chosen))  # type: ignore[arg-type]  # a mixture of types


def by_model(workers: int) -> Brain:
    return climbing(max(1, workers // 4))


def by_rank(workers: int) -> Brain:
    return climbing(workers, sampler="random", promotion="rank")


def sync(workers: int) -> Brain:
    return climbing(workers, mode="sync")


def at_random(workers: int) -> Brain:
    return Random(Task(SPACE, 3), FullLengthSettings(max_recommendations=100 * workers))


def uneven(seed: int) -> Seconds:
    """Log-normal times; some trials are much slower than the others."""

    def seconds(trial: int, epoch: int) -> float:
        slow = np.random.default_rng([seed, trial]).random() < 0.1
        return float(np.random.default_rng([seed, trial, epoch]).lognormal(2.0 * slow, 0.5))

    return seconds


@pytest.mark.parametrize("make", [bayesian, by_model, by_rank])
@settings(max_examples=6, deadline=None, phases=[Phase.explicit, Phase.reuse, Phase.generate])
@given(workers=st.integers(1, 6), seed=st.integers(0, 999), failing=st.sets(st.integers(0, 9)))
def test_no_worker_waits_before_the_plan_runs_out_of_starts(
    make: Make, workers: int, seed: int, failing: set[int]
) -> None:
    seen = busy(
        make(workers),
        CURVES,
        workers=workers,
        seconds=uneven(seed),
        fails=lambda trial, epoch: trial in failing and epoch == 1 + trial % 3,
    )
    assert seen.before_tail is None or seen.before_tail == pytest.approx(1.0)


def test_a_rung_that_waits_leaves_workers_idle() -> None:
    alone = Hyperband(
        Task(SPACE, 9),
        HyperbandSettings(R=9, nu=3, epoch_multiplier=1, brackets=8, mode="sync", overlap=False),
    )
    idle = busy(alone, CURVES, workers=4, seconds=uneven(0))
    overlapping = busy(sync(8), CURVES, workers=4, seconds=uneven(0))
    assert idle.before_tail is not None
    assert overlapping.before_tail is not None
    assert idle.before_tail < overlapping.before_tail < 1.0
    assert idle.whole < overlapping.whole


def test_thinking_is_time_in_which_the_others_wait() -> None:
    ticks = iter(np.arange(1_000_000) * 0.25)  # every answer takes a quarter of a second
    thoughtful = busy(by_rank(4), CURVES, workers=4, thinks=lambda: float(next(ticks)))
    assert thoughtful.before_tail is not None
    assert 0.1 < thoughtful.before_tail < 0.8


class Run:
    """A run of five workers, one of whom reports at a time."""

    def __init__(self, brain: Brain) -> None:
        opened = Opened({}, "value", "maximize", "1.0")
        self.controller = open_run(MemoryStore(), LOG_KEY, brain, opened, slots=5)
        self._turns = random.Random(0)
        self._out: list[tuple[Lease, int]] = []
        self._costs: defaultdict[str, list[int]] | None = None

    def grow(self, trials: int) -> None:
        """Go on until there are so many trials."""
        while len(self.controller.state.trials) < trials:
            self._step()

    def costs(self, reports: int) -> dict[str, float]:
        """Operations of an event of each kind, the median of so many reports and what follows."""
        self._costs = costs = defaultdict[str, list[int]](list)
        for _ in range(reports):
            self._step()
        self._costs = None
        return {kind: median(counts) for kind, counts in costs.items()}

    def _step(self) -> None:
        controller = self.controller
        while len(self._out) < 5:
            lease = self._counted("suggestion", controller.suggest)
            assert isinstance(lease, Lease)
            self._out.append((lease, lease.reported_epoch + 1))
        lease, epoch = self._out.pop(self._turns.randrange(5))
        metrics = {"value": self._turns.random()}
        last = "last epoch" if epoch == lease.stop_epoch else "epoch"
        decision = self._counted(
            last, lambda: controller.report(lease.trial, lease.attempt, epoch, metrics, 1.0)
        )
        plan = controller.brain.plan()
        self._counted("what is left", lambda: remaining(controller.state, plan, 5))
        if decision is Decision.CONTINUE:
            self._out.append((lease, epoch + 1))

    def _counted(self, kind: str, act: Callable[[], Answer]) -> Answer:
        if self._costs is None:
            return act()
        answers: list[Answer] = []
        self._costs[kind].append(operations(lambda: answers.append(act())))
        return answers[0]


@pytest.mark.parametrize("make", [at_random, by_rank, sync])
def test_an_event_takes_as_many_operations_after_many_trials_as_after_few(make: Make) -> None:
    run = Run(make(80))
    run.grow(60)
    few = run.costs(40)
    run.grow(240)
    many = run.costs(40)
    assert set(few) == set(many) == {"suggestion", "epoch", "last epoch", "what is left"}
    assert {kind: cost for kind, cost in many.items() if cost > 1.2 * few[kind]} == {}
