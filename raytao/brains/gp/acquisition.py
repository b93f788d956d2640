"""Expected improvement, and its logarithm where it is too small for a float.

``EI = σ h(z)`` with ``z = (μ - best) / σ`` and ``h(z) = φ(z) + z Φ(z)``. Far below the best, h
underflows and a search over it is blind; its logarithm does not (Ament et al., 2023, LogEI).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
from scipy.special import erfc, erfcx, log_ndtr

from raytao.brains.gp.features import Array
from raytao.brains.gp.model import GaussianProcesses

HALF_LOG_2PI: Final = 0.5 * math.log(2.0 * math.pi)
HALF_LOG_PI_2: Final = 0.5 * math.log(0.5 * math.pi)
FAR: Final = -1e6
"""Below this, ``h(z) z² / φ(z)`` is 1 in double precision: 1 - 3 / z² + …"""


@dataclass(frozen=True)
class ExpectedImprovement:
    """Logarithm of the expected improvement, averaged over models.

    Args:
        models: k of them, equally likely.
        bests: (k,) what is to be improved on, to each of them.
        boldness: what deviations are multiplied by; 1 is the expected improvement itself.
    """

    models: GaussianProcesses
    bests: Array
    boldness: float = 1.0

    def value(self, points: Array) -> Array:
        """The logarithm (m,) at embedded points (m, D)."""
        return self.valued(*self.models.predict(points))

    def valued(self, mean: Array, deviation: Array) -> Array:
        """The logarithm (m,) from what the models predict: means and deviations (k, m)."""
        values = log_expected_improvement(mean, self.boldness * deviation, self.bests[:, None])
        total: Array = np.logaddexp.reduce(values, axis=0) - math.log(len(values))
        return total

    def value_with_gradient(self, points: Array) -> tuple[Array, Array]:
        """The logarithm (m,) and its gradient (m, D) by the points (m, D)."""
        mean, deviation, by_mean, by_deviation = self.models.predict_with_gradient(points)
        deviation, by_deviation = self.boldness * deviation, self.boldness * by_deviation
        z = (mean - self.bests[:, None]) / deviation
        height = log_h(z)
        # ∂ log h / ∂z = Φ(z) / h(z); both underflow where their logarithms do not.
        steep = np.exp(log_ndtr(z) - height) / deviation
        gradients = steep[..., None] * (by_mean - z[..., None] * by_deviation)
        gradients += by_deviation / deviation[..., None]
        values = height + np.log(deviation)
        if len(values) == 1:  # as below, at a third of the cost
            return values[0], gradients[0]
        total = np.logaddexp.reduce(values, axis=0)
        gradient = np.einsum("km,kmd->md", np.exp(values - total), gradients)
        return total - math.log(len(values)), gradient


def log_expected_improvement(mean: Array, deviation: Array, best: Array | float) -> Array:
    """Logarithm of the expected improvement over ``best``, elementwise.

    Args:
        mean: predicted means, of any shape; larger is better.
        deviation: predicted standard deviations, positive.
        best: the values to improve on; it need only broadcast.
    """
    value: Array = log_h((mean - best) / deviation) + np.log(deviation)
    return value


def log_h(z: Array) -> Array:
    """``log(φ(z) + z Φ(z))`` for any finite z.

    The sum is taken as it stands for z > -1. Below, φ and zΦ cancel, and

        h(z) = φ(z) (1 - |z| √(π/2) erfcx(|z| / √2))

    keeps the digits; far below, the bracket is 1 / z².
    """
    value = np.empty_like(z, dtype=np.float64)
    near = z > -1.0
    if near.all():
        nothing_cancels: Array = np.log(_density(z) + z * 0.5 * erfc(-z / math.sqrt(2.0)))
        return nothing_cancels
    far = z < FAR
    middle = ~(near | far)
    value[near] = np.log(_density(z[near]) + z[near] * 0.5 * erfc(-z[near] / math.sqrt(2.0)))
    size = np.abs(z[middle])
    exponent = np.log(erfcx(size / math.sqrt(2.0)) * size) + HALF_LOG_PI_2
    value[middle] = -0.5 * size**2 - HALF_LOG_2PI + _log1mexp(exponent)
    if far.any():
        value[far] = -0.5 * z[far] ** 2 - HALF_LOG_2PI - 2.0 * np.log(np.abs(z[far]))
    return value


def _density(z: Array) -> Array:
    density: Array = np.exp(-0.5 * z * z - HALF_LOG_2PI)
    return density


def _log1mexp(x: Array) -> Array:
    """``log(1 - exp(x))`` for x < 0 (Mächler, 2012); its digits are those of x."""
    value: Array = np.where(
        x > -math.log(2.0),
        np.log(-np.expm1(np.minimum(x, -1e-300))),
        np.log1p(-np.exp(x)),
    )
    return value
