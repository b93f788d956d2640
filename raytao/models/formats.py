"""The files that others read a model from: TorchScript and ONNX.

Both are written from one example and read back as a function, so that a file's answers can be
compared with the module's.
"""

from __future__ import annotations

import io
import json
import logging
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any, Final, TypeAlias

import torch
from torch import Tensor
from torch.nn import Module

from raytao.errors import SettingsError
from raytao.types import Json

Answer: TypeAlias = Callable[[Tensor], Tensor]
Notes: TypeAlias = Mapping[str, Json]

NOTES: Final = "raytao.json"
"""The file inside a TorchScript archive that holds the notes."""

INPUT: Final = "input"
OUTPUT: Final = "output"
BATCH: Final = "batch"
"""The name of the dimension that is free."""


@dataclass(frozen=True)
class Writer:
    """How a module becomes a file's bytes, and these an answering function again.

    ``write`` takes a module, a batch of two or more raw inputs and notes to keep in the file;
    ``packages`` are needed beside torch, and come with the extra of the same name.
    """

    file: str
    write: Callable[[Module, Tensor, Notes], bytes]
    read: Callable[[bytes], Answer]
    packages: tuple[str, ...] = ()
    extra: str = ""

    def require(self) -> None:
        """Refuse to begin without the packages.

        Raises:
            SettingsError: naming those that are missing.
        """
        missing = [name for name in self.packages if find_spec(name) is None]
        if missing:
            raise SettingsError(
                f"{self.extra.upper()} export needs {', '.join(missing)}",
                remedy=f"pip install 'raytao[{self.extra}]'",
            )


def write_torchscript(module: Module, example: Tensor, notes: Notes) -> bytes:
    """Trace a module."""
    buffer = io.BytesIO()
    with _quietly(), torch.no_grad():
        # Its own check is left out: the caller compares the answers, on more inputs.
        trace: Any = torch.jit.trace  # torch ships no types for it
        traced = trace(module, (example,), check_trace=False)
        kept = {NOTES: json.dumps(notes, ensure_ascii=False, indent=1)}
        torch.jit.save(traced, buffer, _extra_files=kept)
    return buffer.getvalue()


def read_torchscript(data: bytes) -> Answer:
    """Load a traced module."""
    with _quietly():
        read: Any = torch.jit.load  # torch ships no types for it
        loaded = read(io.BytesIO(data), "cpu")

    def answer(batch: Tensor) -> Tensor:
        with torch.no_grad():
            result: Tensor = loaded(batch)
        return result

    return answer


def write_onnx(module: Module, example: Tensor, notes: Notes) -> bytes:
    """Export a module with a free batch size; protobuf holds at most 2 GB."""
    with _quietly():
        program = torch.onnx.export(
            module,
            (example,),
            dynamo=True,
            dynamic_shapes=({0: torch.export.Dim(BATCH)},),
            input_names=[INPUT],
            output_names=[OUTPUT],
            verbose=False,
        )
    assert program is not None  # it is None only where a file is written
    proto = program.model_proto
    for key, value in notes.items():
        text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        proto.metadata_props.add(key=key, value=text)
    return bytes(proto.SerializeToString())


def read_onnx(data: bytes) -> Answer:
    """Open a session of ONNX Runtime on the CPU."""
    import onnxruntime

    session = onnxruntime.InferenceSession(data, providers=["CPUExecutionProvider"])

    def answer(batch: Tensor) -> Tensor:
        (result,) = session.run([OUTPUT], {INPUT: batch.numpy()})
        return torch.from_numpy(result)

    return answer


WRITERS: Final[Mapping[str, Writer]] = {
    "torchscript": Writer("model.torchscript.pt", write_torchscript, read_torchscript),
    "onnx": Writer(
        "model.onnx",
        write_onnx,
        read_onnx,
        packages=("onnx", "onnxscript", "onnxruntime"),
        extra="onnx",
    ),
}


@contextmanager
def _quietly() -> Iterator[None]:
    """Keep torch's remarks on its own internals back; what it raises still comes out."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)
