"""Where a segment of an external trainer works: a folder of its own below the trial's."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from uuid import uuid4

from raytao.networks.command.files import Pattern
from raytao.runs.store import LocalStore, StoreError

RESULTS: Final = "results"
RESUME: Final = "resume"
"""Folder of the checkpoint to go on from: no pattern finds it among the results."""


@dataclass(frozen=True)
class Workplace:
    """A folder in which a program is started, and what it is given there.

    Its name is like no other's, for a program of an attempt that was given up, on a node that was
    cut off, may still write to the one before.
    """

    folder: Path

    @classmethod
    def begin(cls, workspace: Path, name: str) -> Workplace:
        """Make one in ``workspace``, and remove what earlier segments have left there."""
        kept = LocalStore(workspace)
        for earlier in sorted(workspace.iterdir()) if workspace.is_dir() else ():
            with suppress(StoreError):  # somebody still writes there
                kept.delete(earlier.name)
        place = cls(workspace.resolve() / f"{name}_{uuid4().hex[:8]}")
        place.results.mkdir(parents=True)
        return place

    @property
    def results(self) -> Path:
        """The folder that the program writes to, and is started in."""
        return self.folder / RESULTS

    def give(self, name: str, data: bytes) -> Path:
        """Write a file for the program."""
        LocalStore(self.folder).replace(name, data)
        return self.folder / name

    def clear(self, weights: str | None) -> None:
        """Remove the checkpoints: raytao has kept the ones that count; all else is for people."""
        store = LocalStore(self.folder)
        for path in (self.folder / RESUME, *self._weights(weights)):
            with suppress(StoreError):  # they go with the next segment, then
                store.delete(path.relative_to(self.folder).as_posix())

    def _weights(self, pattern: str | None) -> Iterator[Path]:
        if pattern is not None:
            yield from Pattern(pattern).all(self.results)
