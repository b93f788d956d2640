"""A cluster in virtual time: brains and controller run for real, what workers do is simulated.

Used to test schedules by their laws, to show a plan before a GPU is paid for, and by authors of
brains. Nothing sleeps: a simulated week takes milliseconds. Here training is a function; workers
that write a results folder are in `raytao.testing.folder_run`.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol, TypeAlias, TypeVar

from raytao.brains.base import Brain
from raytao.runs.controller import Controller, Evaluation, Lease
from raytao.runs.events import Opened
from raytao.runs.opening import open_run
from raytao.runs.store import MemoryStore, Store, StoreError
from raytao.trials.folder import Resumed
from raytao.trials.messages import Broken, EpochDone, FailureKind
from raytao.types import Decision, Direction, Done, Params, Wait

LOG_KEY = "events.jsonl"
Answer = TypeVar("Answer")
Objective: TypeAlias = Callable[[Params, int], float]
"""(params, epoch) -> metric value after that epoch."""
Seconds: TypeAlias = Callable[[int, int], float]
"""(trial, epoch) -> duration of that epoch, virtual seconds."""
Fails: TypeAlias = Callable[[int, int], bool]
"""(trial, epoch) -> whether training breaks in that epoch."""


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


class Workers(Protocol):
    """What the workers of a simulated cluster do; the cluster says when."""

    def begin(self, lease: Lease) -> Resumed:
        """Take up a lease: where it goes on, and what was trained but is not yet known."""

    def train(self, lease: Lease, epoch: int, seconds: float) -> EpochDone | Broken:
        """Train the lease's next epoch, which took so many virtual seconds."""

    def evaluate(self, evaluation: Evaluation) -> Mapping[str, float]:
        """Measure the winner."""


def always_a_second(trial: int, epoch: int) -> float:
    """Even epochs."""
    del trial, epoch
    return 1.0


def never(trial: int, epoch: int) -> bool:
    """Nothing breaks."""
    del trial, epoch
    return False


def simulate(
    brain: Brain,
    objective: Objective,
    *,
    workers: int = 1,
    direction: Direction = Direction.MAXIMIZE,
    seconds: Seconds = always_a_second,
    fails: Fails = never,
    store: Store | None = None,
) -> Simulated:
    """Run a brain to its end on ``workers`` simulated workers.

    Args:
        brain: fresh, or to be rebuilt from the log in ``store``.
        objective: the training.
        workers: trials at once.
        direction: of the objective.
        seconds: how long epochs take.
        fails: where training breaks.
        store: where the log goes; one that holds a log is resumed.
    """
    store = store or MemoryStore()
    opened = Opened(setup={}, metric="value", direction=direction.value, version="simulated")
    controller = open_run(store, LOG_KEY, brain, opened, slots=workers)
    cluster = Cluster(controller, Functions(objective, fails), seconds=seconds)
    cluster.run()
    controller.finish()
    return Simulated(controller, store, cluster.now, cluster.busy, cluster.trained)


@dataclass(frozen=True)
class Functions:
    """Workers whose training is a function; they keep nothing."""

    objective: Objective
    fails: Fails = never

    def begin(self, lease: Lease) -> Resumed:
        """See `Workers`."""
        return Resumed(lease.reported_epoch, None, ())

    def train(self, lease: Lease, epoch: int, seconds: float) -> EpochDone | Broken:
        """See `Workers`."""
        if self.fails(lease.trial, epoch):
            return Broken(FailureKind.ERROR, "simulated failure")
        return EpochDone(epoch, {"value": self.objective(lease.params, epoch)}, seconds)

    def evaluate(self, evaluation: Evaluation) -> Mapping[str, float]:
        """See `Workers`."""
        return {"value": self.objective(evaluation.params, evaluation.epoch)}


class Cluster:
    """A controller, its workers and a virtual clock.

    Args:
        controller: answers what to train; its slots are the workers there are.
        workers: what they do.
        seconds: how long epochs take.
        turn: called after everything that happens, as a driver's loop turns.
        answered: told the controller's answer to a report, once it is given.
        thinks: a clock, such as `time.thread_time`: what the controller takes to answer passes for
            everybody, and reports that arrive meanwhile wait; by default it takes no time.
    """

    def __init__(
        self,
        controller: Controller,
        workers: Workers,
        *,
        seconds: Seconds = always_a_second,
        turn: Callable[[], None] = lambda: None,
        answered: Callable[[Lease, int, Decision], None] = lambda _lease, _epoch, _decision: None,
        thinks: Callable[[], float] = lambda: 0.0,
    ) -> None:
        self.now = 0.0
        self.busy = 0.0
        self.trained: dict[int, int] = {}
        self._controller = controller
        self._workers = workers
        self._seconds = seconds
        self._turn = turn
        self._answered = answered
        self._thinks = thinks
        self._heap: list[tuple[float, int, int, Lease]] = []

    @property
    def worked(self) -> float:
        """Seconds that workers have trained until now, all of them together."""
        to_come = sum(max(0.0, end - self.now) for end, _, _, _ in self._heap)
        return self.busy - to_come

    def run(self) -> None:
        """Work until nothing is left to do.

        Raises:
            StoreError: if storage refuses, a worker's or the driver's: the run can be resumed.
        """
        while self._hand_out():
            end, _, epoch, lease = heapq.heappop(self._heap)
            self.now = max(self.now, end)
            self._end_epoch(lease, epoch)
            self._turn()

    def _hand_out(self) -> bool:
        """Give out work until there is none; return whether anything runs."""
        while True:
            match self._timed(self._controller.suggest):
                case Lease() as lease:
                    self._begin(lease)
                case Evaluation() as evaluation:
                    metrics = self._workers.evaluate(evaluation)
                    self._controller.tested(evaluation, metrics, "")
                case Wait():
                    return True
                case Done():
                    return bool(self._heap)
            self._turn()

    def _begin(self, lease: Lease) -> None:
        resumed = self._workers.begin(lease)
        told = (self._deliver(lease, done) for done in resumed.unseen)
        if all(decision is Decision.CONTINUE for decision in told):
            self._begin_epoch(lease, resumed.epoch + 1)

    def _begin_epoch(self, lease: Lease, epoch: int) -> None:
        duration = self._seconds(lease.trial, epoch)
        self.busy += duration
        heapq.heappush(self._heap, (self.now + duration, lease.trial, epoch, lease))

    def _end_epoch(self, lease: Lease, epoch: int) -> None:
        match self._workers.train(lease, epoch, self._seconds(lease.trial, epoch)):
            case Broken(kind=FailureKind.STORAGE, reason=reason):
                raise StoreError(reason)
            case Broken(kind=kind, reason=reason):
                self._controller.broke(lease.trial, lease.attempt, kind.value, reason)
            case EpochDone() as done:
                self.trained[lease.trial] = self.trained.get(lease.trial, 0) + 1
                if self._deliver(lease, done) is Decision.CONTINUE:
                    self._begin_epoch(lease, epoch + 1)

    def _deliver(self, lease: Lease, done: EpochDone) -> Decision:
        decision = self._timed(
            lambda: self._controller.report(
                lease.trial, lease.attempt, done.epoch, done.metrics, done.seconds, done.use
            )
        )
        self._answered(lease, done.epoch, decision)
        return decision

    def _timed(self, ask: Callable[[], Answer]) -> Answer:
        began = self._thinks()
        answer = ask()
        self.now += self._thinks() - began
        return answer
