"""The variance of a forest over the unit cube, shared out among parameters and pairs of them.

With f the forest, f_i(c) its mean where parameter i is in cell c, and f_ij(c, e) its mean where j
is in cell e besides:

    V_i  = Var(f_i)
    V_ij = Var(f_ij) - V_i - V_j
    V    = sum of all V_i and V_ij + what only three or more parameters together explain

All means are exact integrals over the cube; the last term alone is an average over points drawn
in it. The terms are orthogonal, so that shares of V add up to 1 at most. The trees are averaged
before they are analysed, not after: what single trees see in noise cancels.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations
from typing import Any, Final, TypeAlias

import numpy as np

from raytao.analysis.boxes import Boxes
from raytao.analysis.cells import Cube
from raytao.space.parameters import Array

MOST_PAIRED: Final = 16
"""Parameters, those of the largest main effects, whose pairs are looked at."""

DRAWN: Final = 2_048
"""Points of the cube at which the part beyond pairs is measured."""


Effects: TypeAlias = Mapping[tuple[int, ...], float]
"""Shares by the places of one or two parameters in the space, the smaller one first."""


@dataclass(frozen=True)
class Shares:
    """Shares of a forest's variance, 0 to 1.

    Args:
        main: of each parameter.
        pairs: of each pair that was looked at.
        local: how much the prediction around one configuration varies with each parameter alone,
            divided by the sum over the parameters; all 0 where it is flat.
    """

    main: Effects
    pairs: Effects
    local: Effects


def shares(
    forest: Any, cube: Cube, around: Array, rng: np.random.Generator, paired: list[int] | None
) -> Shares:
    """Share out the variance of a forest.

    Args:
        forest: of scikit-learn, fitted on features of ``cube``.
        cube: what the features mean.
        around: the configuration that ``local`` is about, shape (features,); NaN if not known.
        rng: draws the points for the part beyond pairs.
        paired: parameters whose pairs to look at, ascending; None chooses ``MOST_PAIRED``.
    """
    boxes = Boxes.of(forest)
    overall, given = boxes.mean(cube)
    alone = given - overall
    main = _per_factor(cube, cube.weights * alone**2)
    if paired is None:
        paired = sorted(np.argsort(-main, kind="stable")[:MOST_PAIRED].tolist())
    together = _interactions(boxes, cube, overall, alone, paired)
    pairs = {
        (i, j): float(cube.factors[i].weights @ table**2 @ cube.factors[j].weights)
        for (i, j), table in together.items()
    }
    drawn = [rng.choice(len(f.weights), size=DRAWN, p=f.weights) for f in cube.factors]
    points = np.hstack([f.cells[cells] for f, cells in zip(cube.factors, drawn, strict=True)])
    rest = forest.predict(points) - overall
    for cells, place in zip(drawn, cube.places, strict=True):
        rest -= alone[place][cells]
    for (i, j), table in together.items():
        rest -= table[drawn[i], drawn[j]]
    total = main.sum() + sum(pairs.values()) + float(np.mean(rest**2))
    scale = 1 / total if total > 0 else 0.0
    return Shares(
        main={(k,): float(variance * scale) for k, variance in enumerate(main)},
        pairs={pair: variance * scale for pair, variance in pairs.items()},
        local={(k,): float(share) for k, share in enumerate(_local(boxes, cube, around))},
    )


def _interactions(
    boxes: Boxes, cube: Cube, overall: float, alone: Array, paired: list[int]
) -> dict[tuple[int, int], Array]:
    """What two parameters do beyond the sum of what each does, a table of cells a pair."""
    if len(paired) < 2:
        return {}
    given = boxes.mean_given_two(cube, paired)
    ends = np.cumsum([0, *(len(cube.factors[k].weights) for k in paired)]).tolist()
    tables = {}
    for (a, i), (b, j) in combinations(enumerate(paired), 2):
        both = given[ends[a] : ends[a + 1], ends[b] : ends[b + 1]]
        apart = alone[cube.places[i]][:, None] + alone[cube.places[j]]
        tables[i, j] = both - overall - apart
    return tables


def _local(boxes: Boxes, cube: Cube, around: Array) -> Array:
    """Variance along each parameter through one configuration, over the sum of all of them."""
    along = boxes.around(cube, around)
    moments = [_per_factor(cube, cube.weights * along**power) for power in (1, 2)]
    variances = np.maximum(moments[1] - moments[0] ** 2, 0.0)
    for k, columns in enumerate(cube.columns):
        if np.isnan(around[columns.start]):
            variances[k] = 0.0  # what is inactive cannot matter here
    total = variances.sum()
    return np.asarray(variances / total if total > 0 else variances)


def _per_factor(cube: Cube, values: Array) -> Array:
    """Sum what stands in a row by cells over each factor's cells."""
    return np.array([values[place].sum() for place in cube.places])
