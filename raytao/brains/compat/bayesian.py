"""TAO's Bayesian search: a Gaussian process and expected improvement (TAO facts §2.3).

The process is scikit-learn's, as in TAO, so that posteriors agree to the last digits:
constant times Matérn 5/2 with a length scale for each parameter, noise 1e-10, scores as they are
(a prior mean of 0), ten restarts of the fit from random state 95051. Expected improvement over
the best posterior mean by ξ = 0.01 is climbed from five random starts, by differences. The first
trial is drawn at random; TAO never trains the user's own spec.

What differs from TAO:

- starts and draws come from (seed, trial); TAO's seed is the hash of a job id, which changes from
  process to process, so its runs cannot be repeated;
- scores are always maximised: for a metric that is to be small they are its negatives, and the
  prior mean of 0 is then a good value. TAO moves towards the worst;
- failed trials are left out, instead of taught as 1e-7 or infinity;
- scores are the metric's values; TAO adds 1e-7, so that no result is 0;
- where the fit breaks down, the next trial is drawn at random; TAO's run ends there.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from raytao.brains.base import Task
from raytao.brains.compat.values import Compat, tao_point, tao_values
from raytao.brains.full import Stage, Trial
from raytao.brains.threads import one_blas_thread
from raytao.space.parameters import Array
from raytao.types import Json, Params

NU: Final = 2.5
ALPHA: Final = 1e-10
FIT_RESTARTS: Final = 10
FIT_SEED: Final = 95051
XI: Final = 0.01
STARTS: Final = 5


class Surrogate:
    """TAO's Gaussian process, fitted.

    Args:
        points: (n, d), within [0, 1].
        scores: (n,), larger is better.

    Raises:
        numpy.linalg.LinAlgError: if the points are too alike for the process to tell apart.
    """

    def __init__(self, points: Array, scores: Array) -> None:
        from sklearn.gaussian_process import GaussianProcessRegressor
        from sklearn.gaussian_process.kernels import ConstantKernel, Matern

        self._process = GaussianProcessRegressor(
            kernel=ConstantKernel(1.0) * Matern(length_scale=[1.0] * points.shape[1], nu=NU),
            alpha=ALPHA,
            optimizer="fmin_l_bfgs_b",
            n_restarts_optimizer=FIT_RESTARTS,
            random_state=FIT_SEED,
        )
        with one_blas_thread(), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a length scale at its bound is nothing to tell
            self._process.fit(points, scores)
        self._best = float(np.max(self._process.predict(points)))

    def predict(self, points: Array) -> tuple[Array, Array]:
        """Means and standard deviations, shapes (m,), at ``points``, shape (m, d)."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a variance that rounds below 0 becomes 0
            mean, deviation = self._process.predict(points, return_std=True)
        return mean, deviation

    def expected_improvement(self, points: Array) -> Array:
        """Expected gain over the best mean plus ξ, shape (m,), at ``points``, shape (m, d)."""
        from scipy.special import ndtr

        mean, deviation = self.predict(points)
        gain = mean - self._best - XI
        with np.errstate(divide="ignore", invalid="ignore"):
            z = gain / deviation
            density = np.exp(-(z**2) / 2.0) / np.sqrt(2.0 * np.pi)
            expected: Array = gain * ndtr(z) + deviation * density
        expected[deviation == 0.0] = 0.0
        return expected

    def climb(self, starts: Array) -> tuple[Array, float]:
        """The best point, shape (d,), that TAO's search reaches from ``starts``, and its EI."""
        from scipy.optimize import minimize

        def cost(point: Array) -> float:
            return -float(self.expected_improvement(point.reshape(1, -1))[0])

        box = [(0.0, 1.0)] * starts.shape[1]
        with one_blas_thread():
            tops = [minimize(cost, start, bounds=box, method="L-BFGS-B") for start in starts]
        top = min(tops, key=lambda found: float(found.fun))
        return np.asarray(top.x, dtype=np.float64), -float(top.fun)


