"""Digits (Alpaydin and Kaynak, UCI 1998): 1797 handwritten digits, 8x8, inside scikit-learn.

The file is read as it lies there. scikit-learn's own loader gives the same, but imports its
libraries first: 1.7 s of every process that trains, where reading takes 12 ms.
"""

from __future__ import annotations

import zlib
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from raytao.errors import DataError
from raytao.networks.image_classification.kinds import DIGITS
from raytao.networks.image_classification.split import Images

_FILE: Final = Path("datasets", "data", "digits.csv.gz")
_IMAGES: Final = 1797


def read_digits() -> Images:
    """Read all the images.

    Raises:
        DataError: if scikit-learn or its file is missing or damaged.
    """
    import numpy as np

    path = _folder() / _FILE
    try:
        rows = np.loadtxt(path, delimiter=",", dtype=np.uint8)
    except (OSError, EOFError, ValueError, zlib.error) as error:
        raise _bad(f"{path} cannot be read ({error})") from error
    side = DIGITS.shape.side
    if rows.shape != (_IMAGES, side * side + 1):
        raise _bad(f"{path} holds {rows.shape}, not {_IMAGES} images of {side}x{side} with labels")
    return Images(rows[:, :-1].reshape(_IMAGES, 1, side, side), rows[:, -1].astype("int64"))


def _folder() -> Path:
    """Of scikit-learn, which is not imported."""
    found = find_spec("sklearn")
    if found is None or not found.submodule_search_locations:
        raise _bad("scikit-learn, which holds them, is not installed")
    return Path(found.submodule_search_locations[0])


def _bad(what: str) -> DataError:
    return DataError(
        f"dataset.name = 'digits': {what}",
        remedy="install scikit-learn again (pip install --force-reinstall scikit-learn)",
    )
