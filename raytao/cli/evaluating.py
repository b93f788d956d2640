"""``raytao evaluate``: a trained model on the test set, in this process."""

from __future__ import annotations

import json
import os
from pathlib import Path

import click

from raytao.models.find import find
from raytao.models.model import Model, evaluate, gpus_here
from raytao.report.summary import measured
from raytao.report.visible import visible
from raytao.report.words import plural


def evaluate_once(
    place: Path, network: str | None, checkpoint: Path | None, *, as_json: bool
) -> None:
    """Print the metrics on stdout, and on stderr which model they are of."""
    model = find(place, network=network, checkpoint=checkpoint)
    # Read by the numerical libraries when they are imported, which the network does.
    os.environ.setdefault("OMP_NUM_THREADS", str(model.threads))
    say_which(model)
    gpus = gpus_here(model)
    if gpus < model.gpus:
        trained = f"{model.gpus} {plural(model.gpus, 'GPU')}"
        click.echo(f"trained on {trained}, measured on the CPU: digits may differ", err=True)
    metrics = evaluate(model, gpus=gpus)
    shown = visible(measured(metrics))
    click.echo(json.dumps(_json(model, metrics), indent=2) if as_json else shown)


def say_which(model: Model) -> None:
    """Name the model on stderr."""
    click.echo(visible(f"{model}\n{model.checkpoint}", lines=True), err=True)


def _json(model: Model, metrics: dict[str, float]) -> dict[str, object]:
    return {
        "network": model.network,
        "checkpoint": str(model.checkpoint),
        "recommendation": model.trial,
        "epoch": model.epoch,
        "metrics": metrics,
    }
