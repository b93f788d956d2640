"""Folders of real image files, for the tests of the data set ``folder``."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from raytao.networks.image_classification.split import Pixels


def write_image(path: Path, pixels: Pixels) -> None:
    """Write pixels (side, side) or (side, side, 3) in the format of the path's suffix."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)


def plain_image(seed: int, side: int = 8) -> Pixels:
    """Random grey pixels."""
    return np.random.default_rng(seed).integers(0, 256, (side, side), dtype=np.uint8)


def write_classes(root: Path, sizes: Mapping[str, int], suffix: str = "png") -> Path:
    """Fill one folder a class with so many different images."""
    for number, (name, size) in enumerate(sizes.items()):
        (root / name).mkdir(parents=True, exist_ok=True)
        for index in range(size):
            write_image(root / name / f"{index}.{suffix}", plain_image(1000 * number + index))
    return root


def write_colours(root: Path, count: int) -> Path:
    """Three classes of noisy 12x12 images that differ by their colour alone."""
    rng = np.random.default_rng(5)
    for channel, name in enumerate(("red", "green", "blue")):
        for index in range(count):
            pixels = rng.integers(0, 120, (12, 12, 3), dtype=np.uint8)
            pixels[:, :, channel] += 100
            suffix = ("png", "jpg", "bmp")[index % 3]
            write_image(root / name / f"{index}.{suffix}", pixels)
    return root


def write_digits(root: Path, indices: Iterable[int] | None = None) -> Path:
    """Scikit-learn's digits as grey PNG files of 8x8, one folder a digit."""
    from sklearn.datasets import load_digits

    digits = load_digits()
    for index in range(len(digits.target)) if indices is None else indices:
        pixels = (digits.images[index] * 15).astype(np.uint8)
        write_image(root / str(digits.target[index]) / f"{index:04}.png", pixels)
    return root


def folder_spec(root: Path, **dataset: Any) -> dict[str, Any]:
    """A spec that learns a folder's images, small ones."""
    size = {"image_size": 8, "channels": 1}
    return {"dataset": {"name": "folder", "root": str(root)} | size | dataset}
