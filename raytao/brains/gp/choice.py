"""The choice behind which others lie, and which of its options are due.

A model with parameters of its own shows in one trial how good those values are, not how good it
is. Going by what is expected, a search settles on the option whose first values happened to be
good. So every option gets one trial, the better half of them three, before that decides.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from raytao.brains.gp.believed import Known
from raytao.brains.gp.features import Array
from raytao.brains.gp.search import Cell
from raytao.space import Space

ROUNDS: Final = ((1, 1), (2, 3))
"""One in so many of the options, the best first, gets so many trials."""
MOST: Final = 6
"""Options of a choice that are all tried: more would leave little for the search itself."""


@dataclass(frozen=True)
class Choice:
    """A category that is in every configuration, and on which other parameters depend.

    Args:
        coordinate: its place in the unit cube.
        edges: upper edges of its options' cells, the last one 1.0.
    """

    coordinate: int
    edges: tuple[float, ...]

    def cell(self, option: int) -> Cell:
        """Where the option is."""
        return Cell(self.coordinate, (0.0, *self.edges)[option], self.edges[option])

    def options(self, x: Array) -> NDArray[np.intp]:
        """The options (n,) at points (n, d)."""
        return np.searchsorted(np.array(self.edges[:-1]), x[:, self.coordinate], side="right")

    def due(self, tried: Array, known: Known) -> list[int]:
        """Options that have had too few trials, whose turn it is first; none once all have.

        Args:
            tried: points (n, d) of all trials: those that failed, or run, are trials as well.
            known: their scores, as far as there are some.
        """
        trials = np.bincount(self.options(tried), minlength=len(self.edges))
        best = np.full(len(self.edges), -np.inf)
        np.maximum.at(best, self.options(known.points.x), known.scores)
        order = np.argsort(-best, kind="stable")
        due: list[int] = []
        for one_in, enough in ROUNDS:
            left = order[: math.ceil(len(order) / one_in)]
            if one_in > 1:
                left = left[np.isfinite(best[left])]  # what only failed is not among the better
            left = left[np.argsort(trials[left], kind="stable")]
            due += [int(o) for o in left if trials[o] < enough and o not in due]
        return due


def choice_of(space: Space) -> Choice | None:
    """The choice with the most parameters behind it; None where there is none, or too large."""
    always = {p.name for p in space.parameters if not p.conditions}
    behind = Counter(
        condition.target
        for parameter in space.parameters
        for condition in parameter.conditions
        if not condition.is_relation and condition.target in always
    )
    found = [
        (behind[column.parameter], Choice(coordinate, column.edges))
        for coordinate, column in enumerate(space.columns)
        if column.kind == "categorical" and behind[column.parameter]
    ]
    choice = max(found, key=lambda one: one[0], default=(0, None))[1]
    return choice if choice is not None and 1 < len(choice.edges) <= MOST else None
