"""The data set ``folder``: which images a user's folder holds, and whether they can be learned.

What lies there is listed anew at every look. Opening the files costs time: it is done once a
process for the same files.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import groupby
from pathlib import PurePath
from typing import Final

from raytao.errors import DataError
from raytao.networks.image_classification.listing import (
    BESIDE,
    PARTS,
    File,
    Listing,
    Part,
    Stray,
    list_images,
    looks_like_image,
)
from raytao.networks.image_classification.pictures import is_picture
from raytao.networks.image_classification.split import TEST_SHARE, Indices, Labels, split

NO_HEADER: Final = "with an image's suffix but not its content"
NAMED: Final = 3
"""Things that a sentence names; the others are counted."""

LAYOUTS: Final = (
    "put the images into one folder a class, root/<class>/*.png, or into TAO's "
    "root/{train,val,test}/<class>/*.png"
)


@dataclass(frozen=True)
class Samples:
    """Images by their paths below the root, and the classes they are of."""

    paths: tuple[str, ...]
    labels: Labels

    def chosen(self, indices: Indices) -> Samples:
        """Take some of the images."""
        return Samples(tuple(self.paths[i] for i in indices), self.labels[indices])


@dataclass(frozen=True)
class Cut:
    """``pool`` is what training is cut from, and validation too unless ``val`` is given."""

    pool: Samples
    val: Samples | None
    test: Samples


def find_images(root: str) -> Listing:
    """List the images below a folder, knowing them by their headers.

    Raises:
        DataError: if they make no data set that can be learned: what is missing, and where.
    """
    listing = _known_by_header(list_images(root))
    _check_classes(listing)
    _check_same_classes(listing)
    for part in listing.parts:
        _check_counts(listing, part)
    return listing


def cut_samples(listing: Listing) -> Cut:
    """Give every image its part; what the folder does not give is cut from each class."""
    parts = {part.name: _samples(part) for part in listing.parts}
    pool = parts["train"] if "train" in parts else parts[""]
    if "test" in parts:
        return Cut(pool, val=parts.get("val"), test=parts["test"])
    rest, test = split(pool.labels, val_split=TEST_SHARE, train_fraction=1.0)
    return Cut(pool.chosen(rest), val=parts.get("val"), test=pool.chosen(test))


def class_names(listing: Listing) -> tuple[str, ...]:
    """The classes' names, in the order of their labels."""
    return listing.parts[0].names


def count_images(listing: Listing) -> int:
    """Number of images in all parts."""
    return sum(len(files) for part in listing.parts for _, files in part.classes)


def describe_images(
    listing: Listing, *, val_split: float, train_fraction: float
) -> tuple[str, ...]:
    """Say how many images there are for what, and what was left out."""
    cut = cut_samples(listing)
    share = 0.0 if cut.val else val_split
    train, val = split(cut.pool.labels, val_split=share, train_fraction=train_fraction)
    validated = len(cut.val.labels) if cut.val else len(val)
    cutting = f"; raytao cuts {' and '.join(_to_cut(listing))} itself" if _to_cut(listing) else ""
    counts = (
        f"{str(listing.root)!r} holds {count_images(listing)} images "
        f"in {len(class_names(listing))} classes: {len(train)} to train, "
        f"{validated} to validate, {len(cut.test.labels)} to test{cutting}"
    )
    strays = sorted(listing.strays, key=lambda stray: (stray.reason, stray.path))
    groups = groupby(strays, key=lambda stray: stray.reason)
    return (counts, *(_left_out(reason, [s.path for s in group]) for reason, group in groups))


@lru_cache(maxsize=2)
def _known_by_header(listing: Listing) -> Listing:
    """Leave out the files whose suffix promises an image that their first bytes are not."""
    strays: list[Stray] = []

    def known(file: File) -> bool:
        if is_picture(listing.root / file.path):
            return True
        strays.append(Stray(NO_HEADER, file.path))
        return False

    parts = tuple(
        replace(
            part,
            classes=tuple((name, tuple(filter(known, files))) for name, files in part.classes),
        )
        for part in listing.parts
    )
    return replace(listing, parts=parts, strays=(*listing.strays, *strays))


def _samples(part: Part) -> Samples:
    import numpy as np

    sizes = [len(files) for _, files in part.classes]
    return Samples(
        paths=tuple(file.path for _, files in part.classes for file in files),
        labels=np.repeat(np.arange(len(sizes)), sizes).astype(np.int64),
    )


def _to_cut(listing: Listing) -> list[str]:
    """The parts that the folder does not give."""
    given = {part.name for part in listing.parts}
    return [name for name in PARTS[1:] if name not in given]


def _left_out(reason: str, paths: Sequence[str]) -> str:
    return f"left out {len(paths)}, {reason}: {_named([repr(path) for path in paths])}"


def _named(names: Sequence[str]) -> str:
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return f"{', '.join(names[:NAMED])}{more}"


def _check_classes(listing: Listing) -> None:
    """Refuse a folder without two classes to tell apart, or with names that no file can keep."""
    names = {part.name: part.names for part in listing.parts}
    if not {"train", ""} & names.keys():
        raise _refused(listing, f"there is {_named(list(names))}, but no folder train", LAYOUTS)
    learned = class_names(listing)
    if not learned:
        loose = [s for s in listing.strays if s.reason == BESIDE and looks_like_image(s.path)]
        raise _refused(listing, f"no class folder in it, {len(loose)} images beside", LAYOUTS)
    if len(learned) == 1:
        raise _refused(listing, f"one class only, {learned[0]!r}; two can be told apart", LAYOUTS)
    for name in learned:
        if _is_no_text(name):
            raise _refused(
                listing, f"the class folder {name!r} is not named in UTF-8", "rename the folder"
            )


def _is_no_text(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return True
    return False


def _check_same_classes(listing: Listing) -> None:
    """Refuse parts that hold different classes."""
    everywhere = sorted({name for part in listing.parts for name in part.names})
    missing = [
        f"{name!r} is missing in {part.name}"
        for name in everywhere
        for part in listing.parts
        if name not in part.names
    ]
    if missing:
        parts = ", ".join(part.name for part in listing.parts)
        raise _refused(
            listing,
            f"{parts} must hold the same classes, but {_named(missing)}",
            "add the folders that are missing, or take the others away",
        )


def _check_counts(listing: Listing, part: Part) -> None:
    """Refuse classes with too few images for the parts that are cut from them."""
    cut = ["train", *_to_cut(listing)] if part.name in {"train", ""} else [part.name]
    few = [(name, len(files)) for name, files in part.classes if len(files) < len(cut)]
    if few:
        place = f" in {part.name}" if part.name else ""
        raise _refused(
            listing,
            f"{len(few)} of {len(part.classes)} classes need more images{place}, each at least "
            f"{len(cut)}: " + _named([_count(listing, part, name, n) for name, n in few]),
            f"add images or take the folders away; every class needs one to {', '.join(cut)}",
        )


def _count(listing: Listing, part: Part, name: str, images: int) -> str:
    folder = PurePath(part.name, name)
    left_out = sum(folder in PurePath(stray.path).parents for stray in listing.strays)
    more = f" ({left_out} left out, being no images)" if left_out else ""
    return f"{name!r} has {images}{more}"


def _refused(listing: Listing, what: str, remedy: str) -> DataError:
    return DataError(f"dataset.root: {str(listing.root)!r}: {what}", remedy=remedy)
