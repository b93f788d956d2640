"""Run a setup on Ray: from connecting to the finished results folder."""

from __future__ import annotations

import gc
import logging
import os
import traceback
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final, assert_never

from ray import tune

from raytao.cluster.autoscaler import find_autoscaler
from raytao.cluster.connect import connected, counted
from raytao.cluster.elastic import Elastic
from raytao.cluster.shared import refuse_unshared
from raytao.errors import FolderError, RaytaoError
from raytao.networks.function import OwnFunction
from raytao.runs.ahead import thinking_ahead
from raytao.runs.budget import Meter
from raytao.runs.controller import Controller, Evaluation, Lease
from raytao.runs.eta import remaining
from raytao.runs.log import read_log
from raytao.runs.observer import Observer
from raytao.runs.opening import open_run
from raytao.runs.owner import Ownership, OwnershipLost, Say
from raytao.runs.patience import Patience, PatientStore
from raytao.runs.place import Place, is_there, store_at
from raytao.runs.resources import ResourceRequest
from raytao.runs.retries import Retries
from raytao.runs.state import RunState
from raytao.runs.store import Store, StoreError
from raytao.setup.asking import requests_of
from raytao.setup.batch import with_smaller_batch
from raytao.setup.changes import Entry
from raytao.setup.chapters import Chapters
from raytao.setup.drawing import exporter_of
from raytao.setup.folder import claim
from raytao.setup.request import Inbox
from raytao.setup.resources import Resources
from raytao.setup.setup import Setup
from raytao.tao import layout
from raytao.trials.messages import Job, Limits
from raytao.trials.untold import take_in_winner
from raytao.tune.actor import TrialActor
from raytao.tune.brakes import Brakes, Canceled
from raytao.tune.environment import secrets_kept_back
from raytao.tune.interrupts import Interrupted, Interrupts
from raytao.tune.last_words import last_words
from raytao.tune.lease import (
    JobOf,
    LeaseBook,
    LeaseScheduler,
    LeaseSearcher,
    NotSaved,
    RunAbandoned,
    Work,
)
from raytao.tune.memory_monitor import deaths_are_survived
from raytao.tune.moving import Moves
from raytao.tune.placement import placement_of
from raytao.tune.telemetry import callbacks_uncounted
from raytao.tune.watchdog import Watchdog

log = logging.getLogger(__name__)

UNBOUNDED: Final = 1_000_000
"""Trials that may wait for a worker at once, as far as Tune is concerned."""


def launch(setup: Setup, entry: Entry, observer: Observer, say: Say = log.warning) -> RunState:
    """Run ``setup`` in its results folder, from the start or from where its log ends.

    Args:
        setup: the run.
        entry: what its log begins with, or what changes in it.
        observer: is told what happens.
        say: takes one line for people: of a driver before this one that did not leave in order,
            of workers that are waited for, of nodes that are about to leave.

    Returns:
        The final state; ``state.finished.status`` is Done, Error or Canceled.

    Raises:
        Interrupted: after a signal or a request to pause; everything reported is in the log.
        FolderError: if another process is running it.
        SettingsError: if no trial will ever fit on the cluster, or if one of its nodes has another
            raytao or does not see the results folder. Nothing of the run was written then.
        RaytaoError: if the run cannot go on, such as on a full disk; it can be resumed.
    """
    with ExitStack() as held:  # released when Ray has ended, and its actors with it
        ownership = None
        if is_there(setup.results):  # a second driver is refused before it starts Ray
            ownership = held.enter_context(claim(setup.results, say=say))
        resume = f"raytao resume {setup.results}"
        how = resume if setup.function is None else ".fit(resume=True)"
        with (
            Interrupts(say, f"go on with: {how}") as interrupts,
            connected(setup.settings.address) as cluster,
        ):
            interrupts.install()
            interrupts.check()
            limit = setup.settings.slots
            elastic = Elastic(requests_of(setup), limit, find_autoscaler(), say)
            room = elastic.begin(cluster)
            if ownership is None:
                _make(setup.results)
                ownership = held.enter_context(claim(setup.results, say=say))
            refuse_unshared(setup.results, ownership.owner.token)
            found = f"{cluster}; {counted(room, 'trial')} at once"
            with _resumable(setup.results, how), elastic.sharing(ownership.owner.token):
                return _run(setup, entry, ownership, elastic, found, observer, interrupts, say)


