"""Where candidates lie, and what a search finds with little effort."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from raytao.brains.gp.features import Features
from raytao.brains.gp.search import Effort, Search
from raytao.space import Float, Space

SPACE = Space([Float(name, 0.0, 1.0) for name in ("a", "b", "c")])
LITTLE = Effort(bits=6, climbers=2, gain=1e-2, scrambled=False)


class Bowl:
    """Highest at ``top``."""

    top = np.array([0.3, 0.62, 0.81])

    def value(self, points: NDArray[np.float64]) -> NDArray[np.float64]:
        return self.value_with_gradient(points)[0]

    def value_with_gradient(
        self, points: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        gaps = points - self.top
        return -(gaps * gaps).sum(axis=1), -2.0 * gaps


@pytest.mark.parametrize("scrambled", [True, False])
def test_a_cover_has_a_point_in_each_part_of_each_axis(scrambled: bool) -> None:
    effort = Effort(bits=6, scrambled=scrambled)
    one, same, other = (effort.cover(5, np.random.default_rng(n)) for n in (1, 1, 2))
    assert one.shape == (64, 5)
    assert one.min() >= 0.0
    assert one.max() < 1.0
    assert np.array_equal(one, same)
    assert not np.array_equal(one, other)
    gaps = np.diff(np.sort(one, axis=0), axis=0)
    assert gaps.max() < 2 / 64


@pytest.mark.parametrize("effort", [Effort(), LITTLE])
def test_a_search_comes_near_the_top(effort: Effort) -> None:
    features = Features(SPACE)
    nothing = features.points([])
    search = Search(features, nothing, nothing, effort)
    found = search.maximise(Bowl(), nothing, np.random.default_rng(0))
    assert found is not None
    assert np.abs(found - Bowl.top).max() < 0.05
