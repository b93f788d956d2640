"""``raytao init``: a run file to begin with."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from raytao.cli.completing import complete_brain, complete_file, complete_network
from raytao.cli.places import OUTPUT, PLACE
from raytao.errors import SettingsError
from raytao.runs.place import Place

if TYPE_CHECKING:
    from raytao.setup.draft import Draft


@click.command()
@click.argument("network", required=False, shell_complete=complete_network)
@click.option(
    "--spec",
    type=PLACE,
    metavar="FILE",
    help="Your train spec; default: its own.",
    shell_complete=complete_file,
)
@click.option(
    "--data",
    type=PLACE,
    metavar="FOLDER",
    help="Your images, a folder a class.",
    shell_complete=complete_file,
)
@click.option("--metric", metavar="NAME", help="What to judge by; default: its own.")
@click.option(
    "--brain",
    metavar="NAME",
    help="Who proposes; default: by the spec's epochs.",
    shell_complete=complete_brain,
)
@click.option("-o", "--output", type=OUTPUT, metavar="FILE", help="Default: NETWORK.yaml, here.")
@click.option("--force", is_flag=True, help="Replace the file if it is there.")
@click.option("--schema", is_flag=True, help="Write the schema beside it, for editors.")
@click.option("-i", "--interactive", is_flag=True, help="Ask for what is not given.")
def init(
    network: str | None,
    spec: Place | None,
    data: Place | None,
    metric: str | None,
    brain: str | None,
    output: Place | None,
    *,
    force: bool,
    schema: bool,
    interactive: bool,
) -> None:
    """Write a run file for NETWORK, with a comment on everything in it.

    NETWORK is a name that `raytao params` lists, or a folder with a card. What is written can be
    planned and run at once; most of it is off, with values that hold.
    """
    from raytao.setup.draft import Wishes, draft, file_for

    wishes = Wishes(network or "", _path(spec, "--spec"), _path(data, "--data"), metric, brain)
    file = _path(output, "--output")
    if interactive:
        from raytao.cli.questions import ask

        wishes, file = ask(wishes, file, force=force)
    elif not network:
        raise click.UsageError("name a NETWORK (raytao params lists them), or say --interactive")
    file = file or Path(file_for(wishes.network))
    if file.exists() and not force:
        raise SettingsError(f"{file} is there", remedy="say --force to replace it, or -o FILE")
    _write(draft(wishes, file), schema=schema)
    click.echo(file)
    click.echo(f"check it:  raytao plan {file}\nrun it:    raytao run {file}", err=True)


def _path(place: Place | None, option: str) -> Path | None:
    if place is None or isinstance(place, Path):
        return place
    raise SettingsError(f"{option} {place}: a run file and what it names lie on this machine")


def _write(found: Draft, *, schema: bool) -> None:
    """Write the file as a whole, and the schema before it."""
    from raytao.report.ranges import range_of
    from raytao.runs.store import LocalStore
    from raytao.setup.schema import run_file_schema
    from raytao.setup.template import SCHEMA, render

    searched = {one.name: range_of(one) for one in found.setup.space.parameters}
    store = LocalStore(found.file.parent)
    if schema:
        store.replace(SCHEMA, (json.dumps(run_file_schema(), indent=2) + "\n").encode())
    store.replace(found.file.name, render(found, searched, modeline=schema).encode())
