"""``raytao``: parse, call, print. Data goes to stdout, talk to stderr.

Exit codes: 0 done, 1 failed, 2 the user's mistake, 3 a damaged run folder, 130/143 interrupted.
Commands import what they need when they run, so that ``raytao --help`` is instant.
"""

from __future__ import annotations

import logging
import sys
from pathlib import Path

import click

import raytao
from raytao.catalog import shipped_runs
from raytao.errors import RaytaoError

EPILOG = f"Shipped runs: {', '.join(shipped_runs())}."


class Group(click.Group):
    """A group whose commands never end in a traceback for an error that raytao foresaw."""

    def invoke(self, ctx: click.Context) -> object:
        """Run the command; print an error as a sentence and exit with its code."""
        try:
            return super().invoke(ctx)
        except RaytaoError as error:
            click.echo(f"raytao: {error}", err=True)
            ctx.exit(error.exit_code)
        except KeyboardInterrupt:
            click.echo("raytao: interrupted", err=True)
            ctx.exit(130)


@click.group(cls=Group, epilog=EPILOG, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(raytao.__version__, prog_name="raytao")
def main() -> None:
    """NVIDIA TAO's AutoML, on any Ray cluster."""
    logging.basicConfig(format="raytao: %(message)s", level=logging.WARNING, stream=sys.stderr)


@main.command()
@click.argument("run")
@click.argument("assignments", nargs=-1, metavar="[KEY=VALUE]...")
@click.option(
    "--resume",
    type=click.Choice(["no", "auto"]),
    default="no",
    show_default=True,
    help="auto: go on if the results folder already holds this run.",
)
def run(run: str, assignments: tuple[str, ...], resume: str) -> None:
    """Tune a network: RUN is a run file, or the name of a shipped one.

    KEY=VALUE changes a setting (slots=4, brain.R=9) or a key of the train spec
    (train.num_epochs=20).
    """
    from raytao.cli.running import run_setup
    from raytao.setup.folder import inspect_folder
    from raytao.setup.resolve import resolve

    setup = resolve(run, assignments)
    inspect_folder(setup, resume=resume == "auto")
    sys.exit(run_setup(setup))


@main.command()
@click.argument("folder", type=click.Path(path_type=Path))
@click.argument("assignments", nargs=-1, metavar="[KEY=VALUE]...")
def resume(folder: Path, assignments: tuple[str, ...]) -> None:
    """Go on with the run in FOLDER, where its event log ends.

    KEY=VALUE may change where and how wide it runs: slots=8, address=…, resources.cpus=2.
    """
    from raytao.cli.running import run_setup
    from raytao.setup.folder import open_folder
    from raytao.setup.resolve import relocated

    setup, _ = open_folder(folder)
    sys.exit(run_setup(relocated(setup, assignments)))


@main.command()
@click.argument("run")
@click.argument("assignments", nargs=-1, metavar="[KEY=VALUE]...")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def plan(run: str, assignments: tuple[str, ...], as_json: bool) -> None:
    """Show what a run will train: schedule, epochs, disk. Starts nothing."""
    from raytao.cli.planning import show_plan
    from raytao.setup.resolve import resolve

    show_plan(resolve(run, assignments), as_json=as_json)


@main.command()
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--watch", is_flag=True, help="Renew until the run ends.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def status(folder: Path, watch: bool, as_json: bool) -> None:
    """Show how far the run in FOLDER is. Reads its log, from any machine that sees it."""
    from raytao.cli.status import show_status

    show_status(folder, watch=watch, as_json=as_json)


@main.command()
@click.argument("network")
@click.option(
    "-e",
    "--spec",
    "spec_file",
    required=True,
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="The train spec.",
)
@click.option(
    "-r",
    "--results",
    metavar="DIR",
    type=click.Path(path_type=Path),
    help="Keep log, status and weights here; default: nothing is kept.",
)
@click.option("--epochs", type=click.IntRange(min=1), metavar="N", help="Stop after N epochs.")
def train(network: str, spec_file: Path, results: Path | None, epochs: int | None) -> None:
    """Train NETWORK once, without Ray.

    A recommendation file in a results folder is repeated exactly: same seed, same threads, and
    it stops where that trial stopped.
    """
    from raytao.cli.training import train_once

    sys.exit(train_once(network, spec_file, results, epochs))


if __name__ == "__main__":
    main()
