"""One run: a brain on a task, until so many epochs are paid.

Everything but the training is what users run: controller, event log and the simulated cluster of
`raytao.testing.simulator`, whose clock is the family's own training time. A trial that goes on
from its checkpoint pays the epochs it adds. What counts is the best value at any trained epoch.
"""

from __future__ import annotations

import math
import time
from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from benchmarks.search.family import Curve, Family
from raytao.brains.base import Brain, BrainSettings, Plan
from raytao.runs.controller import Controller, Evaluation, Lease
from raytao.runs.events import Opened
from raytao.runs.opening import open_run
from raytao.runs.store import MemoryStore
from raytao.testing.simulator import LOG_KEY, Cluster
from raytao.trials.folder import Resumed
from raytao.trials.messages import EpochDone
from raytao.types import Direction, Json, Observation, Params, Start, Suggestion, Verdict

METRIC = "value"


@dataclass(frozen=True)
class Outcome:
    """What a run found, and when.

    Args:
        traj: best value after each half training of epochs paid; None before the first epoch.
        wall: (virtual seconds, best value) at each improvement.
        makespan: virtual seconds until the last epoch that counts.
        think: process seconds that the brain took to suggest and to observe.
        n_trials: trials that began.
        paid: epochs that count; fewer than the budget's if the brain came to its end.
    """

    traj: tuple[float | None, ...]
    wall: tuple[tuple[float, float], ...]
    makespan: float
    think: float
    n_trials: int
    paid: int


class Ledger:
    """Epochs in the order in which they end, until the budget is spent.

    Args:
        epochs: length of a full training.
        budget: how many full trainings are paid for.
    """

    def __init__(self, epochs: int, budget: int) -> None:
        self.paid = 0
        self.makespan = 0.0
        self._epochs = epochs
        self._budget = budget
        self._steps: list[tuple[int, float, float]] = []

    @property
    def spent(self) -> bool:
        """Whether nothing counts any more."""
        return self.paid >= self._budget * self._epochs

    def pay(self, now: float, value: float) -> None:
        """Note an epoch that ended at ``now`` with ``value``, if it is still paid for."""
        if self.spent:
            return
        self.paid += 1
        self.makespan = now
        if not self._steps or value > self._steps[-1][2]:
            self._steps.append((self.paid, now, value))

    @property
    def traj(self) -> tuple[float | None, ...]:
        """Best value after each half training."""
        paid = [step[0] for step in self._steps]
        known = [
            bisect_right(paid, math.floor(half * self._epochs / 2))
            for half in range(1, 2 * self._budget + 1)
        ]
        return tuple(self._steps[n - 1][2] if n else None for n in known)

    @property
    def wall(self) -> tuple[tuple[float, float], ...]:
        """Seconds and best value at each improvement."""
        return tuple((now, best) for _, now, best in self._steps)


class Timed(Brain):
    """A brain and the process seconds that it thinks."""

    name: ClassVar[str] = "timed"
    Settings: ClassVar[type[BrainSettings]] = BrainSettings

    def __init__(self, brain: Brain) -> None:
        self.seconds = 0.0
        self._brain = brain

    def suggest(self, trial: int) -> Suggestion:
        """See `Brain.suggest`."""
        began = time.process_time()
        suggestion = self._brain.suggest(trial)
        self.seconds += time.process_time() - began
        return suggestion

    def observe(self, observation: Observation) -> Verdict:
        """See `Brain.observe`."""
        began = time.process_time()
        verdict = self._brain.observe(observation)
        self.seconds += time.process_time() - began
        return verdict

    def adopt(self, trial: int, params: Params) -> Start:
        """See `Brain.adopt`."""
        return self._brain.adopt(trial, params)

    def state(self) -> Json:
        """See `Brain.state`."""
        return self._brain.state()

    def load_state(self, state: Json) -> None:
        """See `Brain.load_state`."""
        self._brain.load_state(state)

    def plan(self) -> Plan:
        """See `Brain.plan`."""
        return self._brain.plan()


class _Trainers:
    """Workers that read a family's curves; the clock is the curves' own."""

    def __init__(self, family: Family, task: str) -> None:
        self._family = family
        self._task = task
        self._curves: dict[int, tuple[Curve, Curve]] = {}

    def begin(self, lease: Lease) -> Resumed:
        """See `raytao.testing.simulator.Workers`."""
        if lease.trial not in self._curves:
            values, seconds = self._family.curve(self._task, lease.params)
            self._curves[lease.trial] = values, np.diff(seconds, prepend=0.0)
        return Resumed(lease.reported_epoch, None, ())

    def seconds(self, trial: int, epoch: int) -> float:
        """How long an epoch of a trial that has begun takes."""
        return float(self._curves[trial][1][epoch - 1])

    def value(self, trial: int, epoch: int) -> float:
        """The metric after that epoch."""
        return float(self._curves[trial][0][epoch - 1])

    def train(self, lease: Lease, epoch: int, seconds: float) -> EpochDone:
        """See `raytao.testing.simulator.Workers`."""
        return EpochDone(epoch, {METRIC: self.value(lease.trial, epoch)}, seconds)

    def evaluate(self, evaluation: Evaluation) -> Mapping[str, float]:
        """See `raytao.testing.simulator.Workers`."""
        return {METRIC: self.value(evaluation.trial, evaluation.epoch)}


def search(brain: Brain, family: Family, task: str, *, budget: int, workers: int = 1) -> Outcome:
    """Let a fresh brain search until ``budget`` full trainings are paid, or it comes to its end.

    Args:
        brain: made for the family's space and epochs.
        family: where ``task`` is from.
        task: what is trained.
        budget: in full trainings.
        workers: trials at once.
    """
    timed, trainers = Timed(brain), _Trainers(family, task)
    ledger = Ledger(family.epochs, budget)
    controller = _controller(timed, workers)

    def pay(lease: Lease, epoch: int, _decision: object) -> None:
        ledger.pay(cluster.now, trainers.value(lease.trial, epoch))

    def stop_when_spent() -> None:
        if ledger.spent:
            controller.stop("the budget is spent")

    cluster = Cluster(
        controller, trainers, seconds=trainers.seconds, turn=stop_when_spent, answered=pay
    )
    cluster.run()
    return Outcome(
        ledger.traj,
        ledger.wall,
        ledger.makespan,
        timed.seconds,
        len(controller.state.trials),
        ledger.paid,
    )


def _controller(brain: Brain, workers: int) -> Controller:
    opened = Opened(
        setup={}, metric=METRIC, direction=Direction.MAXIMIZE.value, version="benchmark"
    )
    return open_run(MemoryStore(), LOG_KEY, brain, opened, slots=workers)
