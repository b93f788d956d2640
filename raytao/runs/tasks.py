"""What the controller hands out: segments of trials, and the winner's measurement."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from raytao.types import Done, Params, Wait


@dataclass(frozen=True)
class Lease:
    """One segment of one trial: train from the latest checkpoint to ``stop_epoch``.

    ``attempt`` fences: reports of an older attempt are dropped. ``reported_epoch`` is the last
    epoch the log knows; later ones that were trained already are re-reported, not trained again.
    """

    trial: int
    attempt: int
    params: Params
    stop_epoch: int
    horizon: int
    reported_epoch: int
    halvings: int = 0
    """How often the batch of its spec is to be halved."""


@dataclass(frozen=True)
class Evaluation:
    """Measure the winner, as it was after ``epoch``, on the test set: the last thing, once."""

    trial: int
    epoch: int
    params: Params
    horizon: int
    attempt: int = 0
    """How many attempts at it were lost."""


Task: TypeAlias = Lease | Evaluation | Wait | Done
