"""``raytao train``: one training in this process, without Ray."""

from __future__ import annotations

import io
import os
import sys
from contextlib import redirect_stdout, suppress
from dataclasses import dataclass

import click

from raytao.errors import FolderError, SettingsError, SpecError
from raytao.networks.command import Command
from raytao.redact import Redactor, redactor
from raytao.report.visible import visible
from raytao.report.words import plural
from raytao.runs.place import Place, is_file, store_at
from raytao.runs.store import MemoryStore, Store
from raytao.setup.documents import document_at
from raytao.setup.resolve import check_spec
from raytao.spec import Document
from raytao.tao import layout
from raytao.tao.card import Card
from raytao.tao.networks import find_network
from raytao.trials.log_pump import RedactedStream
from raytao.trials.messages import Broken, Ended, EpochDone, Event, Job
from raytao.trials.provenance import read_provenance
from raytao.trials.runner import run

INTERRUPTED = 143


@dataclass(frozen=True)
class Goal:
    """How a spec is trained: as the trial that it came from, or as the network's card says."""

    metric: str
    direction: str
    threads: int
    gpus: int
    epochs: int
    repeats: int | None = None
    """The recommendation that is repeated."""


def train_once(
    network_name: str, spec_file: Place, results: Place | None, epochs: int | None
) -> int:
    """Train a spec; return the exit code. Metrics go to stdout, one line an epoch."""
    network, card = find_network(network_name)
    if not is_file(spec_file):
        raise SpecError(f"no train spec {spec_file}")
    spec = document_at(spec_file, format=card.spec_format)
    check_spec(network, spec)
    goal = _goal(spec_file, spec, card)
    if goal.repeats is not None:
        click.echo(
            f"repeating recommendation {goal.repeats} on {goal.threads} "
            f"{plural(goal.threads, 'thread')}",
            err=True,
        )
    # Read by the numerical libraries when they are imported, which the trainer does.
    os.environ.setdefault("OMP_NUM_THREADS", str(goal.threads))
    job = Job(
        kind="train",
        network=network_name,
        spec=spec.plain(),
        root=str(results or ""),
        folder=layout.TRAINED,
        trial=0,
        attempt=1,
        reported_epoch=0,
        stop_epoch=_stop_epoch(spec, card, epochs or goal.epochs),
        metric=goal.metric,
        direction=goal.direction,
        seed=card.seed_in(spec),
        threads=goal.threads,
        gpus=goal.gpus,
        command=network.for_job(spec.dump(card.spec_format))
        if isinstance(network, Command)
        else None,
    )
    return _train(job, _store(results, spec))


def _train(job: Job, store: Store) -> int:
    told: list[Event] = []
    stdout = sys.stdout

    def emit(event: Event) -> None:
        told.append(event)
        if isinstance(event, EpochDone):
            shown = " ".join(f"{k} {v:.6g}" for k, v in event.metrics.items())
            with suppress(BrokenPipeError):  # whoever read along may stop reading
                click.echo(visible(f"epoch {event.epoch}/{job.stop_epoch} {shown}"), file=stdout)

    with (
        _LogFile(
            store if job.root else None, f"{layout.TRAINED}/{layout.LOG}", redactor(job.spec)
        ) as log,
        redirect_stdout(log),
    ):
        run(job, store, emit)
    last = told[-1]
    if isinstance(last, Broken):
        said = f"raytao: training failed ({last.kind.value}): {last.reason}"
        click.echo(visible(said), err=True)
        return 1
    done = read_provenance(store, layout.TRAINED)
    if done is not None and done.best_epoch is not None:
        best = done.history[done.best_epoch]
        click.echo(visible(f"best epoch {done.best_epoch}: {job.metric} {best[job.metric]!r}"))
    cut_short = isinstance(last, Ended) and last.epoch < job.stop_epoch
    return INTERRUPTED if cut_short else 0


class _LogFile(io.TextIOBase):
    """What the trainer prints, kept as a trial's is; the epochs are told in our own words.

    Without a store it goes nowhere: a trainer may print more than fits into memory.
    """

    def __init__(self, store: Store | None, key: str, redact: Redactor) -> None:
        self._store = store
        self._key = key
        self._stream = RedactedStream(redact)

    def write(self, text: str) -> int:
        """Append lines to the log as they end."""
        self._append(self._stream.feed(text.encode(errors="surrogateescape")))
        return len(text)

    def close(self) -> None:
        """Append the line that did not end."""
        if not self.closed:
            self._append(self._stream.end())
        super().close()

    def _append(self, data: bytes) -> None:
        if self._store is not None:
            self._store.append_batch(self._key, data, durable=False)


def _store(results: Place | None, spec: Document) -> Store:
    """Where the training is kept; one that is there is gone on with, if it is of this spec."""
    if results is None:
        return MemoryStore()
    store = store_at(results.resolve())
    key, text = f"spec.{spec.format}", spec.dump().encode()
    if store.read(key) not in (None, text):
        raise FolderError(
            f"{results} holds a training of another spec", remedy="choose another -r DIR"
        )
    store.replace(key, text)
    return store


def _stop_epoch(spec: Document, card: Card, epochs: int) -> int:
    horizon = int(spec.get(card.epoch_key))
    if epochs > horizon:
        raise SettingsError(f"{epochs} epochs are asked for; {card.epoch_key} is {horizon}")
    return epochs


def _goal(spec_file: Place, spec: Document, card: Card) -> Goal:
    """As the recommendation's own trial was trained, if its folder is still around the file."""
    folder = spec_file.resolve().parent
    number = spec_file.stem.removeprefix("recommendation_")
    keys = [".", layout.experiment(int(number))] if number.isdecimal() else []
    for key in keys:
        found = read_provenance(store_at(folder), key)
        if found is not None and found.epochs_trained and found.trial == int(number):
            return Goal(
                metric=found.metric,
                direction=found.direction,
                threads=found.threads,
                gpus=found.gpus,
                epochs=found.epochs_trained,
                repeats=found.trial,
            )
    return Goal(
        metric=card.kpi,
        direction=card.metrics[card.kpi].value,
        threads=1,
        gpus=card.gpus_in(spec),
        epochs=int(spec.get(card.epoch_key)),
    )
