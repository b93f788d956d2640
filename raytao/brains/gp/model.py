"""Gaussian process regression: posteriors, and the hyper-parameters that are believed.

Symbols: ``n`` points; ``e`` (n, D) their embedding, in ``g`` groups of columns with a length scale
each; ``y`` (n,) standardised; ``l`` (g,) length scales, ``a`` signal variance, ``v`` noise as a
share of it; ``K = a (k(e, e) + v I) = L Lᵀ`` and ``alpha = K⁻¹ y``.

Prior, over ``theta = (log l, log v, log a)``: ``log l`` is normal with covariance
``SHARED² 11ᵀ + OWN² I``, which says how alike columns are unless the data object. Its mean is
``log(d) / 2 + NUMBER_MEAN`` for numbers, d the usual number of active coordinates (Hvarfner,
Hellsten and Nardi, 2024), and ``CATEGORY_MEAN`` for categories: what changes with a choice is no
small step along an axis. Beside categories numbers have ``MIXED_MEAN``: real trainings behind a
choice were predicted better so, by much, and what is as smooth as ``NUMBER_MEAN`` not worse.

A dozen results leave most of this open, and the mode alone is overconfident: `sample` draws
hyper-parameters from their posterior, and what is averaged over them is more cautious.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import LinAlgError, cho_solve, cholesky
from scipy.linalg.lapack import dpotri
from scipy.optimize import minimize

from raytao.brains.gp.features import Array
from raytao.brains.gp.kernel import (
    differences,
    matern52,
    matern52_with_slope,
    scaled_distances,
    squared_norms,
)

NUMBER_MEAN: Final = 1.0
MIXED_MEAN: Final = -1.0
CATEGORY_MEAN: Final = 0.0
SHARED: Final = 0.6
OWN: Final = 0.6
"""Prior of log l; see the module."""
NOISE_PRIOR: Final = (-6.0, 1.5)
"""Mean and standard deviation of log v."""
SIGNAL_PRIOR: Final = 1.0
"""Standard deviation of log a; its mean is 0, for ``y`` is standardised."""
SCALE_BOUNDS: Final = (math.log(2e-2), math.log(1e3))
NOISE_BOUNDS: Final = (math.log(1e-6), 0.0)
SIGNAL_BOUNDS: Final = (-3.0, 3.0)
SHORTER: Final = -1.0
SMOOTHER: Final = -9.0
"""Where the fit starts the second time: log l beside the prior's mean, and log v."""
SEVERAL: Final = 48
"""Up to so many results, the fit starts twice."""
MAX_ITERATIONS: Final = 40
REFINED: Final = 1e-4
"""A fit that begins beside the mode ends once a step gains less than this share."""
STEP: Final = 0.35
"""Standard deviation of a step of the Markov chain in log l; log v takes 1.0, log a half."""


@dataclass(frozen=True)
class Evidence:
    """What a model is fitted to.

    Args:
        e: (n, D) embedded points, n >= 1.
        y: (n,) standardised values.
        group: (D,) which length scale a column has.
        center: (g,) prior mean of log l.
    """

    e: Array
    y: Array
    group: NDArray[np.intp]
    center: Array

    @cached_property
    def squared(self) -> Array:
        """Squared distances (g, n * n) within each group."""
        return differences(self.e, self.e, self.group).reshape(self.scales, -1)

    @property
    def scales(self) -> int:
        """How many length scales there are."""
        return int(self.group[-1]) + 1


