"""A training without a run: a context that keeps what it is told, and small specs."""

from __future__ import annotations

import io
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from raytao.networks.image_classification import ImageClassification

NETWORK = ImageClassification()


@dataclass
class Recorder:
    """A TrainContext that keeps what it is told."""

    stop_epoch: int
    start_epoch: int = 0
    resume_from: bytes | None = None
    seed: int = 7
    threads: int = 1
    gpus: int = 0
    rank: int = 0
    world: int = 1
    metric: str = "val_acc"
    workspace: Path = Path("no trainer of ours needs one")
    stop_after_checks: float = math.inf
    reports: dict[int, Mapping[str, float]] = field(default_factory=dict)
    checkpoints: dict[int, bytes] = field(default_factory=dict)
    lines: list[str] = field(default_factory=list)
    _checks: int = 0
    _pending: bytes | None = None

    @property
    def epochs(self) -> range:
        return range(self.start_epoch + 1, self.stop_epoch + 1)

    def gpu_memory_share(self, total: int) -> float:
        return 1.0

    def is_best(self, metrics: Mapping[str, float]) -> bool:
        return all(metrics["val_acc"] > past["val_acc"] for past in self.reports.values())

    def save(self, checkpoint: bytes) -> None:
        self._pending = checkpoint

    def report(
        self, epoch: int, metrics: Mapping[str, float], *, seconds: float | None = None
    ) -> None:
        if epoch != self.start_epoch + len(self.reports) + 1 or epoch > self.stop_epoch:
            raise ValueError(f"epoch {epoch} is not the next one")
        self.reports[epoch] = dict(metrics)
        if self._pending is not None:
            self.checkpoints[epoch] = self._pending
        self._pending = None

    def log(self, message: str) -> None:
        self.lines.append(message)

    @property
    def should_stop(self) -> bool:
        self._checks += 1
        return self._checks > self.stop_after_checks


def small_spec(**changes: Mapping[str, Any]) -> dict[str, Any]:
    """About 110 digits, a tiny network, every kind of randomness on; sections may be changed."""
    spec: dict[str, Any] = {
        "model": {"width": 4, "depth": 2, "dropout": 0.3},
        "dataset": {
            "train_fraction": 0.1,
            "batch_size": 32,
            "augmentation": {"hflip": 0.5, "translate": 0.2, "rotate": 20.0, "cutout": 0.3},
        },
        "train": {"num_epochs": 3},
    }
    for section, values in changes.items():
        spec[section] = spec.get(section, {}) | values
    return spec


def trained(spec: Mapping[str, Any], recorder: Recorder) -> Recorder:
    NETWORK.check(spec)
    NETWORK.train(spec, recorder)
    return recorder


def loaded(checkpoint: bytes) -> Any:
    return torch.load(io.BytesIO(checkpoint), weights_only=True)


def assert_same(first: Any, second: Any) -> None:
    """Two trees of tensors and plain values are equal bit for bit."""
    assert type(first) is type(second)
    if isinstance(first, torch.Tensor):
        assert torch.equal(first, second)
    elif isinstance(first, Mapping):
        assert list(first) == list(second)
        for key, value in first.items():
            assert_same(value, second[key])
    elif isinstance(first, list):
        for one, other in zip(first, second, strict=True):
            assert_same(one, other)
    else:
        assert first == second
