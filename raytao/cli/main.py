"""``raytao``: parse, call, print. Data goes to stdout, talk to stderr.

Exit codes: 0 done, 1 failed or canceled, 2 the user's mistake, 3 a damaged run folder,
129/130/143 interrupted (the terminal closed, Ctrl-C, SIGTERM or `raytao pause`), 141 who read
what was told has read enough (`raytao list | head`).
Commands import what they need when they run, so that ``raytao --help`` is instant.
"""

from __future__ import annotations

import gc
import logging
import sys
from collections.abc import Sequence
from typing import Any, Final

import click

import raytao
from raytao.catalog import shipped_runs
from raytao.cli.checking import cluster
from raytao.cli.completing import (
    complete_assignment,
    complete_network,
    complete_run,
    completion,
)
from raytao.cli.doctoring import doctor
from raytao.cli.ending import cancel, pause, stop
from raytao.cli.exporting_study import export_optuna
from raytao.cli.initializing import init
from raytao.cli.listing import list_runs
from raytao.cli.models import evaluate, export_model, train
from raytao.cli.places import OUTPUT, PLACE
from raytao.cli.readers import mind_readers
from raytao.cli.schema import schema
from raytao.cli.submitting import jobs, run_function, submit
from raytao.cli.syncing import sync
from raytao.errors import RaytaoError
from raytao.redact import redact
from raytao.report.visible import visible
from raytao.runs.place import Place

EPILOG = f"Shipped runs: {', '.join(shipped_runs())}."

UNHEARD: Final = ("run", "resume", "train", "run-function")
"""Commands that go on where nobody reads any more what they say."""

GARBAGE: Final = 100_000
"""New objects after which a command that only tells looks for garbage. What it makes at first is
what it imports, which stays; to search that every 700, as Python does, takes a twentieth of it."""


class Group(click.Group):
    """A group whose commands never end in a traceback for an error that raytao foresaw."""

    def main(self, args: Sequence[str] | None = None, *others: Any, **named: Any) -> Any:
        """Begin; see click. No option of the group's own takes a value."""
        words = sys.argv[1:] if args is None else args
        command = next((word for word in words if not word.startswith("-")), "")
        goes_on = command in UNHEARD
        mind_readers(goes_on=goes_on)
        if not goes_on:
            gc.set_threshold(GARBAGE)
        return super().main(args, *others, **named)

    def invoke(self, ctx: click.Context) -> object:
        """Run the command; print an error as a sentence and exit with its code."""
        try:
            return super().invoke(ctx)
        except RaytaoError as error:
            click.echo(f"raytao: {visible(redact(str(error)), lines=True)}", err=True)
            ctx.exit(error.exit_code)
        except KeyboardInterrupt:
            click.echo("raytao: interrupted", err=True)
            ctx.exit(130)


