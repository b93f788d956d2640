"""What trials under way tell: with many workers most of what is known is not a result yet.

With eight workers, of the first twenty full trainings eight begin before anything is known, and
each later one is chosen while seven others run. A trial that has come to its first mark (a quarter
of its epochs) counts as evidence: at its best so far, raised by what finished trials gained from
that mark to their end. It is an estimate, for the next suggestion only: the trial's result takes
its place, no estimate is ever told as a result, and none is above the best that was measured.

One worker never chooses while a trial runs: for it nothing changes. Figures: ADR 0007.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from statistics import median

from raytao.brains.full import Stage, Trial


def worths(history: Sequence[Trial]) -> list[float | None]:
    """What each trial is worth as evidence, in the units of scores; None: it is none.

    A finished trial is worth its result. One under way is worth what is expected of it at its
    end: at least its best so far, and beyond that no more than the best result. Before its first
    mark, and if it failed, it is no evidence.
    """
    gains = _gains(history)
    results = [one.best for one in history if one.stage is Stage.DONE and one.best is not None]
    top = max(results, default=-math.inf)
    return [_worth(line, gains, top) for line in history]


def _worth(line: Trial, gains: Sequence[float], top: float) -> float | None:
    if line.stage is Stage.DONE:
        return line.best
    if line.stage is Stage.FAILED or line.best is None or not line.marks:
        return None
    reached = line.marks[-1]
    if reached is None:
        return None
    return max(line.best, min(reached + gains[len(line.marks) - 1], top))


def _gains(history: Sequence[Trial]) -> list[float]:
    """By mark: the median, over finished trials, of the result above the best by that mark.

    0 where no finished trial is known to have come by it; only marks that running ones came to.
    """
    furthest = max((len(one.marks) for one in history if one.stage is Stage.RUNNING), default=0)
    done = [line for line in history if line.stage is Stage.DONE] if furthest else []
    return [_middle(_gained(line, mark) for line in done) for mark in range(furthest)]


def _gained(line: Trial, mark: int) -> float | None:
    by_then = line.marks[mark] if mark < len(line.marks) else None
    return None if by_then is None or line.best is None else line.best - by_then


def _middle(found: Iterable[float | None]) -> float:
    known = [one for one in found if one is not None]
    return median(known) if known else 0.0
