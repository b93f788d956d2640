"""Run a setup on Ray: from connecting to the finished results folder."""

from __future__ import annotations

import gc
import math
import os
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, assert_never

from ray import tune

from raytao.errors import FolderError, RaytaoError
from raytao.networks.function import OwnFunction
from raytao.runs.controller import Controller, Evaluation, Lease, open_run
from raytao.runs.eta import remaining
from raytao.runs.observer import Observer
from raytao.runs.state import RunState
from raytao.runs.store import LocalStore, StoreError
from raytao.setup.drawing import exporter_of
from raytao.setup.folder import owned
from raytao.setup.setup import Setup
from raytao.tao import layout
from raytao.trials.messages import Job, Limits
from raytao.tune.actor import TrialActor
from raytao.tune.cluster import Cluster, connected, counted, slots
from raytao.tune.interrupts import Interrupted, Interrupts
from raytao.tune.lease import (
    JobOf,
    LeaseBook,
    LeaseScheduler,
    LeaseSearcher,
    NotSaved,
    RunAbandoned,
    Work,
)


def launch(setup: Setup, observer: Observer) -> RunState:
    """Run ``setup`` in its results folder, from the start or from where its log ends.

    Returns:
        The final state; ``state.finished.status`` is Done or Error.

    Raises:
        Interrupted: after Ctrl-C or SIGTERM; everything reported is in the log.
        FolderError: if another process is running it.
        SettingsError: if no trial fits on the cluster, or if one of its nodes has another raytao.
            Nothing was written then.
        RaytaoError: if the run cannot go on, such as on a full disk; it can be resumed.
    """
    if setup.results.is_dir():
        with owned(setup.results):  # a second driver is refused before it starts Ray
            pass
    with Interrupts() as interrupts, connected(setup.settings.address) as cluster:
        interrupts.install()
        interrupts.check()
        return _run(setup, cluster, observer, interrupts)


def _run(setup: Setup, cluster: Cluster, observer: Observer, interrupts: Interrupts) -> RunState:
    room = slots(cluster, setup.settings.resources, setup.settings.slots)
    try:
        setup.results.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise FolderError(f"cannot make {setup.results}: {error.strerror}") from error
    with owned(setup.results):
        store = LocalStore(setup.results.resolve())
        store.sweep()
        controller = open_run(
            store,
            layout.EVENTS,
            setup.new_brain(),
            setup.opened(),
            slots=room,
            evaluate=setup.settings.evaluate,
            listen=observer.event,
        )
        observer.connected(f"{cluster}; {counted(room, 'trial')} at once")
        _work(setup, controller, store, observer, interrupts)
        return controller.state


def _work(
    setup: Setup,
    controller: Controller,
    store: LocalStore,
    observer: Observer,
    interrupts: Interrupts,
) -> None:
    """Train until nothing is left to do, and leave a folder that shows how far it came."""
    exporter = exporter_of(setup, store, controller)
    plan = controller.brain.plan()

    def show(*, now: bool = False) -> None:
        left = remaining(controller.state, plan, controller.slots)
        exporter.draw(left, now=now)
        observer.step(controller.state, left)

    def step() -> None:
        interrupts.check()
        controller.tick()
        show()

    try:
        _fit(controller, job_maker(setup, store.root), setup, step)
        show(now=True)  # the folder is whole before the log calls the run finished
        controller.finish()
        show(now=True)
    except Interrupted:
        controller.flush()
        show(now=True)
        raise
    except RunAbandoned as stop:
        remedy = f"when that is mended: raytao resume {setup.results}"
        raise RaytaoError(f"the run stopped: {stop}\n  {remedy}") from stop
    finally:
        with suppress(StoreError):
            store.delete(layout.RAY_SCRATCH)


def job_maker(setup: Setup, root: Path) -> JobOf:
    """How work becomes a job: the recommendation's whole spec, its folder, its resources."""
    resources, limits = setup.settings.resources, setup.settings.limits

    def job_of(work: Work) -> Job:
        document = setup.recommendation(work.params, work.horizon)
        folder = layout.experiment(work.trial)
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
            seed=int(document.get(setup.card.seed_key)),
            threads=max(1, math.floor(resources.cpus)),
            gpus=setup.gpus,
            limits=Limits(limits.seconds, limits.idle_seconds),
            cwd=str(Path.cwd()),
        )
        match work:
            case Lease(attempt=attempt, reported_epoch=reported, stop_epoch=stop):
                return replace(job, attempt=attempt, reported_epoch=reported, stop_epoch=stop)
            case Evaluation(epoch=epoch):
                weights = f"{folder}/{layout.checkpoint(epoch)}"
                return replace(job, kind="evaluate", checkpoint=weights)
            case other:
                assert_never(other)

    return job_of


def _fit(
    controller: Controller,
    job_of: JobOf,
    setup: Setup,
    step: Callable[[], None],
) -> None:
    """One Tune experiment from here to the end of the run."""
    os.environ["TUNE_MAX_PENDING_TRIALS_PG"] = str(controller.slots)
    resources = setup.settings.resources
    book = LeaseBook(controller)
    tuner = tune.Tuner(
        tune.with_resources(
            _trainable(setup.function), {"cpu": resources.cpus, "gpu": resources.gpus}
        ),
        tune_config=tune.TuneConfig(
            search_alg=LeaseSearcher(book, job_of),
            scheduler=LeaseScheduler(book),
            num_samples=-1,
            max_concurrent_trials=controller.slots,
            reuse_actors=True,
            trial_dirname_creator=lambda trial: f"lease_{trial.trial_id}",
        ),
        run_config=tune.RunConfig(
            name="leases",
            storage_path=str(setup.results.resolve() / layout.RAY_SCRATCH),
            verbose=0,
            progress_reporter=tune.CLIReporter(),  # the one for notebooks shows an empty block
            callbacks=[_StepCallback(book, step)],
            failure_config=tune.FailureConfig(max_failures=0),
            checkpoint_config=tune.CheckpointConfig(checkpoint_at_end=False),
        ),
    )
    with _released_when_stopped():
        tuner.fit()


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
        with self._book.sheltered():
            self._step()
        self._book.check()
