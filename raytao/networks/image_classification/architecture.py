"""What the networks look like, in plain Python: layers, shapes, parameter counts, bytes.

Two families work for any square image, 8x8 and 28x28 alike. Both have three stages of widths
``width``, ``2 * width`` and ``4 * width``; ``depth`` blocks are dealt out to the stages in order.

    cnn      depth x (convolution, batch norm, activation)
    resnet   one convolution, then depth x residual block (He et al. 2016, the basic block)

A stage's first block halves the image, but the first stage of an image below 16 pixels keeps it.
Both end in global average pooling, dropout and one linear layer. In place of batch norm there may
be group norm (Wu and He 2018), which knows nothing of the other images of a batch.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain
from typing import Final, assert_never

from raytao.networks.image_classification.kinds import Shape
from raytao.networks.image_classification.settings import (
    ModelSection,
    NormName,
    OptimSection,
    PrecisionName,
)

STAGES: Final = 3
SMALL_IMAGE: Final = 16
"""Images with fewer pixels a side are not halved by the first stage."""

# Fitted to files of torch.save: a tensor's zip headers, padding and pickle; the rest of the file.
_RECORD_BYTES: Final = 258
_FILE_BYTES: Final = 1490
_NAME_BYTES: Final = 7
_NUMBER_BYTES: Final = {"fp32": 4, "fp64": 8}


@dataclass(frozen=True)
class Conv:
    """A convolution without bias, padded to keep the size, and its batch or group norm."""

    inputs: int
    outputs: int
    kernel: int
    stride: int
    norm: NormName = "batch"

    @property
    def tensors(self) -> tuple[int, ...]:
        """Elements of each trained tensor: kernel, the norm's scale and shift."""
        return (self.inputs * self.outputs * self.kernel**2, self.outputs, self.outputs)

    @property
    def buffers(self) -> tuple[int, ...]:
        """Elements of each untrained tensor: batch norm's running mean and variance."""
        return (self.outputs, self.outputs) if self.norm == "batch" else ()

    @property
    def counters(self) -> int:
        """Batch counters, of eight bytes each."""
        return 1 if self.norm == "batch" else 0


@dataclass(frozen=True)
class Residual:
    """Two convolutions whose result is added to the input, projected where shapes differ."""

    first: Conv
    second: Conv
    shortcut: Conv | None


Block = Conv | Residual


@dataclass(frozen=True)
class Architecture:
    """A network's layers: ``blocks``, then pooling, dropout and a linear layer."""

    blocks: tuple[Block, ...]
    features: int
    classes: int

    @property
    def convolutions(self) -> tuple[Conv, ...]:
        """Every convolution, in order."""
        return tuple(chain.from_iterable(_convolutions(block) for block in self.blocks))

    @property
    def tensors(self) -> tuple[int, ...]:
        """Elements of each trained tensor, the linear layer's last."""
        head = (self.features * self.classes, self.classes)
        return (*chain.from_iterable(conv.tensors for conv in self.convolutions), *head)

    @property
    def parameters(self) -> int:
        """Number of trained weights."""
        return sum(self.tensors)

    def sides(self, side: int) -> list[int]:
        """Pixels a side after each block, for an image of ``side`` pixels."""
        sides = []
        for block in self.blocks:
            stride = block.stride if isinstance(block, Conv) else block.first.stride
            side = -(-side // stride)
            sides.append(side)
        return sides


def describe(model: ModelSection, shape: Shape, *, classes: int) -> Architecture:
    """Lay out the network for images of a shape."""
    opening = 1 if shape.side < SMALL_IMAGE else 2
    match model.backbone:
        case "cnn":
            inputs, blocks = shape.channels, []
        case "resnet":
            stem = Conv(shape.channels, model.width, model.kernel_size, opening, model.norm)
            blocks = [stem]
            inputs, opening = model.width, 1
        case other:
            assert_never(other)
    layers: list[Block] = list(blocks)
    stage = -1
    for index in range(model.depth):
        previous, stage = stage, index * STAGES // model.depth
        outputs = model.width * 2**stage
        stride = 1 if stage == previous else (2 if stage else opening)
        layers.append(_block(model, inputs, outputs, stride))
        inputs = outputs
    return Architecture(tuple(layers), features=inputs, classes=classes)


def checkpoint_bytes(
    architecture: Architecture,
    optim: OptimSection,
    classes: Iterable[str],
    precision: PrecisionName = "fp32",
) -> int:
    """Estimate the size of a checkpoint: weights, buffers, the optimizer's moments, names."""
    trained, number = architecture.tensors, _NUMBER_BYTES[precision]
    buffers = list(chain.from_iterable(conv.buffers for conv in architecture.convolutions))
    batches = sum(conv.counters for conv in architecture.convolutions)
    match optim.type:
        case "adam" | "adamw":
            copies, counters = 3, len(trained)
        case "sgd":
            copies, counters = (2 if optim.momentum > 0 else 1), 0
        case other:
            assert_never(other)
    records = copies * len(trained) + counters + len(buffers) + batches
    content = number * (copies * sum(trained) + sum(buffers)) + 4 * counters + 8 * batches
    content += sum(_NAME_BYTES + len(name.encode()) for name in classes)
    return content + _RECORD_BYTES * records + _FILE_BYTES


def _block(model: ModelSection, inputs: int, outputs: int, stride: int) -> Block:
    first = Conv(inputs, outputs, model.kernel_size, stride, model.norm)
    match model.backbone:
        case "cnn":
            return first
        case "resnet":
            same = stride == 1 and inputs == outputs
            return Residual(
                first=first,
                second=Conv(outputs, outputs, model.kernel_size, 1, model.norm),
                shortcut=None if same else Conv(inputs, outputs, 1, stride, model.norm),
            )
        case other:
            assert_never(other)


def _convolutions(block: Block) -> Iterator[Conv]:
    match block:
        case Conv():
            yield block
        case Residual(first, second, shortcut):
            yield first
            yield second
            if shortcut is not None:
                yield shortcut
        case other:
            assert_never(other)