@click.group(cls=Group, epilog=EPILOG, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(raytao.__version__, prog_name="raytao")
def main() -> None:
    """NVIDIA TAO's AutoML, on any Ray cluster.

    A results folder is a path, or an address: s3://bucket/prefix, gs://…, az://….
    """
    logging.basicConfig(format="raytao: %(message)s", level=logging.WARNING, stream=sys.stderr)


RUN = click.argument("run", shell_complete=complete_run)
ASSIGNMENTS = click.argument(
    "assignments", nargs=-1, metavar="[KEY=VALUE]...", shell_complete=complete_assignment
)
ALLOW_CHANGED = click.option(
    "--allow-changed",
    is_flag=True,
    help="Go on although the folder's run was another search, or of other data.",
)


@main.command()
@RUN
@ASSIGNMENTS
@click.option(
    "--resume",
    type=click.Choice(["no", "auto"]),
    default="no",
    show_default=True,
    help="auto: go on if the results folder already holds this run.",
)
@ALLOW_CHANGED
def run(run: str, assignments: tuple[str, ...], resume: str, allow_changed: bool) -> None:
    """Tune a network.

    RUN is a run file, or the name of a shipped one.

    KEY=VALUE changes a setting (slots=4, brain.R=9) or a key of the train spec
    (train.num_epochs=20).
    """
    from raytao.cli.running import run_setup
    from raytao.setup.folder import inspect_folder
    from raytao.setup.resolve import resolve

    setup = resolve(run, assignments)
    inspect_folder(setup, resume=resume == "auto", allow_changed=allow_changed)
    sys.exit(run_setup(setup, allow_changed=allow_changed))


@main.command()
@click.argument("folder", type=PLACE)
@ASSIGNMENTS
@click.option(
    "--max-recommendations", type=click.IntRange(min=1), metavar="N", help="A longer plan."
)
@click.option(
    "--brackets", type=click.IntRange(min=1), metavar="N", help="A longer plan, for hyperband."
)
@ALLOW_CHANGED
def resume(
    folder: Place,
    assignments: tuple[str, ...],
    max_recommendations: int | None,
    brackets: int | None,
    allow_changed: bool,
) -> None:
    """Go on with the run in FOLDER, where its event log ends.

    KEY=VALUE may change where, how wide and how long it runs: slots=8, address=…,
    resources.cpus=2, budget.hours=20. A finished run goes on under a longer plan.
    """
    from raytao.cli.running import run_setup
    from raytao.setup.damage import copy_kept
    from raytao.setup.folder import open_folder
    from raytao.setup.reopen import relocated

    with copy_kept(folder):
        setup, _ = open_folder(folder)
    longer = {"max_recommendations": max_recommendations, "brackets": brackets}
    added = [f"brain.{name}={value}" for name, value in longer.items() if value is not None]
    moved = relocated(setup, [*assignments, *added])
    sys.exit(run_setup(moved, allow_changed=allow_changed, go_on=True))


@main.command()
@click.argument("folder", type=PLACE)
def repair(folder: Place) -> None:
    """Cut off what is damaged of FOLDER's event log.

    A copy is kept. What was trained after that place is told again by the experiments' own
    folders; recommendations that the log does not know any more are set aside.
    """
    from raytao.cli.repairing import repair_folder

    repair_folder(folder)


@main.command()
@click.argument("folder", type=PLACE)
def redraw(folder: Place) -> None:
    """Draw TAO's files in FOLDER again from its event log."""
    from raytao.setup.drawing import redraw as draw
    from raytao.setup.folder import open_folder

    draw(open_folder(folder)[0])
    click.echo(f"drawn again: {folder}")


@main.command()
@RUN
@ASSIGNMENTS
@click.option(
    "--minutes-per-epoch", type=float, metavar="M", help="Estimate the time: an epoch takes M."
)
@click.option(
    "--workers", type=int, metavar="N", help="Trials at once; default: the run's slots, or 1."
)
@click.option(
    "--gpu-price", type=float, metavar="P", help="Estimate the cost: an hour of a GPU costs P."
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def plan(
    run: str,
    assignments: tuple[str, ...],
    minutes_per_epoch: float | None,
    workers: int | None,
    gpu_price: float | None,
    as_json: bool,
) -> None:
    """Show what a run will train: schedule, epochs, disk. Starts nothing.

    With the minutes of an epoch, from one that you have trained: time, GPU hours and cost too.
    """
    from raytao.cli.planning import show_plan
    from raytao.setup.resolve import resolve
    from raytao.setup.schedule import rates

    setup = resolve(run, assignments)
    show_plan(setup, rates(setup, minutes_per_epoch, workers, gpu_price), as_json=as_json)


@main.command()
@click.argument("folder", type=PLACE)
@click.option("--watch", is_flag=True, help="Renew until the run ends; wait for its folder.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def status(folder: Place, watch: bool, as_json: bool) -> None:
    """Show how far the run in FOLDER is. Reads its log, from any machine that sees it."""
    from raytao.cli.status import show_status

    show_status(folder, watch=watch, as_json=as_json)


@main.command()
@click.argument("folder", type=PLACE)
@click.option("-n", "number", type=click.IntRange(min=0), metavar="N", help="Of which trial.")
@click.option("-f", "--follow", is_flag=True, help="Print what comes, until the trial's end.")
def logs(folder: Place, number: int | None, follow: bool) -> None:
    """Show what a trial of the run in FOLDER printed; default: of the one launched last."""
    from raytao.cli.logs import show_log

    show_log(folder, number, follow=follow)


@main.command()
@click.argument("folder", type=PLACE)
@click.option(
    "-o",
    "--output",
    metavar="FILE",
    type=OUTPUT,
    help="Where to write it; default: report.html in FOLDER.",
)
@click.option("--gpu-price", type=float, metavar="P", help="Say what it cost, at P an hour.")
@click.option("--open", "browse", is_flag=True, help="Open it in a browser.")
def report(folder: Place, output: Place | None, gpu_price: float | None, browse: bool) -> None:
    """Draw the run in FOLDER as one HTML page. Works while it goes on."""
    from raytao.cli.reporting import show_report

    show_report(folder, output, gpu_price=gpu_price, browse=browse)


@main.command()
@click.argument("network", required=False, shell_complete=complete_network)
@click.option("--every", is_flag=True, help="Count every network's parameters, a line each.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def params(network: str | None, every: bool, as_json: bool) -> None:
    """Show a network's parameters, metrics and data sets.

    Which parameters are searched by default, which may be added, and which may not. NETWORK is a
    name, NAME@7.3 for what an installed nvidia-tao-core says of it, or a folder with a card.
    Without NETWORK: the networks there are.
    """
    from raytao.cli.networks import show_every, show_networks
    from raytao.cli.params import show_params

    if every and network is not None:
        raise click.UsageError("--every takes no NETWORK")
    if every:
        show_every(as_json=as_json)
    elif network is None:
        show_networks(as_json=as_json)
    else:
        show_params(network, as_json=as_json)


COMMANDS = (
    *(init, list_runs, schema, completion),
    *(stop, pause, cancel),
    *(train, evaluate, export_model),
    *(sync, export_optuna),
    *(submit, jobs, cluster, doctor, run_function),
)
for command in COMMANDS:
    main.add_command(command)


if __name__ == "__main__":
    main()
