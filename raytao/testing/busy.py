"""How busy simulated workers are, before a run runs out of work and in all.

At the end of every run some workers have nothing left to do, whatever its brain does. This *tail*
begins when the epochs that the plan has granted to no trial yet do not pay for another start by
every worker (as long as the first trial's), and one full training beside them, which Hyperband
keeps back for its best. Before it, a brain that lets a worker wait does so of its own accord.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from raytao.brains.base import Brain
from raytao.runs.controller import Controller
from raytao.runs.events import Opened
from raytao.runs.opening import open_run
from raytao.runs.store import MemoryStore
from raytao.testing.simulator import (
    LOG_KEY,
    Cluster,
    Fails,
    Functions,
    Objective,
    Seconds,
    always_a_second,
    never,
)
from raytao.types import Direction


@dataclass(frozen=True)
class Busy:
    """What came of it.

    Args:
        before_tail: share of the workers' time that went into training; None where the plan is
            all tail.
        whole: the same from the first epoch to the last.
        seconds: until the tail, virtual.
        controller: the finished run.
    """

    before_tail: float | None
    whole: float
    seconds: float
    controller: Controller


def busy(
    brain: Brain,
    objective: Objective,
    *,
    workers: int,
    seconds: Seconds = always_a_second,
    fails: Fails = never,
    thinks: Callable[[], float] = lambda: 0.0,
) -> Busy:
    """Run a brain to its end, and see how busy its workers are; for the rest see `Cluster`."""
    opened = Opened({}, "value", Direction.MAXIMIZE.value, version="simulated")
    controller = open_run(MemoryStore(), LOG_KEY, brain, opened, slots=workers)
    plan, start = brain.plan(), 0
    tail: tuple[float, float] | None = None

    def watch() -> None:
        nonlocal start, tail
        state = controller.state
        start = start or state.trials[0].budget
        if tail is None and plan.epochs - state.granted < workers * start + plan.longest:
            tail = cluster.now, cluster.worked

    training = Functions(objective, fails)
    cluster = Cluster(controller, training, seconds=seconds, turn=watch, thinks=thinks)
    cluster.run()
    controller.finish()
    until, worked = tail or (cluster.now, cluster.worked)
    return Busy(
        before_tail=worked / (workers * until) if until else None,
        whole=cluster.worked / (workers * cluster.now) if cluster.now else 0.0,
        seconds=until,
        controller=controller,
    )
