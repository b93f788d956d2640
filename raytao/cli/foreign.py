"""``raytao status`` of a folder that TAO wrote."""

from __future__ import annotations

import json
import time
from pathlib import Path

import click
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.text import Text

from raytao.report.foreign import header, status_json
from raytao.report.terminal import indicators, trials_table
from raytao.report.visible import visible
from raytao.setup.foreign import Foreign, open_foreign
from raytao.tao.foreign.state import plan_of, remaining_of, status_of

WATCH_SECONDS = 10.0
"""TAO's controller looks after its trials as often."""


def show_foreign(folder: Path, *, watch: bool, as_json: bool) -> None:
    """Print what TAO's files tell, once or until they tell that the run is over."""
    found = open_foreign(folder)
    if as_json:
        click.echo(json.dumps(status_json(found), indent=2))
    elif watch:
        with Live(console=Console(), auto_refresh=False) as view:
            view.update(_shown(found), refresh=True)
            while not found.state.finished:
                time.sleep(WATCH_SECONDS)
                found = open_foreign(folder)
                view.update(_shown(found), refresh=True)
    else:
        Console().print(_shown(found))


def _shown(found: Foreign) -> RenderableType:
    word, why = status_of(found.run, found.state)
    return Group(
        Text(visible(header(found), lines=True), style="bold"),
        Text(f"status {word}{f': {why}' if why else ''}"),
        indicators(found.state, remaining_of(found.run), plan_of(found.run)),
        trials_table(found.state, limit=None),
        *(Text(visible(f"note: {problem}")) for problem in found.run.problems),
    )
