"""The data sets: whole, in memory, with splits that no seed of a training moves.

    digits          1797 handwritten digits, 8x8, inside scikit-learn (UCI)
    fashion_mnist   70000 pieces of clothing, 28x28 (Xiao et al. 2017), four gzipped idx files

Everything here is numpy; pixels are uint8 with 0 as the background.
"""

from __future__ import annotations

import gzip
import zlib
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Final, TypeAlias, assert_never

import numpy as np
import numpy.typing as npt

from raytao.errors import DataError
from raytao.networks.image_classification.settings import DatasetName, DatasetSection

Pixels: TypeAlias = npt.NDArray[np.uint8]
Labels: TypeAlias = npt.NDArray[np.int64]
Indices: TypeAlias = npt.NDArray[np.int64]

FASHION_MNIST_FOLDER: Final = Path("/usr/share/datasets/fashion-mnist")
"""Where Debian's package dataset-fashion-mnist puts the files."""

SPLIT_SEED: Final = 20240229
"""Fixes which images are held out, for every training and every search alike."""

DIGITS_TEST_SHARE: Final = 0.25


@dataclass(frozen=True)
class Kind:
    """What is known of a data set before it is read.

    ``mean`` and ``std`` are of the training pixels, on the scale 0 to ``white``.
    """

    side: int
    classes: int
    white: int
    mean: float
    std: float


KINDS: Final[dict[DatasetName, Kind]] = {
    "digits": Kind(side=8, classes=10, white=16, mean=4.88, std=6.02),
    "fashion_mnist": Kind(side=28, classes=10, white=255, mean=72.9, std=90.0),
}


@dataclass(frozen=True)
class Images:
    """``pixels`` of shape (n, side, side) and ``labels`` of shape (n,)."""

    pixels: Pixels
    labels: Labels


@dataclass(frozen=True)
class Data:
    """``pool`` is cut into training and validation by ``split``; ``test`` is held out."""

    kind: Kind
    pool: Images
    test: Images


def check_files(dataset: DatasetSection) -> None:
    """Refuse a data set whose files are missing or of another kind, without reading it.

    Raises:
        DataError: naming the folder, the file and how to get it.
    """
    match dataset.name:
        case "digits":
            return
        case "fashion_mnist":
            folder = _folder(dataset.root)
            for part, count in _PARTS.items():
                for kind, magic in _MAGIC.items():
                    _header(folder / f"{part}-{kind}.gz", magic, count)
        case other:
            assert_never(other)


def load(dataset: DatasetSection) -> Data:
    """Read a data set, once a process.

    Raises:
        DataError: if a file is missing or damaged.
    """
    return _load(dataset.name, dataset.root)


def split(labels: Labels, *, val_split: float, train_fraction: float) -> tuple[Indices, Indices]:
    """Cut a pool into (training, validation), each class in proportion.

    The validation images depend on ``val_split`` only, and a smaller ``train_fraction`` takes a
    subset of what a larger one takes; every class keeps at least one image on each side.

    Returns:
        Two sorted index arrays that share no element.
    """
    train, val = [], []
    for members in _shuffled_classes(labels):
        held = max(1, round(val_split * len(members)))
        kept = max(1, round(train_fraction * (len(members) - held)))
        val.append(members[:held])
        train.append(members[held : held + kept])
    return np.sort(np.concatenate(train)), np.sort(np.concatenate(val))


def _shuffled_classes(labels: Labels) -> list[Indices]:
    rng = np.random.default_rng(SPLIT_SEED)
    return [rng.permutation(np.flatnonzero(labels == label)) for label in np.unique(labels)]


@lru_cache(maxsize=2)
def _load(name: DatasetName, root: str | None) -> Data:
    match name:
        case "digits":
            return _load_digits()
        case "fashion_mnist":
            folder = _folder(root)
            return Data(
                KINDS["fashion_mnist"],
                pool=_read_part(folder, "train"),
                test=_read_part(folder, "t10k"),
            )
        case other:
            assert_never(other)


def _load_digits() -> Data:
    from sklearn.datasets import load_digits

    bunch = load_digits()
    pixels, labels = bunch.images.astype(np.uint8), bunch.target.astype(np.int64)
    pool, test = split(labels, val_split=DIGITS_TEST_SHARE, train_fraction=1.0)
    return Data(
        KINDS["digits"],
        pool=Images(pixels[pool], labels[pool]),
        test=Images(pixels[test], labels[test]),
    )


_PARTS: Final = {"train": 60_000, "t10k": 10_000}
_MAGIC: Final = {"images-idx3-ubyte": 2051, "labels-idx1-ubyte": 2049}
_HEADER: Final = {2051: 16, 2049: 8}


def _folder(root: str | None) -> Path:
    return FASHION_MNIST_FOLDER if root is None else Path(root)


def _read_part(folder: Path, part: str) -> Images:
    count = _PARTS[part]
    images = _idx(folder / f"{part}-images-idx3-ubyte.gz", 2051, count)
    labels = _idx(folder / f"{part}-labels-idx1-ubyte.gz", 2049, count)
    side = KINDS["fashion_mnist"].side
    return Images(images.reshape(count, side, side), labels.astype(np.int64))


def _idx(path: Path, magic: int, count: int) -> Pixels:
    _header(path, magic, count)
    size = count * (KINDS["fashion_mnist"].side ** 2 if magic == 2051 else 1)
    try:
        with gzip.open(path) as file:
            content = file.read()
    except (OSError, EOFError, zlib.error) as error:
        raise _bad_file(path, f"cannot be unpacked ({error})") from error
    if len(content) != _HEADER[magic] + size:
        raise _bad_file(path, f"holds {len(content)} bytes, not {_HEADER[magic] + size}")
    # A bytearray, because torch warns of arrays that cannot be written to.
    return np.frombuffer(bytearray(content), np.uint8, offset=_HEADER[magic])


def _header(path: Path, magic: int, count: int) -> None:
    try:
        with gzip.open(path) as file:
            head = np.frombuffer(file.read(8), ">i4")
    except (OSError, EOFError, zlib.error) as error:
        reason = getattr(error, "strerror", None) or "is not gzipped"
        raise _bad_file(path, f"cannot be read ({reason})") from error
    if head.tolist() != [magic, count]:
        raise _bad_file(path, f"begins with {head.tolist()}, not with {[magic, count]}")


def _bad_file(path: Path, what: str) -> DataError:
    return DataError(
        f"dataset.root: {path} {what}; the data set fashion_mnist needs its four idx files",
        remedy="run `apt-get install dataset-fashion-mnist`, or set dataset.root to their folder",
    )
