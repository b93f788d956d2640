"""``raytao list``: the runs there are below a folder, a line each, the newest first."""

from __future__ import annotations

import json
import os
import shutil
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from raytao.cli.places import PLACE
from raytao.errors import FolderError
from raytao.report.visible import visible
from raytao.runs.place import Place, is_there

if TYPE_CHECKING:
    from raytao.setup.glance import Glance

DEFAULT: Final = "results"
NOTHING: Final = "–"

COLUMNS: Final = ("status", "best", "metric", "trials", "epochs", "last news", "what", "folder")
NUMBERS: Final = ("best", "trials", "epochs")
LEFT_OUT: Final = ("what", "metric", "epochs", "trials")
"""Columns that a narrow terminal has no room for, the first ones first."""

UNITS: Final = (("d", 86_400), ("h", 3_600), ("min", 60), ("s", 1))


@click.command(name="list")
@click.argument("place", type=PLACE, default=DEFAULT, metavar="[PLACE]")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def list_runs(place: Place, as_json: bool) -> None:
    """List the runs below PLACE, a folder or an address; default: results.

    The one that was heard of last comes first. Runs that TAO itself wrote are listed too; damaged
    ones are, with what is wrong.
    """
    from raytao.setup.glance import runs_below

    if not is_there(place):
        what = "is a file" if isinstance(place, Path) and place.exists() else "is not there"
        raise FolderError(
            f"{place} {what}",
            remedy="name a folder with runs in it; `raytao run digits_hyperband` makes the first",
        )
    found = sorted(runs_below(place), key=lambda run: -(run.last_news or 0))
    if as_json:
        click.echo(json.dumps([_as_json(run) for run in found], indent=2))
    elif found:
        click.echo("\n".join(_lines(found, time.time(), _width())))
    if not found:
        click.echo(f"no runs below {place}", err=True)


def _as_json(run: Glance) -> dict[str, object]:
    return {**vars(run), "folder": str(run.folder), "problem": run.problem or None}


def _width() -> int | None:
    """The terminal's, or what COLUMNS says; None where nothing need be left out: in a pipe."""
    known = sys.stdout.isatty() or "COLUMNS" in os.environ  # as `console_on` goes by
    return shutil.get_terminal_size().columns if known else None


def _lines(runs: Sequence[Glance], now: float, width: int | None) -> Iterator[str]:
    rows = [dict(zip(COLUMNS, COLUMNS, strict=True)), *(_row(run, now) for run in runs)]
    widths = {name: max(len(row[name]) for row in rows) for name in COLUMNS}
    columns = _columns(widths, width)
    for run, row in zip((None, *runs), rows, strict=True):
        yield "  ".join(_padded(row[name], widths[name], name) for name in columns).rstrip()
        if run is not None and run.problem:
            yield f"  {visible(run.problem)}"


def _columns(widths: Mapping[str, int], width: int | None) -> list[str]:
    """As many columns as there is room for; the folder always, for it is what one copies."""
    columns = list(COLUMNS)
    for name in LEFT_OUT:
        if width is None or sum(widths[column] + 2 for column in columns) - 2 <= width:
            break
        columns.remove(name)
    return columns


def _padded(text: str, width: int, column: str) -> str:
    return text.rjust(width) if column in NUMBERS else text.ljust(width)


def _row(run: Glance, now: float) -> dict[str, str]:
    what = "TAO" if run.by_tao else run.network
    cells = (
        run.status,
        NOTHING if run.best is None else f"{run.best:.4g}",
        run.metric or NOTHING,
        NOTHING if run.trials is None else str(run.trials),
        NOTHING if run.epochs is None else str(run.epochs),
        NOTHING if run.last_news is None else _ago(now - run.last_news),
        ", ".join(part for part in (what, run.brain) if part) or NOTHING,
        str(run.folder),
    )
    return {name: visible(cell) for name, cell in zip(COLUMNS, cells, strict=True)}


def _ago(seconds: float) -> str:
    """The largest unit alone; a clock that is ahead has said so just now.

    >>> _ago(59.4), _ago(7300), _ago(-3)
    ('59 s ago', '2 h ago', 'now')
    """
    unit, size = next(((unit, size) for unit, size in UNITS if seconds >= size), ("", 0))
    return f"{seconds // size:.0f} {unit} ago" if size else "now"
