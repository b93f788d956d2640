"""Configurations and epochs in one model: what a short training says about a long one.

The logarithm of the epochs is one more coordinate with a length scale of its own, so that one
Gaussian process holds the results of all rungs. Results of one configuration are as close to each
other as their epochs are; how much a low rung tells about the top is read off the data like every
other length scale. Its prior says that it tells a lot: with one as short as is usual for an axis
of its own, regret on LCBench was half as much again.

What all trainings gain from one rung to the next says nothing about a configuration. It is added
to the scores of the lower rungs before the model sees them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np
from numpy.typing import NDArray

from raytao.brains.gp.acquisition import ExpectedImprovement
from raytao.brains.gp.believed import KEPT, Belief, Believer, Known, milestone
from raytao.brains.gp.features import Array, Features, Points
from raytao.brains.gp.model import SEVERAL, GaussianProcesses, condition
from raytao.brains.gp.scores import standardise
from raytao.space import Space

BOLDNESS: Final = 3.0
"""Deviations count threefold in the search where all parameters are numbers: a start is cheap."""


class CurveFeatures(Features):
    """The embedding of a space, and of how long a configuration was trained.

    Points have one coordinate more than those of the space, the last, which is always active.

    Args:
        space: what is searched.
        top: epochs of a full training.
    """

    def __init__(self, space: Space, top: int) -> None:
        super().__init__(space)
        self.configurations = Features(space)
        self.categorical = np.append(self.configurations.categorical, False)
        self.steady = np.append(self.configurations.steady, True)
        self._top = top

    def after(self, points: Points, epochs: Sequence[int]) -> Points:
        """Points (n, d) of the space, each after so many epochs: points (n, d + 1).

        The last coordinate is -1 after one epoch, and 0 at full length.
        """
        span = math.log(max(self._top, 2))
        stage = np.log(np.array(epochs, dtype=np.float64).reshape(-1, 1) / self._top) / span
        return Points(
            np.hstack([points.x, stage]), np.hstack([points.active, np.ones_like(stage, bool)])
        )

    @cached_property
    def group(self) -> NDArray[np.intp]:
        """See `Features.group`; the epochs are a group of their own."""
        own = self.configurations.group
        return np.append(own, own[-1] + 1)

    @cached_property
    def usual_dim(self) -> float:
        """See `Features.usual_dim`."""
        return self.configurations.usual_dim + 1.0

    def embed(self, points: Points) -> Array:
        """The embedding (n, D + 1)."""
        own = Points(points.x[:, :-1], points.active[:, :-1])
        return np.hstack([self.configurations.embed(own), points.x[:, -1:]])


class CurveBeliever:
    """Forms beliefs about scores at full length; holds nothing but caches.

    Args:
        features: of the space and the epochs.
        seed: of the chains that hyper-parameters are drawn by.
    """

    def __init__(self, features: CurveFeatures, seed: int) -> None:
        self._features = features
        self._believer = Believer(features, seed, boldness=BOLDNESS)
        self._fitted: tuple[bytes, Array | None] = (b"", None)
        self._grew: GaussianProcesses | None = None
        self._begun: tuple[int, bytes] = (0, b"")

    def believe(self, known: Known) -> Belief | None:
        """What results at any length make one believe; None if they say nothing.

        Args:
            known: points of `CurveFeatures.after`, in the order in which the results came.
        """
        fitted = milestone(len(known))
        thetas = self._thetas(known[:fitted])
        if thetas is None:  # what was known by then says nothing
            thetas = self._thetas(known)
        kept = Known(known.points, lifted(known)).thinned(KEPT)
        scaled = standardise(kept.scores)
        if thetas is None or scaled is None:
            return None
        whole = len(kept) == len(known)
        models = self._grown(
            self._features.embed(kept.points), thetas, fitted if whole else len(kept)
        )
        values = np.repeat(scaled.values[None], len(thetas), axis=0)
        return Belief(models.with_values(values), scaled, self._believer.boldness)

    def _grown(self, e: Array, thetas: Array, first: int) -> GaussianProcesses:
        """The models of points (n, D): made from the ``first`` of them, bordered by each other.

        Digits depend on the way: it is the same for all who know the same, for what is kept is
        where this very way has come to.
        """
        models, begun = self._grew, (first, thetas.tobytes())
        if models is None or begun != self._begun or not _begins_with(e, models.e):
            nothing = np.zeros((len(thetas), first))
            models = condition(e[:first], nothing, self._features.group, thetas)
        for point in e[len(models.e) :]:
            models = models.bordered(point)
        self._grew, self._begun = models, begun
        return models

    def _thetas(self, known: Known) -> Array | None:
        """Hyper-parameters (k, g + 2) by what was known then, and by nothing that came since."""
        key = known.points.x.tobytes() + known.scores.tobytes()
        if key != self._fitted[0]:
            then = Known(known.points, lifted(known))
            says = standardise(then.scores) is not None
            near = self._near(known) if says else None
            self._fitted = (key, self._believer.fitted(then, near) if says else None)
        return self._fitted[1]

    def _near(self, known: Known) -> Array | None:
        """The mode (g + 2,) at the milestone before, where that had one that counts.

        From there a fit takes a third of the steps. It was fitted from the one before it, and so
        on: the whole chain follows from the results, and takes no longer than a fit from afar.
        """
        before = milestone(len(known) - 1)
        if before <= SEVERAL:
            return None
        thetas = self._thetas(known[:before])
        return None if thetas is None else thetas[0]


def _begins_with(e: Array, first: Array) -> bool:
    return len(first) <= len(e) and np.array_equal(first, e[: len(first)])


def lifted(known: Known) -> Array:
    """Scores (n,) raised by what trainings usually gain from there to full length.

    From the top rung down: the median, over the configurations that went on from a rung, of their
    next score, lifted, above the one there. A rung from which none has gone on yet is lifted as
    the one above it.
    """
    stages, at = np.unique(known.points.x[:, -1], return_inverse=True)
    numbers: dict[bytes, int] = {}
    who = [numbers.setdefault(x.tobytes(), len(numbers)) for x in known.points.x[:, :-1]]
    curves = np.full((len(stages), len(numbers)), np.nan)
    curves[at, who] = known.scores
    gains = np.zeros(len(stages))
    further = np.full(len(numbers), np.nan)  # the next score of each, lifted
    above = 0.0
    for stage in reversed(range(len(stages))):
        gained = further - curves[stage]
        seen = gained[~np.isnan(gained)]
        above = gains[stage] = float(np.median(seen)) if len(seen) else above
        reached = ~np.isnan(curves[stage])
        further[reached] = curves[stage, reached] + above
    lifts: Array = known.scores + gains[at]
    return lifts


@dataclass(frozen=True)
class AtFullLength:
    """A surface over embedded configurations: what is expected of them at full length."""

    over: ExpectedImprovement

    def value(self, points: Array) -> Array:
        """Values (m,) at (m, D)."""
        return self.over.value(_at_full_length(points))

    def value_with_gradient(self, points: Array) -> tuple[Array, Array]:
        """Values (m,) and gradients (m, D)."""
        value, gradient = self.over.value_with_gradient(_at_full_length(points))
        return value, gradient[:, :-1]


def _at_full_length(points: Array) -> Array:
    return np.hstack([points, np.zeros((len(points), 1))])
