"""Random search: what people ask for first, then independent draws, all trained to the end."""

from __future__ import annotations

from typing import ClassVar

from raytao.brains.full import FullLength, FullLengthSettings
from raytao.brains.sampling import generator
from raytao.types import Params


class Random(FullLength):
    """Trial n is drawn from a generator seeded by (seed, n), whatever came before.

    >>> from raytao.brains.base import Task
    >>> from raytao.space import Float, Space
    >>> space = Space([Float("lr", 1e-4, 1e-1)])
    >>> Random(Task(space, epochs=5, first={"lr": 0.01}), Random.Settings()).suggest(0).why
    "user's spec"
    """

    name: ClassVar[str] = "random"
    Settings: ClassVar[type[FullLengthSettings]] = FullLengthSettings

    def _propose(self, trial: int) -> tuple[Params, str]:
        return self._task.space.sample(generator(self._task, trial)), "random"
