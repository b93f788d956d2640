"""What lies in a folder of images, by name alone: classes, files, and what is left out and why.

Two layouts are known, told apart by a folder train, val or test that holds folders and no image:

    root/<class>/*                      raytao cuts training, validation and test images itself
    root/{train,val,test}/<class>/*     TAO's; val and test may be missing

Names are sorted, so that neither a file system nor the order of copying matters. What is hidden,
lies beside the class folders or leads out of the root is left out, and remembered.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from raytao.errors import DataError
from raytao.networks.image_classification.pictures import SUFFIXES

PARTS: Final = ("train", "val", "test")

HIDDEN: Final = "hidden"
OUTSIDE: Final = "links that lead out of the folder"
BESIDE: Final = "beside the class folders"
NESTED: Final = "folders inside a class folder"
SPECIAL: Final = "neither file nor folder"
NO_SUFFIX: Final = f"without an image's suffix ({' '.join(SUFFIXES)})"


@dataclass(frozen=True)
class Stray:
    """Something that is left out, by its path below the root."""

    reason: str
    path: str


@dataclass(frozen=True)
class File:
    """A file by its path below the root; size and time of change tell whether it is another."""

    path: str
    size: int
    changed: int


@dataclass(frozen=True)
class Part:
    """The images of each class, both in order; ``name`` is one of PARTS, or empty for all."""

    name: str
    classes: tuple[tuple[str, tuple[File, ...]], ...]

    @property
    def names(self) -> tuple[str, ...]:
        """The classes' names."""
        return tuple(name for name, _ in self.classes)


@dataclass(frozen=True)
class Listing:
    """What was found below ``root``; equal listings are of the same files."""

    root: Path
    parts: tuple[Part, ...]
    strays: tuple[Stray, ...]


def list_images(root: str) -> Listing:
    """Walk a folder; no file is opened.

    Raises:
        DataError: if the root or a folder in it cannot be listed.
    """
    try:
        folder = Path(root).expanduser().absolute()
    except RuntimeError as error:
        raise _cannot_list(root, str(error)) from error
    walk = _Walk(folder)
    given = [name for name in PARTS if _holds_classes(folder / name)]
    if given:
        present = list(walk.folders(folder, wanted=given))
        parts = [walk.part(name) for name in given if name in present]
    else:
        parts = [walk.part("")]
    return Listing(folder, tuple(parts), tuple(walk.strays))


def looks_like_image(name: str) -> bool:
    """Whether a file's suffix promises an image."""
    return Path(name).suffix.lower() in SUFFIXES


def _holds_classes(folder: Path) -> bool:
    """Whether a folder is a part of TAO's layout rather than a class called train, val or test."""
    try:
        inside = [entry for entry in folder.iterdir() if not entry.name.startswith(".")]
        folders = any(entry.is_dir() for entry in inside)
    except OSError:
        return False
    return folders and not any(looks_like_image(entry.name) for entry in inside)


class _Walk:
    """Lists folders below a root and collects what it leaves out."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.real = Path(os.path.realpath(root))
        self.strays: list[Stray] = []

    def part(self, name: str) -> Part:
        """List every class folder of a part, or of the root where ``name`` is empty."""
        folder = self.root / name
        classes = list(self.folders(folder))
        return Part(name, tuple((each, tuple(self.files(folder / each))) for each in classes))

    def folders(self, folder: Path, wanted: Sequence[str] | None = None) -> Iterator[str]:
        """Name the folders in a folder; with ``wanted`` every other one is left out."""
        for entry in self._entries(folder):
            if entry.is_dir() and (wanted is None or entry.name in wanted):
                yield entry.name
            else:
                self._leave_out(BESIDE, entry)

    def files(self, folder: Path) -> Iterator[File]:
        """List the files of a class folder that may be images."""
        for entry in self._entries(folder):
            if entry.is_dir():
                self._leave_out(NESTED, entry)
            elif not entry.is_file():
                self._leave_out(SPECIAL, entry)
            elif not looks_like_image(entry.name):
                self._leave_out(NO_SUFFIX, entry)
            else:
                facts = entry.stat()
                yield File(self._below(entry), facts.st_size, facts.st_mtime_ns)

    def _entries(self, folder: Path) -> Iterator[os.DirEntry[str]]:
        try:
            with os.scandir(folder) as found:
                entries = sorted(found, key=lambda entry: entry.name)
        except OSError as error:
            raise _cannot_list(folder, error.strerror or str(error)) from error
        for entry in entries:
            if entry.name.startswith("."):
                self._leave_out(HIDDEN, entry)
            elif entry.is_symlink() and not self._inside(entry):
                self._leave_out(OUTSIDE, entry)
            else:
                yield entry

    def _inside(self, entry: os.DirEntry[str]) -> bool:
        try:
            entry.stat()
        except FileNotFoundError:
            pass  # what it names may have been there
        except OSError:  # a ring of links
            return False
        return self.real in Path(os.path.realpath(entry.path)).parents

    def _below(self, entry: os.DirEntry[str]) -> str:
        return str(Path(entry.path).relative_to(self.root))

    def _leave_out(self, reason: str, entry: os.DirEntry[str]) -> None:
        self.strays.append(Stray(reason, self._below(entry)))


def _cannot_list(folder: str | Path, reason: str) -> DataError:
    return DataError(
        f"dataset.root: {str(folder)!r} cannot be listed as a folder ({reason})",
        remedy="name the folder of your images; a relative path starts at the current directory",
    )
