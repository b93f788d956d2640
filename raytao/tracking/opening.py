"""The trackers that a run asks for, followed together."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import suppress
from typing import Final

from raytao import catalog
from raytao.runs.events import Event
from raytao.runs.log import Record
from raytao.runs.place import Place
from raytao.setup.setup import Setup
from raytao.setup.trackers import Tracking as TrackingSettings
from raytao.tracking.base import Tracker
from raytao.tracking.said import how_to_sync
from raytao.tracking.thread import CLOSE_SECONDS, Say, Tracking

SILENT_SECONDS: Final = 1.0
"""The end of a run waits for its trackers longer than that only with a word."""


class Trackings:
    """Every tracker of a run, each on a thread of its own; see `Tracking`.

    Args:
        each: not started yet.
        results: the run's folder, for the command that tells later what was not told.
        say: shows one line to the user; must take calls from any thread.
        absent: titles of trackers that are not installed.
    """

    def __init__(
        self, each: Sequence[Tracking], results: Place, say: Say, absent: Sequence[str] = ()
    ) -> None:
        self._each = tuple(each)
        self._results = results
        self._say = say
        self._absent = tuple(absent)

    def start(self, known: Sequence[Record] = ()) -> None:
        """See `Tracking`."""
        for tracking in self._each:
            tracking.start(known)

    def event(self, event: Event, at: float) -> None:
        """See `Tracking`."""
        for tracking in self._each:
            tracking.event(event, at)

    def close(self, timeout: float = CLOSE_SECONDS) -> None:
        """Let all catch up within ``timeout`` seconds; say how to make up for what was missed."""
        began = time.monotonic()
        for tracking in self._each:  # all at once
            tracking.finish()
        patience = min(SILENT_SECONDS, timeout)
        late = [t.title for t in self._each if not t.finish(patience - _since(began))]
        if late:
            with suppress(Exception):
                self._say(f"telling {' and '.join(late)} the rest …")
        for tracking in self._each:
            tracking.close(timeout, waited=_since(began))
        missed = [*self._absent, *(one.title for one in self._each if one.given_up)]
        if missed:
            with suppress(Exception):
                titles = " and ".join(missed)
                self._say(f"what {titles} missed is told by: {how_to_sync(self._results)}")

    def where(self) -> list[str]:
        """After ``close``: a line for each tracker that was told everything, with its place."""
        found = [(tracking.title, tracking.where()) for tracking in self._each]
        return [f"{title:<12} {where}" for title, where in found if where]


def _since(began: float) -> float:
    """Seconds since then, by the monotonic clock."""
    return time.monotonic() - began


def open_tracking(setup: Setup, say: Say) -> Trackings | None:
    """The tracking that a run asks for, not started yet; None where it asks for none.

    Args:
        setup: the run.
        say: shows one line to the user; must take calls from any thread.

    Raises:
        SettingsError: if no tracker has the name.
    """
    each: list[Tracking] = []
    absent: list[str] = []
    for chosen in setup.settings.tracking:
        kind = tracker_class(chosen)
        missing = kind.missing()
        if missing is None:
            each.append(Tracking(kind(setup, chosen), setup.opened(), say))
        else:
            say(f"tracking is off: {missing}")
            absent.append(kind.__name__)
    return Trackings(each, setup.results, say, absent) if each or absent else None


def tracker_class(chosen: TrackingSettings) -> type[Tracker]:
    """The tracker that settings name.

    Raises:
        SettingsError: if no tracker has the name.
    """
    found: type[Tracker] = catalog.load(
        "raytao.trackers", chosen.name, kind="tracker", base=Tracker
    )
    return found
