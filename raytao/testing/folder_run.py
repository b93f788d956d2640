"""A run that writes a whole results folder, in this process and in virtual time.

All that a real run keeps is written as a real run writes it, through one store: the event log by
the controller, TAO's drawings by the exporter, every trial's folder by `ExperimentFolder`. Only
the training is a function, so that hundreds of runs can be broken, and gone on with, in a minute;
see `raytao.testing.faults`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from raytao.runs.controller import Controller, Evaluation, Lease
from raytao.runs.eta import remaining
from raytao.runs.log import read_log
from raytao.runs.opening import open_run
from raytao.runs.retries import Retries
from raytao.runs.state import RunState
from raytao.runs.store import Store, StoreError
from raytao.setup.drawing import exporter_of
from raytao.setup.setup import Setup
from raytao.spec import flatten
from raytao.tao import layout
from raytao.testing.simulator import Cluster, Fails, Objective, Seconds, always_a_second, never
from raytao.testing.toy import curve
from raytao.trials.folder import ExperimentFolder, Resumed, record_failure
from raytao.trials.messages import Broken, EpochDone, FailureKind, Job
from raytao.types import Decision


@dataclass(frozen=True)
class Sight:
    """What somebody outside of the run saw, in this order; a kill cannot take it back.

    ``number`` is an attempt (leased) or an epoch. ``trained``: an epoch's work was done, whether
    it was kept or not. ``answered``: the controller took it in; ``final`` if that ended the lease.
    """

    what: Literal["leased", "trained", "answered"]
    trial: int
    number: int
    final: bool = False


Witness: TypeAlias = Callable[[Sight], None]


@dataclass(frozen=True)
class Conditions:
    """How a run goes, as far as its setup does not say it.

    Args:
        slots: trials at once.
        objective: the metric that is watched, of a recommendation's whole flat spec and an epoch.
        seconds: how long epochs take.
        fails: where training breaks.
        retries: how often that is tried again.
        save_every: epochs between checkpoints; the last epoch of a segment is always saved.
        draw_every: turns of the driver's loop between drawings: so long do reports wait in memory.
    """

    slots: int = 1
    objective: Objective = curve
    seconds: Seconds = always_a_second
    fails: Fails = never
    retries: Retries = field(default_factory=Retries)
    save_every: int = 1
    draw_every: int = 1


def run_in_folder(
    setup: Setup,
    store: Store,
    conditions: Conditions | None = None,
    witness: Witness = lambda _sight: None,
) -> RunState:
    """Run ``setup`` to its end in ``store``, from the start or from where its log ends.

    Args:
        setup: the run; its own results folder is left alone.
        store: where everything is written.
        conditions: how it goes.
        witness: told what happens as it happens.

    Raises:
        RaytaoError: if the run cannot go on, such as on a full disk; it can be resumed.
    """
    how = conditions or Conditions()
    over = RunState.fold(read_log(store, layout.EVENTS)).finished is not None
    store.sweep()
    brain = setup.new_brain()
    controller = open_run(
        store,
        layout.EVENTS,
        brain,
        setup.opened(),
        slots=how.slots,
        evaluate=setup.settings.evaluate,
        only_look=over,
        retries=how.retries,
    )
    driver = _Driver(setup, store, controller, how.draw_every)
    if not over:
        workers = _FolderWorkers(setup, store, how, witness)
        cluster = Cluster(
            controller, workers, seconds=how.seconds, turn=driver.turn, answered=workers.answered
        )
        cluster.run()
        driver.draw(now=True)
        controller.finish()
    driver.draw(now=True)
    return controller.state


class _Driver:
    """What the driver's process does besides answering."""

    def __init__(self, setup: Setup, store: Store, controller: Controller, every: int) -> None:
        self._controller = controller
        self._exporter = exporter_of(setup, store, controller)
        self._plan = controller.brain.plan()
        self._every = every
        self._turns = 0

    def turn(self) -> None:
        self._turns += 1
        self._controller.tick()
        self.draw(now=self._turns % self._every == 0)

    def draw(self, *, now: bool) -> None:
        left = remaining(self._controller.state, self._plan, self._controller.slots)
        self._exporter.draw(left, now=now)


