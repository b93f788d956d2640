"""``raytao train``: one training in this process, without Ray."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import click

from raytao import catalog
from raytao.errors import SettingsError, SpecError
from raytao.networks.base import Network
from raytao.runs.store import LocalStore, MemoryStore, Store
from raytao.spec import Document
from raytao.tao import layout
from raytao.tao.card import Card, load_card
from raytao.trials.messages import Broken, EpochDone, Event, Job
from raytao.trials.provenance import read_provenance
from raytao.trials.runner import run

FOLDER = "train"


@dataclass(frozen=True)
class Original:
    """What is known of the trial whose recommendation is repeated."""

    threads: int
    epochs: int
    best_epoch: int | None
    place: str


def train_once(
    network_name: str, spec_file: Path, results: Path | None, epochs: int | None
) -> int:
    """Train a spec; return the exit code. Metrics go to stdout, one line an epoch."""
    network = cast(Network, catalog.load("raytao.networks", network_name, kind="network")())
    if not spec_file.is_file():
        raise SpecError(f"no train spec {spec_file}")
    spec = Document.load(spec_file)
    card = load_card(network)
    network.check(spec.plain())
    original = _original(spec_file)
    stop = _stop_epoch(spec, card, original, epochs)
    threads = original.threads if original else 1
    if original:
        click.echo(f"repeating {original.place}: {stop} epochs, {threads} threads", err=True)
    # Read by the numerical libraries when they are imported, which the trainer does.
    os.environ.setdefault("OMP_NUM_THREADS", str(threads))
    job = Job(
        kind="train",
        network=network_name,
        spec=spec.plain(),
        root=str(results or ""),
        folder=FOLDER,
        trial=0,
        attempt=1,
        reported_epoch=0,
        stop_epoch=stop,
        metric=card.kpi,
        direction=card.metrics[card.kpi].value,
        seed=int(spec.get(card.seed_key)),
        threads=threads,
        gpus=_gpus(spec, card),
    )
    return _train(job, LocalStore(results.resolve()) if results else MemoryStore())


def _train(job: Job, store: Store) -> int:
    told: list[Event] = []

    def emit(event: Event) -> None:
        told.append(event)
        if isinstance(event, EpochDone):
            shown = " ".join(f"{k} {v:.6g}" for k, v in event.metrics.items())
            click.echo(f"epoch {event.epoch}/{job.stop_epoch} {shown}")

    run(job, store, emit)
    last = told[-1]
    if isinstance(last, Broken):
        click.echo(f"raytao: training failed ({last.kind.value}): {last.reason}", err=True)
        return 1
    done = read_provenance(store, FOLDER)
    if done is not None and done.best_epoch is not None:
        best = done.history[done.best_epoch]
        click.echo(f"best epoch {done.best_epoch}: {job.metric} {best[job.metric]!r}")
    return 0


def _stop_epoch(spec: Document, card: Card, original: Original | None, epochs: int | None) -> int:
    horizon = int(spec.get(card.epoch_key))
    stop = epochs or (original.epochs if original else horizon)
    if not 1 <= stop <= horizon:
        raise SettingsError(
            f"--epochs is {stop}; the spec's {card.epoch_key} allows 1 to {horizon}"
        )
    return stop


def _original(spec_file: Path) -> Original | None:
    """The trial that a recommendation file came from, if its folder is still around it."""
    folder = spec_file.resolve().parent
    number = spec_file.stem.removeprefix("recommendation_")
    keys = [".", layout.experiment(int(number))] if number.isdecimal() else ["."]
    for key in keys:
        found = read_provenance(LocalStore(folder), key)
        if found is not None and found.epochs_trained:
            return Original(
                threads=found.threads,
                epochs=found.epochs_trained,
                best_epoch=found.best_epoch,
                place=f"recommendation {found.trial}",
            )
    return None


def _gpus(spec: Document, card: Card) -> int:
    return int(spec.get(card.gpus_key)) if spec.has(card.gpus_key) else 0
