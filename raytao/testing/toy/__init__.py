"""A network that trains nothing: a known curve, so that a schedule can be compared to the bit.

The same ``curve`` drives the simulator and real Ray runs. Spec keys below ``train`` make it slow
or make it break, for tests of everything around a trainer.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

from raytao.networks.base import Network, TrainContext
from raytao.spec import flatten
from raytao.types import Json, Params


def curve(params: Params, epoch: int) -> float:
    """Accuracy-like value in (0, 1) after ``epoch`` epochs; best at x = 0.3, y = 7, fruit = fig.

    Some configurations overtake others late, so that early rungs can err.
    """
    x, y = float(params["model.x"]), float(params["model.y"])  # type: ignore[arg-type]
    fruit = {"apple": 0.10, "fig": 0.0, "plum": 0.05}[str(params["model.fruit"])]
    distance = (x - 0.3) ** 2 + ((y - 7.0) / 10.0) ** 2 + fruit
    ceiling = 1.0 / (1.0 + 3.0 * distance)
    speed = 0.15 + 0.6 * x
    return ceiling * (1.0 - (1.0 - speed) ** epoch)


class Toy(Network):
    """See the module. Checkpoints are a few bytes of JSON."""

    name: ClassVar[str] = "toy"

    def card_folder(self) -> Path | None:
        """The card lies beside this module: it is no configuration that users see."""
        return Path(__file__).parent

    def check(self, spec: Mapping[str, Json]) -> None:
        """Nothing can be wrong with a toy."""

    def train(self, spec: Mapping[str, Json], ctx: TrainContext) -> None:
        """Report the curve, epoch by epoch."""
        flat = flatten(spec)
        if ctx.resume_from is not None:
            trained = json.loads(ctx.resume_from)["epoch"]
            assert trained == ctx.start_epoch, "resumed from a checkpoint of another epoch"
        for epoch in range(ctx.start_epoch + 1, ctx.stop_epoch + 1):
            ctx.log(f"training epoch {epoch}")
            time.sleep(flat["train.sleep"])
            if epoch == flat["train.breaks_at"]:
                raise RuntimeError(f"told to break in epoch {epoch}")
            value = float("nan") if epoch == flat["train.nan_at"] else curve(flat, epoch)
            ctx.save(json.dumps({"epoch": epoch}).encode())
            ctx.report(epoch, {"value": value, "loss": 1.0 - value})

    def evaluate(
        self, spec: Mapping[str, Json], checkpoint: bytes, *, threads: int, gpus: int
    ) -> Mapping[str, float]:
        """The curve at the checkpoint's epoch, a little lower, as test sets are."""
        del threads, gpus
        return {"test_value": curve(flatten(spec), json.loads(checkpoint)["epoch"]) - 0.01}

    def checkpoint_bytes(self, spec: Mapping[str, Json]) -> int | None:
        """A few bytes."""
        del spec
        return 12
