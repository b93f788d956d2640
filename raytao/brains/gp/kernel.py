"""Matérn-5/2 kernel over an embedding, with one length scale for each group of its columns.

Symbols: ``n``, ``m`` points; ``D`` columns of the embedding, in ``g`` groups (see `features`);
``e`` (n, D) embedded points; ``l`` (g,) length scales; ``S`` (g, n, m) squared distances within
each group. Then ``r² = Σ_j S_j / l_j²`` and ``k(r) = (1 + √5 r + 5 r² / 3) exp(-√5 r)``, so that
k(0) = 1 (Rasmussen and Williams, 2006, 4.17).
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from raytao.brains.gp.features import Array

ROOT5: Final = 5**0.5


def differences(e: Array, other: Array, group: NDArray[np.intp]) -> Array:
    """Squared distances (g, n, m) within each group of columns.

    Args:
        e: (n, D).
        other: (m, D).
        group: (D,), ascending from 0.
    """
    gaps: Array = e.T[:, :, None] - other.T[:, None, :]
    starts = np.flatnonzero(np.diff(group, prepend=-1))
    squared: Array = np.add.reduceat(gaps * gaps, starts, axis=0)
    return squared


def scaled_distances(a: Array, b: Array) -> Array:
    """Squared distances (…, n, m) between points (…, n, D) and (…, m, D), scaled already."""
    squared: Array = (a * a).sum(-1)[..., :, None] + (b * b).sum(-1)[..., None, :]
    squared -= 2.0 * (a @ np.swapaxes(b, -1, -2))
    return np.maximum(squared, 0.0, out=squared)


def matern52(squared: Array) -> Array:
    """Kernel from scaled squared distances, elementwise."""
    r = np.sqrt(squared)
    value: Array = (1.0 + ROOT5 * r + (5.0 / 3.0) * squared) * np.exp(-ROOT5 * r)
    return value


def matern52_with_slope(squared: Array) -> tuple[Array, Array]:
    """Kernel and ``-2 ∂k/∂r²`` from scaled squared distances, elementwise.

    The slope ``5/3 (1 + √5 r) exp(-√5 r)`` is smooth at r = 0: ``∂k/∂log l_j`` is the slope times
    ``S_j / l_j²``, and ``∂k/∂x`` is minus the slope times ``(x - x') / l²``.
    """
    r = np.sqrt(squared)
    decay = np.exp(-ROOT5 * r)
    slope = (1.0 + ROOT5 * r) * decay
    value: Array = slope + (5.0 / 3.0) * squared * decay
    return value, (5.0 / 3.0) * slope