class _FolderWorkers:
    """Workers that keep their trials' folders as a trial's own process does."""

    def __init__(self, setup: Setup, store: Store, how: Conditions, witness: Witness) -> None:
        self._setup = setup
        self._store = store
        self._how = how
        self._witness = witness
        self._folders: dict[int, tuple[Job, ExperimentFolder]] = {}

    def begin(self, lease: Lease) -> Resumed:
        self._witness(Sight("leased", lease.trial, lease.attempt))
        job = self._job(lease)
        folder = ExperimentFolder(self._store, job.folder, job)
        self._say(job, "")
        resumed = folder.begin()
        goes_on = 0 < resumed.epoch < job.stop_epoch
        assert not goes_on or _epoch_of(resumed.checkpoint) == resumed.epoch
        self._folders[lease.trial] = job, folder
        if resumed.epoch >= job.stop_epoch:
            self._end(job, folder)
        return resumed

    def train(self, lease: Lease, epoch: int, seconds: float) -> EpochDone | Broken:
        job, folder = self._folders[lease.trial]
        try:
            if self._how.fails(lease.trial, epoch):
                outcome = Broken(FailureKind.ERROR, f"told to break in epoch {epoch}")
                record_failure(self._store, job, outcome.reason)
                return outcome
            self._say(job, f"training epoch {epoch}\n")
            self._witness(Sight("trained", lease.trial, epoch))
            value = self._how.objective(flatten(job.spec), epoch)
            due = epoch % self._how.save_every == 0 or epoch == job.stop_epoch
            weights = json.dumps({"epoch": epoch}).encode() if due else None
            done = folder.add({job.metric: value}, seconds, weights)
            if epoch == job.stop_epoch:
                self._end(job, folder)
            return done
        except StoreError as error:
            record_failure(self._store, job, str(error))
            return Broken(FailureKind.STORAGE, str(error))

    def evaluate(self, evaluation: Evaluation) -> Mapping[str, float]:
        folder = layout.experiment(evaluation.trial)
        weights = self._store.read(f"{folder}/{layout.checkpoint(evaluation.epoch)}")
        assert _epoch_of(weights) == evaluation.epoch
        spec = self._setup.recommendation(evaluation.params, evaluation.horizon).plain()
        return {"test_value": self._how.objective(flatten(spec), evaluation.epoch) - 0.01}

    def answered(self, lease: Lease, epoch: int, decision: Decision) -> None:
        final = decision is not Decision.CONTINUE
        self._witness(Sight("answered", lease.trial, epoch, final))

    def _end(self, job: Job, folder: ExperimentFolder) -> None:
        folder.end(f"{job.network} train completed {job.stop_epoch} epochs")

    def _say(self, job: Job, text: str) -> None:
        self._store.append_batch(f"{job.folder}/{layout.LOG}", text.encode(), durable=False)

    def _job(self, lease: Lease) -> Job:
        document = self._setup.recommendation(lease.params, lease.horizon)
        return Job(
            kind="train",
            network=self._setup.settings.network,
            spec=document.plain(),
            root="",
            folder=layout.experiment(lease.trial),
            trial=lease.trial,
            attempt=lease.attempt,
            reported_epoch=lease.reported_epoch,
            stop_epoch=lease.stop_epoch,
            metric=self._setup.metric,
            direction=self._setup.direction.value,
            seed=self._setup.card.seed_in(document, self._setup.settings.seed),
            threads=1,
            gpus=self._setup.gpus,
        )


def _epoch_of(weights: bytes | None) -> int:
    """Which epoch's checkpoint this is."""
    assert weights is not None, "the weights are gone"
    return int(json.loads(weights)["epoch"])
