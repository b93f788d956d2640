"""The data sets: whole, in memory, with splits that no seed of a training moves.

    digits          1797 handwritten digits, 8x8, inside scikit-learn (UCI)
    fashion_mnist   70000 pieces of clothing, 28x28 (Xiao et al. 2017), four gzipped idx files
    folder          a user's own images, one folder a class

Everything here is numpy; pixels are uint8 with 0 as the background.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import assert_never

from raytao.errors import SpecError
from raytao.networks.image_classification import fashion_mnist
from raytao.networks.image_classification.digits import read_digits
from raytao.networks.image_classification.folder import (
    LAYOUTS,
    class_names,
    count_images,
    describe_images,
    find_images,
)
from raytao.networks.image_classification.kinds import (
    DIGITS,
    DIGITS_STATISTICS,
    FASHION_MNIST,
    FASHION_MNIST_STATISTICS,
    FIXED_KINDS,
    Kind,
    Shape,
    Statistics,
)
from raytao.networks.image_classification.listing import Listing
from raytao.networks.image_classification.reading import (
    check_memory,
    machine_memory,
    pixel_statistics,
    read_images,
)
from raytao.networks.image_classification.settings import DatasetSection
from raytao.networks.image_classification.split import TEST_SHARE, Images, split


@dataclass(frozen=True)
class Data:
    """A data set in memory.

    ``pool`` is cut into training and validation, unless the data set gives ``val``; ``test`` is
    held out.
    """

    kind: Kind
    statistics: Statistics
    pool: Images
    test: Images
    val: Images | None = None

    def parts(self, dataset: DatasetSection) -> tuple[Images, Images]:
        """Cut the images to learn from into (training, validation)."""
        held = dataset.val_split if self.val is None else 0.0
        train, val = split(self.pool.labels, val_split=held, train_fraction=dataset.train_fraction)
        return self.pool.chosen(train), self.val or self.pool.chosen(val)


def check_files(dataset: DatasetSection) -> None:
    """Refuse a data set that is missing, of another kind or too large, without reading it.

    Raises:
        UserError: naming the folder, the file and how to get it.
    """
    match dataset.name:
        case "digits":
            return
        case "fashion_mnist":
            fashion_mnist.check_files(dataset.root)
        case "folder":
            images = count_images(listing_of(dataset))
            check_memory(images, shape_of(dataset), machine=machine_memory())
        case other:
            assert_never(other)


def shape_of(dataset: DatasetSection) -> Shape:
    """Tell the shape that images have, without looking for one."""
    fixed = FIXED_KINDS.get(dataset.name)
    return fixed.shape if fixed is not None else dataset.folder_shape


def kind_of(dataset: DatasetSection) -> Kind:
    """Tell shape and classes without reading an image.

    Raises:
        UserError: if the folder that names the classes is missing or cannot be learned.
    """
    fixed = FIXED_KINDS.get(dataset.name)
    return fixed or Kind(shape_of(dataset), class_names(listing_of(dataset)))


def notes(dataset: DatasetSection) -> tuple[str, ...]:
    """Tell what a folder holds and what of it is left out; the other sets are well known.

    Raises:
        UserError: as ``check_files`` does.
    """
    if dataset.name != "folder":
        return ()
    return describe_images(
        listing_of(dataset), val_split=dataset.val_split, train_fraction=dataset.train_fraction
    )


def load(dataset: DatasetSection) -> Data:
    """Read a data set, once a process.

    Raises:
        UserError: if a file is missing or damaged.
    """
    match dataset.name:
        case "digits":
            return _load_digits()
        case "fashion_mnist":
            return _load_fashion_mnist(dataset.root)
        case "folder":
            return _load_folder(listing_of(dataset), shape_of(dataset))
        case other:
            assert_never(other)


def listing_of(dataset: DatasetSection) -> Listing:
    """List a user's own images.

    Raises:
        UserError: if they make no data set, or no folder is given.
    """
    if dataset.root is None:
        raise SpecError(
            "dataset.root = None: the data set folder is a folder of your own images",
            remedy=f"set dataset.root to it, and {LAYOUTS}",
        )
    return find_images(dataset.root)


@lru_cache(maxsize=1)
def _load_digits() -> Data:
    images = read_digits()
    pool, test = split(images.labels, val_split=TEST_SHARE, train_fraction=1.0)
    return Data(DIGITS, DIGITS_STATISTICS, pool=images.chosen(pool), test=images.chosen(test))


@lru_cache(maxsize=1)
def _load_fashion_mnist(root: str | None) -> Data:
    pool, test = fashion_mnist.read_files(root)
    return Data(FASHION_MNIST, FASHION_MNIST_STATISTICS, pool=pool, test=test)


@lru_cache(maxsize=1)
def _load_folder(listing: Listing, shape: Shape) -> Data:
    images = read_images(listing, shape)
    return Data(
        kind=Kind(shape, class_names(listing)),
        statistics=pixel_statistics(images.pool.pixels),
        pool=images.pool,
        test=images.test,
        val=images.val,
    )
