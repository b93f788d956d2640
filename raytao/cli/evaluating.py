"""``raytao evaluate``: a trained model on the test set, in this process."""

from __future__ import annotations

import json
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn

import click

from raytao.models.find import find
from raytao.models.model import Model, evaluate, gpus_here
from raytao.report.summary import measured
from raytao.report.visible import visible
from raytao.report.words import plural
from raytao.runs.place import Place


def evaluate_once(
    place: Place, network: str | None, checkpoint: Place | None, *, as_json: bool
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
    with _unwound_when_stopped():
        metrics = evaluate(model, gpus=gpus)
    shown = visible(measured(metrics))
    click.echo(json.dumps(_json(model, metrics), indent=2) if as_json else shown)


@contextmanager
def _unwound_when_stopped() -> Iterator[None]:
    """Have SIGTERM, and a terminal that closes, end what an external program does here, too.

    Who ignores SIGHUP (``nohup``) goes on to do so; only the main thread may set this up.
    """
    numbers = [signal.SIGTERM, signal.SIGHUP]
    ours = threading.current_thread() is threading.main_thread()
    before = {
        number: signal.signal(number, _leave)
        for number in numbers
        if ours and signal.getsignal(number) is not signal.SIG_IGN
    }
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _leave(number: int, frame: FrameType | None) -> NoReturn:
    del frame
    raise SystemExit(128 + number)


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
