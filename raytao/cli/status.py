"""``raytao status``: a run read from its log, wherever it runs."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click
from rich.console import RenderableType
from rich.live import Live
from rich.text import Text

from raytao.brains.base import Plan
from raytao.report.live.progress import PlainObserver, console_on, header, shows_live
from raytao.report.live.terminal import live, printed
from raytao.report.talk import talk
from raytao.report.visible import fit_for, visible
from raytao.report.words import clock, how_to_go_on, status_word, where_it_runs
from raytao.runs.eta import Remaining
from raytao.runs.events import Event, Placed
from raytao.runs.log import LogFollower, read_log
from raytao.runs.owner_file import Owner
from raytao.runs.place import Place, store_at
from raytao.runs.process import Life
from raytao.runs.state import RunState
from raytao.runs.store import StoreError
from raytao.setup.damage import repair_told
from raytao.setup.folder import driver_of, is_driven, open_folder
from raytao.setup.left import left_of
from raytao.setup.setup import Setup
from raytao.tao import layout
from raytao.tao.foreign.known import is_foreign

WATCH_SECONDS = 1.0


def show_status(folder: Place, *, watch: bool, as_json: bool) -> None:
    """Print the state once, or until the run ends; whoever watches may come before the run."""
    if watch and not as_json and isinstance(folder, Path) and _is_to_come(folder):
        with _left_by_ctrl_c():
            _wait_for(folder)
    if is_foreign(folder):
        with _left_by_ctrl_c():
            from raytao.cli.foreign import show_foreign  # what draws its page loads much more

            show_foreign(folder, watch=watch, as_json=as_json)
        return
    setup, state = open_folder(folder)
    if as_json:
        from raytao.cli.status_json import status_json  # TAO's words are more than a screen needs

        click.echo(json.dumps(status_json(setup, state, folder), indent=2))
        return
    if watch:
        with _left_by_ctrl_c():
            _watch(_Watched(folder, setup, state))
        return
    _show(folder, setup, state)


def _is_to_come(folder: Path) -> bool:
    """Whether there is no folder, or one that a driver has only just claimed for its run."""
    if not os.path.lexists(folder):
        return True
    return folder.is_dir() and is_driven(folder) and not store_at(folder).size(layout.EVENTS)


def _wait_for(folder: Path) -> None:
    """Wait until there is a run in a folder that is to come."""
    talk(f"waiting for {folder} …; Ctrl-C ends")
    while not (is_foreign(folder) or read_log(store_at(folder), layout.EVENTS)):
        time.sleep(WATCH_SECONDS)


def _show(folder: Place, setup: Setup, state: RunState) -> None:
    """Print it once. On a terminal, as much of it as one screen holds; else all of it."""
    console, plan, driven = console_on("stdout"), setup.new_brain().plan(), is_driven(folder)
    title = Text(fit_for(visible(header(setup), lines=True), console.encoding), "bold")
    stands = _status_line(folder, state)
    places = [
        Text(visible(f"recommendation {trial} runs on {where_it_runs(place)}"))
        for trial, place in (_places(state) if driven else ())
    ]
    beside = sum(text.plain.count("\n") + 1 for text in (title, stands, *places))
    console.print(title, soft_wrap=True)
    console.print(stands, soft_wrap=True)  # its commands are for copying
    console.print(printed(state, left_of(setup, state, plan), plan, beside, driven=driven))
    for line in places:
        console.print(line, soft_wrap=True)


def _places(state: RunState) -> list[tuple[int, Placed]]:
    """Where the trials that run do so, as far as they have told."""
    return [(t.number, t.place) for t in state.running() if t.place is not None]


def _drives(owner: Owner | None) -> bool:
    return owner is not None and owner.seems_alive()


def _status_line(folder: Place, state: RunState) -> Text:
    owner = driver_of(folder)
    word = status_word(state, driven=_drives(owner))
    said = f"status {word}"
    if not state.finished:
        said += f": {_described(owner) if owner else 'no raytao drives it'}"
    if state.stopped:
        said += f"\nended before its plan: {state.stopped.reason}"
    if rest := how_to_go_on(state, folder):
        said += f"\n{rest}"
    if word == "Interrupted":
        said += f"\ngo on with: raytao resume {folder}"
    return Text(visible(said, lines=True))


def _described(owner: Owner) -> str:
    """Who has claimed the run, and what is known of it."""
    match owner.life():
        case Life.ALIVE:
            return str(owner)
        case Life.GONE:
            return f"no raytao drives it ({owner}, is gone)"
        case Life.UNSEEN:
            return f"{owner}, last heard of {clock(owner.silent_for())} ago (by two clocks)"


class _Watched:
    """A run whose log is read as it grows: only what is new is parsed."""

    def __init__(self, folder: Place, setup: Setup, state: RunState) -> None:
        self.folder = folder
        self.setup = setup
        self.state = state
        self.goes_on = is_driven(folder)
        self._plan: Plan = setup.new_brain().plan()
        self._log = LogFollower(store_at(folder), layout.EVENTS, state.next_seq)
        self._heard = time.monotonic()

    def news(self) -> Iterator[Event]:
        """Look again: every event that is new, right after the state took it in."""
        self.goes_on = is_driven(self.folder)
        try:
            with repair_told(self.folder):
                records, anew = self._log.news()
        except StoreError as error:
            if not error.may_pass:
                raise
            return  # the next look may be luckier
        if records:
            self._heard = time.monotonic()
        self.state = RunState() if anew else self.state
        for record in records:
            self.state.take(record)
            yield record.event

    @property
    def over(self) -> bool:
        """Whether nothing more is to come."""
        return self.state.finished is not None or not self.goes_on

    @property
    def left(self) -> Remaining:
        """What is left of it; while the log is silent, the time goes on."""
        silent = time.monotonic() - self._heard if self.goes_on else 0.0
        return left_of(self.setup, self.state, self._plan, self.state.driven + silent)

    def view(self) -> RenderableType:
        """The live view, and how the run stands."""
        below = _status_line(self.folder, self.state)
        title, driven = header(self.setup), self.goes_on
        return live(title, self.state, self.left, self._plan, below, driven=driven)


@contextmanager
def _left_by_ctrl_c() -> Iterator[None]:
    """Watching ends quietly; the run does not notice."""
    try:
        yield
    except KeyboardInterrupt:
        raise SystemExit(130) from None


def _watch(run: _Watched) -> None:
    """Renew the view until the run is over; lines where there is no terminal to renew it on."""
    console = console_on("stdout")
    if not shows_live(console):
        _tell(run)
        return
    with Live(console=console, auto_refresh=False) as view:
        while True:
            for _ in run.news():
                pass
            view.update(run.view(), refresh=True)
            if run.over:
                return
            time.sleep(WATCH_SECONDS)


def _tell(run: _Watched) -> None:
    """A line for every event from now on, as a run's own log has them."""
    observer = PlainObserver(run.setup, click.echo)
    click.echo(fit_for(visible(header(run.setup), lines=True), console_on("stdout").encoding))
    while True:
        for event in run.news():
            observer.event(event, run.state)
        observer.step(run.state, run.left)
        if run.over:
            break
        time.sleep(WATCH_SECONDS)
    click.echo(_status_line(run.folder, run.state).plain)
