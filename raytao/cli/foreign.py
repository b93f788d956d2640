"""``raytao status`` of a folder that TAO wrote."""

from __future__ import annotations

import json
import time
from pathlib import Path

import click
from rich.console import RenderableType
from rich.live import Live
from rich.text import Text

from raytao.report.live.progress import console_on, shows_live
from raytao.report.live.terminal import live, printed
from raytao.report.page.foreign import header, status_json
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
        return
    console = console_on("stdout")
    if watch and shows_live(console):
        with Live(console=console, auto_refresh=False) as view:
            view.update(_view(found), refresh=True)
            while not found.state.finished:
                time.sleep(WATCH_SECONDS)
                found = open_foreign(folder)
                view.update(_view(found), refresh=True)
        return
    while watch and not found.state.finished:
        time.sleep(WATCH_SECONDS)
        found = open_foreign(folder)
    title, below = Text(visible(header(found), lines=True), "bold"), _below(found)
    console.print(title, soft_wrap=True)
    console.print(below, soft_wrap=True)
    lines = 2 + len(below.plain.splitlines())
    console.print(printed(found.state, remaining_of(found.run), plan_of(found.run), lines))


def _view(found: Foreign) -> RenderableType:
    left, plan = remaining_of(found.run), plan_of(found.run)
    return live(header(found), found.state, left, plan, _below(found))


def _below(found: Foreign) -> Text:
    """How it stands, and what of it could not be read."""
    word, why = status_of(found.run, found.state)
    lines = [f"status {word}{f': {why}' if why else ''}"]
    lines += [f"note: {problem}" for problem in found.run.problems]
    return Text("\n".join(map(visible, lines)))