@dataclass(frozen=True)
class GaussianProcesses:
    """Equally likely posteriors over one set of points, computed side by side.

    Args:
        e: (n, D) embedded points.
        y: (k, n) standardised values; what is only believed differs between the k models.
        group: (D,) which length scale a column has.
        thetas: (k, g + 2) hyper-parameters.
        inverse: (k, n, n) K⁻¹.
        alpha: (k, n) K⁻¹ y.
    """

    e: Array
    y: Array
    group: NDArray[np.intp]
    thetas: Array
    inverse: Array
    alpha: Array

    def __len__(self) -> int:
        return len(self.thetas)

    def predict(self, points: Array) -> tuple[Array, Array]:
        """Means (k, m) and standard deviations (k, m) of the noiseless functions at (m, D)."""
        cross = matern52(self._distances(self._scale(points)))
        cross *= self._signal
        return self._means(cross), self._deviations(cross, cross @ self.inverse)

    def predict_with_gradient(self, points: Array) -> tuple[Array, Array, Array, Array]:
        """Means and deviations (k, m) as `predict`, and their gradients (k, m, D)."""
        scaled = self._scale(points)
        cross, slope = matern52_with_slope(self._distances(scaled))
        cross *= self._signal
        weighted = cross @ self.inverse
        deviation = self._deviations(cross, weighted)
        slope *= -self._signal
        # Σ_i w_i (s - s_i), for two sets of weights, without an array of (k, m, n, D).
        by_mean = self._pulled(slope * self.alpha[:, None, :], scaled)
        by_variance = -2.0 * self._pulled(slope * weighted, scaled)
        return self._means(cross), deviation, by_mean, by_variance / (2.0 * deviation[..., None])

    def believe(self, points: Array) -> GaussianProcesses:
        """Add points (m, D) at their posterior means: what is pending is taken as predicted.

        Kriging believer (Ginsbourger, Le Riche and Carraro, 2010): the means stay as they are, the
        deviations fall around the points. Hyper-parameters are kept.
        """
        if not len(points):
            return self
        means, _ = self.predict(points)
        e, y = np.vstack([self.e, points]), np.hstack([self.y, means])
        return condition(e, y, self.group, self.thetas)

    def bordered(self, point: Array) -> GaussianProcesses:
        """Add an embedded point (D,), with the value 0: see `with_values`.

        The inverse is bordered: the work grows with n², not with n³ as in `condition`.
        """
        scaled = self._scale(point[None])
        cross = (self._signal * matern52(self._distances(scaled)))[:, 0]
        weights = (self.inverse @ cross[:, :, None])[:, :, 0]
        noisy = np.exp(self.thetas[:, -1]) * (1.0 + np.exp(self.thetas[:, -2]))
        least = np.exp(self.thetas[:, -1] + self.thetas[:, -2])  # of the noise alone
        left = np.maximum(noisy - np.einsum("kn,kn->k", cross, weights), least)
        border = -weights / left[:, None]
        k, n = weights.shape
        inverse = np.empty((k, n + 1, n + 1))
        np.multiply(weights[:, :, None], -border[:, None, :], out=inverse[:, :n, :n])
        inverse[:, :n, :n] += self.inverse
        inverse[:, n, :n] = inverse[:, :n, n] = border
        inverse[:, n, n] = 1.0 / left
        e, y = np.vstack([self.e, point]), np.zeros((k, n + 1))
        return GaussianProcesses(e, y, self.group, self.thetas, inverse, y)

    def with_values(self, y: Array) -> GaussianProcesses:
        """The same of other values (k, n) at the points."""
        alpha: Array = (self.inverse @ y[:, :, None])[:, :, 0]
        return replace(self, y=y, alpha=alpha)

    @cached_property
    def _signal(self) -> Array:
        return np.exp(self.thetas[:, -1])[:, None, None]

    @cached_property
    def _lengthscales(self) -> Array:
        """Length scale (k, 1, D) of each column."""
        scales: Array = np.exp(self.thetas[:, :-2])[:, None, self.group]
        return scales

    @cached_property
    def _scaled(self) -> Array:
        return self._scale(self.e)

    @cached_property
    def _norms(self) -> Array:
        return squared_norms(self._scaled)

    def _distances(self, scaled: Array) -> Array:
        return scaled_distances(scaled, self._scaled, self._norms)

    def _scale(self, points: Array) -> Array:
        scaled: Array = points[None] / self._lengthscales
        return scaled

    def _means(self, cross: Array) -> Array:
        means: Array = (cross @ self.alpha[:, :, None])[:, :, 0]
        return means

    def _deviations(self, cross: Array, weighted: Array) -> Array:
        variance = self._signal[:, :, 0] - np.einsum("kmn,kmn->km", cross, weighted)
        deviations: Array = np.sqrt(np.maximum(variance, 1e-10))
        return deviations

    def _pulled(self, weights: Array, scaled: Array) -> Array:
        pulled = weights.sum(2)[:, :, None] * scaled - weights @ self._scaled
        slope: Array = pulled / self._lengthscales
        return slope