@dataclass(frozen=True)
class _Proposal:
    """What TAO would train next: the suggestion it hands to its process later, and the values."""

    point: Array
    params: Params
    why: str


class TaoBayesian:
    """Proposes what TAO's Bayesian search would, one trial after the other.

    TAO teaches its process the suggestions, not the values that were made of them, and a table
    of trials holds only the values. So the suggestions are computed again, trial by trial, from
    the seed and the table, and kept as long as the table stays the same. A trial with other
    values than TAO's comes from elsewhere, and is taught by its values.

    Args:
        task: what is searched; ``first``, ``initial`` and ``evidence`` are not looked at.
        compat: the version of TAO.
    """

    def __init__(self, task: Task, compat: Compat) -> None:
        self._space = task.space
        self._seed = task.seed
        self._compat = compat
        self._kept: dict[int, tuple[bytes, _Proposal]] = {}

    def propose(self, trial: int, history: Sequence[Trial]) -> tuple[Params, str]:
        """Return the configuration of trial number ``trial``, and why.

        Args:
            trial: the next number: ``len(history)``.
            history: all trials so far; those that failed or still run are no evidence.
        """
        proposal = self._proposal(trial, *self._evidence(history, self._points(history)))
        return dict(proposal.params), proposal.why

    def describe(self, history: Sequence[Trial]) -> Mapping[str, Json]:
        """TAO's keys: suggestions of scored trials, then of running ones, and the scores."""
        points = self._points(history)
        known, scores = self._evidence(history, points)
        running = [
            point.tolist()
            for point, line in zip(points, history, strict=True)
            if line.stage is Stage.RUNNING
        ]
        return {"Xs": known.tolist() + running, "ys": scores.tolist()}

    def _points(self, history: Sequence[Trial]) -> list[Array]:
        """The suggestion of every trial of the table."""
        points: list[Array] = []
        for trial, line in enumerate(history):
            proposal = self._proposal(trial, *self._evidence(history[:trial], points))
            own = dict(proposal.params) == dict(line.params)
            points.append(
                proposal.point if own else tao_point(self._space, line.params, self._compat)
            )
        return points

    def _evidence(self, history: Sequence[Trial], points: Sequence[Array]) -> tuple[Array, Array]:
        """Suggestions (n, d) and scores (n,) of the trials that were trained to the end."""
        done = [
            (point, line.best)
            for point, line in zip(points, history, strict=True)
            if line.stage is Stage.DONE and line.best is not None
        ]
        known = np.array([point for point, _ in done], dtype=np.float64)
        scores = np.array([score for _, score in done], dtype=np.float64)
        return known.reshape(-1, len(self._space.parameters)), scores

    def _proposal(self, trial: int, known: Array, scores: Array) -> _Proposal:
        """What TAO proposes as ``trial`` on this evidence; computed once."""
        evidence = known.tobytes() + scores.tobytes()
        kept = self._kept.get(trial)
        if kept is None or kept[0] != evidence:
            kept = evidence, self._computed(trial, known, scores)
            self._kept[trial] = kept
        return kept[1]

    def _computed(self, trial: int, known: Array, scores: Array) -> _Proposal:
        rng = np.random.default_rng([self._seed, trial])
        point, why = self._suggestion(known, scores, rng)
        return _Proposal(point, tao_values(self._space, point, rng, self._compat), why)

    def _suggestion(
        self, known: Array, scores: Array, rng: np.random.Generator
    ) -> tuple[Array, str]:
        dim = len(self._space.parameters)
        if not len(scores):
            return rng.random(dim), "random: no result yet"
        try:
            surrogate = Surrogate(known, scores)
        except np.linalg.LinAlgError:
            return rng.random(dim), "random: the results are too alike for TAO's model"
        point, gain = surrogate.climb(rng.random((STARTS, dim)))
        return point, f"expected improvement {gain:.2g} over the best ({len(scores)} results)"
