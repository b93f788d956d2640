"""How a results folder that TAO itself wrote is known."""

from __future__ import annotations

from pathlib import Path
from typing import Final, TypeGuard

from raytao.errors import FolderError
from raytao.runs.place import Place
from raytao.tao import layout
from raytao.tao.foreign.files import read_json

OURS: Final = frozenset({"phase", "epochs_granted"})
"""Keys of a trial that raytao's drawing of controller.json has, and TAO's has not."""


def is_foreign(folder: Place) -> TypeGuard[Path]:
    """Whether a folder holds a run of TAO's own: a controller.json that raytao did not draw.

    Such a folder is read where it is a path; see `raytao.setup.folder.read_state`.
    """
    if not isinstance(folder, Path):
        return False
    path, log = folder / layout.CONTROLLER, folder / layout.EVENTS
    try:
        if not path.is_file() or (log.exists() and (not log.is_file() or log.stat().st_size)):
            return False
        entries = read_json(path)
    except FolderError:
        return True  # whoever reads it says what is wrong
    except (OSError, ValueError):
        return False
    known = entries if isinstance(entries, list) else []
    return not any(isinstance(one, dict) and one.keys() >= OURS for one in known)
