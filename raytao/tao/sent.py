"""A network's folder that was sent along with a job, to machines that do not have it.

The run is known by the folder's path on the machine that sent it, wherever Ray unpacks the copy:
so it is the same run when it is sent again, and that machine can still look at it.
"""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path
from typing import Final

SENT: Final = "raytao_sent"
"""Folder of the copies, below a folder on Python's path: Ray puts a job's files there."""


def sent_name(folder: Path) -> str:
    """Where the copy of an absolute folder lies among a job's files.

    >>> sent_name(Path("/home/ann/nets/tiny"))
    'raytao_sent/tiny-52a3b9ba57'
    """
    digest = hashlib.sha256(str(folder).encode()).hexdigest()[:10]
    return f"{SENT}/{folder.name}-{digest}"


def sent_copy(folder: Path) -> Path | None:
    """The copy of ``folder`` that came with this job; None if there is none."""
    name = sent_name(folder)
    places = (Path(entry or ".") / name for entry in sys.path)
    return next((place.resolve() for place in places if place.is_dir()), None)
