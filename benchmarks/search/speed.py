"""How soon many workers find what a reference found in the end.

The reference is a method's runs with one worker: on each task its mean final regret, and its mean
makespan as the unit of time. What a run needs to get there is told in shares of that makespan.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from benchmarks.search.compare import regrets
from benchmarks.search.family import Curve, Family
from benchmarks.search.runs import Run


@dataclass(frozen=True)
class Reference:
    """Final regret and virtual seconds of a method on each task, means over seeds."""

    regret: dict[str, float]
    seconds: dict[str, float]

    @classmethod
    def of(cls, runs: Sequence[Run], family: Family) -> Reference:
        """Of runs with the same budget."""
        spans: defaultdict[str, list[float]] = defaultdict(list)
        for run in runs:
            spans[run.task].append(run.outcome.makespan)
        return cls(
            regrets(runs, family, runs[0].budget),
            {task: float(np.mean(found)) for task, found in spans.items()},
        )


@dataclass(frozen=True)
class Speed:
    """Time to the reference's final regret, in shares of its makespan.

    Args:
        mean_curve: until the mean regret over tasks is at most the reference's; inf: never.
        median: of the tasks' medians over runs; a run that never gets there takes for ever.
        reached: runs that get there on their task.
        runs: in all.
        tasks: that both have.
    """

    mean_curve: float
    median: float
    reached: int
    runs: int
    tasks: int


def speed(runs: Iterable[Run], reference: Reference, family: Family) -> Speed | None:
    """Compare runs with a reference; None if they have no task in common."""
    common = [run for run in runs if run.task in reference.regret]
    if not common:
        return None
    shares: defaultdict[str, list[float]] = defaultdict(list)
    for run in common:
        aim, unit = reference.regret[run.task], reference.seconds[run.task]
        shares[run.task].append(time_to(run, family, aim) / unit)
    every = [share for found in shares.values() for share in found]
    return Speed(
        _mean_curve(common, reference, family),
        float(np.median([np.median(found) for found in shares.values()])),
        sum(map(math.isfinite, every)),
        len(every),
        len(shares),
    )


def time_to(run: Run, family: Family, regret: float) -> float:
    """Virtual seconds until the regret is at most ``regret``; inf if it never is."""
    soon = (at for at, best in run.outcome.wall if family.regret(run.task, best) <= regret)
    return next(soon, math.inf)


def _mean_curve(runs: Sequence[Run], reference: Reference, family: Family) -> float:
    """Share of the makespan from which on the mean over tasks is at most the reference's."""
    steps = [_steps(run, reference, family) for run in runs]
    times = np.unique(np.concatenate([at for at, _ in steps]))
    curves: defaultdict[str, list[Curve]] = defaultdict(list)
    for run, (at, regret) in zip(runs, steps, strict=True):
        curves[run.task].append(regret[np.searchsorted(at, times, side="right")])
    mean = np.mean([np.mean(found, axis=0) for found in curves.values()], axis=0)
    aim = np.mean([reference.regret[task] for task in curves])
    there = np.flatnonzero(mean <= aim)
    return float(times[there[0]]) if len(there) else math.inf


def _steps(run: Run, reference: Reference, family: Family) -> tuple[Curve, Curve]:
    """Times in shares, (n,), and the regret before the first and from each on, (n + 1,)."""
    unit = reference.seconds[run.task]
    at = np.array([seconds / unit for seconds, _ in run.outcome.wall])
    found = [family.regret(run.task, best) for _, best in run.outcome.wall]
    return at, np.array([math.inf, *found])
