"""A made-up family without data: to try the commands, and to test them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

import numpy as np

from benchmarks.search.family import Curve, Split
from raytao.space import Categorical, Condition, Float, Int, Space
from raytao.types import Params

EPOCHS: Final = 9


class ToyFamily:
    """Smooth curves over four parameters, one of them conditional; no noise.

    A task's number moves the best learning rate. More layers learn faster and take longer.
    """

    name: Final = "toy"
    epochs: Final = EPOCHS
    tasks: Final[Mapping[Split, tuple[str, ...]]] = MappingProxyType(
        {"dev": ("1", "2", "3"), "held_out": ("4", "5", "6", "7")}
    )
    space: Final = Space(
        [
            Float("lr", 1e-4, 1e-1, log=True),
            Int("layers", 1, 5),
            Categorical("optimizer", ("sgd", "adam")),
            Float("momentum", 0.0, 0.99, conditions=(Condition("==", "optimizer", "sgd"),)),
        ]
    )
    first: Final[Params] = MappingProxyType({"lr": 1e-3, "layers": 1, "optimizer": "adam"})

    def curve(self, task: str, params: Params) -> tuple[Curve, Curve]:
        """Values below 1 and seconds since the start after each epoch, (9,) each."""
        lr, layers, momentum = (
            float(value) if isinstance(value, int | float) else 0.5
            for value in (params["lr"], params["layers"], params.get("momentum", 0.5))
        )
        off = (math.log10(lr) + 1 + int(task) / 3) ** 2 + (momentum - 0.9) ** 2
        epochs = np.arange(1, EPOCHS + 1)
        values: Curve = np.exp(-off / 2) * (1 - 0.5 ** (epochs * layers / 2))
        return values, np.asarray(epochs * (1.0 + layers), dtype=np.float64)

    def regret(self, task: str, value: float) -> float:
        """What is missing to 1, in percent, on every task."""
        del task
        return 100.0 * (1.0 - value)
