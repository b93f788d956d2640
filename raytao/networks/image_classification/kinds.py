"""What is known of a data set's images: their shape, their classes, the scale of their pixels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True)
class Shape:
    """Square images of ``channels`` x ``side`` x ``side`` pixels, each 0 to ``white``."""

    channels: int
    side: int
    white: int


@dataclass(frozen=True)
class Kind:
    """Images of one shape in named classes."""

    shape: Shape
    classes: tuple[str, ...]


@dataclass(frozen=True)
class Statistics:
    """Mean and standard deviation of the pixels of each channel, on the scale 0 to ``white``.

    They are those of all images that training and validation are cut from, so that no share
    and no seed of a training moves them.
    """

    mean: tuple[float, ...]
    std: tuple[float, ...]


DIGITS: Final = Kind(Shape(channels=1, side=8, white=16), classes=tuple("0123456789"))
DIGITS_STATISTICS: Final = Statistics(mean=(4.88,), std=(6.02,))

FASHION_MNIST: Final = Kind(
    Shape(channels=1, side=28, white=255),
    classes=(
        "T-shirt/top",
        "Trouser",
        "Pullover",
        "Dress",
        "Coat",
        "Sandal",
        "Shirt",
        "Sneaker",
        "Bag",
        "Ankle boot",
    ),
)
FASHION_MNIST_STATISTICS: Final = Statistics(mean=(72.9,), std=(90.0,))

FIXED_KINDS: Final = {"digits": DIGITS, "fashion_mnist": FASHION_MNIST}
"""The data sets whose images are what they are, whatever a spec says."""
