"""A user's file as bytes and as text, and the errors that point into it."""

from __future__ import annotations

import codecs
import stat
from pathlib import Path

from raytao.errors import SpecError, Where
from raytao.spec.limits import LARGEST

_UTF_16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


def read_file(path: Path) -> bytes:
    """Return the bytes of a user's file; a large one is refused before it is read.

    Raises:
        SpecError: if it is larger than ``LARGEST``, no file (a folder, a pipe), or unreadable.
    """
    where = Where(str(path))
    try:
        found = path.stat()
        if not stat.S_ISREG(found.st_mode):
            raise SpecError("this is no file to read", where=where, remedy="name a file")
        if found.st_size > LARGEST:
            raise _too_large(found.st_size, where)
        with path.open("rb") as file:
            return file.read(LARGEST + 1)
    except OSError as error:
        raise SpecError(f"the file cannot be read: {error.strerror}", where=where) from None
    except ValueError as error:  # a NUL in its name
        raise SpecError(f"the file cannot be read: {error}", where=where) from None


def decode(text: str | bytes, *, file: str, newlines: bool = True) -> str:
    """Return UTF-8 text without a byte-order mark, its lines ended by line feeds.

    Args:
        text: a file's content.
        file: its name, for errors.
        newlines: whether to end lines by line feeds; otherwise they end as they do.

    Raises:
        SpecError: if it is too long, empty, or in another encoding.
    """
    if len(text) > LARGEST:
        raise _too_large(len(text), Where(file))
    decoded = _decode_bytes(text, file) if isinstance(text, bytes) else text
    decoded = decoded.removeprefix("\ufeff")
    if newlines:
        decoded = decoded.replace("\r\n", "\n").replace("\r", "\n")
    if not decoded.strip():
        raise SpecError("the file is empty", where=Where(file), remedy="give at least one key")
    return decoded


def _too_large(size: int, where: Where) -> SpecError:
    return SpecError(
        f"the file has {size:,} bytes, more than the {LARGEST:,} that are read",
        where=where,
        remedy="it should hold settings; keep data in files of its own",
    )


def _decode_bytes(data: bytes, file: str) -> str:
    remedy = "save the file as UTF-8"
    if data.startswith(_UTF_16) or b"\x00" in data[:4]:
        raise SpecError("the file is UTF-16, not UTF-8", where=Where(file), remedy=remedy)
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        before = data[: error.start]
        line, column = before.count(b"\n") + 1, error.start - (before.rfind(b"\n") + 1) + 1
        raise SpecError(
            f"byte 0x{data[error.start]:02x} is not UTF-8",
            where=Where(file, line, column),
            remedy=remedy,
        ) from None


def at(file: str, text: str, offset: int) -> Where:
    """Return the line and column of an offset into ``text``."""
    start = text.rfind("\n", 0, offset) + 1
    return Where(file, text.count("\n", 0, offset) + 1, offset - start + 1)


def with_caret(message: str, text: str, where: Where) -> str:
    """Add the line that ``where`` points at, and a caret below the column."""
    lines = text.split("\n")
    if where.line is None or where.column is None or where.line > len(lines):
        return message
    # Long lines are cut around the column; a tab is one column wide here as in the count.
    line = lines[where.line - 1].removesuffix("\r").replace("\t", " ")
    left = max(where.column - 60, 0)
    shown = line[left : left + 79]
    return f"{message}\n    {shown}\n    {' ' * (where.column - 1 - left)}^"


def refused_at(message: str, text: str, file: str, offset: int, *, remedy: str = "") -> SpecError:
    """Return an error that shows the line of an offset, and a caret below it."""
    where = at(file, text, offset)
    return SpecError(with_caret(message, text, where), where=where, remedy=remedy)