def _make(results: Place) -> None:
    """Make a local folder; one on object storage begins with its first object."""
    if not isinstance(results, Path):
        return
    try:
        results.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise FolderError(f"cannot make {results}: {error.strerror}") from error


@contextmanager
def _resumable(results: Place, how: str) -> Iterator[None]:
    """Say how to go on, where the run cannot.

    Raises:
        RaytaoError: in place of what stopped the run.
    """
    try:
        yield
    except RunAbandoned as stop:
        # A worker may miss the folder first, and take it for one that its node does not share.
        gone = f"the results folder {results.resolve()} is gone"
        is_gone = isinstance(results, Path) and not results.is_dir()
        reason = gone if is_gone else str(stop)
        raise RaytaoError(last_words(reason, stop.hopeless, results, how)) from None
    except StoreError as error:
        raise RaytaoError(last_words(str(error), None, results, how)) from error


def _run(
    setup: Setup,
    entry: Entry,
    ownership: Ownership,
    elastic: Elastic,
    found: str,
    observer: Observer,
    interrupts: Interrupts,
    say: Say,
) -> RunState:
    store = store_at(setup.results.resolve(), must_exist=True)
    patient = PatientStore(store)
    patient.sweep()
    entry.refuse_other(setup.results, len(read_log(patient, layout.EVENTS)))
    with thinking_ahead(setup.new_brain()) as ahead:
        controller = open_run(
            patient,
            layout.EVENTS,
            setup.new_brain(),
            entry.opened,
            slots=elastic.slots(),
            evaluate=setup.settings.evaluate,
            listen=observer.event,
            fence=ownership.check,
            retries=Retries(**setup.settings.retries.model_dump()),
            ahead=ahead,
            changed=entry.changed,
            stopped=entry.stopped,
        )
        controller.settle = partial(take_in_winner, controller, patient)
        observer.connected(found)
        meter = Meter(setup.budget, controller.state, controller.brain.plan())
        inbox = Inbox(store, ownership.owner.token)
        brakes = Brakes(controller, meter, inbox, interrupts, say)
        moves = Moves(controller, lambda: elastic.crowded, say)
        _work(setup, ownership, controller, store, observer, meter, brakes, elastic, moves)
        return controller.state


def _work(
    setup: Setup,
    ownership: Ownership,
    controller: Controller,
    store: Store,
    observer: Observer,
    meter: Meter,
    brakes: Brakes,
    elastic: Elastic,
    moves: Moves,
) -> None:
    """Train until nothing is left to do, and leave a folder that shows how far it came."""
    exporter = exporter_of(setup, store, controller)
    chapters = Chapters(setup, controller.state)
    job_of = job_maker(chapters, setup.settings.resources, setup.results.resolve())
    plan = controller.brain.plan()

    def jobs(work: Work) -> Job:
        job = job_of(work)
        elastic.asked(job.trial, ResourceRequest.from_json(job.resources))
        return job

    def show(*, now: bool = False) -> None:
        ownership.check()
        left = remaining(controller.state, plan, controller.slots, meter.budget, meter.driven)
        exporter.draw(left, now=now)
        observer.step(controller.state, left)

    def step() -> None:
        brakes.check()
        elastic.look(controller)
        controller.tick()
        show()

    try:
        show()
        with suppress(Canceled), _scratch(setup.results) as scratch:
            _fit(controller, jobs, setup, scratch, step, brakes.before_lease, moves)
        # Whole before the log calls the run finished.
        Patience(store.pauses)(lambda _: show(now=True))
        controller.finish()
        with _told_only("`raytao resume` draws the finished run's files again"):
            show(now=True)
    except Interrupted:
        with _told_only("what the log lacks is in the trials' folders, and told again"):
            controller.flush()
            show(now=True)
        raise
    finally:
        with suppress(OwnershipLost, StoreError):
            ownership.check()  # else it is another driver's by now
            store.delete(layout.RAY_SCRATCH)


@contextmanager
def _told_only(comfort: str) -> Iterator[None]:
    """Let a run that is over end as it would, whatever storage refuses now."""
    try:
        yield
    except StoreError as error:
        log.warning("%s; %s", error, comfort)


def limits_of(setup: Setup) -> Limits:
    """A job's limits, for its supervisor and for the driver's watchdog."""
    return Limits(setup.settings.limits.seconds, setup.settings.limits.idle_seconds)


