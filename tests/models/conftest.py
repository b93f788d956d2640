"""Runs in this process, without Ray: real trainings, real results folders."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from raytao.runs.controller import Controller, Evaluation, Lease
from raytao.runs.eta import remaining
from raytao.runs.opening import open_run
from raytao.runs.place import store_at
from raytao.setup.drawing import exporter_of
from raytao.setup.resolve import resolve
from raytao.setup.setup import Setup
from raytao.tao import layout
from raytao.trials.messages import Broken, EpochDone, Event, Job, Measured
from raytao.trials.runner import run
from raytao.types import Done, Wait

DIGITS = """\
network: image_classification
set: {dataset.name: digits, train.num_epochs: 3, train.optim.lr: 0.01}
brain: {name: random, max_recommendations: 2}
search: {ranges: {train.optim.lr: [0.001, 0.02]}}
seed: 5
"""


@pytest.fixture(scope="session")
def digits(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The results folder of a finished run: two recommendations of digits, three epochs each."""
    folder = tmp_path_factory.mktemp("digits")
    (folder / "run.yaml").write_text(DIGITS)
    run_here(resolve(str(folder / "run.yaml"), [f"results_dir={folder / 'results'}"]))
    return folder / "results"


def run_here(setup: Setup) -> None:
    """Run to the end, one trial after the other."""
    store = store_at(setup.results)
    brain = setup.new_brain()
    controller = open_run(store, layout.EVENTS, brain, setup.opened(), evaluate=True)
    exporter = exporter_of(setup, store, controller)
    while not isinstance(task := controller.suggest(), Done):
        assert not isinstance(task, Wait)
        exporter.draw(remaining(controller.state, brain.plan(), 1), now=True)
        run(job_of(setup, task), store, partial(tell, controller, task))
    controller.finish()
    exporter.draw(remaining(controller.state, brain.plan(), 1), now=True)


def job_of(setup: Setup, task: Lease | Evaluation) -> Job:
    folder = layout.experiment(task.trial)
    document = setup.recommendation(task.params, task.horizon)
    job = Job(
        kind="train",
        network=setup.settings.network,
        spec=document.plain(),
        root=str(setup.results),
        folder=folder,
        trial=task.trial,
        attempt=0,
        reported_epoch=0,
        stop_epoch=0,
        metric=setup.metric,
        direction=setup.direction.value,
        seed=1,
        threads=1,
        gpus=0,
        command=setup.command_of(document),
    )
    match task:
        case Lease():
            return replace(job, attempt=task.attempt, stop_epoch=task.stop_epoch)
        case Evaluation():
            weights = f"{folder}/{layout.checkpoint(task.epoch, setup.network.checkpoint_suffix)}"
            return replace(job, kind="evaluate", checkpoint=weights)


def tell(controller: Controller, task: Lease | Evaluation, event: Event) -> None:
    match task, event:
        case Lease(), EpochDone():
            metrics, seconds = event.metrics, event.seconds
            controller.report(task.trial, task.attempt, event.epoch, metrics, seconds)
        case Evaluation(), Measured():
            controller.tested(task, event.metrics, "")
        case _, Broken():
            raise AssertionError(event.reason)
        case _:
            pass
