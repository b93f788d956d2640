"""Trials as a model takes them, and what it makes of them: values, without the model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from raytao.types import Params


@dataclass(frozen=True)
class Seen:
    """A trial, as far as it has come.

    Args:
        params: its configuration.
        scores: (epochs, score) at the rungs that it has reached.
        target: the epochs it is being trained to; None where it is not under way.
        failed: whether it has ended without a value: no evidence, but a place to keep away from.
    """

    params: Params
    scores: tuple[tuple[int, float], ...]
    target: int | None = None
    failed: bool = False


@dataclass(frozen=True)
class Outlook:
    """What is expected of a configuration at full length.

    Args:
        log_gain: logarithm of the expected improvement, in standardised units.
        gain: expected improvement, in units of the score.
        mean: predicted score.
        deviation: its standard deviation.
        epochs: how long a full training is.
    """

    log_gain: float
    gain: float
    mean: float
    deviation: float
    epochs: int

    def __str__(self) -> str:
        return f"score {self.mean:.4g} ± {self.deviation:.2g} at {self.epochs} epochs"


@dataclass(frozen=True)
class Fresh:
    """A configuration that is worth a start; no outlook where it is to fill the space."""

    params: Params
    why: str
    outlook: Outlook | None = None


class Thoughts(Protocol):
    """What a model makes of one state of a run."""

    @property
    def knows(self) -> bool:
        """Whether the scores say anything."""

    @property
    def designing(self) -> bool:
        """Whether the first few trials are still being started."""

    @property
    def fresh(self) -> Fresh | None:
        """The configuration that is most worth a start; None if there is no new one."""

    def outlook(self, configurations: Sequence[Params]) -> list[Outlook]:
        """What is expected of configurations.

        Raises:
            LookupError: if the scores say nothing yet.
        """

    def log_gains(self, trials: Sequence[int]) -> list[float]:
        """``log_gain`` of `prospects`, of which there may be many.

        Raises:
            LookupError: if the scores say nothing yet.
        """

    def prospects(self, trials: Sequence[int]) -> list[Outlook]:
        """What is expected of trials, by number.

        Raises:
            LookupError: if the scores say nothing yet.
        """


class Thinker(Protocol):
    """A model of trials; a pure function, caches aside."""

    def think(self, trials: Sequence[Seen], heard: Sequence[int]) -> Thoughts:
        """What to make of ``trials``.

        Args:
            trials: all there are, by number.
            heard: whose results came, in order: the n-th of a trial is that of its rung n.
        """
