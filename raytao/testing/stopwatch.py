"""What a controller's answers take, measured while it drives simulated workers."""

from __future__ import annotations

import time


class Stopwatch:
    """A clock for a simulated `Cluster`, which looks at it before and after every answer.

    Args:
        passes: whether that time passes for the simulated workers, too; else it stands still.
    """

    def __init__(self, *, passes: bool = False) -> None:
        self.seconds = 0.0
        """This thread's time that all answers took together."""
        self.longest = 0.0
        self._passes = passes
        self._began: float | None = None

    def __call__(self) -> float:
        """Seconds."""
        now = time.thread_time()
        if self._began is None:
            self._began = now
        else:
            took, self._began = now - self._began, None
            self.seconds += took
            self.longest = max(self.longest, took)
        return now if self._passes else 0.0
