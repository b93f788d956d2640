"""One thread that follows a run for a tracker, so that the driver never waits for it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import TypeAlias

from raytao.redact import redact
from raytao.runs.events import Event
from raytao.runs.log import Record
from raytao.runs.state import RunState
from raytao.tracking.base import Tracker
from raytao.tracking.said import reason_of

SYNC_SECONDS = 1.0
"""What happens within this time is told at once."""

CLOSE_SECONDS = 60.0
"""How long the end of a run waits for its tracker."""

BACKLOG = 100_000
"""Events that may wait for a tracker that is slow, or hangs, before it is given up."""

Say = Callable[[str], None]
Heard: TypeAlias = tuple[float, Event]
"""An event, and when it happened by the wall clock."""


class Tracking:
    """A queue and a daemon thread: the thread folds its own state and tells the tracker.

    Nothing here raises, and only the end waits. A tracker that raised, hung or fell behind is
    given up with one line through ``say``; the line may come from either thread.

    Args:
        tracker: fresh.
        opened: the record that a new log begins with.
        say: shows one line to the user.
    """

    def __init__(self, tracker: Tracker, opened: Event, say: Say) -> None:
        self.title = type(tracker).__name__
        self._tracker = tracker
        self._opened = opened
        self._say = say
        self._queue: SimpleQueue[Heard | None] = SimpleQueue()
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()
        self._off = threading.Event()
        self._ended = threading.Event()
        self._last = False
        self._where = ""

    @property
    def given_up(self) -> bool:
        """Whether the tracker was not told everything."""
        return self._off.is_set()

    def start(self, known: Sequence[Record] = ()) -> None:
        """Begin to follow; the results folder must be there.

        Args:
            known: the log as it stood before this driver, in order; empty for a new run. Events
                that came in since wait behind it.
        """
        before = [(record.at, record.event) for record in known]
        self._thread = threading.Thread(
            target=self._follow,
            args=(before or [(time.time(), self._opened)],),
            name="raytao-tracking",
            daemon=True,
        )
        self._thread.start()

    def event(self, event: Event, at: float) -> None:
        """Hand over an event, and when the log says that it happened; returns at once."""
        if self._off.is_set():
            return
        self._queue.put((at, event))
        if self._queue.qsize() > BACKLOG:
            self._give_up(f"it is more than {BACKLOG} events behind", "the run goes on")

    def finish(self, timeout: float = 0.0) -> bool:
        """Let the tracker catch up and end; whether it has, or was given up, within a time."""
        if self._thread is None or self._off.is_set():
            return True
        if not self._last:
            self._last = True
            self._queue.put(None)
        return self._ended.wait(timeout)

    def close(self, timeout: float = CLOSE_SECONDS, *, waited: float = 0.0) -> None:
        """Let the tracker catch up and end; give it up after ``timeout`` seconds.

        Args:
            timeout: from the end of the run on.
            waited: seconds of it that are over.
        """
        if not self.finish(max(0.0, timeout - waited)):
            reason = f"it did not catch up within {timeout:g} s of the end"
            self._give_up(reason, f"{self._tracker.setup.results} has everything")

    def where(self) -> str:
        """Where people see what the tracker was told, without secrets; "" unless it was, whole."""
        return "" if self.given_up or not self._ended.is_set() else self._where

    def _follow(self, known: Sequence[Heard]) -> None:
        try:
            self._tell(known)
        except BaseException as error:  # noqa: BLE001 - foreign code: it may raise anything
            self._give_up(reason_of(error), "the run goes on")
        finally:
            self._ended.set()

    def _tell(self, known: Sequence[Heard]) -> None:
        state = RunState()
        self._tracker.open()
        for heard in known:
            self._tracker.hear(*heard, state)
        due: float | None = time.monotonic()  # when to sync; None while there is nothing new
        while not self._off.is_set():
            try:
                heard_or_end = self._queue.get(timeout=due and max(0.0, due - time.monotonic()))
            except Empty:
                self._tracker.sync(state)
                due = None
                continue
            if heard_or_end is None:
                self._tracker.sync(state)
                self._tracker.close(state)
                with suppress(Exception):  # all has been told: it is not given up for this
                    self._where = redact(" ".join(self._tracker.where().split()))
                return
            self._tracker.hear(*heard_or_end, state)
            due = due or time.monotonic() + SYNC_SECONDS

    def _give_up(self, reason: str, comfort: str) -> None:
        with self._lock:
            if self._off.is_set():
                return
            self._off.set()
        with suppress(Exception):
            self._say(f"{self.title} tracking is off: {reason}; {comfort}")
