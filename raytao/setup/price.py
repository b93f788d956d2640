"""What a plan takes: hours on so many workers, GPU hours, money. Arithmetic on given numbers.

Nothing is assumed of a network: how long an epoch takes is the user's to say. What the minutes of
an epoch do not hold is not in the estimate either: starting trials, loading checkpoints, measuring
the winner.
"""

from __future__ import annotations

import heapq
import math
from collections import defaultdict, deque
from dataclasses import dataclass
from typing import Final

from raytao.brains.base import Plan
from raytao.errors import SettingsError

HOUR: Final = 60.0
"""Minutes."""

MOST_TRIALS: Final = 100_000
"""A plan with more is bounded, not played through."""


@dataclass(frozen=True)
class Rates:
    """What an estimate is made of.

    Args:
        minutes_per_epoch: of one trial, with whatever belongs to every epoch of it.
        workers: trials at once.
        gpus: GPUs that a trial gets; fractions share one.
        gpu_price: of an hour of one GPU, in any currency; None prices nothing.
        retrain: a promoted trial begins anew, and pays all epochs of its rung again.

    Raises:
        SettingsError: if a number means nothing.
    """

    minutes_per_epoch: float
    workers: int = 1
    gpus: float = 0.0
    gpu_price: float | None = None
    retrain: bool = False

    def __post_init__(self) -> None:
        _require(
            math.isfinite(self.minutes_per_epoch) and self.minutes_per_epoch > 0,
            f"minutes per epoch are {self.minutes_per_epoch:g}; they must be more than 0",
            "train one epoch, and give the minutes that it took",
        )
        _require(self.workers >= 1, f"{self.workers} workers train nothing", "give 1 or more")
        if self.gpu_price is None:
            return
        _require(
            math.isfinite(self.gpu_price) and self.gpu_price >= 0,
            f"the price of a GPU hour is {self.gpu_price:g}; it must be 0 or more",
            "give a number without a currency: 2.5",
        )
        _require(
            self.gpus > 0,
            "a price of GPU hours, but trials get no GPU (resources.gpus: 0)",
            "give trials a GPU (resources.gpus: 1), or leave the price out",
        )


@dataclass(frozen=True)
class Estimate:
    """Time and money that a plan takes.

    Args:
        rates: what it was made of.
        epochs: trained in all, as they are paid.
        hours: from the first epoch to the last.
        exact: False where these are bounds that the plan does not exceed.
    """

    rates: Rates
    epochs: int
    hours: float
    exact: bool

    @property
    def gpu_hours(self) -> float:
        """Hours of GPUs in which trials train."""
        return self.epochs * self.rates.minutes_per_epoch / HOUR * self.rates.gpus

    @property
    def held_gpu_hours(self) -> float:
        """Hours of GPUs if all workers are kept until the last epoch, idle ones included."""
        return max(self.gpu_hours, self.hours * self.rates.workers * self.rates.gpus)

    @property
    def cost(self) -> float | None:
        """Price of `gpu_hours`; None without one."""
        return None if self.rates.gpu_price is None else self.gpu_hours * self.rates.gpu_price

    @property
    def held_cost(self) -> float | None:
        """Price of `held_gpu_hours`; None without one."""
        return None if self.rates.gpu_price is None else self.held_gpu_hours * self.rates.gpu_price


def estimate(plan: Plan, rates: Rates) -> Estimate:
    """What ``plan`` takes at ``rates``, if no trial fails and all epochs take the same.

    A plan that is exact is played through, trial by trial. One that is a bound on epochs, or is
    too long for that, gets a bound on its hours: every worker trains but for the time of one
    longest training, in which the others may have nothing left to do.

    >>> from raytao.brains.base import PlanRow
    >>> twenty = Plan((PlanRow(bracket=0, rung=0, trials=20, epochs=80),))
    >>> round(estimate(twenty, Rates(minutes_per_epoch=3, workers=4)).hours)
    20
    """
    ladders = _ladders(plan, retrain=rates.retrain)
    epochs = sum(trials * cost for rungs in ladders for trials, cost in rungs)
    chain = max((sum(cost for _, cost in rungs) for rungs in ladders), default=0)
    exact = plan.exact and (rates.workers == 1 or plan.trials <= MOST_TRIALS)
    if rates.workers == 1 or plan.waits == "trials":
        span: float = epochs
    elif exact:
        span = _played(ladders, rates.workers, one_by_one=plan.waits == "brackets")
    else:
        span = (epochs + (rates.workers - 1) * chain) / rates.workers
    return Estimate(rates, epochs, span * rates.minutes_per_epoch / HOUR, exact)


def _ladders(plan: Plan, *, retrain: bool) -> list[list[tuple[int, int]]]:
    """Bracket by bracket and rung by rung: trials, and epochs that each pays there."""
    rows = defaultdict(list)
    for row in sorted(plan.rows, key=lambda row: (row.bracket, row.rung)):
        rows[row.bracket].append(row)
    made = []
    for rungs in rows.values():
        before = [0, *(row.epochs for row in rungs)]
        paid = (0 if retrain else spent for spent in before)
        made.append(
            [(row.trials, row.epochs - spent) for row, spent in zip(rungs, paid, strict=False)]
        )
    return made


def _played(ladders: list[list[tuple[int, int]]], workers: int, *, one_by_one: bool) -> int:
    """Epochs' time from the first start to the last end.

    Whoever is promoted goes first, then new trials in the order of the brackets. Ends are looked
    at one by one, as no two trials end together: whoever is free before the last of its rung ends
    takes up something else.

    Args:
        ladders: see `_ladders`.
        workers: trials at once.
        one_by_one: a bracket begins when the one before is over.
    """
    now, free, started, over = 0, workers, 0, 0
    left = [rungs[0][0] for rungs in ladders]  # of the open rung
    fresh = deque((b, 0) for b, rungs in enumerate(ladders) for _ in range(rungs[0][0]))
    promoted: deque[tuple[int, int]] = deque()
    running: list[tuple[int, int, int, int]] = []
    while fresh or promoted or running:
        while free and (promoted or (fresh and not (one_by_one and fresh[0][0] > over))):
            bracket, rung = (promoted or fresh).popleft()
            free, started = free - 1, started + 1
            heapq.heappush(running, (now + ladders[bracket][rung][1], started, bracket, rung))
        now, _, bracket, rung = heapq.heappop(running)
        free += 1
        left[bracket] -= 1
        if left[bracket] == 0:
            if rung + 1 < len(ladders[bracket]):
                left[bracket] = ladders[bracket][rung + 1][0]
                promoted.extend([(bracket, rung + 1)] * left[bracket])
            else:
                over += 1
    return now


def _require(holds: bool, message: str, remedy: str) -> None:
    """Raise a SettingsError unless ``holds``."""
    if not holds:
        raise SettingsError(message, remedy=remedy)
