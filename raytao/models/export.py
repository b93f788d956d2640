"""A model as one file for other programs, which answers as the module does, or is not written."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import raytao
from raytao.errors import FolderError, RaytaoError, SettingsError, did_you_mean
from raytao.models.model import Model, example, load
from raytao.runs.place import Place, is_file, store_at
from raytao.types import Json

if TYPE_CHECKING:
    from torch import Tensor
    from torch.nn import Module

    from raytao.models.formats import Answer, Writer

FOLDER: Final = "exported"
"""Below the model's home; ``best_model/`` itself is swapped as a whole while a run goes on."""

FORMATS: Final = ("torchscript", "onnx")

TOLERANCE: Final = 1e-4
"""Largest difference between the file's answers and the module's."""

BATCHES: Final = (1, 5)
"""Sizes of the random batches that are compared, beside the example."""


@dataclass(frozen=True)
class Exported:
    """A written file. ``worst`` is the largest absolute difference over ``inputs`` inputs."""

    path: Place
    format: str
    worst: float
    inputs: int


def export(model: Model, format: str, to: Place | None = None, *, force: bool = False) -> Exported:
    """Write a model as TorchScript or ONNX, after comparing its answers with the module's.

    Args:
        model: what is exported.
        format: one of ``FORMATS``.
        to: the file; by default ``exported/model.torchscript.pt`` or ``exported/model.onnx``
            in the model's results folder.
        force: whether a file that is there may be replaced.

    Raises:
        SettingsError: if the format is unknown, lacks its packages, or the network has no module.
        FolderError: if the file is there.
        RaytaoError: if the module cannot be exported, or the file's answers differ. Nothing was
            written then.
    """
    if format not in FORMATS:
        raise SettingsError(f"unknown format {format!r}", remedy=did_you_mean(format, FORMATS))
    from raytao.models.formats import WRITERS

    writer = WRITERS[format]
    path = to or model.home / FOLDER / writer.file
    _refuse_existing(path, force=force)
    writer.require()
    module = load(model)
    batches = _batches(example(model))
    expected = _expected(module, batches)
    data = _written(module, batches, model, writer)
    worst = _worst(_reread(data, writer), batches, expected)
    if worst > TOLERANCE:
        raise RaytaoError(
            f"the {format} file answers otherwise than the module: they differ by {worst:.3g}, "
            f"more than {TOLERANCE:g}; nothing was written"
        )
    store_at(path.parent).replace(path.name, data)
    return Exported(path, format, worst, sum(len(batch) for batch in batches))


def _refuse_existing(path: Place, *, force: bool) -> None:
    if isinstance(path, Path) and path.is_dir():
        raise FolderError(f"{path} is a folder", remedy="name a file")
    there = path.exists() if isinstance(path, Path) else is_file(path)
    if there and not force:
        raise FolderError(f"{path} is there already", remedy="--force replaces it")


def _batches(example: Tensor) -> list[Tensor]:
    """The example, and random inputs between its smallest and its largest value."""
    import torch

    generator = torch.Generator().manual_seed(0)
    low, high = example.min().item(), example.max().item()
    drawn = []
    for size in BATCHES:
        share = torch.rand((size, *example.shape[1:]), generator=generator, dtype=torch.float64)
        drawn.append((low + (high - low) * share).to(example.dtype))
    return [example, *drawn]


def _written(module: Module, batches: list[Tensor], model: Model, writer: Writer) -> bytes:
    largest = max(batches, key=len)  # an exporter takes a batch of one for a batch that is fixed
    try:
        return writer.write(module, largest, _notes(model, module, largest))
    except Exception as error:
        raise _failed("cannot be written", writer, error) from error


def _reread(data: bytes, writer: Writer) -> Answer:
    try:
        return writer.read(data)
    except Exception as error:
        raise _failed("cannot be read back", writer, error) from error


def _failed(what: str, writer: Writer, error: Exception) -> RaytaoError:
    """An exporter's own words are pages; the first cause's first line says it."""
    cause: BaseException = error
    while cause.__cause__ is not None:
        cause = cause.__cause__
    line = next(iter(str(cause).splitlines()), "")
    return RaytaoError(f"{writer.file} {what}: {type(cause).__name__}: {line}")


def _expected(module: Module, batches: list[Tensor]) -> list[Tensor]:
    """The module's own answers."""
    import torch

    with torch.no_grad():
        answers = [module(batch) for batch in batches]
    if not all(isinstance(answer, torch.Tensor) for answer in answers):
        kind = type(answers[0]).__name__
        raise SettingsError(f"the module answers with a {kind}; only one tensor is exported")
    return answers


def _worst(answer: Answer, batches: list[Tensor], expected: list[Tensor]) -> float:
    """The largest absolute difference; infinite where an answer is no number."""
    worst = 0.0
    for batch, right in zip(batches, expected, strict=True):
        found = answer(batch)
        if found.shape != right.shape:
            raise RaytaoError(
                f"for {len(batch)} inputs the file answers {tuple(found.shape)}, "
                f"the module {tuple(right.shape)}; nothing was written"
            )
        difference = (found.double() - right.double()).abs().nan_to_num(math.inf)
        worst = max(worst, difference.max().item())
    return worst


def _notes(model: Model, module: Module, inputs: Tensor) -> dict[str, Json]:
    """What a program that reads the file may want to know."""
    notes: dict[str, Json] = {
        "raytao": raytao.__version__,
        "network": model.network,
        "input": ["batch", *inputs.shape[1:]],
        "dtype": str(inputs.dtype).removeprefix("torch."),
        "classes": list(getattr(module, "classes", ())) or None,
        "white": getattr(module, "white", None),
        "recommendation": model.trial,
        "epoch": model.epoch,
        "metric": model.metric,
        "value": model.value,
    }
    return {key: value for key, value in notes.items() if value is not None}
