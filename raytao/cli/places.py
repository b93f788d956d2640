"""Paths among a command's arguments: what can be none is refused before it is used."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Final

import click

LONGEST_SHOWN: Final = 80


class Place(click.Path):
    """A path, there or not; one too long, or a loop of links, is refused here in a sentence."""

    def __init__(self) -> None:
        super().__init__(path_type=Path)

    def convert(
        self,
        value: str | os.PathLike[str],
        param: click.Parameter | None,
        ctx: click.Context | None,
    ) -> Path:
        """See click; the command itself says what should be there."""
        path = Path(os.fspath(value))
        try:
            str(path).encode()
            why = self.objection(path)
        except (FileNotFoundError, NotADirectoryError):
            why = None
        except OSError as error:
            why = f"cannot be looked at: {error.strerror}"
        except ValueError:  # a NUL, or bytes that are no UTF-8
            why = "can be no path"
        if why is not None:
            text = str(path)
            shown = text if len(text) <= LONGEST_SHOWN else f"{text[:LONGEST_SHOWN]}…"
            self.fail(f"{shown!r} {why}", param, ctx)
        return path

    def objection(self, path: Path) -> str | None:
        """Why a path is not taken; errors of the system are objections, too."""
        path.stat()
        return None


class Output(Place):
    """A file to write, new or to be replaced; never a device, which nobody would get back."""

    def objection(self, path: Path) -> str | None:
        """See `Place`."""
        mode = path.lstat().st_mode
        if stat.S_ISREG(mode):
            return None
        what = "a folder" if stat.S_ISDIR(mode) else "a link, a device, a pipe or a socket"
        return f"is {what}; name a file"
