"""Figures of runs: regrets by method, and differences paired by task.

A task is what is compared; seeds are repetitions of it. So a method's regret on a task is its
mean over seeds, and everything else (mean, standard error, bootstrap) is over tasks.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from benchmarks.search.family import Family
from benchmarks.search.runs import Identity, Run
from raytao.errors import DataError

RESAMPLES: Final = 10_000
LEVEL: Final = 95.0
"""Percentile of the resampled means that is called the upper bound; each bound is one-sided."""


@dataclass(frozen=True, order=True)
class Row:
    """What a line of a table is about."""

    workers: int
    budget: int
    label: str


@dataclass(frozen=True)
class Spread:
    """A mean over tasks and its standard error, which is NaN for a single task."""

    mean: float
    error: float


@dataclass(frozen=True)
class Difference:
    """Ours minus another's, over the tasks that both have; below 0 ours is better.

    Args:
        gap: mean and standard error over tasks.
        lower: lower 95 % bound of the mean, by bootstrap over tasks; minus the upper bound of
            theirs - ours.
        upper: upper 95 % bound.
        wins: tasks on which ours is better.
        tasks: tasks that both have.
    """

    gap: Spread
    lower: float
    upper: float
    wins: int
    tasks: int


def by_row(runs: Iterable[Run]) -> dict[Row, list[Run]]:
    """Runs that stand in one line of a table: the same label, workers and budget.

    Raises:
        DataError: if a run is there twice.
    """
    rows: defaultdict[Row, list[Run]] = defaultdict(list)
    seen: set[Identity] = set()
    for run in runs:
        if run.identity in seen:
            raise DataError(
                f"{run.label}, task {run.task}, seed {run.seed} is there twice: two files have it",
            )
        seen.add(run.identity)
        rows[Row(run.workers, run.budget, run.label)].append(run)
    return dict(rows)


def regrets(runs: Iterable[Run], family: Family, trainings: int) -> dict[str, float]:
    """Mean over seeds of the regret after so many full trainings, for each task.

    Raises:
        DataError: if a run has no value by then.
    """
    seen: defaultdict[str, list[float]] = defaultdict(list)
    for run in runs:
        best = run.outcome.traj[2 * trainings - 1]
        if best is None:
            raise DataError(f"{run.label}, {run.task}, seed {run.seed} has no value by then")
        seen[run.task].append(family.regret(run.task, best))
    return {task: float(np.mean(found)) for task, found in sorted(seen.items())}


def spread(by_task: Mapping[str, float]) -> Spread:
    """Mean and standard error over tasks."""
    values = np.array(list(by_task.values()))
    error = values.std(ddof=1) / np.sqrt(len(values)) if len(values) > 1 else np.nan
    return Spread(float(values.mean()), float(error))


def paired(ours: Mapping[str, float], theirs: Mapping[str, float]) -> Difference | None:
    """Compare two methods task by task; None if they have no task in common."""
    gaps = {task: ours[task] - theirs[task] for task in sorted(ours.keys() & theirs.keys())}
    if not gaps:
        return None
    values = list(gaps.values())
    lower, upper = bounds(values)
    return Difference(spread(gaps), lower, upper, sum(gap < 0 for gap in values), len(values))


def bounds(values: Sequence[float], *, seed: int = 0) -> tuple[float, float]:
    """Lower and upper 95 % bound of the mean: a percentile bootstrap with 10,000 resamples."""
    drawn = np.random.default_rng(seed).integers(len(values), size=(RESAMPLES, len(values)))
    means = np.asarray(values, dtype=float)[drawn].mean(axis=1)
    lower, upper = np.percentile(means, [100 - LEVEL, LEVEL])
    return float(lower), float(upper)
