"""Configurations at random, each from a generator of its own: trial n is what it is."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Literal, TypeAlias

from raytao.brains.base import Task
from raytao.types import Params

if TYPE_CHECKING:
    import numpy as np

Draw: TypeAlias = Callable[[int], Params]
"""The configuration of trial n."""


def generator(task: Task, trial: int) -> np.random.Generator:
    """What trial n draws from, seeded by (seed, n)."""
    import numpy as np

    return np.random.default_rng([task.seed, trial])


def draws(task: Task, compat: Literal["tao5", "tao7"] | None = None) -> Draw:
    """Configurations drawn from the space of ``task``, or as that version of TAO draws them."""

    def uniformly(trial: int) -> Params:
        return task.space.sample(generator(task, trial))

    if compat is None:
        return uniformly
    from raytao.brains.compat.values import tao_sample

    return lambda trial: tao_sample(task.space, generator(task, trial), compat)
