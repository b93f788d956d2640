"""``raytao status``: a run read from its log, wherever it runs."""

from __future__ import annotations

import json
import time

import click
from rich.console import Console, Group
from rich.live import Live
from rich.text import Text

from raytao.brains.base import Plan
from raytao.cli.foreign import show_foreign
from raytao.report.progress import header
from raytao.report.terminal import indicators, live, trials_table
from raytao.report.visible import visible
from raytao.report.words import clock, how_to_go_on, status_word, where_it_runs
from raytao.runs.events import Placed
from raytao.runs.owner_file import Owner
from raytao.runs.place import Place, store_at
from raytao.runs.process import Life
from raytao.runs.state import RunState
from raytao.setup.folder import driver_of, is_driven, open_folder, read_state
from raytao.setup.job import job_of, left_of
from raytao.setup.setup import Setup
from raytao.tao import layout
from raytao.tao.export import metadata_json
from raytao.tao.foreign.folder import is_foreign
from raytao.tao.trial_list import controller_json

WATCH_SECONDS = 1.0


def show_status(folder: Place, *, watch: bool, as_json: bool) -> None:
    """Print the state once, or until the run ends."""
    if is_foreign(folder):
        show_foreign(folder, watch=watch, as_json=as_json)
        return
    setup, state = open_folder(folder)
    plan = setup.new_brain().plan()
    if as_json:
        click.echo(json.dumps(status_json(setup, state, folder), indent=2))
        return
    if watch:
        _watch(folder, setup, plan)
        return
    console = Console()
    console.print(Text(visible(header(setup), lines=True), style="bold"))
    console.print(_status_line(folder, state), soft_wrap=True)  # its commands are for copying
    console.print(indicators(state, left_of(setup, state, plan), plan))
    console.print(trials_table(state, limit=None))
    for trial, place in _places(state) if is_driven(folder) else ():
        line = f"recommendation {trial} runs on {where_it_runs(place)}"
        console.print(Text(visible(line)), soft_wrap=True)


def status_json(setup: Setup, state: RunState, folder: Place) -> dict[str, object]:
    """TAO's indicators, list of trials and job payload, and who has claimed the run."""
    owner, left = driver_of(folder), left_of(setup, state, setup.new_brain().plan())
    return {
        "status": status_word(state, driven=_drives(owner)),
        "automl_metadata": metadata_json(state, left, setup.card.unit),
        "controller": controller_json(state),
        "running": [vars(place) for _, place in _places(state)],
        "tao": job_of(setup, state, folder),
        "owner": owner
        and {
            "host": owner.process.host,
            "pid": owner.process.pid,
            "since": owner.started,
            "life": owner.life().value,
            "silent_seconds": round(owner.silent_for(), 1),
        },
    }


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


def _watch(folder: Place, setup: Setup, plan: Plan) -> None:
    """Renew the table until the run is over; the log is read again when there is more of it."""
    store, state = store_at(folder), read_state(folder)
    size: int | None = None
    with Live(console=Console(), auto_refresh=False) as view:
        while True:
            goes_on, now = is_driven(folder), store.size(layout.EVENTS)
            if now != size:
                state, size = read_state(folder), now
            left = left_of(setup, state, plan)
            table = live(header(setup), state, left, plan)
            view.update(Group(table, _status_line(folder, state)), refresh=True)
            if state.finished or not goes_on:
                return
            time.sleep(WATCH_SECONDS)
