"""The driver's own watchdog: for actors that say nothing although their supervisors should have.

A supervisor enforces a job's limits (`raytao.trials.running`). It cannot if its own process is
stopped, if its node is cut off, or if a disk holds it in the kernel; then nobody tells the driver.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import ray
from ray import tune
from ray.tune.experiment import Trial

from raytao.trials.messages import Limits
from raytao.trials.running import WARMING_SECONDS
from raytao.tune.lease import NotSaved

MARGIN_SECONDS: Final = 60.0
"""What a supervisor may need beyond a limit: to kill the job, to bury it, and to tell."""

LISTENED_SECONDS: Final = 1.0
"""Most that a turn of Tune's loop counts: a driver that is busy, or was stopped, hears nobody."""

LIVE: Final = (Trial.PENDING, Trial.RUNNING)


@dataclass
class _Silence:
    """Since when, on the watchdog's clock; ``placed``: its trainer exists."""

    began: float
    last: float
    placed: float | None = None
    given_up: bool = False


class Watchdog(NotSaved, tune.Callback):
    """Gives up an actor that is overdue: its lease is lost, and its slot is free.

    Without limits there is no watchdog. As in the supervisor, warming up counts against no limit,
    but has one of its own.

    Args:
        limits: of a job, as its supervisor knows them.
        blame: is told a Tune trial and why it is given up.
        margin: seconds beyond a limit.
        clock: monotonic seconds.
    """

    def __init__(
        self,
        limits: Limits,
        blame: Callable[[str, str], None],
        *,
        margin: float = MARGIN_SECONDS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._limits = limits
        self._blame = blame
        self._margin = margin
        self._clock = clock
        self._turned = clock()
        self._now = 0.0
        self._leases: dict[str, _Silence] = {}

    def on_trial_result(
        self,
        iteration: int,
        trials: list[Trial],
        trial: Trial,
        result: dict[str, Any],
        **info: Any,
    ) -> None:
        """The actor lives; its first word is that its trainer exists."""
        del iteration, trials, result, info
        lease = self._leases.get(trial.trial_id)
        if lease is not None:
            lease.last = self._now
            lease.placed = self._now if lease.placed is None else lease.placed

    def on_step_end(self, iteration: int, trials: list[Trial], **info: Any) -> None:
        """Look around; Tune's loop turns about ten times a second, whether or not news come."""
        del iteration, info
        turned = self._clock()
        self._now += min(turned - self._turned, LISTENED_SECONDS)
        self._turned = turned
        if self._limits != Limits():
            self._look(trials)

    def _look(self, trials: Sequence[Trial]) -> None:
        before, self._leases = self._leases, {}
        for trial in trials:
            actor = trial.temporary_state.ray_actor
            if actor is None or trial.status not in LIVE:
                continue
            lease = before.get(trial.trial_id) or _Silence(self._now, self._now)
            self._leases[trial.trial_id] = lease
            overdue = None if lease.given_up else self._overdue(lease)
            if overdue is not None:
                lease.given_up = True
                self._blame(trial.trial_id, overdue)
                ray.kill(actor)  # Tune hears of a dead actor, at once and wherever that was

    def _overdue(self, lease: _Silence) -> str | None:
        """Why the lease is given up, if it is to be."""
        seconds, idle = self._limits.seconds, self._limits.idle_seconds
        now, margin = self._now, self._margin
        if lease.placed is None:
            late = now > lease.began + WARMING_SECONDS + margin
            return f"its worker started no trainer within {WARMING_SECONDS:g} s" if late else None
        if seconds is not None and now > lease.placed + seconds + margin:
            return f"its worker said nothing of its end, due after {seconds:g} s: given up"
        if idle is not None and now > lease.last + idle + margin:
            return f"its worker said nothing for {now - lease.last:.0f} s: given up"
        return None
