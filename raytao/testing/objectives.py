"""Analytic objectives over any space: deterministic, cheap, with a known optimum.

An objective is called as ``objective(params, epoch)`` and returns a score, larger is better.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from raytao.space import Space
from raytao.types import Params

Objective: TypeAlias = Callable[[Params, int], float]


@dataclass(frozen=True)
class Quadratic:
    """``-Σ_j (u_j - optimum)²`` over the unit cube, the same at every epoch.

    A category at the optimum's cell costs nothing, any other costs ``mismatch``.

    >>> from raytao.space import Float
    >>> Quadratic(Space([Float("x", 0.0, 1.0)]), optimum=0.25)({"x": 0.75}, epoch=1)
    -0.25
    """

    space: Space
    optimum: float = 0.3
    mismatch: float = 0.1

    def __call__(self, params: Params, epoch: int) -> float:
        """Score the configuration; ``epoch`` changes nothing."""
        del epoch
        best = self.space.encode(self.space.decode(np.full(self.space.dim, self.optimum)))
        categorical = np.array([column.kind == "categorical" for column in self.space.columns])
        gaps = self.space.encode(params) - best
        return -float(np.where(categorical, self.mismatch * (gaps != 0), gaps * gaps).sum())


@dataclass(frozen=True)
class LearningCurves:
    """``asymptote - gap · exp(-rate · epoch)``: every epoch helps, and curves may cross.

    The asymptote in (0, 1] falls with the distance from the optimum, ``exp(-distance²)``. The
    rate, in epochs⁻¹, rises with the first coordinate from ``slow`` to ``fast``, so that a good
    configuration may look poor at first.
    """

    space: Space
    optimum: float = 0.3
    slow: float = 0.05
    fast: float = 0.5
    gap: float = 0.5

    def __call__(self, params: Params, epoch: int) -> float:
        """Score the configuration after ``epoch`` epochs."""
        asymptote = math.exp(Quadratic(self.space, self.optimum)(params, epoch))
        pace = float(self.space.encode(params)[0])
        rate = self.slow * (self.fast / self.slow) ** pace
        return asymptote - self.gap * math.exp(-rate * epoch)
