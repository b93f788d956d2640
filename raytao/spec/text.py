"""Bytes of a user's file as text, and the errors that point into it."""

from __future__ import annotations

import codecs

from raytao.errors import SpecError, Where

LARGEST = 4_000_000
"""Bytes (or characters) of the longest file that is read: specs are written by people."""

_UTF_16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


def decode(text: str | bytes, *, file: str) -> str:
    """Return UTF-8 text without a byte-order mark, its lines ended by line feeds.

    Raises:
        SpecError: if it is too long, empty, or in another encoding.
    """
    if len(text) > LARGEST:
        raise SpecError(
            f"the file has {len(text):,} bytes, more than the {LARGEST:,} that are read",
            where=Where(file),
            remedy="a spec holds settings; keep data in files of its own",
        )
    decoded = _decode_bytes(text, file) if isinstance(text, bytes) else text
    decoded = decoded.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")
    if not decoded.strip():
        raise SpecError("the file is empty", where=Where(file), remedy="give at least one key")
    return decoded


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
    line, left = lines[where.line - 1].replace("\t", " "), max(where.column - 60, 0)
    shown = line[left : left + 79]
    return f"{message}\n    {shown}\n    {' ' * (where.column - 1 - left)}^"
