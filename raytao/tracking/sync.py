"""Telling a tracker afterwards what it missed: the event log is the truth, and is replayed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from raytao.errors import FolderError, RaytaoError, SettingsError
from raytao.runs.log import Record, read_log
from raytao.runs.place import Place, store_at
from raytao.runs.state import RunState
from raytao.setup.folder import is_driven, open_folder
from raytao.setup.setup import Setup
from raytao.setup.trackers import Tracking as TrackingSettings
from raytao.tao import layout
from raytao.tracking.base import Progress, Tracker
from raytao.tracking.hush import hear_this_thread
from raytao.tracking.opening import tracker_class
from raytao.tracking.said import reason_of

Begin = Callable[[str], Progress]
"""(name of a tracker) -> what is told how far it is."""


@dataclass(frozen=True)
class Synced:
    """A tracker that holds all of a run now; ``told`` is how much of what was new to it."""

    tracker: str
    recommendations: int
    epochs: int
    finished: bool
    told: Counter[str] = field(default_factory=Counter)


def sync_run(
    place: Place,
    trackers: Sequence[TrackingSettings] = (),
    begin: Begin = lambda _name: lambda _done, _of: None,
) -> list[Synced]:
    """Tell trackers what they miss of a run: nothing twice. The run itself is only read.

    Args:
        place: the results folder, of a run that was tracked or not.
        trackers: who is told; by default those of the run.
        begin: called for each tracker.

    Raises:
        FolderError: if there is no run, or a driver is telling it at this moment.
        SettingsError: if no tracker is named, one is not installed, or one cannot do this.
        DamagedRun: if the log cannot be trusted.
        RaytaoError: if a service does not answer, with its reason; what it was told it keeps.
    """
    setup, state = open_folder(place)
    chosen = list(trackers) or setup.settings.tracking
    if not chosen:
        raise SettingsError(
            f"the run in {place} names no tracker",
            remedy=f"name one: raytao sync {place} --tracker mlflow, or --uri sqlite:///mlflow.db",
        )
    driven = is_driven(place)
    _refuse_two_writers(place, setup, chosen, driven=driven)
    records = read_log(store_at(place), layout.EVENTS)
    done = []
    for one in chosen:
        tracker = _tracker(setup, one)
        tracker.progress = begin(one.name)
        _replay(tracker, records, place, close=not driven)
        finished = state.finished is not None
        done.append(Synced(one.name, len(state.trials), state.epochs, finished, +tracker.written))
    return done


def _refuse_two_writers(
    place: Place, setup: Setup, chosen: Sequence[TrackingSettings], *, driven: bool
) -> None:
    """A driver that is at work may tell the same points in the same second.

    Raises:
        FolderError: if one does that.
    """
    own = {one.name for one in setup.settings.tracking}
    telling = next((one.name for one in chosen if driven and one.name in own), None)
    if telling is not None:
        raise FolderError(
            f"the run in {place} goes on, and its driver tells {telling}",
            remedy="sync it when it has ended: raytao status tells",
        )


def _tracker(setup: Setup, chosen: TrackingSettings) -> Tracker:
    kind = tracker_class(chosen)
    missing = kind.missing()
    if missing is not None:
        what, _, remedy = missing.partition("; ")
        raise SettingsError(what, remedy=remedy)
    return kind(setup, chosen)


def _replay(tracker: Tracker, records: Sequence[Record], place: Place, *, close: bool) -> None:
    state = RunState()
    try:
        tracker.open()
        for record in records:
            tracker.hear(record.at, record.event, state)
        tracker.sync(state)
        if close:
            tracker.close(state)
    except RaytaoError:
        raise
    except Exception as error:
        title = type(tracker).__name__
        raise RaytaoError(
            f"{title} was not told everything of {place}: {reason_of(error)}\n"
            "  the same command again goes on where this ended"
        ) from error
    finally:
        hear_this_thread()  # it is a notebook's own
