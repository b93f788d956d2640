"""A user's script: tunes a function of its own. Run by test_own_function.py, and killed there.

own_function.py FOLDER BRAIN [--resume]
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Mapping
from typing import Any

import numpy as np

import raytao
from raytao.networks.base import TrainContext

BRAINS: Mapping[str, Mapping[str, Any]] = {
    "bayesian": {"name": "bayesian", "max_recommendations": 5},
    "hyperband": {"name": "hyperband", "R": 9, "nu": 3, "epoch_multiplier": 1, "mode": "sync"},
}


def train(params: Mapping[str, Any], ctx: TrainContext) -> None:
    """Gradient descent on a line through noisy points; goes on from its checkpoint exactly."""
    rng = np.random.default_rng(ctx.seed)
    x = rng.normal(size=200)
    y = 3.0 * x - 1.0 + rng.normal(scale=0.1, size=200)
    line = np.zeros(2)
    if ctx.resume_from is not None:
        line = np.array(json.loads(ctx.resume_from))
    for epoch in ctx.epochs:
        time.sleep(0.15)
        error = line[0] * x + line[1] - y
        line = line - params["lr"] * np.array([(error * x).mean(), error.mean()])
        ctx.save(json.dumps(line.tolist()).encode())
        ctx.report(epoch, {"loss": float((error**2).mean()) + 0.1 * (params["kind"] == "a")})


def main() -> None:
    """Tune it; print the best."""
    folder, brain, *flags = sys.argv[1:]
    search = raytao.AutoML(
        train=train,
        space={"lr": (1e-3, 1.0), "kind": ["a", "b"]},
        metric="loss",
        epochs=9,
        brain=BRAINS[brain],
        slots=1,
        seed=5,
        results_dir=folder,
    )
    run = search.fit(resume="--resume" in flags)
    sys.stdout.write(f"{run.best!r}\n")


if __name__ == "__main__":
    main()
