"""A folder's images in memory: decoded, measured, and not too large."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from raytao.errors import DataError
from raytao.networks.image_classification.folder import Samples, cut_samples
from raytao.networks.image_classification.kinds import Shape, Statistics
from raytao.networks.image_classification.listing import Listing
from raytao.networks.image_classification.pictures import read_picture
from raytao.networks.image_classification.split import Images, Pixels

MEMORY_SHARE: Final = 0.5
"""Share of a machine's memory that one training's images may take."""

COPIES: Final = 2
"""How often an image lies in memory: in the set, and in the part that it was cut into."""


@dataclass(frozen=True)
class FolderImages:
    """``pool`` is what training is cut from, and validation too unless ``val`` is given."""

    pool: Images
    val: Images | None
    test: Images


def read_images(listing: Listing, shape: Shape) -> FolderImages:
    """Decode every image.

    Raises:
        DataError: naming the first file that is cut short or garbled.
    """
    cut, root = cut_samples(listing), listing.root
    return FolderImages(
        pool=_read(root, cut.pool, shape),
        val=None if cut.val is None else _read(root, cut.val, shape),
        test=_read(root, cut.test, shape),
    )


def pixel_statistics(pixels: Pixels) -> Statistics:
    """Measure each channel of pixels (n, channels, side, side), exactly: by counting values."""
    import numpy as np

    values = np.arange(256)
    mean, std = [], []
    for channel in range(pixels.shape[1]):
        counts = np.zeros(256, np.int64)
        for start in range(0, len(pixels), 1024):  # bincount takes eight bytes a pixel
            block = pixels[start : start + 1024, channel]
            counts += np.bincount(block.ravel(), minlength=256)
        n, total, squares = (int(counts @ values**power) for power in (0, 1, 2))
        mean.append(total / n)
        std.append(((n * squares - total**2) / n**2) ** 0.5 or 1.0)
    return Statistics(tuple(mean), tuple(std))


def check_memory(images: int, shape: Shape, *, machine: int) -> None:
    """Refuse images that do not fit into ``machine`` bytes beside a training.

    Raises:
        DataError: with both sizes and the rule.
    """
    needed = COPIES * images * shape.channels * shape.side**2
    if needed > MEMORY_SHARE * machine:
        raise DataError(
            f"dataset.root: {images} images of {shape.channels}x{shape.side}x{shape.side} need "
            f"{_gib(needed)} of memory, each image {COPIES} times; the rule is at most "
            f"{MEMORY_SHARE:.0%} of this machine's {_gib(machine)}",
            remedy="set dataset.image_size or dataset.channels lower, or name a smaller folder",
        )


def machine_memory() -> int:
    """Bytes of memory that this machine has, or the container that this process runs in."""
    limits = [os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")]
    for file in ("memory.max", "memory/memory.limit_in_bytes"):  # control groups 2 and 1
        try:
            text = Path("/sys/fs/cgroup", file).read_text(encoding="ascii").strip()
        except OSError:
            continue
        if text.isdecimal():
            limits.append(int(text))
    return min(limits)


def _read(root: Path, samples: Samples, shape: Shape) -> Images:
    import numpy as np

    pixels = np.empty((len(samples.paths), shape.channels, shape.side, shape.side), np.uint8)
    for index, path in enumerate(samples.paths):
        pixels[index] = read_picture(root / path, shape)
    return Images(pixels, samples.labels)


def _gib(size: int) -> str:
    return f"{size / 2**30:.1f} GiB"
