"""Files that a trainer writes below its results folder: which one is meant, and what is new."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from string import Formatter
from typing import Final

RESULTS: Final = "{results_dir}/"
"""What a path below the results folder may begin with."""

HEAD: Final = 256
"""First bytes of a file by which one that was written anew is known."""

SEARCH_SECONDS: Final = 5.0
"""Between two searches through all files for one that is known already."""

_WILD: Final = re.compile(r"(\*\*/|\*+|\?|\[[^\]/]+\])")


@dataclass(frozen=True)
class Pattern:
    """A path below the results folder, with ``*``, ``?``, ``[…]``, ``**/``, perhaps ``{epoch}``.

    The digits of an epoch are all the digits in that place: of ``model_{epoch}*.pth``, the file
    ``model_10.pth`` is not epoch 1.
    """

    template: str

    def find(self, results: Path, epoch: int = 0) -> Path | None:
        """What matches, a file or a folder; of several, the one that was written last.

        An empty file is none yet.
        """
        text = self._relative
        if not _WILD.search(text):
            path = results / text.format(epoch=epoch)
            return path if version_of(path) else None
        matching = self.all(results, epoch)
        found = [(version[1], str(path)) for path in matching if (version := version_of(path))]
        return Path(max(found)[1]) if found else None

    def all(self, results: Path, epoch: int | None = None) -> list[Path]:
        """All that match; None: whatever the epoch."""
        regex = self.regex(epoch)
        return [p for p in _below(results) if regex.fullmatch(p.relative_to(results).as_posix())]

    def regex(self, epoch: int | None) -> re.Pattern[str]:
        """What a path relative to the results folder must match.

        Raises:
            re.error: for a set such as ``[z-a]``.
        """
        pieces = list(Formatter().parse(self._relative))
        following = [literal for literal, *_ in pieces[1:]] + [""]
        regex = ""
        for (literal, field, spec, _), after in zip(pieces, following, strict=True):
            regex += _translated(literal)
            if field is not None:
                before = "" if literal[-1:].isdigit() else r"(?<!\d)"
                behind = "" if after[:1].isdigit() else r"(?!\d)"
                digits = r"\d+" if epoch is None else re.escape(format(epoch, spec or ""))
                regex += f"{before}{digits}{behind}"
        return re.compile(regex)

    def name(self, epoch: int) -> str | None:
        """The file's own name as far as it can be told: a ``*`` stands for nothing."""
        last = self._relative.rpartition("/")[2].format(epoch=epoch).replace("*", "")
        return None if _WILD.search(last) else last or None

    @property
    def _relative(self) -> str:
        return self.template.removeprefix(RESULTS)


def _translated(glob: str) -> str:
    """A part of a path with wildcards as a regular expression."""
    return "".join(map(_meaning, _WILD.split(glob)))


def _meaning(piece: str) -> str:
    if not _WILD.fullmatch(piece):
        return re.escape(piece)
    match piece[0]:
        case "*":
            return "(?:.*/)?" if piece == "**/" else "[^/]*"
        case "?":
            return "[^/]"
        case _:
            return piece.replace("[!", "[^")


def _below(folder: Path) -> Iterator[Path]:
    for place, folders, files in os.walk(folder):
        yield from (Path(place) / name for name in (*folders, *files))


def version_of(path: Path) -> tuple[int, int, int] | None:
    """Size, time of the last change, and number: the same as long as nobody writes the file.

    None if it is not there, or empty: nobody has written to it yet.
    """
    try:
        info = path.stat()
    except OSError:
        return None
    return (info.st_size, info.st_mtime_ns, info.st_ino) if info.st_size else None


class Settled:
    """Knows when a file is written: it has not changed for a while.

    Args:
        seconds: that long.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._seen: tuple[Path, tuple[int, int, int]] | None = None
        self._since = 0.0

    def is_whole(self, path: Path) -> bool:
        """Whether the file is as it was ``seconds`` ago; ask again and again."""
        version = version_of(path)
        if version is None:
            return False
        if self._seen != (path, version):
            self._seen, self._since = (path, version), time.monotonic()
        return time.monotonic() - self._since >= self._seconds


class Tail:
    """What is new in a file that grows, that may not be there yet, or be written anew.

    Args:
        pattern: which file.
        results: the folder it lies in.
    """

    def __init__(self, pattern: Pattern, results: Path) -> None:
        self._pattern = pattern
        self._results = results
        self.path: Path | None = None
        self._search_after = 0.0
        self._number = 0
        self._offset = 0
        self._head = b""

    def read(self, *, search: bool = False) -> tuple[bytes, bool]:
        """New bytes, and whether they are the beginning of another file than before.

        Args:
            search: look for a newer file that matches, too; that is done now and then anyway.
        """
        path, now = self.path, time.monotonic()
        if path is None or search or now >= self._search_after:
            path = self._pattern.find(self._results)
            self._search_after = now + SEARCH_SECONDS
        try:
            return (b"", False) if path is None else self._news(path)
        except OSError:  # it went again, or is no file: what it will say can be read later
            return b"", False

    def _news(self, path: Path) -> tuple[bytes, bool]:
        with path.open("rb") as file:
            info = os.fstat(file.fileno())
            head = file.read(HEAD)
            anew = (
                info.st_ino != self._number
                or info.st_size < self._offset
                or not head.startswith(self._head)
            )
            if anew:
                self.path, self._number, self._offset = path, info.st_ino, 0
            file.seek(self._offset)
            data = file.read()
        self._offset += len(data)
        self._head = head[: self._offset]
        return data, anew
