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


def scaled_distances(a: Array, b: Array, norms: Array | None = None) -> Array:
    """Squared distances (…, n, m) between points (…, n, D) and (…, m, D), scaled already.

    ``norms``: `squared_norms` of b, where they are known.
    """
    norms = squared_norms(b) if norms is None else norms
    squared: Array = squared_norms(a)[..., :, None] + norms[..., None, :]
    product = a @ np.swapaxes(b, -1, -2)
    product *= 2.0
    squared -= product
    return np.maximum(squared, 0.0, out=squared)


def squared_norms(points: Array) -> Array:
    """Squared distances (…, n) of points (…, n, D) from the origin."""
    norms: Array = (points * points).sum(-1)
    return norms


def matern52(squared: Array) -> Array:
    """Kernel from scaled squared distances, elementwise."""
    # In place, as far as can be: what is new must be brought into the cache first.
    r = np.sqrt(squared)
    r *= ROOT5
    value: Array = 1.0 + r
    value += (5.0 / 3.0) * squared
    np.negative(r, out=r)
    value *= np.exp(r, out=r)
    return value


def matern52_with_slope(squared: Array) -> tuple[Array, Array]:
    """Kernel and ``-2 ∂k/∂r²`` from scaled squared distances, elementwise.

    The slope ``5/3 (1 + √5 r) exp(-√5 r)`` is smooth at r = 0: ``∂k/∂log l_j`` is the slope times
    ``S_j / l_j²``, and ``∂k/∂x`` is minus the slope times ``(x - x') / l²``.
    """
    r = np.sqrt(squared)
    r *= ROOT5
    slope: Array = 1.0 + r
    np.negative(r, out=r)
    decay = np.exp(r, out=r)
    slope *= decay
    value: Array = (5.0 / 3.0) * squared
    value *= decay
    value += slope
    slope *= 5.0 / 3.0
    return value, slope
