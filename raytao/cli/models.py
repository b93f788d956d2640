"""``raytao train``, ``evaluate``, ``export-model``: one model at a time, without Ray."""

from __future__ import annotations

import sys
from collections.abc import Callable

import click

from raytao.cli.completing import complete_network
from raytao.cli.places import OUTPUT, PLACE
from raytao.runs.place import Place


@click.command()
@click.argument("network", shell_complete=complete_network)
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


@click.command()
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


@click.command("export-model")
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
