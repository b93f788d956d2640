"""A training's state as bytes, and back.

Only tensors, numbers, strings, lists and dicts go in, so that ``torch.load(weights_only=True)``
reads it and nothing is ever executed. There is no random state in it: every epoch seeds its own
draws from (seed, epoch). There is no scheduler state either; see optim.py.
"""

from __future__ import annotations

import io
import pickle
import struct
import warnings
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.amp import GradScaler
from torch.optim import Optimizer

from raytao.errors import SpecError
from raytao.networks.image_classification.kinds import Kind, Shape, Statistics

NETWORK = "image_classification"


@dataclass(frozen=True)
class Checkpoint:
    """State after ``epoch`` completed epochs, as torch's ``state_dict`` of each part.

    ``kind`` and ``statistics`` are of the images it was trained on, so that it can be used where
    they are not.
    """

    epoch: int
    kind: Kind
    statistics: Statistics
    model: Mapping[str, Tensor]
    optimizer: Mapping[str, Any]
    scaler: Mapping[str, Any]

    def to_bytes(self) -> bytes:
        """Write what ``from_bytes`` reads."""
        buffer = io.BytesIO()
        torch.save(
            {
                "network": NETWORK,
                "epoch": self.epoch,
                "kind": {
                    "shape": asdict(self.kind.shape),
                    "classes": list(self.kind.classes),
                },
                "statistics": {
                    "mean": list(self.statistics.mean),
                    "std": list(self.statistics.std),
                },
                "model": dict(self.model),
                "optimizer": dict(self.optimizer),
                "scaler": dict(self.scaler),
            },
            buffer,
        )
        return buffer.getvalue()

    @staticmethod
    def from_bytes(data: bytes, *, source: str = "the checkpoint") -> Checkpoint:
        """Read a checkpoint onto the CPU.

        Raises:
            SpecError: naming ``source``, if it is damaged or another network's.
        """
        content = _read(data, source)
        if not isinstance(content, dict) or content.get("network") != NETWORK:
            raise _refused(source, f"it is no checkpoint of {NETWORK}")
        parts = {field.name for field in fields(Checkpoint)}
        if not parts <= content.keys():
            raise _refused(source, f"it lacks {sorted(parts - content.keys())}")
        kind, statistics = content["kind"], content["statistics"]
        images = {
            "kind": Kind(Shape(**kind["shape"]), tuple(kind["classes"])),
            "statistics": Statistics(tuple(statistics["mean"]), tuple(statistics["std"])),
        }
        return Checkpoint(**{name: content[name] for name in parts} | images)


def restore(
    checkpoint: Checkpoint, model: nn.Module, optimizer: Optimizer, scaler: GradScaler | None
) -> None:
    """Put a state back into freshly built parts.

    Raises:
        SpecError: if the checkpoint is of another architecture or optimizer.
    """
    load_weights(checkpoint, model)
    try:
        optimizer.load_state_dict(dict(checkpoint.optimizer))
    except ValueError as error:
        raise _refused(
            "the checkpoint", f"its optimizer differs from the spec's ({error})"
        ) from error
    if scaler is not None and checkpoint.scaler:
        scaler.load_state_dict(dict(checkpoint.scaler))


def load_weights(checkpoint: Checkpoint, model: nn.Module) -> None:
    """Put a checkpoint's weights into a network of the same architecture.

    Raises:
        SpecError: if the architecture differs.
    """
    try:
        model.load_state_dict(checkpoint.model)
    except RuntimeError as error:
        raise _refused("the checkpoint", "its layers differ from the spec's model") from error


def load_pretrained(path: str, model: nn.Module) -> tuple[int, int]:
    """Start from another training's weights, wherever names and shapes agree.

    The file is a checkpoint of this network or a plain ``state_dict``.

    Returns:
        How many tensors were taken over, of how many.

    Raises:
        SpecError: if the file cannot be read or nothing in it fits.
    """
    source = f"train.pretrained_model_path = {path!r}"
    try:
        content = _read(Path(path).read_bytes(), source)
    except OSError as error:
        raise _refused(source, str(error.strerror or error)) from error
    found = content.get("model", content) if isinstance(content, dict) else {}
    own = model.state_dict()
    fitting = {
        name: found[name]
        for name, tensor in own.items()
        if isinstance(found.get(name), Tensor) and found[name].shape == tensor.shape
    }
    if not any(own[name].ndim > 1 for name in fitting):
        raise _refused(source, "no layer in it has the shape that the spec's model asks for")
    model.load_state_dict({**own, **fitting})
    return len(fitting), len(own)


_UNREADABLE = (
    *(RuntimeError, ValueError, KeyError, IndexError, AttributeError, TypeError),
    *(EOFError, struct.error),
)
"""What torch raises for a file that is damaged, or something else; never MemoryError."""


def _read(data: bytes, source: str) -> Any:
    """What a file holds; code that it may hold is never run."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # of a pickle that is not torch's own
            return torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
    except (*_UNREADABLE, pickle.UnpicklingError) as error:
        reason = "it cannot be read as tensors, and nothing else is taken from a file"
        raise _refused(source, reason) from error


def _refused(source: str, reason: str) -> SpecError:
    return SpecError(
        f"{source}: {reason}",
        remedy="name a checkpoint that this network wrote for the same model and optimizer",
    )
