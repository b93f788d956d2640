"""What the charts over epochs draw, as plain numbers: nothing here knows how a line is drawn."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import quantiles
from typing import TypeVar

from raytao.runs.events import Broke, Changed, Opened, Reported
from raytao.runs.log import Record
from raytao.types import Direction

Item = TypeVar("Item")

OFF_SCALE = 100.0
"""An outlier lies this many spans of the better three quarters below them."""


@dataclass(frozen=True)
class Improvement:
    """A new best value: ``after`` so many epochs of all trials together."""

    after: int
    trial: int
    epoch: int
    score: float
    value: float


def improvements(records: Sequence[Record]) -> tuple[Improvement, ...]:
    """The best value so far, whenever it changed, in the order of the log.

    Scores rise strictly. Epochs of trials that failed sooner or later count as trained, but
    such a trial has no value and never led; so the last score is that of the incumbent. Time is
    counted in epochs: clocks jump. A metric that the run was changed to counts from the start.
    """
    opened = next(
        (e for r in reversed(records) if isinstance(e := r.event, Opened | Changed)), None
    )
    if opened is None:
        return ()
    failed = {r.event.trial for r in records if isinstance(r.event, Broke)}
    reports = [r.event for r in records if isinstance(r.event, Reported)]
    return leads(reports, opened.metric, Direction(opened.direction), never=failed)


def leads(
    reports: Iterable[Reported], metric: str, direction: Direction, never: Collection[int]
) -> tuple[Improvement, ...]:
    """Those among ``reports`` that were better than all before them; see ``improvements``.

    Args:
        reports: in the order in which they came; of epochs between them nothing is known.
        metric: by which they are compared.
        direction: which way it is better.
        never: trials that have no result: their epochs count, their values do not.
    """
    found: list[Improvement] = []
    reached: dict[int, int] = {}
    after = 0
    for report in reports:
        after += report.epoch - reached.get(report.trial, 0)
        reached[report.trial] = report.epoch
        value = report.metrics.get(metric)
        if value is None or report.trial in never:
            continue
        score = direction.score(value)
        if not found or score > found[-1].score:
            found.append(Improvement(after, report.trial, report.epoch, score, value))
    return tuple(found)


def takeovers(series: Sequence[Improvement]) -> tuple[Improvement, ...]:
    """The improvements by which another trial came to lead; the first of all is one."""
    after = (new for old, new in pairwise(series) if new.trial != old.trial)
    return (*series[:1], *after)


def thinned(history: Mapping[int, float], most: int) -> dict[int, float]:
    """At most ``most`` (at least 2) points of a curve: first, last and evenly between.

    >>> thinned({1: 0.1, 2: 0.2, 3: 0.3, 4: 0.4, 5: 0.5}, most=3)
    {1: 0.1, 3: 0.3, 5: 0.5}
    """
    epochs = sorted(history)
    if len(epochs) > most:
        step = (len(epochs) - 1) / (most - 1)
        epochs = [epochs[round(k * step)] for k in range(most)]
    return {epoch: history[epoch] for epoch in epochs}


def evenly(items: Sequence[Item], most: int) -> Sequence[Item]:
    """At most ``most`` of the items, in their order.

    >>> evenly("abcdefgh", most=3)
    'adg'
    """
    return items[:: max(1, -(-len(items) // most))]


def lowest_shown(scores: Sequence[float]) -> float:
    """The lowest score worth a place on the axis; what lies below is off the scale.

    One diverged training would otherwise press all others into one line. Without such outliers
    it is the lowest score; there must be one.

    >>> lowest_shown([0.9, 0.8, 0.1]), lowest_shown([-0.1, -0.2, -0.3, -0.3, -1e6])
    (0.1, -0.3)
    """
    if len(scores) < 2:
        return min(scores)
    quarter = quantiles(scores, n=4, method="inclusive")[0]
    span = max(scores) - quarter
    if span == 0:
        return min(scores)
    return min(score for score in scores if quarter - score <= OFF_SCALE * span)
