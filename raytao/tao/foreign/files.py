"""The files of a folder that TAO wrote: read whole, or refused in a sentence.

What stands in them may be anything: versions differ, copies are torn. TAO 5.0 and 5.2 write
``Infinity`` into JSON, which is read as it is meant; later ones write null.
"""

from __future__ import annotations

import json
import math
import stat
from pathlib import Path
from typing import Final

from raytao.errors import FolderError, Where
from raytao.types import Json

LARGEST: Final = 64 * 2**20
"""Bytes of the longest file that is read: a status.json of a long training has a few million."""


def read_file(path: Path) -> bytes | None:
    """Return a file's bytes, or None if there is none.

    Raises:
        FolderError: if it is no plain file, too large, or cannot be read.
    """
    where = Where(str(path))
    try:
        found = path.stat()
        if not stat.S_ISREG(found.st_mode):
            raise FolderError("this is no file to read", where=where)
        if found.st_size > LARGEST:
            raise FolderError(f"{found.st_size:,} bytes are more than are read", where=where)
        return path.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise FolderError(f"it cannot be read: {error.strerror}", where=where) from error


def read_json(path: Path) -> Json:
    """Return what a JSON file holds, or None if there is none (or it holds null).

    Raises:
        FolderError: with the place, if it is torn or no JSON.
    """
    data = read_file(path)
    if data is None:
        return None
    try:
        return json.loads(data)
    except json.JSONDecodeError as error:
        where = Where(str(path), error.lineno, error.colno)
        raise FolderError(f"not JSON: {error.msg}", where=where) from error
    except RecursionError as error:
        raise FolderError("not JSON: nested too deeply", where=Where(str(path))) from error
    except ValueError as error:  # no UTF-8, or an endless number
        raise FolderError(f"not JSON: {error}", where=Where(str(path))) from error


def finite(value: Json) -> float | None:
    """A finite number as it is; None for anything else.

    >>> finite(3), finite(float("inf")), finite("3"), finite(True)
    (3.0, None, None, None)
    """
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        return float(value) if math.isfinite(value) else None
    except OverflowError:  # an integer beyond all floats
        return None


def count(value: Json) -> int | None:
    """A number of epochs or trials, also as TAO's zero-padded text; None for anything else.

    >>> count(7), count("011"), count(""), count(-1), count(2.0)
    (7, 11, None, None, 2)
    """
    if isinstance(value, str):
        return int(value) if value.isascii() and value.isdecimal() and len(value) <= 9 else None
    number = finite(value)
    if number is None or not number.is_integer() or not 0 <= number < 1e9:
        return None
    return int(number)


def files_in(folder: Path) -> list[Path]:
    """The files of a folder, by name; none where there is no such folder to read."""
    try:
        return sorted(path for path in folder.iterdir() if path.is_file())
    except OSError:
        return []
