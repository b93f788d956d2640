"""``raytao status``: a run read from its log, wherever it runs."""

from __future__ import annotations

import json
import time
from pathlib import Path

import click
from rich.console import Console, Group
from rich.live import Live

from raytao.brains.base import Plan
from raytao.report.progress import header
from raytao.report.terminal import indicators, live, trials_table
from raytao.report.words import status_word
from raytao.runs.eta import Remaining, remaining
from raytao.runs.state import RunState
from raytao.setup.folder import is_driven, open_folder, read_state
from raytao.setup.setup import Setup
from raytao.tao.export import controller_json, metadata_json

WATCH_SECONDS = 1.0


def show_status(folder: Path, *, watch: bool, as_json: bool) -> None:
    """Print the state once, or until the run ends."""
    setup, state = open_folder(folder)
    plan = setup.new_brain().plan()
    if as_json:
        word = status_word(state, driven=is_driven(folder))
        click.echo(json.dumps(status_json(state, _left(state, plan, setup), word), indent=2))
        return
    if watch:
        _watch(folder, setup, plan)
        return
    console = Console()
    console.print(header(setup), style="bold", highlight=False)
    console.print(_status_line(folder, state), highlight=False)
    console.print(indicators(state, _left(state, plan, setup), plan))
    console.print(trials_table(state, limit=None))


def status_json(state: RunState, left: Remaining, word: str) -> dict[str, object]:
    """TAO's indicators and the list of trials."""
    return {
        "status": word,
        "automl_metadata": metadata_json(state, left),
        "controller": controller_json(state),
    }


def _status_line(folder: Path, state: RunState) -> str:
    word = status_word(state, driven=is_driven(folder))
    if word != "Interrupted":
        return f"status {word}"
    return f"status {word}: no raytao drives it here\ngo on with: raytao resume {folder}"


def _watch(folder: Path, setup: Setup, plan: Plan) -> None:
    with Live(console=Console(), auto_refresh=False) as view:
        while True:
            state, goes_on = read_state(folder), is_driven(folder)
            left = _left(state, plan, setup)
            table = live(header(setup), state, left, plan)
            view.update(Group(table, _status_line(folder, state)), refresh=True)
            if state.finished or not goes_on:
                return
            time.sleep(WATCH_SECONDS)


def _left(state: RunState, plan: Plan, setup: Setup) -> Remaining:
    at_once = max(1, len(state.running()), setup.settings.slots or 1)
    return remaining(state, plan, at_once)
