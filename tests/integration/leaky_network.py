"""A trainer that tells every secret it can find, in every way; run by test_canary.py."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from raytao.networks.base import Network, TrainContext

SECRETS = ("AWS_SECRET_ACCESS_KEY", "MLFLOW_TRACKING_PASSWORD", "LOGIN_OF_ANN")


def tell(spec: Mapping[str, Any]) -> None:
    """Print the environment and the spec, as Python, as JSON, by a program, and byte by byte."""
    print(os.environ)  # noqa: T201 - that is the point
    print(json.dumps({**os.environ, **spec}), file=sys.stderr)  # noqa: T201 - that is the point
    subprocess.run(["env"], check=True)
    for character in os.environ["AWS_SECRET_ACCESS_KEY"]:
        print(character, end="", flush=True)  # noqa: T201 - that is the point


class Leaky(Network):
    """Its first trial ends well; all others raise with secrets in the text."""

    name = "leaky"
    preload = ("leaky_preload",)

    def card_folder(self) -> Path | None:
        return Path(os.environ["LEAKY_CARD"])

    def check(self, spec: Mapping[str, Any]) -> None:
        assert spec["dataset"]["password"] == os.environ["LOGIN_OF_ANN"]
        assert spec["dataset"]["root"] == f"{os.environ['DATA_ROOT']}/images"

    def train(self, spec: Mapping[str, Any], ctx: TrainContext) -> None:
        self.check(spec)
        tell(spec)
        if spec["model"]["x"] != 0.5:
            login = spec["dataset"]["password"]
            raise RuntimeError(f"{login}: {[os.environ[name] for name in SECRETS]}")
        for epoch in ctx.epochs:
            ctx.save(b"weights")
            ctx.report(epoch, {"value": 0.5, "loss": 0.5})

    def evaluate(
        self, spec: Mapping[str, Any], checkpoint: bytes, *, threads: int, gpus: int
    ) -> Mapping[str, float]:
        tell(spec)
        raise ValueError(spec["dataset"]["password"])
