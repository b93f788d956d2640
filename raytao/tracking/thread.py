"""One thread that follows a run for a tracker, so that the driver never waits for it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from queue import Empty, SimpleQueue

from raytao import catalog
from raytao.redact import redact
from raytao.runs.events import Event
from raytao.runs.state import RunState
from raytao.setup.setup import Setup
from raytao.tracking.base import Tracker

SYNC_SECONDS = 1.0
"""What happens within this time is told at once."""

CLOSE_SECONDS = 60.0
"""How long the end of a run waits for its tracker."""

BACKLOG = 100_000
"""Events that may wait for a tracker that is slow, or hangs, before it is given up."""

REASON_LENGTH = 300
"""Characters of a reason that are shown; a database's error can be a page."""

Say = Callable[[str], None]


class Tracking:
    """A queue and a daemon thread: the thread folds its own state and tells the tracker.

    Nothing here raises, and only ``close`` waits. A tracker that raised, hung or fell behind is
    given up with one line through ``say``; the line may come from either thread.

    Args:
        tracker: fresh.
        opened: the record that a new log begins with.
        say: shows one line to the user.
    """

    def __init__(self, tracker: Tracker, opened: Event, say: Say) -> None:
        self._tracker = tracker
        self._opened = opened
        self._say = say
        self._title = type(tracker).__name__
        self._queue: SimpleQueue[Event | None] = SimpleQueue()
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()
        self._off = threading.Event()
        self._ended = threading.Event()

    def start(self, known: Sequence[Event] = ()) -> None:
        """Begin to follow; the results folder must be there.

        Args:
            known: the log as it stood before this driver, in order; empty for a new run. Events
                that came in since wait behind it.
        """
        before = list(known) or [self._opened]
        self._thread = threading.Thread(
            target=self._follow, args=(before,), name="raytao-tracking", daemon=True
        )
        self._thread.start()

    def event(self, event: Event) -> None:
        """Hand over an event; returns at once."""
        if self._off.is_set():
            return
        self._queue.put(event)
        if self._queue.qsize() > BACKLOG:
            self._give_up(f"it is more than {BACKLOG} events behind", "the run goes on")

    def close(self, timeout: float = CLOSE_SECONDS) -> None:
        """Let the tracker catch up and end; give it up after ``timeout`` seconds."""
        if self._thread is None or self._off.is_set():
            return
        self._queue.put(None)
        if not self._ended.wait(timeout):
            reason = f"it did not catch up within {timeout:g} s of the end"
            self._give_up(reason, f"{self._tracker.setup.results} has everything")

    def _follow(self, known: Sequence[Event]) -> None:
        try:
            self._tell(known)
        except BaseException as error:  # noqa: BLE001 - foreign code: it may raise anything
            self._give_up(_reason(error), "the run goes on")
        finally:
            self._ended.set()

    def _tell(self, known: Sequence[Event]) -> None:
        state = RunState()
        self._tracker.open()
        for event in known:
            self._take(event, state)
        due: float | None = time.monotonic()  # when to sync; None while there is nothing new
        while not self._off.is_set():
            try:
                event_or_end = self._queue.get(timeout=due and max(0.0, due - time.monotonic()))
            except Empty:
                self._tracker.sync(state)
                due = None
                continue
            if event_or_end is None:
                self._tracker.sync(state)
                self._tracker.close(state)
                return
            self._take(event_or_end, state)
            due = due or time.monotonic() + SYNC_SECONDS

    def _take(self, event: Event, state: RunState) -> None:
        state.apply(event)
        self._tracker.event(event, state)

    def _give_up(self, reason: str, comfort: str) -> None:
        with self._lock:
            if self._off.is_set():
                return
            self._off.set()
        with suppress(Exception):
            self._say(f"{self._title} tracking is off: {reason}; {comfort}")


def _reason(error: BaseException) -> str:
    """The error in one line, without secrets."""
    words = " ".join(redact(f"{type(error).__name__}: {error}").split())
    return words if len(words) <= REASON_LENGTH else f"{words[:REASON_LENGTH]}…"


def open_tracking(setup: Setup, say: Say) -> Tracking | None:
    """The tracking that a run asks for, not started yet; None where there is none to be had.

    Args:
        setup: the run.
        say: shows one line to the user; must take calls from any thread.

    Raises:
        SettingsError: if no tracker has the name.
    """
    chosen = setup.settings.tracking
    if chosen is None:
        return None
    tracker = catalog.load("raytao.trackers", chosen.name, kind="tracker", base=Tracker)
    missing = tracker.missing()
    if missing is not None:
        say(f"tracking is off: {missing}")
        return None
    return Tracking(tracker(setup, chosen), setup.opened(), say)
