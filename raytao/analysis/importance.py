"""Which parameters a run's scores depend on: over the whole space, in pairs, and around the best.

A forest of scikit-learn is grown on the trials; its variance over the space is shared out (fANOVA;
`raytao.analysis.decomposition`), and so is how much it varies along each parameter through the
best trial (local importance). Forests are also grown on random halves of the trials: how far these
answers scatter tells how far the answer is to be trusted, and how they differ from it on average
tells how far it would still move with more trials.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from raytao.analysis.cells import Cube
from raytao.analysis.decomposition import MOST_PAIRED, Effects, Shares, shares
from raytao.brains.threads import one_blas_thread
from raytao.errors import UserError
from raytao.space import Space
from raytao.space.parameters import Array
from raytao.types import Params

FEWEST_TRIALS: Final = 10
"""With fewer there is no importance to speak of."""

MOST_TRIALS: Final = 1_000
"""Trials that forests are grown on; of more, these are drawn at random."""

TREES: Final = 128
TREES_OF_A_HALF: Final = 16
HALVES: Final = 30

DEVIATIONS: Final = 1.645
"""Half width of an interval in standard deviations: 90 % of a normal distribution."""

LEAST_FIT: Final = 0.25
"""Intervals widen as the fit falls, in proportion to 1 / fit, down to this one: a forest that
explains little is farther off than its halves differ. Chosen, like all of the rule, by how often
intervals held shares that are known (`benchmarks/importance.py`)."""

FENCE: Final = 1.5
"""Scores farther than so many interquartile ranges beyond the quartiles count as if there.

