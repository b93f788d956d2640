"""The values that regret 0 and regret 100 stand for on each task.

They are measured once, from configurations that no brain chose, and kept beside the code in
``tabular_bounds.json``, so that a figure does not move with the methods it is compared with.
Regret 100 is the median of a random pool; regret 0 the best that hill climbs reach from the pool's
best configuration of each model. A long search may pass it: its regret is negative then.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from operator import itemgetter
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from benchmarks.search.tabular_space import MODELS, SPACE
from raytao.types import Params

POOL: Final = 160
STEPS: Final = 25
"""Steps of the climb from each model's best."""

LAST_STEPS: Final = 75
"""Steps of the climb that goes on from the highest of them."""

CURVES: Final = POOL + len(MODELS) * STEPS + LAST_STEPS
"""Curves that a task's bounds take."""

REACH: Final = 0.1
"""Standard deviation of a step along a numeric coordinate of the unit cube."""

PATH: Final = Path(__file__).with_suffix(".json")

Point = NDArray[np.float64]
Value = Callable[[Params], float]


@dataclass(frozen=True)
class Bounds:
    """Metrics that regret 100 and regret 0 stand for, in percent.

    Args:
        worst: median of the pool.
        best: best value known.
        table: fingerprint of the table that they were measured on.
    """

    worst: float
    best: float
    table: str


def pool() -> list[Point]:
    """The random configurations, the same for every task, as points of the unit cube."""
    rng = np.random.default_rng(0)
    return [rng.random(SPACE.dim) for _ in range(POOL)]


def measure(value: Value, table: str) -> Bounds:
    """Train the pool, climb from its best, and return what was found.

    Args:
        value: best metric on the learning curve of a configuration.
        table: the table's fingerprint.
    """
    points, rng = pool(), np.random.default_rng(1)
    values = [value(SPACE.decode(point)) for point in points]
    tops: list[tuple[float, Point]] = []
    for model in MODELS:
        own = [k for k, point in enumerate(points) if SPACE.decode(point)["model"] == model]
        start = max(own, key=values.__getitem__)
        tops.append(_climb(points[start], values[start], STEPS, value, rng))
    height, top = max(tops, key=itemgetter(0))
    best, _ = _climb(top, height, LAST_STEPS, value, rng)
    return Bounds(round(float(np.median(values)), 4), round(best, 4), table)


def _climb(
    point: Point, height: float, steps: int, value: Value, rng: np.random.Generator
) -> tuple[float, Point]:
    """Take steps that do not go down; return the last height and point."""
    for _ in range(steps):
        there = _step(point, rng)
        found = value(SPACE.decode(there))
        if found >= height:
            point, height = there, found
    return height, point


def _step(point: Point, rng: np.random.Generator) -> Point:
    """Move a third of the active coordinates, and at least one; never to another model."""
    active = SPACE.decode(point)
    movable = [k for k, c in enumerate(SPACE.columns) if c.parameter in active and k > 0]
    moved = point.copy()
    for k in rng.permutation(movable)[: 1 + rng.binomial(len(movable) - 1, 1 / 3)]:
        if SPACE.columns[k].kind == "categorical":
            moved[k] = rng.random()
        else:
            moved[k] = np.clip(point[k] + REACH * rng.standard_normal(), 0.0, 1.0)
    return moved


def read_bounds(path: Path = PATH) -> dict[str, Bounds]:
    """What was measured so far, by task."""
    if not path.is_file():
        return {}
    return {task: Bounds(**found) for task, found in json.loads(path.read_text()).items()}


def write_bounds(bounds: Mapping[str, Bounds], path: Path = PATH) -> None:
    """Replace the file."""
    described = {task: asdict(bounds[task]) for task in sorted(bounds)}
    path.write_text(json.dumps(described, indent=2) + "\n")
