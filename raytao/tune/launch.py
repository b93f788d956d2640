"""Run a setup on Ray: from connecting to the finished results folder."""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol, assert_never

import ray
from ray import tune

from raytao.runs.controller import Controller, Evaluation, Lease, open_run
from raytao.runs.eta import Remaining, remaining
from raytao.runs.events import Event
from raytao.runs.state import RunState
from raytao.runs.store import LocalStore
from raytao.setup.resolve import Setup
from raytao.tao import layout
from raytao.tao.export import Exporter
from raytao.trials.messages import Job, Limits
from raytao.tune.actor import TrialActor
from raytao.tune.cluster import Cluster, connect, slots
from raytao.tune.interrupts import Interrupts
from raytao.tune.lease import JobOf, LeaseBook, LeaseScheduler, LeaseSearcher, NotSaved, Work


class Observer(Protocol):
    """Whoever watches a run: a terminal, a notebook, a test."""

    def connected(self, found: str) -> None:
        """Ray answered; ``found`` is what it has, in words."""

    def event(self, event: Event, state: RunState) -> None:
        """Something was written to the log, and the state took it in."""

    def step(self, state: RunState, left: Remaining) -> None:
        """About ten times a second; must be cheap."""


def launch(setup: Setup, observer: Observer) -> RunState:
    """Run ``setup`` in its results folder, from the start or from where its log ends.

    Returns:
        The final state; ``state.finished.status`` is Done or Error.

    Raises:
        Interrupted: after Ctrl-C or SIGTERM; everything reported is in the log.
        UserError: if no trial fits on the cluster. Nothing was written then.
    """
    with Interrupts() as interrupts:
        cluster = connect(setup.settings.address)
        interrupts.install()
        try:
            interrupts.check()
            return _run(setup, cluster, observer, interrupts)
        finally:
            ray.shutdown()


def _run(setup: Setup, cluster: Cluster, observer: Observer, interrupts: Interrupts) -> RunState:
    room = slots(cluster, setup.settings.resources, setup.settings.slots)
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
    observer.connected(f"{cluster}; {room} trials at once")
    exporter = Exporter(
        store,
        controller,
        lambda params, horizon: setup.recommendation(params, horizon).dump(),
        suffix=setup.spec.format,
        keep_all=not setup.settings.delete_intermediate_checkpoints,
    )
    plan = controller.brain.plan()

    def step() -> None:
        interrupts.check()
        controller.tick()
        left = remaining(controller.state, plan, room)
        exporter.draw(left)
        observer.step(controller.state, left)

    try:
        _fit(controller, job_maker(setup, store.root), setup, room, step)
        controller.finish()
    finally:
        controller.flush()
        left = remaining(controller.state, plan, room)
        exporter.draw(left, now=True)
        observer.step(controller.state, left)
        store.delete(layout.RAY_SCRATCH)
    return controller.state


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
            gpus=math.ceil(resources.gpus),
            limits=Limits(limits.seconds, limits.idle_seconds),
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
    room: int,
    step: Callable[[], None],
) -> None:
    """One Tune experiment from here to the end of the run."""
    os.environ["TUNE_MAX_PENDING_TRIALS_PG"] = str(room)
    resources = setup.settings.resources
    book = LeaseBook(controller)
    tuner = tune.Tuner(
        tune.with_resources(TrialActor, {"cpu": resources.cpus, "gpu": resources.gpus}),
        tune_config=tune.TuneConfig(
            search_alg=LeaseSearcher(book, job_of),
            scheduler=LeaseScheduler(book),
            num_samples=-1,
            max_concurrent_trials=room,
            reuse_actors=True,
            trial_dirname_creator=lambda trial: f"lease_{trial.trial_id}",
        ),
        run_config=tune.RunConfig(
            name="leases",
            storage_path=str(setup.results.resolve() / layout.RAY_SCRATCH),
            verbose=0,
            callbacks=[_StepCallback(step)],
            failure_config=tune.FailureConfig(max_failures=0),
            checkpoint_config=tune.CheckpointConfig(checkpoint_at_end=False),
        ),
    )
    tuner.fit()


class _StepCallback(NotSaved, tune.Callback):
    """Tune's event loop turns about ten times a second; everything periodic hangs on it."""

    def __init__(self, step: Callable[[], None]) -> None:
        self._step = step

    def on_step_end(self, iteration: int, trials: list[Any], **info: Any) -> None:
        del iteration, trials, info
        self._step()
