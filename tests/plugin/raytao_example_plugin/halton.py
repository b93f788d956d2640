"""A brain: points of a Halton sequence, which fill the space evenly from the first on."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from raytao.brains.full import FullLength, FullLengthSettings
from raytao.types import Params


class Halton(FullLength):
    """Trial n is point n of the sequence, moved around the cube by a shift that the seed draws."""

    name: ClassVar[str] = "halton"
    Settings: ClassVar[type[FullLengthSettings]] = FullLengthSettings

    def _propose(self, trial: int) -> tuple[Params, str]:
        from scipy.stats import qmc

        space = self._task.space
        shift = np.random.default_rng(self._task.seed).random(space.dim)
        point = qmc.Halton(space.dim, scramble=False).fast_forward(trial).random(1)[0]
        return space.decode((point + shift) % 1.0), f"Halton point {trial}"
