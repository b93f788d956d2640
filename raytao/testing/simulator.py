"""A cluster in virtual time: brains and controller run for real, training is a function.

Used to test schedules by their laws, to show a plan before a GPU is paid for, and by authors of
brains. Nothing sleeps: a simulated week takes milliseconds.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable
from dataclasses import dataclass, field

from raytao.brains.base import Brain
from raytao.runs.controller import Controller, Evaluation, Lease, open_run
from raytao.runs.events import Opened
from raytao.runs.store import MemoryStore, Store
from raytao.types import Decision, Direction, Done, Params, Wait

LOG_KEY = "events.jsonl"
Objective = Callable[[Params, int], float]
"""(params, epoch) -> metric value after that epoch."""


@dataclass(frozen=True)
class Simulated:
    """What a simulated run did."""

    controller: Controller
    store: Store
    makespan: float
    busy: float
    trained: dict[int, int] = field(default_factory=dict)
    """Epochs trained by each trial, every repetition counted."""

    @property
    def utilisation(self) -> float:
        """Share of the workers' time that went into training."""
        return self.busy / (self.makespan * self.controller.slots) if self.makespan else 0.0

    def configurations(self) -> list[tuple[tuple[tuple[str, object], ...], int]]:
        """Sorted (configuration, epochs) of every trial: what two runs are compared by."""
        trials = self.controller.state.trials.values()
        return sorted(
            ((tuple(sorted(t.params.items())), t.epochs) for t in trials),
            key=repr,
        )


def simulate(
    brain: Brain,
    objective: Objective,
    *,
    workers: int = 1,
    direction: Direction = Direction.MAXIMIZE,
    seconds: Callable[[int, int], float] = lambda _trial, _epoch: 1.0,
    fails: Callable[[int, int], bool] = lambda _trial, _epoch: False,
    store: Store | None = None,
) -> Simulated:
    """Run a brain to its end on ``workers`` simulated workers.

    Args:
        brain: fresh, or to be rebuilt from the log in ``store``.
        objective: the training.
        workers: trials at once.
        direction: of the objective.
        seconds: (trial, epoch) -> duration of that epoch, virtual seconds.
        fails: (trial, epoch) -> whether training breaks in that epoch.
        store: where the log goes; one that holds a log is resumed.
    """
    store = store or MemoryStore()
    opened = Opened(setup={}, metric="value", direction=direction.value, version="simulated")
    controller = open_run(store, LOG_KEY, brain, opened, slots=workers)
    return _Cluster(controller, store, objective, seconds, fails).run()


class _Cluster:
    def __init__(
        self,
        controller: Controller,
        store: Store,
        objective: Objective,
        seconds: Callable[[int, int], float],
        fails: Callable[[int, int], bool],
    ) -> None:
        self.controller = controller
        self.store = store
        self.objective = objective
        self.seconds = seconds
        self.fails = fails
        self.now = 0.0
        self.busy = 0.0
        self.heap: list[tuple[float, int, int, Lease]] = []
        self.trained: dict[int, int] = {}

    def run(self) -> Simulated:
        while self._hand_out():
            time, _, epoch, lease = heapq.heappop(self.heap)
            self.now = time
            self._end_epoch(lease, epoch)
        self.controller.finish()
        return Simulated(self.controller, self.store, self.now, self.busy, self.trained)

    def _hand_out(self) -> bool:
        """Give out work until there is none; return whether anything runs."""
        while True:
            match self.controller.suggest():
                case Lease() as lease:
                    self._begin_epoch(lease, lease.reported_epoch + 1)
                case Wait():
                    return True
                case Done() | Evaluation():
                    return bool(self.heap)

    def _begin_epoch(self, lease: Lease, epoch: int) -> None:
        duration = self.seconds(lease.trial, epoch)
        self.busy += duration
        heapq.heappush(self.heap, (self.now + duration, lease.trial, epoch, lease))

    def _end_epoch(self, lease: Lease, epoch: int) -> None:
        if self.fails(lease.trial, epoch):
            self.controller.broke(lease.trial, lease.attempt, "error", "simulated failure")
            return
        self.trained[lease.trial] = self.trained.get(lease.trial, 0) + 1
        value = self.objective(lease.params, epoch)
        duration = self.seconds(lease.trial, epoch)
        decision = self.controller.report(
            lease.trial, lease.attempt, epoch, {"value": value}, duration
        )
        if decision is Decision.CONTINUE:
            self._begin_epoch(lease, epoch + 1)
