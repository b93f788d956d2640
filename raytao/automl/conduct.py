"""One way to run a setup, for the command line and for Python alike."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from raytao.errors import SettingsError
from raytao.report.live.progress import header
from raytao.runs.eta import Remaining
from raytao.runs.events import Event
from raytao.runs.log import Record, read_log
from raytao.runs.observer import Observer
from raytao.runs.place import store_at
from raytao.runs.state import RunState
from raytao.setup.changes import enter
from raytao.setup.damage import copy_kept
from raytao.setup.drawing import redraw
from raytao.setup.ending import nothing_to_do
from raytao.setup.folder import refuse_driven
from raytao.setup.schedule import forecast
from raytao.setup.setup import Setup
from raytao.spec import flatten, told_as_written
from raytao.tao import layout
from raytao.tracking import Trackings, open_tracking

Say = Callable[[str], None]
Watch = Callable[[Setup], AbstractContextManager[Observer]]


PATIENCE_SECONDS = 5.0
"""Longest that a run which was stopped waits for its tracking to catch up."""


@dataclass(frozen=True)
class Outcome:
    """How a run ended; ``seconds`` is None if it had ended before.

    ``told`` is a line for each tracker that has everything, with the place where it can be seen.
    """

    state: RunState
    seconds: float | None
    told: Sequence[str] = ()


def conduct(
    setup: Setup, watch: Watch, say: Say, *, allow_changed: bool = False, go_on: bool = False
) -> Outcome:
    """Run to the end, from the start or from where the log ends.

    A finished run stays as it is, unless more is asked for: a longer plan, or another search.

    Args:
        setup: the run; the caller has inspected its folder.
        watch: opens the observer that shows the run.
        say: takes one line for people, not part of what ``watch`` shows.
        allow_changed: whether another search, or other data, may go on in this run's folder.
        go_on: whether a run that was ended before its plan goes on with the rest of it.

    Raises:
        Interrupted: after a signal or a request to pause.
        DamagedRun: if the log cannot be trusted; a copy of it is kept.
        UserError: if there is something left to do and it cannot be trained; see ``launch``.
    """
    with copy_kept(setup.results):
        return _conduct(setup, watch, say, allow_changed=allow_changed, go_on=go_on)


def _conduct(setup: Setup, watch: Watch, say: Say, *, allow_changed: bool, go_on: bool) -> Outcome:
    from raytao.cluster.connect import LOCAL  # Ray: only now
    from raytao.tune.launch import launch

    log = read_log(store_at(setup.results), layout.EVENTS)
    known = RunState.fold(log)
    if over := nothing_to_do(setup, known, go_on=go_on):
        for note in changed_function(setup, known):
            say(f"note: {note}")
        say(over)
        redraw(setup)
        return Outcome(known, None)
    refuse_driven(setup.results)
    with told_as_written(setup.spec.plain()) as spec:
        setup.network.check(spec)
    if setup.settings.address in (None, LOCAL):
        setup.network.check_machine()
    refuse_other_paths(setup, known)
    entry = enter(setup, known, allow_changed=allow_changed, go_on=go_on)
    other = entry.changed.differences if entry.changed else []
    if entry.stopped is not None:
        again = f"the rest of its plan: raytao resume {setup.results}"
        say(f"note: it was to end ({entry.stopped.reason}), and does now; {again}")
    for note in [
        *setup.notes,
        *(f"changed: {line}" for line in other),
        *changed_function(setup, known),
        *forecast(setup).notes,
    ]:
        say(f"note: {note}")
    tracking = open_tracking(setup, say)
    say(header(setup))
    joins = (setup.settings.address or os.environ.get("RAY_ADDRESS") or LOCAL) != LOCAL
    say("joining Ray …" if joins else "starting Ray …")
    began = time.monotonic()
    try:
        with watch(setup) as observer:
            shown = observer if tracking is None else _Tracked(observer, tracking, log)
            state = launch(setup, entry, shown, say)
    except BaseException:
        if tracking is not None:
            tracking.close(PATIENCE_SECONDS)
        raise
    if tracking is not None:
        tracking.close()
    told = tracking.where() if tracking is not None else ()
    return Outcome(state, time.monotonic() - began, told)


def refuse_other_paths(setup: Setup, known: RunState) -> None:
    """Refuse to go on from a folder where a relative path of the spec means something else.

    Raises:
        SettingsError: naming the path, and where the run began.
    """
    began = known.opened.setup.get("cwd") if known.opened else None
    if began is None or Path(began) == Path.cwd():
        return
    for key, value in flatten(setup.spec.plain()).items():
        if _is_relative(value) and (Path(began) / value).exists():
            raise SettingsError(
                f"{key} is {value!r}, and this run began in {began}: from here it is another path",
                remedy=f"cd {began} first, or begin a run with an absolute path",
            )


def _is_relative(value: object) -> bool:
    return isinstance(value, str) and value not in ("", ".") and not Path(value).is_absolute()


def changed_function(setup: Setup, known: RunState) -> list[str]:
    """A note if the user's function is not the one that the run began with."""
    if setup.function is None or known.opened is None:
        return []
    before = (known.opened.setup.get("function") or {}).get("source")
    if before == setup.function.source:
        return []
    return [
        f"{setup.function.name} has changed since this run began: its "
        f"{len(known.trials)} recommendations so far are of the function as it was"
    ]


class _Tracked:
    """An observer, and a tracker that hears the events as well."""

    def __init__(self, observer: Observer, tracking: Trackings, known: Sequence[Record]) -> None:
        self._observer = observer
        self._tracking = tracking
        self._known = known

    def connected(self, found: str) -> None:
        """See Observer; the results folder is there now."""
        self._tracking.start(self._known)
        self._observer.connected(found)

    def event(self, event: Event, state: RunState) -> None:
        """See Observer."""
        self._tracking.event(event, state.at)
        self._observer.event(event, state)

    def step(self, state: RunState, left: Remaining) -> None:
        """See Observer."""
        self._observer.step(state, left)