Where 3 % of 200 scores had diverged, shares were off by 0.07 with this fence, 0.11 with one at 3,
and 0.48 with none; where none had diverged the fence changed nothing."""

_ROUNDING: Final = 1e-12
"""Scores that differ by less, relative to the largest, are the same."""

GOOD_FIT: Final = 0.5
"""Explained share of the variance below which a note warns."""


class TooFewTrials(UserError):
    """Importance was asked of fewer trials than it takes."""


@dataclass(frozen=True)
class Share:
    """Part of the variance that one or two parameters explain.

    Args:
        names: of the parameter, or of the two that act together beyond what each does alone.
        share: 0 to 1, of the forest.
        low: lower end of an interval that is meant to hold the true share in 9 of 10 runs; from a
            dozen trials, or from much noise, it does in 8 (`benchmarks/RESULTS.md`).
        high: upper end.
    """

    names: tuple[str, ...]
    share: float
    low: float
    high: float


@dataclass(frozen=True)
class Importance:
    """What the scores depend on; all shares largest first.

    Args:
        trials: how many had a score.
        main: shares of the score's variance over the space, one a parameter; empty where all
            scores are the same.
        pairs: what two parameters add by acting together; main and pairs add up to 1 at most.
        local: how much the score varies with each parameter alone around the best trial, as
            shares of the sum.
        fit: share of the variance of trials that the forest had not seen which it explains
            (out-of-bag R²); 1 at best, below 0 where it is worse than their mean.
        notes: what a reader has to know, in sentences.
    """

    trials: int
    main: tuple[Share, ...]
    pairs: tuple[Share, ...]
    local: tuple[Share, ...]
    fit: float
    notes: tuple[str, ...]


def importance(
    space: Space, params: Sequence[Params], scores: Sequence[float], *, seed: int = 0
) -> Importance:
    """Share out the variance of the scores among the parameters.

    The same arguments give the same answer.

    Args:
        space: what was searched.
        params: a configuration per trial.
        scores: a score per trial; larger is better. Trials whose score is no finite number are
            left out.
        seed: of the forests.

    Raises:
        TooFewTrials: if fewer than ``FEWEST_TRIALS`` have a score.
        SpaceError: if a configuration has a name that is not searched.
    """
    with one_blas_thread():
        return _importance(space, params, np.asarray(scores, dtype=np.float64), seed)


def _importance(space: Space, params: Sequence[Params], scores: Array, seed: int) -> Importance:
    usable = np.flatnonzero(np.isfinite(scores))
    _refuse_too_few(len(usable))
    rng = np.random.default_rng(seed)
    chosen = _chosen(usable, scores, rng)
    cube = Cube(space)
    features = cube.features([params[i] for i in chosen])
    values, clipped = _standardised(scores[chosen])
    notes = _notes_on_trials(len(scores), len(usable), len(chosen), clipped)
    notes += _notes_on_parameters(cube, features)
    if not values.any():
        notes.append("All scores are the same: there is nothing to explain.")
        return Importance(len(usable), (), (), (), 0.0, tuple(notes))
    study = _Study(cube, features, values, int(scores[chosen].argmax()))
    whole, fit = study.whole(rng)
    halves = [study.half(rng, whole) for _ in range(HALVES)]
    notes += _notes_on_fit(fit)
    told = _Told(space, min(max(fit, 0.0), 1.0))
    return Importance(
        trials=len(usable),
        main=told.ranked(whole.main, [half.main for half in halves]),
        pairs=told.ranked(whole.pairs, [half.pairs for half in halves], unsure=1 - told.fit),
        local=told.ranked(whole.local, [half.local for half in halves]),
        fit=fit,
        notes=tuple(notes),
    )


@dataclass(frozen=True)
class _Study:
    """Trials as a forest sees them: features with NaN where unknown, standardised scores."""

    cube: Cube
    features: Array
    values: Array
    best: int

    def whole(self, rng: np.random.Generator) -> tuple[Shares, float]:
        """Shares of a forest on all trials, and how much of unseen trials it explains."""
        forest = self._grown(np.arange(len(self.values)), TREES, rng, oob_score=True)
        return self._shares(forest, rng, None), float(forest.oob_score_)

    def half(self, rng: np.random.Generator, whole: Shares) -> Shares:
        """The same shares, of a forest on a random half of the trials."""
        half = rng.permutation(len(self.values))[: len(self.values) // 2]
        paired = sorted({place for pair in whole.pairs for place in pair})
        return self._shares(self._grown(half, TREES_OF_A_HALF, rng), rng, paired)

    def _grown(
        self, rows: NDArray[np.intp], trees: int, rng: np.random.Generator, **settings: Any
    ) -> Any:
        from sklearn.ensemble import RandomForestRegressor

        forest = RandomForestRegressor(
            trees, max_features=1.0, random_state=int(rng.integers(2**31)), **settings
        )
        return forest.fit(self.cube.filled(self.features[rows], rng), self.values[rows])

    def _shares(self, forest: Any, rng: np.random.Generator, paired: list[int] | None) -> Shares:
        return shares(forest, self.cube, self.features[self.best], rng, paired)


def _refuse_too_few(trials: int) -> None:
    if trials < FEWEST_TRIALS:
        have = f"{trials} trial{'s' if trials != 1 else ''}"
        raise TooFewTrials(
            f"importance cannot be told from {have} with a score; it takes {FEWEST_TRIALS}",
            remedy="let the run go on until more trials have reported",
        )


def _chosen(usable: NDArray[np.intp], scores: Array, rng: np.random.Generator) -> NDArray[np.intp]:
    """All usable trials, or so many of them at random as forests are grown on, with the best."""
    if len(usable) <= MOST_TRIALS:
        return usable
    best = usable[scores[usable].argmax()]
    others = rng.permutation(usable[usable != best])[: MOST_TRIALS - 1]
    return np.sort(np.append(others, best))


def _standardised(scores: Array) -> tuple[Array, int]:
    """Scores of mean 0 and variance 1, all 0 where they are the same, and how many were moved.

    Outliers are moved to the fence: one diverged loss of 1e6 would be all of the variance. Where
    half of the scores are the same there is no fence.
    """
    scores = scores / (np.abs(scores).max() or 1.0)  # squares of 1e200 are no numbers
    first, third = np.quantile(scores, [0.25, 0.75])
    reach = FENCE * (third - first)
    fenced = np.clip(scores, first - reach, third + reach) if reach > 0 else scores
    spread = fenced.std()
    if spread < _ROUNDING:
        return np.zeros_like(scores), 0
    return (fenced - fenced.mean()) / spread, int(np.sum(fenced != scores))


@dataclass(frozen=True)
class _Told:
    """Names shares and puts intervals around them, by the fit of the forest, 0 to 1."""

    space: Space
    fit: float

    def ranked(
        self, whole: Effects, halves: Sequence[Effects], *, unsure: float = 0.0
    ) -> tuple[Share, ...]:
        """Shares with their intervals, the largest first.

        An answer from n trials is expected to be as far from the truth as one from n / 2 is from
        it, in the same direction; the interval lies around what follows. What a forest leaves
        unexplained (``unsure``) may be interactions that it missed or made up: it sees them last.
        """
        answer = []
        for places, share in whole.items():
            others = np.array([half[places] for half in halves])
            centre = 2 * share - others.mean()
            reach = DEVIATIONS * others.std(ddof=1) / max(self.fit, LEAST_FIT)
            low = min(centre - reach, share) * (1 - unsure) - unsure
            high = max(centre + reach, share) * (1 - unsure) + unsure
            names = tuple(self.space.names[k] for k in places)
            answer.append(Share(names, share, _within(low), _within(high)))
        return tuple(sorted(answer, key=lambda one: (-one.share, one.names)))


def _within(share: float) -> float:
    return min(max(float(share), 0.0), 1.0)


def _notes_on_trials(given: int, usable: int, chosen: int, clipped: int) -> list[str]:
    notes = []
    if usable < given:
        notes.append(f"{given - usable} of {given} trials have no score and are left out.")
    if chosen < usable:
        notes.append(f"Told from {chosen:,} of {usable:,} trials, drawn at random.")
    if clipped:
        notes.append(
            f"{clipped} score{'s' if clipped > 1 else ''} far from all others (beyond the "
            f"quartiles by {FENCE:g} interquartile ranges) moved to that fence."
        )
    return notes


def _notes_on_parameters(cube: Cube, features: Array) -> list[str]:
    notes = []
    partly = [
        factor.name
        for factor, columns in zip(cube.factors, cube.columns, strict=True)
        if np.isnan(features[:, columns.start]).any()
    ]
    if partly:
        notes.append(
            f"Not set in every trial: {', '.join(partly)}. Where it is not set, a parameter "
            "counts as any value at random: its share is of the whole space, the part without it "
            "included."
        )
    if len(cube.factors) > MOST_PAIRED:
        notes.append(f"Pairs are those of the {MOST_PAIRED} parameters with the largest shares.")
    return notes


def _notes_on_fit(fit: float) -> list[str]:
    if fit >= GOOD_FIT:
        return []
    explained = f"{fit:.0%} of" if fit >= 0.005 else "nothing of"
    return [
        f"The forest explains {explained} the variance of trials it has not seen: do not trust "
        "the order."
    ]
