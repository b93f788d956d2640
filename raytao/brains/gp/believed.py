"""What is believed about scores: hyper-parameters from a prefix of the results, models from all.

Fitting hyper-parameters is what takes the time, and they hardly move once there are many results:
they are fitted anew only at milestones, from the results that were there by then. What a fit
begins with follows from those results, too, and nothing else is carried over, so that a brain that
was rebuilt from a log believes, bit for bit, what the one believed that wrote it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from raytao.brains.gp.features import Array, Features, Points, Rows
from raytao.brains.gp.model import (
    CATEGORY_MEAN,
    MIXED_MEAN,
    NUMBER_MEAN,
    Evidence,
    GaussianProcesses,
    condition,
    mode,
    sample,
)
from raytao.brains.gp.scores import Standardised, standardise

EVERY: Final = 24
SELDOM: Final = 6
"""Up to so many results, each is a milestone; then there is one when a sixth was added."""
AVERAGED: Final = ((24, 8), (48, 4))
"""Up to so many results, the average is over so many draws; beyond, the mode is sure enough."""
THINNING: Final = 10
FITTED: Final = 200
"""Results that hyper-parameters are fitted to: half of them the best, the others a spread."""
BOLDNESS: Final = 2.0
"""Deviations count double in the search where all parameters are numbers: the best often lies at
an edge, and a model of a dozen results is surer of itself than it should be."""
KEPT: Final = 512
"""Results that a model holds, chosen likewise: its cost grows with their cube."""


@dataclass(frozen=True)
class Known:
    """Results: ``points`` (n, d), ``scores`` (n,), larger is better, in the order of trials."""

    points: Points
    scores: Array

    def __len__(self) -> int:
        return len(self.scores)

    def __getitem__(self, rows: Rows) -> Known:
        return Known(self.points[rows], self.scores[rows])

    def thinned(self, most: int) -> Known:
        """At most so many of them: the best half, and of the others an even spread over time."""
        if len(self) <= most:
            return self
        order = np.argsort(-self.scores, kind="stable")
        best, others = order[: most // 2], np.sort(order[most // 2 :])
        spread = others[np.linspace(0, len(others) - 1, most - most // 2).astype(int)]
        return self[np.sort(np.concatenate([best, spread]))]


@dataclass(frozen=True)
class Belief:
    """Equally likely models of standardised scores; ``boldness`` is for the acquisition."""

    models: GaussianProcesses
    scaled: Standardised
    boldness: float

    def with_pending(self, points: Array) -> Belief:
        """The same after embedded points (m, D) will have turned out as predicted."""
        return replace(self, models=self.models.believe(points))

    @property
    def bests(self) -> Array:
        """The largest value (k,) that each model holds, measured or believed."""
        best: Array = self.models.y.max(axis=1)
        return best

    def predict(self, points: Array) -> tuple[Array, Array]:
        """Mean (m,) and deviation (m,) of the average over the models, in units of the scores."""
        return self.averaged(*self.models.predict(points))

    def averaged(self, means: Array, deviations: Array) -> tuple[Array, Array]:
        """The same, from what the models predict: means and deviations (k, m)."""
        mean = means.mean(0)
        spread = np.sqrt((deviations**2 + (means - mean) ** 2).mean(0))
        return self.scaled.center + self.scaled.scale * mean, self.scaled.scale * spread


def milestone(count: int) -> int:
    """The last milestone at or before ``count`` results."""
    reached = min(count, EVERY)
    while (following := reached + max(1, reached // SELDOM)) <= count:
        reached = following
    return reached


class Believer:
    """Forms beliefs; holds nothing but a cache of the last hyper-parameters.

    Args:
        features: of the space.
        seed: of the chains that hyper-parameters are drawn by.
        smooth: how smooth numbers are taken to be where there are no categories (see `model`).
        boldness: what deviations are multiplied by in the search there.
    """

    def __init__(
        self,
        features: Features,
        seed: int,
        *,
        smooth: float = NUMBER_MEAN,
        boldness: float = BOLDNESS,
    ) -> None:
        self._features = features
        self.boldness = 1.0 if features.mixed else boldness
        mean = np.where(features.steady, NUMBER_MEAN, MIXED_MEAN if features.mixed else smooth)
        number = mean + 0.5 * np.log(max(features.usual_dim, 1.0))
        self._centers: Array = np.where(features.categorical, CATEGORY_MEAN, number)
        self._seed = seed
        self._fitted: tuple[bytes | None, Array] = (None, np.empty((0, 0)))

    def believe(self, known: Known, by_then: int) -> Belief | None:
        """What ``known`` makes one believe; None if the scores say nothing.

        Args:
            known: all results.
            by_then: how many of the first ones hyper-parameters are fitted to; all, as long as
                those say nothing.
        """
        kept = known.thinned(KEPT)
        scaled = standardise(kept.scores)
        if scaled is None:
            return None
        e = self._features.embed(kept.points)
        then = known[:by_then] if standardise(known.scores[:by_then]) else known
        thetas = self.fitted(then)
        values = np.repeat(scaled.values[None], len(thetas), axis=0)
        models = condition(e, values, self._features.group, thetas)
        return Belief(models, scaled, self.boldness)

    def fitted(self, known: Known, near: Array | None = None) -> Array:
        """Hyper-parameters (k, g + 2) that are likely by results, of which FITTED count.

        ``near``: see `mode`; the same known results must come with the same.
        """
        known = known.thinned(FITTED)
        key = known.points.x.tobytes() + known.scores.tobytes()
        if key != self._fitted[0]:
            self._fitted = (key, self._fit(known, near))
        return self._fitted[1]

    def _fit(self, known: Known, near: Array | None) -> Array:
        scaled = standardise(known.scores)
        values = np.zeros(len(known)) if scaled is None else scaled.values
        e = self._features.embed(known.points)
        evidence = Evidence(e, values, self._features.group, self._centers)
        likeliest = mode(evidence, near)
        draws = next((draws for most, draws in AVERAGED if len(known) <= most), 1)
        if draws == 1:
            return likeliest[None]
        rng = np.random.default_rng([self._seed, len(known)])
        return sample(evidence, likeliest, draws, THINNING, rng)
