"""``raytao``: parse, call, print. Data goes to stdout, talk to stderr.

Exit codes: 0 done, 1 failed or canceled, 2 the user's mistake, 3 a damaged run folder,
129/130/143 interrupted (the terminal closed, Ctrl-C, SIGTERM or `raytao pause`).
Commands import what they need when they run, so that ``raytao --help`` is instant.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable

import click

import raytao
from raytao.catalog import shipped_runs
from raytao.cli.checking import cluster
from raytao.cli.doctoring import doctor
from raytao.cli.places import OUTPUT, PLACE
from raytao.cli.submitting import jobs, run_function, submit
from raytao.errors import RaytaoError
from raytao.redact import redact
from raytao.report.visible import visible
from raytao.runs.place import Place

EPILOG = f"Shipped runs: {', '.join(shipped_runs())}."


class Group(click.Group):
    """A group whose commands never end in a traceback for an error that raytao foresaw."""

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


ALLOW_CHANGED = click.option(
    "--allow-changed",
    is_flag=True,
    help="Go on although the folder's run was another search, or of other data.",
)


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
@click.argument("assignments", nargs=-1, metavar="[KEY=VALUE]...")
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


def of_a_running_run(command: Callable[..., None]) -> Callable[..., None]:
    """The arguments of the three ways to end a run from outside."""
    waiting = click.option(
        "--timeout",
        type=click.FloatRange(min=0),
        default=300,
        show_default=True,
        metavar="SECONDS",
        help="How long to wait for the run's driver.",
    )
    return click.argument("folder", type=PLACE)(waiting(command))


@main.command()
@of_a_running_run
def stop(folder: Place, timeout: float) -> None:
    """End the run in FOLDER well, with the best model so far.

    Its trials end with the epoch they are in, and the winner is measured on the test set; where
    nobody drives the run, it is not. `raytao resume` goes on with the rest of the plan.
    """
    from raytao.cli.stopping import end_run
    from raytao.setup.request import Ask

    end_run(Ask.STOP, folder, timeout)


@main.command()
@of_a_running_run
def pause(folder: Place, timeout: float) -> None:
    """Interrupt the run in FOLDER, as Ctrl-C does.

    Its trials end now, their checkpoints stay, and `raytao resume` goes on.
    """
    from raytao.cli.stopping import end_run
    from raytao.setup.request import Ask

    end_run(Ask.PAUSE, folder, timeout)


@main.command()
@of_a_running_run
def cancel(folder: Place, timeout: float) -> None:
    """End the run in FOLDER now: Canceled.

    Its driver exits with 1. What was found stays, and so does the best model so far, which is
    not measured.
    """
    from raytao.cli.stopping import end_run
    from raytao.setup.request import Ask

    end_run(Ask.CANCEL, folder, timeout)


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
@click.argument("run")
@click.argument("assignments", nargs=-1, metavar="[KEY=VALUE]...")
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
@click.option("--watch", is_flag=True, help="Renew until the run ends.")
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
def report(folder: Place, output: Place | None) -> None:
    """Draw the run in FOLDER as one HTML page. Works while it goes on."""
    from raytao.cli.reporting import show_report

    show_report(folder, output)


@main.command()
@click.argument("network")
@click.option(
    "-e",
    "--spec",
    "spec_file",
    required=True,
    metavar="FILE",
    type=PLACE,
    help="The train spec.",
)
@click.option(
    "-r",
    "--results",
    metavar="DIR",
    type=PLACE,
    help="Keep log, status and weights here; default: nothing is kept.",
)
@click.option("--epochs", type=click.IntRange(min=1), metavar="N", help="Stop after N epochs.")
def train(network: str, spec_file: Place, results: Place | None, epochs: int | None) -> None:
    """Train NETWORK once, without Ray.

    A recommendation file in a results folder is repeated exactly: same seed, same threads, and
    it stops where that trial stopped.
    """
    from raytao.cli.training import train_once

    sys.exit(train_once(network, spec_file, results, epochs))


def of_a_model(command: Callable[..., None]) -> Callable[..., None]:
    """The arguments that say which model is meant."""
    marks = [
        click.argument("place", type=PLACE),
        click.option("--network", metavar="NAME", help="Of a spec that no run wrote."),
        click.option(
            "--checkpoint",
            metavar="FILE",
            type=PLACE,
            help="Other weights than those of PLACE.",
        ),
    ]
    for mark in reversed(marks):
        command = mark(command)
    return command


@main.command()
@of_a_model
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def evaluate(place: Place, network: str | None, checkpoint: Place | None, as_json: bool) -> None:
    """Measure a trained model on the test set.

    PLACE is a results folder (its best model), a best_model/ folder anywhere, an experiment_n/
    folder or recommendation_n.yaml in a results folder, a folder of `raytao train -r`, or a
    train spec with evaluate.checkpoint.
    """
    from raytao.cli.evaluating import evaluate_once

    evaluate_once(place, network, checkpoint, as_json=as_json)


@main.command("export-model")
@of_a_model
@click.option(
    "--format",
    "format_",
    type=click.Choice(["torchscript", "onnx"]),
    required=True,
    help="What to write; onnx needs pip install 'raytao[onnx]'.",
)
@click.option(
    "-o",
    "--output",
    metavar="FILE",
    type=OUTPUT,
    help="Default: exported/model.torchscript.pt or exported/model.onnx in the results folder.",
)
@click.option("--force", is_flag=True, help="Replace a file that is there.")
def export_model(
    place: Place,
    network: str | None,
    checkpoint: Place | None,
    format_: str,
    output: Place | None,
    force: bool,
) -> None:
    """Write a trained model as one file for other programs.

    PLACE is what `raytao evaluate` takes. The file is read back and must answer as the model
    does, or nothing is written.
    """
    from raytao.cli.exporting import write_model

    write_model(place, network, checkpoint, format_, output, force=force)


@main.command()
@click.argument("network", required=False)
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


for command in (submit, jobs, cluster, doctor, run_function):
    main.add_command(command)


if __name__ == "__main__":
    main()
