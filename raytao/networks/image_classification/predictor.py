"""The trained module as others use it: raw pixels in, class probabilities out."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from raytao.networks.image_classification.checkpoint import Checkpoint, load_weights
from raytao.networks.image_classification.kinds import Kind, Shape, Statistics
from raytao.networks.image_classification.model import (
    Classifier,
    Normalisation,
    build_classifier,
)
from raytao.networks.image_classification.settings import ModelSection


class Predictor(nn.Module):
    """Maps raw pixels (n, channels, side, side) to class probabilities (n, classes).

    Pixels are on the data set's own scale, 0 to ``white``, as uint8 or float.
    """

    def __init__(self, classifier: Classifier, kind: Kind, statistics: Statistics) -> None:
        super().__init__()
        self.classes = kind.classes
        self.side = kind.shape.side
        self.channels = kind.shape.channels
        self.white = kind.shape.white
        self.normalisation = Normalisation(statistics)
        self.classifier = classifier

    def forward(self, pixels: Tensor) -> Tensor:
        """See the class."""
        logits: Tensor = self.classifier(self.normalisation(pixels))
        return logits.softmax(dim=1)


def build_predictor(checkpoint: Checkpoint, model: ModelSection) -> Predictor:
    """Put a checkpoint's weights into a module on the CPU, in evaluation mode.

    Raises:
        SpecError: if the checkpoint is of another architecture.
    """
    with torch.random.fork_rng([]):  # the initial weights are overwritten
        classifier = build_classifier(checkpoint.kind, model)
    load_weights(checkpoint, classifier)
    return Predictor(classifier, checkpoint.kind, checkpoint.statistics).eval()


def example_pixels(shape: Shape) -> Tensor:
    """Two synthetic images of the right shape and scale: a ramp from black to white, and back."""
    pixels = torch.arange(shape.channels * shape.side**2).remainder(shape.white + 1)
    ramp = pixels.view(1, shape.channels, shape.side, shape.side)
    return torch.cat([ramp, shape.white - ramp]).float()
