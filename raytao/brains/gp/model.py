"""Gaussian process regression with hyper-parameters at their posterior mode.

Symbols: ``n`` points, ``d`` columns, ``x`` (n, d) in the unit cube, ``y`` (n,) standardised;
``l`` (d,) length scales, ``v`` noise variance; ``K = k(x, x) + v I = L Lᵀ`` and
``alpha = K⁻¹ y``. The signal variance is 1: ``y`` is standardised.

Prior: ``log l`` is normal with mean ``log(d) / 2 + SCALE_MEAN`` and covariance
``SHARED² 11ᵀ + OWN² I``. The mean grows with √d (Hvarfner, Hellsten and Nardi, 2024). The
covariance says that columns are alike unless the data object: with independent priors, the mode
for a dozen trials explains everything by one short column, and the search follows it.
``log v ~ N(-6, 1.5²)``.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
from scipy.linalg import cho_solve, cholesky, solve_triangular
from scipy.optimize import minimize

from raytao.brains.gp.kernel import Array, Mask, differences, matern52, matern52_with_gradient

SCALE_MEAN: Final = -0.5
SHARED: Final = 1.0
OWN: Final = 0.5
"""Prior of log l; see the module."""
NOISE_PRIOR: Final = (-6.0, 1.5)
"""Mean and standard deviation of log v."""
SCALE_BOUNDS: Final = (math.log(5e-2), math.log(1e3))
NOISE_BOUNDS: Final = (math.log(1e-6), 0.0)
SHORT_START: Final = math.log(0.3)
SMOOTH_START: Final = -9.0
"""log l (before adding log(d) / 2) and log v where the fit starts the second time."""
MAX_ITERATIONS: Final = 60
OUTLIER: Final = 3.0
"""Scores this many robust standard deviations below the median are all equally bad."""
MAD_TO_DEVIATION: Final = 1.4826


@dataclass(frozen=True)
class Standardised:
    """Scores with mean 0 and variance 1: ``score = center + scale * value``."""

    values: Array
    center: float
    scale: float


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


@dataclass(frozen=True)
class Hyperparameters:
    """Length scales (d,) and noise variance."""

    lengthscales: Array
    noise: float


@dataclass(frozen=True)
class GaussianProcess:
    """A posterior: data, hyper-parameters, and the factors that predictions need.

    Args:
        x: (n, d) points.
        y: (n,) standardised values.
        categorical: (d,) True where a column holds a category.
        hyper: length scales and noise.
        factor: (n, n) lower Cholesky factor of K.
        alpha: (n,) K⁻¹ y.
    """

    x: Array
    y: Array
    categorical: Mask
    hyper: Hyperparameters
    factor: Array
    alpha: Array

    def predict(self, points: Array) -> tuple[Array, Array]:
        """Mean (m,) and standard deviation (m,) of the noiseless function at points (m, d)."""
        squared = differences(self.x, points, self.categorical)
        cross = matern52(squared, self.hyper.lengthscales)
        reduced = solve_triangular(self.factor, cross, lower=True, check_finite=False)
        variance = 1.0 - np.einsum("nm,nm->m", reduced, reduced)
        return cross.T @ self.alpha, np.sqrt(np.maximum(variance, 1e-12))

    def believe(self, points: Array) -> GaussianProcess:
        """Add points (m, d) at their posterior mean: what is pending is taken as predicted.

        Kriging believer (Ginsbourger, Le Riche and Carraro, 2010): the mean stays as it is, the
        deviation falls around the points. Hyper-parameters are kept.
        """
        if not len(points):
            return self
        mean, _ = self.predict(points)
        x, y = np.vstack([self.x, points]), np.concatenate([self.y, mean])
        return condition(x, y, self.categorical, self.hyper)


def condition(x: Array, y: Array, categorical: Mask, hyper: Hyperparameters) -> GaussianProcess:
    """The posterior given data and hyper-parameters."""
    kernel = matern52(differences(x, x, categorical), hyper.lengthscales)
    factor = cholesky(kernel + hyper.noise * np.eye(len(x)), lower=True, check_finite=False)
    alpha = cho_solve((factor, True), y, check_finite=False)
    return GaussianProcess(x, y, categorical, hyper, factor, alpha)


def fit(x: Array, y: Array, categorical: Mask) -> GaussianProcess:
    """Fit hyper-parameters by L-BFGS-B from two fixed starts, and condition on the data.

    Args:
        x: (n, d), n >= 1.
        y: (n,), standardised.
        categorical: (d,).
    """
    d = x.shape[1]
    squared = differences(x, x, categorical)
    starts = [
        np.append(np.full(d, SCALE_MEAN + 0.5 * math.log(d)), NOISE_PRIOR[0]),
        np.append(np.full(d, SHORT_START + 0.5 * math.log(d)), SMOOTH_START),
    ]
    results = [
        minimize(
            negative_log_posterior,
            start,
            args=(squared, y),
            jac=True,
            method="L-BFGS-B",
            bounds=[SCALE_BOUNDS] * d + [NOISE_BOUNDS],
            options={"maxiter": MAX_ITERATIONS},
        )
        for start in starts
    ]
    best = min(results, key=lambda result: float(result.fun)).x
    hyper = Hyperparameters(np.exp(best[:d]), float(np.exp(best[d])))
    return condition(x, y, categorical, hyper)


def negative_log_posterior(theta: Array, squared: Array, y: Array) -> tuple[float, Array]:
    """Negative log posterior density of the hyper-parameters, up to a constant.

    Args:
        theta: (d + 1,) logarithms of the length scales and of the noise variance.
        squared: (d, n, n) from `differences`.
        y: (n,).

    Returns:
        The value and its gradient (d + 1,).
    """
    d, n = len(theta) - 1, len(y)
    noise = math.exp(theta[d])
    kernel, slopes = matern52_with_gradient(squared, np.exp(theta[:d]))
    factor = cholesky(kernel + noise * np.eye(n), lower=True, check_finite=False)
    inverse = cho_solve((factor, True), np.eye(n), check_finite=False)
    alpha = inverse @ y
    # ∂/∂θ of ½ yᵀK⁻¹y + ½ log|K| is -½ tr((alpha alphaᵀ - K⁻¹) ∂K/∂θ).
    weight = np.outer(alpha, alpha) - inverse
    gradient = np.empty(d + 1)
    gradient[:d] = -0.5 * slopes.reshape(d, n * n) @ weight.ravel()
    gradient[d] = -0.5 * noise * float(np.trace(weight))
    value = 0.5 * float(y @ alpha) + float(np.log(np.diag(factor)).sum())

    doubt, slope = _negative_log_prior(theta)
    return value + doubt, gradient + slope


def _negative_log_prior(theta: Array) -> tuple[float, Array]:
    """The prior's part, up to a constant, and its gradient (d + 1,)."""
    d = len(theta) - 1
    scales = theta[:d] - (SCALE_MEAN + 0.5 * math.log(d))
    # (OWN² I + SHARED² 11ᵀ)⁻¹ scales, by Sherman and Morrison.
    shrunk = (scales - scales.sum() * SHARED**2 / (OWN**2 + d * SHARED**2)) / OWN**2
    noise = (theta[d] - NOISE_PRIOR[0]) / NOISE_PRIOR[1]
    value = 0.5 * float(scales @ shrunk) + 0.5 * float(noise) ** 2
    return value, np.append(shrunk, noise / NOISE_PRIOR[1])
