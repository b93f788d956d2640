"""What a benchmark needs of a family of training tasks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal, Protocol, TypeAlias, get_args

import numpy as np
from numpy.typing import NDArray

from raytao.space import Space
from raytao.types import Params

Curve: TypeAlias = NDArray[np.float64]
Split: TypeAlias = Literal["dev", "held_out"]
SPLITS: Final[tuple[Split, ...]] = get_args(Split)
"""Brains are tuned on ``dev``; figures about them are of ``held_out``."""


class NoData(Exception):
    """A family's data are not where they were said to be, or are not what they should be."""


class Family(Protocol):
    """Tasks that share a search space and a length of training."""

    @property
    def name(self) -> str:
        """What tables call it."""

    @property
    def tasks(self) -> Mapping[Split, tuple[str, ...]]:
        """Names of the tasks of each split."""

    @property
    def space(self) -> Space:
        """What is searched."""

    @property
    def first(self) -> Params:
        """What stands in for a user's own spec."""

    @property
    def epochs(self) -> int:
        """Length of a full training."""

    def curve(self, task: str, params: Params) -> tuple[Curve, Curve]:
        """Metric (larger is better) and seconds since the start after each epoch, (epochs,)."""

    def regret(self, task: str, value: float) -> float:
        """How far a metric value is from the best known: 0 is there, 100 is bad."""