def condition(e: Array, y: Array, group: NDArray[np.intp], thetas: Array) -> GaussianProcesses:
    """The posteriors given data and hyper-parameters; for shapes see `GaussianProcesses`."""
    scaled = e[None] / np.exp(thetas[:, :-2])[:, None, group]
    kernels = matern52(scaled_distances(scaled, scaled))
    n = e.shape[0]
    diagonal = np.arange(n)
    kernels[:, diagonal, diagonal] = 1.0 + np.exp(thetas[:, -2])[:, None]
    kernels *= np.exp(thetas[:, -1])[:, None, None]
    inverse = np.stack([inverted(kernel)[0] for kernel in kernels])
    alpha: Array = (inverse @ y[:, :, None])[:, :, 0]
    return GaussianProcesses(e, y, group, thetas, inverse, alpha)


def inverted(kernel: Array) -> tuple[Array, float]:
    """Inverse (n, n) of a symmetric positive definite matrix, and half its log determinant.

    Raises:
        LinAlgError: if the matrix is not positive definite.
    """
    factor = cholesky(kernel, lower=True, check_finite=False)
    half = float(np.log(factor.diagonal()).sum())
    lower, _ = dpotri(factor, lower=True, overwrite_c=True)  # a third of solving for the identity
    inverse: Array = lower + lower.T
    inverse[np.diag_indices_from(inverse)] /= 2.0
    return inverse, half


def mode(evidence: Evidence, near: Array | None = None) -> Array:
    """Hyper-parameters (g + 2,) at their posterior mode, by L-BFGS-B from two fixed starts.

    Many results have one mode that counts, and the first start is enough. ``near`` (g + 2,), the
    mode of most of the evidence, is the only start where it is known.
    """
    g = evidence.scales
    starts = [
        np.array([*evidence.center, NOISE_PRIOR[0], 0.0]),
        np.array([*(evidence.center + SHORTER), SMOOTHER, 0.0]),
    ]
    options: dict[str, float] = {"maxiter": MAX_ITERATIONS}
    if near is not None:
        starts, options["ftol"] = [near], REFINED
    results = [
        minimize(
            negative_log_posterior,
            start,
            args=(evidence,),
            jac=True,
            method="L-BFGS-B",
            bounds=[SCALE_BOUNDS] * g + [NOISE_BOUNDS, SIGNAL_BOUNDS],
            options=options,
        )
        for start in (starts if len(evidence.y) <= SEVERAL else starts[:1])
    ]
    best: Array = min(results, key=lambda result: float(result.fun)).x
    return best


