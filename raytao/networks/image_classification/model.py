"""The torch modules of an architecture."""

from __future__ import annotations

import math
from typing import Final, assert_never

import torch
from torch import Tensor, nn

from raytao.networks.image_classification.architecture import (
    Architecture,
    Block,
    Conv,
    Residual,
    describe,
)
from raytao.networks.image_classification.kinds import Kind, Statistics
from raytao.networks.image_classification.settings import ActivationName, ModelSection

MOST_GROUPS: Final = 8
"""Groups of a group norm, where as many divide its channels."""


class Normalisation(nn.Module):
    """Shifts and scales raw pixels to about zero mean and unit variance, channel by channel."""

    def __init__(self, statistics: Statistics) -> None:
        super().__init__()
        self.mean = nn.Buffer(torch.tensor(statistics.mean).view(1, -1, 1, 1))
        self.std = nn.Buffer(torch.tensor(statistics.std).view(1, -1, 1, 1))

    def forward(self, pixels: Tensor) -> Tensor:
        """Map raw pixels (n, channels, side, side) of any type to numbers of the module's type."""
        return (pixels.to(self.mean.dtype) - self.mean) / self.std


class Classifier(nn.Module):
    """Maps normalised images (n, channels, side, side) to logits (n, classes)."""

    def __init__(self, architecture: Architecture, model: ModelSection) -> None:
        super().__init__()
        self.backbone = nn.Sequential(
            *(_module(block, model.activation) for block in architecture.blocks)
        )
        self.dropout = nn.Dropout(model.dropout)
        self.head = nn.Linear(architecture.features, architecture.classes)

    def forward(self, images: Tensor) -> Tensor:
        """See the class."""
        features: Tensor = self.backbone(images).mean(dim=(2, 3))
        logits: Tensor = self.head(self.dropout(features))
        return logits


class ResidualBlock(nn.Module):
    """activation(second(activation(first(x))) + shortcut(x))."""

    def __init__(self, block: Residual, activation: ActivationName) -> None:
        super().__init__()
        self.first = nn.Sequential(_convolution(block.first), _activation(activation))
        self.second = _convolution(block.second)
        self.shortcut = nn.Identity() if block.shortcut is None else _convolution(block.shortcut)
        self.activation = _activation(activation)

    def forward(self, images: Tensor) -> Tensor:
        """See the class."""
        result: Tensor = self.activation(self.second(self.first(images)) + self.shortcut(images))
        return result


def build_classifier(kind: Kind, model: ModelSection) -> Classifier:
    """Make a freshly initialised network for images of a kind; see ``build_model``."""
    return build_model(describe(model, kind.shape, classes=len(kind.classes)), model)


def build_model(architecture: Architecture, model: ModelSection) -> Classifier:
    """Make a freshly initialised network; the weights come from torch's global generator."""
    classifier = Classifier(architecture, model)
    for module in classifier.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
    # Convolutions of few channels run about a quarter faster this way on a CPU.
    return classifier.to(memory_format=torch.channels_last)  # type: ignore[call-overload, no-any-return]


def _module(block: Block, activation: ActivationName) -> nn.Module:
    match block:
        case Conv():
            return nn.Sequential(_convolution(block), _activation(activation))
        case Residual():
            return ResidualBlock(block, activation)
        case other:
            assert_never(other)


def _convolution(conv: Conv) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(
            conv.inputs,
            conv.outputs,
            conv.kernel,
            stride=conv.stride,
            padding=conv.kernel // 2,
            bias=False,
        ),
        _norm(conv),
    )


def _norm(conv: Conv) -> nn.Module:
    match conv.norm:
        case "batch":
            return nn.BatchNorm2d(conv.outputs)
        case "group":
            return nn.GroupNorm(math.gcd(MOST_GROUPS, conv.outputs), conv.outputs)
        case other:
            assert_never(other)


def _activation(name: ActivationName) -> nn.Module:
    match name:
        case "relu":
            return nn.ReLU(inplace=True)
        case "leaky_relu":
            return nn.LeakyReLU(0.1, inplace=True)
        case "silu":
            return nn.SiLU(inplace=True)
        case other:
            assert_never(other)
