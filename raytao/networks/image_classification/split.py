"""Which images are trained on and which are held out; no seed of a training moves that."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeAlias

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

Pixels: TypeAlias = "npt.NDArray[np.uint8]"
Labels: TypeAlias = "npt.NDArray[np.int64]"
Indices: TypeAlias = "npt.NDArray[np.int64]"

SPLIT_SEED: Final = 20240229
"""Fixes which images are held out, for every training and every search alike."""

TEST_SHARE: Final = 0.25
"""Share of each class that is the test set, where a data set brings none."""


@dataclass(frozen=True)
class Images:
    """``pixels`` of shape (n, channels, side, side) and ``labels`` of shape (n,)."""

    pixels: Pixels
    labels: Labels

    def chosen(self, indices: Indices) -> Images:
        """Copy some of the images."""
        return Images(self.pixels[indices], self.labels[indices])


def split(labels: Labels, *, val_split: float, train_fraction: float) -> tuple[Indices, Indices]:
    """Cut a pool into (training, validation), each class in proportion.

    The validation images depend on ``val_split`` only, and a smaller ``train_fraction`` takes a
    subset of what a larger one takes; every class keeps at least one image on each side. A
    ``val_split`` of 0 holds nothing out.

    Returns:
        Two sorted index arrays that share no element.
    """
    import numpy as np

    train, val = [], []
    for members in _shuffled_classes(labels):
        held = max(1, round(val_split * len(members))) if val_split else 0
        kept = max(1, round(train_fraction * (len(members) - held)))
        val.append(members[:held])
        train.append(members[held : held + kept])
    return np.sort(np.concatenate(train)), np.sort(np.concatenate(val))


def _shuffled_classes(labels: Labels) -> list[Indices]:
    import numpy as np

    rng = np.random.default_rng(SPLIT_SEED)
    return [rng.permutation(np.flatnonzero(labels == label)) for label in np.unique(labels)]
