"""What a trial on several machines and its actor tell each other, on the cluster's blackboard."""

from __future__ import annotations

import json
from itertools import count
from typing import Final

from raytao.cluster import blackboard
from raytao.types import Json

STOP: Final = "stop"
"""Leave as soon as you can."""

PAUSE: Final = "pause"
"""Leave with the next epoch that has a checkpoint."""


class Notes:
    """One job's notes; one process tells, another one takes.

    Args:
        name: the job's, unlike all others on this cluster.
    """

    def __init__(self, name: str) -> None:
        self._news = f"span/{name}/news/"
        self._wish = f"span/{name}/wish"
        self._numbers = count()

    def tell(self, note: Json, *, rank: int = 0) -> None:
        """Leave a note; those of one rank keep their order."""
        key = f"{self._news}{rank:06}/{next(self._numbers):08}"
        blackboard.write(key, json.dumps(note).encode())

    def take(self) -> list[Json]:
        """All notes that were left since the last time, rank 0's first."""
        found = []
        for key in blackboard.keys(self._news):
            note = blackboard.read(key)
            if note is not None:
                found.append(json.loads(note))
                blackboard.wipe(key)
        return found

    def ask(self, wish: str) -> None:
        """Ask rank 0 to leave: ``STOP`` or ``PAUSE``."""
        blackboard.write(self._wish, wish.encode())

    def asked(self) -> str:
        """What was asked last; empty if nothing was."""
        return (blackboard.read(self._wish) or b"").decode()

    def wipe(self) -> None:
        """Leave nothing."""
        blackboard.wipe(self._wish)
        for key in blackboard.keys(self._news):
            blackboard.wipe(key)