def sample(
    evidence: Evidence, start: Array, count: int, thinning: int, rng: np.random.Generator
) -> Array:
    """Draw hyper-parameters from their posterior by a random walk (Metropolis).

    Args:
        evidence: the data.
        start: (g + 2,), where the chain begins: the mode needs no burning in.
        count: how many to keep.
        thinning: steps from one to the next that is kept.
        rng: the only source of randomness.

    Returns:
        (count, g + 2).
    """
    g = evidence.scales
    low = np.array([SCALE_BOUNDS[0]] * g + [NOISE_BOUNDS[0], SIGNAL_BOUNDS[0]])
    high = np.array([SCALE_BOUNDS[1]] * g + [NOISE_BOUNDS[1], SIGNAL_BOUNDS[1]])
    steps = STEP * np.array([*[1.0] * g, 1.0, 0.5])
    moves = rng.standard_normal((count * thinning, g + 2)) * steps
    luck = np.log(rng.random(count * thinning))
    here, energy = start, negative_log_posterior(start, evidence)[0]
    kept: list[Array] = []
    for i in range(count * thinning):
        there = here + moves[i]
        if np.all((there >= low) & (there <= high)):
            height = _energy(there, evidence)
            if luck[i] < energy - height:
                here, energy = there, height
        if (i + 1) % thinning == 0:
            kept.append(here)
    return np.array(kept)


def negative_log_posterior(theta: Array, evidence: Evidence) -> tuple[float, Array]:
    """Negative log posterior density of the hyper-parameters, up to a constant.

    Args:
        theta: (g + 2,) logarithms of length scales, noise share and signal variance.
        evidence: the data.

    Returns:
        The value and its gradient (g + 2,).
    """
    n, shrink = len(evidence.y), np.exp(-2.0 * theta[:-2])
    noise, signal = math.exp(theta[-2]), math.exp(theta[-1])
    kernel, slope = matern52_with_slope((shrink @ evidence.squared).reshape(n, n))
    kernel[np.diag_indices(n)] += noise
    inverse, half = inverted(signal * kernel)
    alpha = inverse @ evidence.y
    # ∂/∂θ of ½ yᵀK⁻¹y + ½ log|K| is -½ tr((alpha alphaᵀ - K⁻¹) ∂K/∂θ).
    weight = signal * (np.outer(alpha, alpha) - inverse)
    gradient = np.empty(len(theta))
    gradient[:-2] = -0.5 * shrink * (evidence.squared @ (weight * slope).ravel())
    gradient[-2] = -0.5 * noise * float(np.trace(weight))
    gradient[-1] = -0.5 * float((weight * kernel).sum())
    value = 0.5 * float(evidence.y @ alpha) + half
    doubt, pull = _negative_log_prior(theta, evidence.center)
    return value + doubt, gradient + pull


def _energy(theta: Array, evidence: Evidence) -> float:
    """`negative_log_posterior` without its gradient; infinite where K is singular."""
    n, shrink = len(evidence.y), np.exp(-2.0 * theta[:-2])
    kernel = matern52((shrink @ evidence.squared).reshape(n, n))
    kernel[np.diag_indices(n)] += math.exp(theta[-2])
    try:
        factor = cholesky(math.exp(theta[-1]) * kernel, lower=True, check_finite=False)
    except LinAlgError:
        return math.inf
    alpha = cho_solve((factor, True), evidence.y, check_finite=False)
    value = 0.5 * float(evidence.y @ alpha) + float(np.log(np.diag(factor)).sum())
    return value + _negative_log_prior(theta, evidence.center)[0]


def _negative_log_prior(theta: Array, center: Array) -> tuple[float, Array]:
    """The prior's part, up to a constant, and its gradient (g + 2,)."""
    g, scales = len(theta) - 2, theta[:-2] - center
    # (OWN² I + SHARED² 11ᵀ)⁻¹ scales, by Sherman and Morrison.
    shrunk = (scales - scales.sum() * SHARED**2 / (OWN**2 + g * SHARED**2)) / OWN**2
    noise = (theta[-2] - NOISE_PRIOR[0]) / NOISE_PRIOR[1]
    signal = theta[-1] / SIGNAL_PRIOR
    value = 0.5 * float(scales @ shrunk) + 0.5 * float(noise**2 + signal**2)
    return value, np.array([*shrunk, noise / NOISE_PRIOR[1], signal / SIGNAL_PRIOR])
