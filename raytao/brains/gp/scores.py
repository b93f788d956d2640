"""Scores as a model takes them: robust to the very bad, with mean 0 and variance 1."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from raytao.brains.gp.features import Array

OUTLIER: Final = 3.0
"""Scores this many robust standard deviations below the median are all equally bad."""
MAD_TO_DEVIATION: Final = 1.4826


@dataclass(frozen=True)
class Standardised:
    """Scores with mean 0 and variance 1: ``score = center + scale * value``."""

    values: Array
    center: float
    scale: float

    def score(self, value: float) -> float:
        """Back to the units of the scores."""
        return self.center + self.scale * value


def standardise(scores: Array) -> Standardised | None:
    """Center and scale scores (n,); None if they are constant or none.

    Very low scores, such as those of diverged trainings, are raised to 3 robust deviations below
    the median: they say where not to look, but must not flatten the differences at the top.
    """
    if not len(scores):
        return None
    middle = float(np.median(scores))
    deviation = MAD_TO_DEVIATION * float(np.median(np.abs(scores - middle)))
    clipped = np.maximum(scores, middle - OUTLIER * deviation) if deviation > 0 else scores
    center, scale = float(clipped.mean()), float(clipped.std())
    if not scale > 1e-12 * max(1.0, abs(center)):
        return None
    return Standardised((clipped - center) / scale, center, scale)
