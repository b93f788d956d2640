"""Results folders below a folder, found by the names in them alone."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

from raytao.tao import layout

_TELLING: Final = frozenset({layout.EVENTS, layout.CONTROLLER})
_FIRST: Final = layout.recommendation(0, "")


def run_folders(place: Path, deepest: int) -> Iterator[Path]:
    """Folders that hold a run, or seem to, in the order of their names; ``place`` may be one.

    Links are not followed, hidden folders and what lies inside a run are passed over, and so is
    what may not be looked into.

    Args:
        place: where to begin.
        deepest: folders on the way from there; what lies deeper is not looked for.
    """
    inner: list[str] = []
    is_run = False
    with suppress(OSError), os.scandir(place) as entries:
        for entry in entries:
            is_run |= entry.name in _TELLING or entry.name.startswith(_FIRST)
            if not entry.name.startswith(".") and entry.is_dir(follow_symlinks=False):
                inner.append(entry.name)
    if is_run:
        yield place
    elif deepest:
        for name in sorted(inner):
            yield from run_folders(place / name, deepest - 1)
