"""What a run may use up in all, over all its resumptions: hours, epochs, hours of GPUs.

A budget that is spent stops the run in order (`Controller.stop`): the trials that run end with the
epoch they are in. So hours are exceeded by that epoch and by the winner's measurement, and epochs
are not exceeded at all: the one that a trial is in counts from its lease on.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Final

from raytao.brains.base import Plan
from raytao.runs.state import RunState

HOUR: Final = 3600.0


@dataclass(frozen=True)
class Spent:
    """A budget that is spent: its key in the settings, its limit, and what was used of it."""

    key: str
    limit: float
    used: float = field(default=0.0, compare=False)

    def __str__(self) -> str:
        return f"budget spent: {_counted(self.limit, self.key)}"

    @property
    def raised(self) -> str:
        """A larger one, as an argument of ``raytao resume``."""
        return f"budget.{self.key}={2 * max(self.limit, self.used):g}"


@dataclass(frozen=True)
class RunBudget:
    """The limits; None: there is none."""

    hours: float | None = None
    epochs: int | None = None
    gpu_hours: float | None = None

    def spent(self, state: RunState, driven: float) -> Spent | None:
        """The budget that leaves no room for another lease, if there is one.

        The first trial always has room, so that every run has a result.

        Args:
            state: the run.
            driven: seconds that drivers have been at work on it, until now.
        """
        if not state.trials:
            return None
        under_way = 0 if state.finished else state.busy
        for key, limit, used in self._used(state, driven):
            if used + (under_way if key == "epochs" else 0) >= limit:
                return Spent(key, limit, used)
        return None

    def left(self, state: RunState, driven: float) -> tuple[float, float]:
        """Epochs and seconds that are left; infinite without a limit.

        Hours of GPUs are told in epochs, which cost as much as those so far.
        """
        epochs = seconds = float("inf")
        for key, limit, used in self._used(state, driven):
            rest = max(0.0, limit - used)
            if key == "hours":
                seconds = rest * HOUR
            elif key == "epochs":
                epochs = min(epochs, rest)
            elif used:
                epochs = min(epochs, rest / used * state.epochs)
        return epochs, seconds

    def used(self, state: RunState, driven: float) -> str:
        """``1.25 of 8 hours, 120 of 500 epochs``; empty without a limit."""
        rows = self._used(state, driven)
        return ", ".join(f"{_short(used)} of {_counted(limit, key)}" for key, limit, used in rows)

    def __str__(self) -> str:
        return ", ".join(_counted(limit, key) for key, limit in self._limits())

    def _limits(self) -> Iterator[tuple[str, float]]:
        for key, limit in vars(self).items():
            if limit is not None:
                yield key, limit

    def _used(self, state: RunState, driven: float) -> list[tuple[str, float, float]]:
        """Key, limit and what is used of it, in one unit."""
        used = {
            "hours": driven / HOUR,
            "epochs": float(state.epochs),
            "gpu_hours": state.gpu_seconds / HOUR,
        }
        return [(key, limit, used[key]) for key, limit in self._limits()]


class Meter:
    """A budget and the run that spends it, now.

    Args:
        budget: the limits.
        state: the run, as its driver holds it.
        plan: what its brain plans.
        clock: seconds that never jump.
    """

    def __init__(
        self,
        budget: RunBudget,
        state: RunState,
        plan: Plan,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.budget = budget
        self._state = state
        self._plan = plan
        self._clock = clock
        self._since = clock() - state.driven

    @property
    def driven(self) -> float:
        """Seconds that drivers have been at work, this moment's included."""
        return self._clock() - self._since

    def spent(self) -> Spent | None:
        """See `RunBudget.spent`; None too where no epoch follows on those that are under way.

        A plan that is complete was not cut short. Promotions that are still to come are offers
        then, and asked about.
        """
        return self.budget.spent(self._state, self.driven) if self._more_follows() else None

    def _more_follows(self) -> bool:
        state = self._state
        begun = len(state.trials) - state.first
        return (
            bool(state.offers)
            or begun < self._plan.trials
            or any(trial.epochs + 1 < trial.budget for trial in state.running())
        )


def _counted(number: float, key: str) -> str:
    """``1 epoch``, ``0.5 GPU hours``."""
    unit = key.replace("gpu_", "GPU ")
    return f"{number:g} {unit.removesuffix('s') if number == 1 else unit}"


def _short(number: float) -> str:
    """Three digits, which is more than a user wants to read and enough for a small budget."""
    return f"{number:.0f}" if number >= 100 or number == int(number) else f"{number:.3g}"
