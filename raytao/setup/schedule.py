"""What a run will cost, told before it starts: schedule, epochs, disk. No Ray, no torch."""

from __future__ import annotations

from dataclasses import dataclass

from raytao.brains.base import Plan
from raytao.setup.setup import Setup

CHECKPOINTS_A_TRIAL = 2
"""Latest and best epoch."""


@dataclass(frozen=True)
class Forecast:
    """The plan of a run and the disk its checkpoints can take at once, in bytes.

    ``disk`` is an upper bound: every trial of the first rungs alive with two checkpoints; None
    where the network does not know the size of a checkpoint.
    """

    plan: Plan
    disk: int | None
    checkpoint: int | None


def forecast(setup: Setup) -> Forecast:
    """Plan a run without starting anything."""
    plan = setup.new_brain().plan()
    size = setup.network.checkpoint_bytes(setup.spec.plain())
    disk = None if size is None else size * CHECKPOINTS_A_TRIAL * plan.trials
    return Forecast(plan, disk, size)
