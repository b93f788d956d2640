"""``raytao sync``: tell a tracker afterwards what it missed of a run."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import click

from raytao.cli.places import PLACE
from raytao.runs.place import Place
from raytao.types import Json


@click.command()
@click.argument("folder", type=PLACE)
@click.option("--tracker", metavar="NAME", help="Default: those of the run; with --uri, mlflow.")
@click.option(
    "--uri",
    metavar="URI",
    help="Its server, database or folder; a login stands in the environment only.",
)
@click.option("--experiment", metavar="NAME", help="What MLflow files the run under.")
@click.option("--register", metavar="NAME", help="Register the best model in MLflow, as NAME.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def sync(
    folder: Place,
    tracker: str | None,
    uri: str | None,
    experiment: str | None,
    register: str | None,
    as_json: bool,
) -> None:
    """Tell trackers what they missed of the run in FOLDER, or all of it.

    After an outage, or of a run that was never tracked. Its event log is replayed; what a tracker
    has already is left as it is, so the command may be given again at any time.
    """
    from raytao.report.words import plural
    from raytao.setup.places import Places
    from raytao.setup.settings import validate
    from raytao.setup.trackers import Tracking
    from raytao.tracking.sync import sync_run

    given = {"uri": uri, "experiment": experiment, "register": register}
    changes = {key: value for key, value in given.items() if value is not None}
    chosen: list[Tracking] = []
    if tracker is not None or changes:
        base = _of_the_run(folder, tracker)
        chosen = [validate(Tracking, {**base, **changes}, place=Places("the command line"))]
    with _bars() as begin:
        done = sync_run(folder, chosen, begin)
    if as_json:
        click.echo(json.dumps([{**vars(one), "told": dict(one.told)} for one in done], indent=2))
        return
    for one in done:
        count = f"{one.recommendations} {plural(one.recommendations, 'recommendation')}"
        held = f"{count}, {one.epochs} {plural(one.epochs, 'epoch')}"
        goes_on = "" if one.finished else "; the run is not at its end"
        click.echo(f"{one.tracker} has everything: {held}{goes_on}")
        click.echo(f"  new to it: {_amounts(one.told) or 'nothing'}")


def _of_the_run(folder: Place, tracker: str | None) -> dict[str, Json]:
    """What the run's own settings say of a tracker, for options to change."""
    from raytao.setup.folder import open_folder

    setup, _ = open_folder(folder)
    name = tracker or "mlflow"
    own = [one for one in setup.settings.tracking if one.name == name]
    return own[0].model_dump(mode="json", by_alias=True) if own else {"name": name}


def _amounts(told: Counter[str]) -> str:
    """``13 runs, 102 params``."""
    return ", ".join(
        f"{count} {kind.removesuffix('s') if count == 1 else kind}" for kind, count in told.items()
    )


@contextmanager
def _bars() -> Iterator[Any]:
    """A bar with the time remaining for each tracker; none where nobody watches."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
    from rich.progress import TimeRemainingColumn as Left

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), Left())
    console = Console(stderr=True)
    with Progress(
        *columns, console=console, transient=True, disable=not console.is_terminal
    ) as bars:

        def begin(name: str) -> Any:
            bar = bars.add_task(f"telling {name}", total=None)
            return lambda done, of: bars.update(bar, completed=done, total=of)

        yield begin