def job_maker(chapters: Chapters, resources: Resources, root: Place) -> JobOf:
    """How work becomes a job: the recommendation's whole spec, its folder, its resources.

    Args:
        chapters: what each trial is trained as.
        resources: what each of them gets, whatever search it is of.
        root: the results folder.
    """

    def job_of(work: Work) -> Job:
        setup = chapters.of(work.trial)
        document = setup.recommendation(work.params, work.horizon)
        if isinstance(work, Lease):
            document = with_smaller_batch(document, setup.card, work.halvings)
        folder = layout.experiment(work.trial)
        plain = setup.spec.with_values(work.params).plain()
        request = resources.of(plain, distributed=setup.network.distributed)
        job = Job(
            kind="train",
            network=setup.settings.network,
            spec=document.plain(),
            root=str(root),
            folder=folder,
            trial=work.trial,
            attempt=0,
            reported_epoch=0,
            stop_epoch=0,
            metric=setup.metric,
            direction=setup.direction.value,
            seed=setup.card.seed_in(document, setup.settings.seed),
            threads=request.threads,
            gpus=request.devices,
            resources=request.to_json(),
            limits=limits_of(setup),
            cwd=str(Path.cwd()),
            command=setup.command_of(document),
        )
        match work:
            case Lease(attempt=attempt, reported_epoch=reported, stop_epoch=stop):
                return replace(job, attempt=attempt, reported_epoch=reported, stop_epoch=stop)
            case Evaluation(epoch=epoch):
                weights = f"{folder}/{layout.checkpoint(epoch, setup.network.checkpoint_suffix)}"
                return replace(job, kind="evaluate", checkpoint=weights)
            case other:
                assert_never(other)

    return job_of


def _fit(
    controller: Controller,
    job_of: JobOf,
    setup: Setup,
    scratch: Path,
    step: Callable[[], None],
    before_lease: Callable[[], None],
    moves: Moves,
) -> None:
    """One Tune experiment from here to the end of the run.

    The controller alone counts slots, which come and go; Tune asks it for work until it has none.
    """
    os.environ["TUNE_MAX_PENDING_TRIALS_PG"] = str(UNBOUNDED)
    book = LeaseBook(controller)
    tuner = tune.Tuner(
        tune.with_resources(_trainable(setup.function), placement_of),
        tune_config=tune.TuneConfig(
            search_alg=LeaseSearcher(book, job_of, before_lease),
            scheduler=LeaseScheduler(book, moves),
            num_samples=-1,
            reuse_actors=True,
            trial_dirname_creator=lambda trial: f"lease_{trial.trial_id}",
        ),
        run_config=tune.RunConfig(
            name="leases",
            storage_path=str(scratch),
            verbose=0,
            progress_reporter=tune.CLIReporter(),  # the one for notebooks shows an empty block
            callbacks=[_StepCallback(book, step), Watchdog(limits_of(setup), book.blame)],
            failure_config=tune.FailureConfig(max_failures=0),
            checkpoint_config=tune.CheckpointConfig(checkpoint_at_end=False),
        ),
    )
    with (
        _released_when_stopped(),
        deaths_are_survived(),
        secrets_kept_back(),
        callbacks_uncounted(),
    ):
        tuner.fit()


@contextmanager
def _scratch(results: Place) -> Iterator[Path]:
    """Where Tune keeps its own files, of which raytao needs none: a folder of this machine."""
    if isinstance(results, Path):
        yield results.resolve() / layout.RAY_SCRATCH
        return
    with TemporaryDirectory(prefix="raytao_ray_", ignore_cleanup_errors=True) as folder:
        yield Path(folder)


@contextmanager
def _released_when_stopped() -> Iterator[None]:
    """Let go of Tune's actors and placement groups when an exception ends it.

    They are freed when Tune's objects are, and the exception's traceback would keep those. Only
    a Ray that outlives the run (a notebook's) needs it.
    """
    try:
        yield
    except BaseException as stop:
        traceback.clear_frames(stop.__traceback__)
        gc.collect()
        raise


def _trainable(function: OwnFunction | None) -> Any:
    """The actor's class; a user's function reaches it through Ray's object store."""
    if function is None:
        return TrialActor
    return tune.with_parameters(TrialActor, function=function)


class _StepCallback(NotSaved, tune.Callback):
    """Tune's event loop turns about ten times a second; everything periodic hangs on it."""

    def __init__(self, book: LeaseBook, step: Callable[[], None]) -> None:
        self._book = book
        self._step = step

    def on_step_end(self, iteration: int, trials: list[Any], **info: Any) -> None:
        del iteration, trials, info
        self._book.check()
        with self._book.sheltered():
            self._step()
        self._book.check()
