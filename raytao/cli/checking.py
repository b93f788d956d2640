"""``raytao cluster check``: mistakes in the files that start a cluster, before anything costs."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from raytao.cli.places import PLACE
from raytao.errors import UserError
from raytao.runs.place import Place

if TYPE_CHECKING:
    from raytao.cluster.files.check import Checked


@click.group("cluster")
def cluster() -> None:
    """Files that start a cluster."""


@cluster.command()
@click.argument("files", nargs=-1, required=True, type=PLACE, metavar="FILE...")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def check(files: tuple[Place, ...], as_json: bool) -> None:
    """Find the mistakes in cluster files: Ray, KubeRay, Slurm, SkyPilot, Anyscale, Dockerfile.

    A folder stands for all such files in it. Nothing is started, and no cloud is asked. Exit
    code 2 if there is a mistake.
    """
    from raytao.cluster.files.check import check_file, check_folder

    program = click.get_current_context().find_root().command
    verify = partial(objection_to, program)
    checked: list[Checked] = []
    for place in files:
        if not isinstance(place, Path):
            raise click.UsageError(f"{place} is not on this machine: fetch the file first")
        if place.is_dir():
            checked += check_folder(place, verify)
        else:
            checked.append(check_file(place, verify))
    if not checked:
        raise click.UsageError(f"no cluster file in {', '.join(map(str, files))}")
    mistakes = sum(len(one.mistakes) for one in checked)
    if as_json:
        files_json = [one.as_json() for one in checked]
        click.echo(json.dumps({"mistakes": mistakes, "files": files_json}, indent=2))
    else:
        show(checked)
    sys.exit(2 if mistakes else 0)


def show(checked: Sequence[Checked]) -> None:
    """Print what was found, file by file."""
    from raytao.report.visible import visible

    for one in checked:
        number = len(one.mistakes)
        count = {0: "no mistake", 1: "1 mistake"}.get(number, f"{number} mistakes")
        click.echo(visible(f"{one.file} ({one.kind}): {count}"))
        for finding in one.findings:
            click.echo(visible(str(finding), lines=True))


def objection_to(program: click.Command, arguments: Sequence[str]) -> UserError | None:
    """What raytao's command line says to arguments: unknown verbs and options, bad values.

    Settings of a shipped run are checked, too; those of a user's run file cannot be seen here.

    Args:
        program: raytao's whole command line.
        arguments: what follows the program's name.
    """
    if not arguments:
        return UserError("raytao is called without a verb")
    try:
        _parse(program, arguments)
    except click.ClickException as error:
        return UserError(error.format_message())
    except click.exceptions.Exit:
        return None  # --help, --version
    return _settings(arguments)


def _parse(
    command: click.Command, arguments: Sequence[str], parent: click.Context | None = None
) -> None:
    """Parse as click would to call a command, and call nothing."""
    if not (isinstance(command, click.Group) and arguments):
        command.make_context(command.name, list(arguments), parent=parent)
        return
    context = click.Context(command, parent, info_name=command.name)
    _, chosen, rest = command.resolve_command(context, list(arguments))
    if chosen is not None:
        _parse(chosen, rest, context)


def _settings(arguments: Sequence[str]) -> UserError | None:
    """What a shipped run says to its assignments; those that a shell fills in are left out."""
    from raytao.catalog import shipped_runs
    from raytao.setup.resolve import resolve

    verb, *rest = arguments
    if verb != "run" or not rest or rest[0] not in shipped_runs():
        return None
    words = [word for word in rest[1:] if "=" in word and not word.startswith("-")]
    try:
        resolve(rest[0], [word for word in words if "$" not in word])
    except UserError as error:
        if error.where is None or error.where.file.startswith("the argument"):
            return error
        return UserError(f"{error.where}: {error.message}", remedy=error.remedy)
    return None
