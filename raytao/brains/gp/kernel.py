"""Matérn-5/2 kernel with one length scale for each column, over numbers and categories.

Symbols: ``n``, ``m`` points; ``d`` columns; ``x`` (n, d) points of the unit cube; ``l`` (d,)
length scales; ``D`` (d, n, m) squared differences of one column each: ``(x_j - x'_j)²`` for a
number, 0 or 1 for equal or different categories. Then ``r² = Σ_j D_j / l_j²`` and
``k(r) = (1 + √5 r + 5 r² / 3) exp(-√5 r)``, so that k(0) = 1 (Rasmussen and Williams, 2006, 4.17).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]

ROOT5 = 5**0.5
SAME_CATEGORY = 1e-9
"""Categories are points of the unit interval; equal ones differ by rounding at most."""


def differences(x: Array, other: Array, categorical: Mask) -> Array:
    """Squared difference, column by column.

    Args:
        x: (n, d).
        other: (m, d).
        categorical: (d,), True where a column holds a category.

    Returns:
        (d, n, m).
    """
    gaps: Array = x.T[:, :, None] - other.T[:, None, :]
    squared: Array = gaps * gaps
    if categorical.any():
        squared[categorical] = np.abs(gaps[categorical]) > SAME_CATEGORY
    return squared


def matern52(squared: Array, lengthscales: Array) -> Array:
    """Kernel matrix (n, m) from `differences` (d, n, m) and length scales (d,)."""
    r = _distance(squared, lengthscales)
    value: Array = (1.0 + ROOT5 * r + 5.0 / 3.0 * r * r) * np.exp(-ROOT5 * r)
    return value


def matern52_with_gradient(squared: Array, lengthscales: Array) -> tuple[Array, Array]:
    """Kernel matrix (n, m) and its derivatives (d, n, m) by the logarithms of the length scales.

    ``∂k/∂log l_j = 5/3 (1 + √5 r) exp(-√5 r) D_j / l_j²``, which is smooth at r = 0.
    """
    r = _distance(squared, lengthscales)
    decay = np.exp(-ROOT5 * r)
    value: Array = (1.0 + ROOT5 * r + 5.0 / 3.0 * r * r) * decay
    slope = 5.0 / 3.0 * (1.0 + ROOT5 * r) * decay
    return value, slope * (squared / lengthscales[:, None, None] ** 2)


def _distance(squared: Array, lengthscales: Array) -> Array:
    d, n, m = squared.shape
    summed = (lengthscales**-2.0) @ squared.reshape(d, n * m)
    distance: Array = np.sqrt(summed).reshape(n, m)
    return distance
