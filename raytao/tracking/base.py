"""The contract of a tracker: told what happens in a run, it tells a tracking service."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable
from typing import TypeAlias

from raytao.runs.events import Event
from raytao.runs.state import RunState
from raytao.setup.setup import Setup
from raytao.setup.trackers import Tracking as TrackingSettings

Progress: TypeAlias = Callable[[int, int], None]
"""(recommendations that were looked at, of so many): for who waits for a long ``sync``."""


class Tracker(ABC):
    """Follows one run; registered under the entry-point group ``raytao.trackers``.

    It is made on the driver's thread, where it must neither wait nor fail. All that follows is
    called on one thread of its own, in order: ``open``, then ``event`` for every event with a
    ``sync`` now and then, at last ``close``. It may take its time there, and whatever it raises
    ends the tracking, not the run.

    **It must be idempotent**: a driver that resumes a run, and ``raytao sync`` after an outage,
    replay the whole log through a new tracker, so what an earlier one has told already must be
    found and left as it is.

    Args:
        setup: the run; ``setup.results`` is there when ``open`` is called.
        settings: what the run file says below ``tracking:``.

    Attributes:
        at: when the event that is told happened: Unix time, for people.
        written: how much of what was new to the service, by kind; what it had is not counted.
        progress: called by a ``sync`` that takes long.
    """

    def __init__(self, setup: Setup, settings: TrackingSettings) -> None:
        self.setup = setup
        self.settings = settings
        self.at = 0.0
        self.written: Counter[str] = Counter()
        self.progress: Progress = lambda _done, _of: None

    @classmethod
    def missing(cls) -> str | None:
        """What must be installed first, with the command for it; None where nothing is.

        Asked on the driver's thread before Ray starts: look, do not import.
        """
        return None

    def hear(self, at: float, event: Event, state: RunState) -> None:
        """Fold an event into ``state`` and take it in."""
        self.at = at
        state.apply(event)
        self.event(event, state)

    @abstractmethod
    def open(self) -> None:
        """Import what is heavy, connect. Nothing is known of the run yet."""

    @abstractmethod
    def event(self, event: Event, state: RunState) -> None:
        """Take in one event; ``state`` is this thread's own and holds the event already.

        Note what the state will not tell later; leave what is slow to ``sync``.
        """

    def sync(self, state: RunState) -> None:
        """Tell the service how the run stands, as the last event left it.

        Called when no event waits, at most once a second, and once before ``close``: a service
        that is slow is asked less often for more.
        """
        del state

    @abstractmethod
    def close(self, state: RunState) -> None:
        """The driver is through: with the run, or, unless ``state.finished``, with only a part."""

    def where(self) -> str:
        """Where people see what was told, such as an address or a command, in one line.

        Asked after ``close``, for the last lines of a run; "" where there is nothing to see.
        """
        return ""
