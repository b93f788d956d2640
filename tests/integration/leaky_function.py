"""A user's script whose training function tells secrets; run by test_canary.py.

leaky_function.py FOLDER
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from typing import Any

import raytao
from raytao.networks.base import TrainContext

KEPT = os.environ.get("MLFLOW_TRACKING_PASSWORD", "")
"""Travels with the function, as everything of a notebook that it uses."""


def train(params: Mapping[str, Any], ctx: TrainContext) -> None:
    """The first trial ends well; all others raise with secrets in the text."""
    ctx.log(f"{os.environ!r} {KEPT}")
    if params["lr"] != 0.1:
        raise RuntimeError(f"{os.environ['AWS_SECRET_ACCESS_KEY']} {KEPT}")
    for epoch in ctx.epochs:
        ctx.report(epoch, {"loss": params["lr"]})


def main() -> None:
    """Tune it; print the best."""
    run = raytao.AutoML(
        train=train,
        space={"lr": (1e-3, 1.0)},
        spec={"lr": 0.1},
        metric="loss",
        epochs=1,
        brain={"name": "random", "max_recommendations": 2},
        slots=1,
        results_dir=sys.argv[1],
    ).fit()
    sys.stdout.write(f"{run.best!r}\n")


if __name__ == "__main__":
    main()
