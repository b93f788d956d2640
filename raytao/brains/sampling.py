"""Configurations at random, each from a generator of its own: trial n is what it is."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, TypeAlias

import numpy as np

from raytao.brains.base import Task
from raytao.types import Params

Draw: TypeAlias = Callable[[int], Params]
"""The configuration of trial n."""


def draws(task: Task, compat: Literal["tao5", "tao7"] | None = None) -> Draw:
    """Configurations drawn from the space of ``task``, or as that version of TAO draws them."""

    def uniformly(trial: int) -> Params:
        return task.space.sample(np.random.default_rng([task.seed, trial]))

    if compat is None:
        return uniformly
    from raytao.brains.compat.values import tao_sample

    return lambda trial: tao_sample(task.space, np.random.default_rng([task.seed, trial]), compat)
