"""Paths and addresses among a command's arguments: what can be none is refused before use."""

from __future__ import annotations

import stat
from pathlib import Path
from typing import Final

import click
from click.shell_completion import CompletionItem

from raytao.cli.completing import complete_folder
from raytao.runs.place import Place, place_of

LONGEST_SHOWN: Final = 80


class PlaceType(click.Path):
    """A path, or an address on object storage, there or not.

    One that is too long, a loop of links or an address of an unknown kind is refused here, in a
    sentence.
    """

    def __init__(self) -> None:
        super().__init__(path_type=Path)

    def convert(  # type: ignore[override]  # an address is no path, as click's own answers are
        self,
        value: str | Place,
        param: click.Parameter | None,
        ctx: click.Context | None,
    ) -> Place:
        """See click; the command itself says what should be there."""
        place = place_of(value)
        if not isinstance(place, Path):
            return place
        try:
            str(place).encode()
            why = self.objection(place)
        except (FileNotFoundError, NotADirectoryError):
            why = None
        except OSError as error:
            why = f"cannot be looked at: {error.strerror}"
        except ValueError:  # a NUL, or bytes that are no UTF-8
            why = "can be no path"
        if why is not None:
            text = str(place)
            shown = text if len(text) <= LONGEST_SHOWN else f"{text[:LONGEST_SHOWN]}…"
            self.fail(f"{shown!r} {why}", param, ctx)
        return place

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        """See click: folders of runs, or else files."""
        return complete_folder(ctx, param, incomplete)

    def objection(self, path: Path) -> str | None:
        """Why a path is not taken; errors of the system are objections, too."""
        path.stat()
        return None


class OutputType(PlaceType):
    """A file to write, new or to be replaced; never a device, which nobody would get back."""

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        """See click: files."""
        return click.Path.shell_complete(self, ctx, param, incomplete)

    def objection(self, path: Path) -> str | None:
        """See `PlaceType`."""
        mode = path.lstat().st_mode
        if stat.S_ISREG(mode):
            return None
        what = "a folder" if stat.S_ISDIR(mode) else "a link, a device, a pipe or a socket"
        return f"is {what}; name a file"


PLACE: Final = PlaceType()
OUTPUT: Final = OutputType()
