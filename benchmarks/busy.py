"""How busy workers are: the share of their time that goes into training.

    python benchmarks/busy.py [--workers 8,64,256] [--seeds 2] [--least 0.95]

Brains, controller and event log are the real ones; training is a function, and time is virtual. An
epoch takes 60 s times a log-normal factor of mean 1 (sigma 0.5), drawn anew for each, and three
times as long in one of twenty trials. Full trainings have 27 epochs. Plans pay for four starts by
every worker: full trainings, or in Hyperband (R=27, nu=3, six brackets at least) trainings of
three epochs, its lowest rung. Space, times and draws follow from the seeds 0, 1, ….

In the end workers must run out of work, whatever a brain does: that *tail* begins when the epochs
that were granted to no trial yet do not pay for another start by every worker, and a full training
beside them (see `raytao.testing.busy`). *Busy* is the share of the workers' time before the tail,
*and tail* that of the whole run; both take the controller's answers for instantaneous. In
*thinking* (seed 0) the process time of every answer passes on the same clock, and nobody is told
anything meanwhile, though a run on Ray has suggestions prepared on a thread of its own. *ms/lease*
is that time of all answers, for every lease that was handed out, and *longest* is one answer's.

Ends with exit code 1 if Bayesian search or the asynchronous Hyperband has workers that were less
busy than ``--least``, with or without their thinking.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from dataclasses import astuple, dataclass
from functools import cache
from statistics import fmean
from typing import Final

import numpy as np

from raytao.brains.base import Brain, Task
from raytao.brains.bayesian import Bayesian, BayesianSettings
from raytao.brains.hyperband import Hyperband, HyperbandSettings
from raytao.brains.threads import one_blas_thread
from raytao.space import Float, Int, Space
from raytao.testing.busy import busy
from raytao.testing.objectives import LearningCurves
from raytao.testing.stopwatch import Stopwatch
from raytao.types import Json

LEAST: Final = 0.95
SEEDS: Final = 2
EPOCHS: Final = 27
STARTS: Final = 4
"""What a plan pays for, by every worker."""
FEWEST: Final = 6
"""Brackets: the schedule twice."""
SECONDS: Final = 60.0
SIGMA: Final = 0.5
STRAGGLERS: Final = 0.05
SLOWER: Final = 3.0
SPACE: Final = Space(
    [
        Float("lr", 1e-5, 1e-1, log=True),
        Float("weight_decay", 1e-6, 1e-2, log=True),
        Float("momentum", 0.0, 0.99),
        Float("dropout", 0.0, 0.5),
        Float("smoothing", 0.0, 0.3),
        Int("batch_size", 16, 512, log=True),
        Int("width", 16, 1024, log=True),
    ]
)


def bayesian(workers: int, seed: int) -> Brain:
    """Full trainings."""
    chosen = BayesianSettings(max_recommendations=STARTS * workers)
    return Bayesian(Task(SPACE, EPOCHS, seed=seed), chosen)


def hyperband(**mode: Json) -> Callable[[int, int], Brain]:
    """Brackets until the plan is long enough."""

    def make(workers: int, seed: int) -> Brain:
        task = Task(SPACE, EPOCHS, seed=seed)
        wanted, count = STARTS * workers * EPOCHS // 9, FEWEST
        while True:
            chosen = HyperbandSettings(R=EPOCHS, nu=3, epoch_multiplier=1, brackets=count, **mode)
            brain = Hyperband(task, chosen)
            if brain.plan().epochs >= wanted:
                return brain
            count += 1

    return make


@dataclass(frozen=True)
class Method:
    """A row of the table; ``promised`` ones are to keep workers busy."""

    name: str
    make: Callable[[int, int], Brain]
    promised: bool = False


METHODS: Final = (
    Method("Bayesian", bayesian, promised=True),
    Method("Hyperband, async", hyperband(), promised=True),
    Method(
        "Hyperband, async, random and rank",
        hyperband(sampler="random", promotion="rank"),
        promised=True,
    ),
    Method("Hyperband, sync, brackets overlap", hyperband(mode="sync")),
    Method("Hyperband, sync, one bracket at a time (TAO)", hyperband(mode="sync", overlap=False)),
)


def seconds(seed: int) -> Callable[[int, int], float]:
    """How long epochs take: see the module."""

    @cache
    def pace(trial: int) -> float:
        straggles = np.random.default_rng([seed, trial]).random() < STRAGGLERS
        return SLOWER if straggles else 1.0

    def took(trial: int, epoch: int) -> float:
        normal = np.random.default_rng([seed, trial, epoch]).standard_normal()
        return SECONDS * pace(trial) * float(np.exp(SIGMA * normal - SIGMA**2 / 2))

    return took


@dataclass(frozen=True)
class Row:
    """What a method came to with one seed; times in seconds."""

    trials: float
    busy: float
    whole: float
    lease: float
    longest: float


def measured(method: Method, workers: int, seed: int, *, passes: bool = False) -> Row:
    """Run a method; ``passes``: its thinking takes time."""
    watch = Stopwatch(passes=passes)
    seen = busy(
        method.make(workers, seed),
        LearningCurves(SPACE),
        workers=workers,
        seconds=seconds(seed),
        thinks=watch,
    )
    if seen.before_tail is None:
        raise RuntimeError(f"the plan pays for no start by each of {workers} workers")
    trials = seen.controller.state.trials.values()
    leases = sum(trial.attempt for trial in trials)
    return Row(len(trials), seen.before_tail, seen.whole, watch.seconds / leases, watch.longest)


def show(method: Method, workers: int, seeds: int) -> float:
    """Print a line; return the smallest share that was promised to be large, or 1."""
    rows = [measured(method, workers, seed) for seed in range(seeds)]
    thinking = measured(method, workers, 0, passes=True).busy
    mean = Row(*(fmean(column) for column in zip(*map(astuple, rows), strict=True)))
    shares = "".join(f"{100 * share:10.2f}" for share in (mean.busy, mean.whole, thinking))
    ms = f"{1e3 * mean.lease:10.1f}{1e3 * max(row.longest for row in rows):10.1f}"
    print(f"{method.name:45}{workers:6}{mean.trials:8.0f}{shares}{ms}", flush=True)
    return min(thinking, *(row.busy for row in rows)) if method.promised else 1.0


def main() -> None:
    """Measure, print the table, compare with what is promised."""
    parser = argparse.ArgumentParser(description="How busy workers are.")
    parser.add_argument("--workers", default="8,64,256", help="how many, with commas")
    parser.add_argument("--seeds", type=int, default=SEEDS, help="runs of each")
    parser.add_argument(
        "--least", type=float, default=LEAST, help="the smallest share that passes"
    )
    chosen = parser.parse_args()
    sizes = [int(one) for one in chosen.workers.split(",")]
    columns = ("busy %", "and tail", "thinking", "ms/lease", "longest")
    print(f"{'':45}{'at once':>6}{'trials':>8}" + "".join(f"{name:>10}" for name in columns))
    with one_blas_thread():
        least = min(show(method, n, chosen.seeds) for method in METHODS for n in sizes)
    sys.exit(least < chosen.least)


if __name__ == "__main__":
    main()
