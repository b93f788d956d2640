"""A trainer that keeps a file of its own beside its checkpoints; run by test_runs_on_s3.py."""

from __future__ import annotations

import os
import signal
from collections.abc import Mapping
from typing import Any

from raytao.networks.base import TrainContext
from raytao.testing.toy import Toy


class Keeping(Toy):
    """Says where it keeps its file; its second epoch kills it, if the spec asks for that."""

    name = "keeping"

    def check(self, spec: Mapping[str, Any]) -> None:
        del spec

    def train(self, spec: Mapping[str, Any], ctx: TrainContext) -> None:
        ctx.workspace.mkdir(parents=True, exist_ok=True)
        (ctx.workspace / "notes.txt").write_text("mine")
        ctx.log(f"kept in {ctx.workspace}")
        for epoch in ctx.epochs:
            if epoch == 2 and spec["is_killed"]:
                os.kill(os.getpid(), signal.SIGKILL)
            ctx.save(b"weights")
            ctx.report(epoch, {"value": 0.5})
