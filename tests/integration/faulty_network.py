"""A trainer that fails in every way, with helpers of its own; run by test_trial_faults.py."""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from raytao.networks.base import Network, TrainContext

HELPER = "the helper of a faulty trainer"
HELPER_CODE = f"import time; {HELPER!r}; time.sleep(3600)"


def _hang(spec: Mapping[str, Any]) -> None:
    time.sleep(3600)


def _exit(spec: Mapping[str, Any]) -> None:
    os._exit(3)


def _raise(spec: Mapping[str, Any]) -> None:
    raise ValueError("no such layer")


def _segfault(spec: Mapping[str, Any]) -> None:
    ctypes.string_at(0)


def _gpu_full(spec: Mapping[str, Any]) -> None:
    """A batch of 32 fits."""
    if spec["batch_size"] > 32:
        raise RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB")


DEEDS: Mapping[str, Callable[[Mapping[str, Any]], None]] = {
    "hang": _hang,
    "exit": _exit,
    "raise": _raise,
    "segfault": _segfault,
    "gpu_full": _gpu_full,
}


class Faulty(Network):
    """See spec.yaml in the folder ``faulty``. Every epoch has a checkpoint."""

    name = "faulty"

    def card_folder(self) -> Path | None:
        return Path(__file__).parent / "faulty"

    def check(self, spec: Mapping[str, Any]) -> None:
        del spec

    def train(self, spec: Mapping[str, Any], ctx: TrainContext) -> None:
        helper = [sys.executable, "-c", HELPER_CODE]
        subprocess.Popen(helper)
        subprocess.Popen(helper, start_new_session=True)
        section = spec["train"]
        guilty = section["whose"] == "all" or spec["model"]["x"] == 0.5
        if section["once"] and ctx.start_epoch > 0:
            guilty = False
        for epoch in ctx.epochs:
            ctx.log(f"training epoch {epoch}, batch {section['batch_size']}")
            if guilty and epoch == section["at"] and section["deed"] != "none":
                DEEDS[section["deed"]](section)
            time.sleep(section["sleep"])
            ctx.save(b"%d" % epoch)
            ctx.report(epoch, {"value": epoch / 10 + spec["model"]["x"] / 100})

    def evaluate(
        self, spec: Mapping[str, Any], checkpoint: bytes, *, threads: int, gpus: int
    ) -> Mapping[str, float]:
        return {"test_value": float(checkpoint)}
