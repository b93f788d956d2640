"""Fashion-MNIST (Xiao et al. 2017): 70000 pieces of clothing, 28x28, in four gzipped idx files."""

from __future__ import annotations

import gzip
import zlib
from pathlib import Path
from typing import Final

from raytao.errors import DataError
from raytao.networks.image_classification.kinds import FASHION_MNIST
from raytao.networks.image_classification.split import Images, Pixels

FASHION_MNIST_FOLDER: Final = Path("/usr/share/datasets/fashion-mnist")
"""Where Debian's package dataset-fashion-mnist puts the files."""

_PARTS: Final = {"train": 60_000, "t10k": 10_000}
_MAGIC: Final = {"images-idx3-ubyte": 2051, "labels-idx1-ubyte": 2049}
_HEADER: Final = {2051: 16, 2049: 8}


def check_files(root: str | None) -> None:
    """Refuse missing files and files of another kind, by their first bytes.

    Raises:
        DataError: naming the file and how to get it.
    """
    for part, count in _PARTS.items():
        for kind, magic in _MAGIC.items():
            _header(_folder(root) / _name(part, kind), magic, count)


def sizes(root: str | None) -> list[tuple[str, int]]:
    """Names and sizes in bytes of the four files.

    Raises:
        DataError: as ``check_files`` does.
    """
    check_files(root)
    names = [_name(part, kind) for part in _PARTS for kind in _MAGIC]
    return [(name, (_folder(root) / name).stat().st_size) for name in names]


def read_files(root: str | None) -> tuple[Images, Images]:
    """Read the 60000 images to learn from and the 10000 test images.

    Raises:
        DataError: if a file is missing or damaged.
    """
    return _read_part(_folder(root), "train"), _read_part(_folder(root), "t10k")


def _name(part: str, kind: str) -> str:
    return f"{part}-{kind}.gz"


def _folder(root: str | None) -> Path:
    return FASHION_MNIST_FOLDER if root is None else Path(root)


def _read_part(folder: Path, part: str) -> Images:
    count = _PARTS[part]
    images = _idx(folder / _name(part, "images-idx3-ubyte"), 2051, count)
    labels = _idx(folder / _name(part, "labels-idx1-ubyte"), 2049, count)
    side = FASHION_MNIST.shape.side
    return Images(images.reshape(count, 1, side, side), labels.astype("int64"))


def _idx(path: Path, magic: int, count: int) -> Pixels:
    import numpy as np

    _header(path, magic, count)
    size = count * (FASHION_MNIST.shape.side**2 if magic == 2051 else 1)
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
    import numpy as np

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
