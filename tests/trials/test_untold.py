"""What a trial trained after its run was stopped: the winner is one whose weights are there."""

from __future__ import annotations

from dataclasses import replace

import pytest
from trials_testing import MakeJob

from raytao.brains.base import Task
from raytao.brains.random import Random
from raytao.runs.controller import Controller, Evaluation, Lease
from raytao.runs.events import Opened
from raytao.runs.opening import open_run
from raytao.runs.store import MemoryStore
from raytao.space import Float, Space
from raytao.tao import layout
from raytao.trials.folder import ExperimentFolder
from raytao.trials.untold import take_in_winner
from raytao.types import Decision


class Stopped:
    """A run of one trial of nine epochs that is stopped in its third."""

    def __init__(self, make_job: MakeJob) -> None:
        self.store = MemoryStore()
        brain = Random(Task(Space([Float("x", 0.0, 1.0)]), 9), Random.Settings())
        opened = Opened({}, "val_acc", "maximize", "1.0")
        self.controller: Controller = open_run(
            self.store, "events.jsonl", brain, opened, evaluate=True
        )
        self.controller.settle = lambda: take_in_winner(self.controller, self.store)
        lease = self.controller.suggest()
        assert isinstance(lease, Lease)
        job = replace(make_job(), folder=layout.experiment(0), trial=0, attempt=lease.attempt)
        self.folder = ExperimentFolder(self.store, job.folder, replace(job, stop_epoch=9))
        self.folder.begin()
        for epoch, value in enumerate((0.1, 0.2, 0.3), 1):
            self.trains(value)
            if epoch == 3:
                self.controller.stop("by request")
            said = self.controller.report(0, lease.attempt, epoch, {"val_acc": value}, 1.0)
            assert said is (Decision.STOP if epoch == 3 else Decision.CONTINUE)

    def trains(self, value: float) -> None:
        self.folder.add({"val_acc": value}, 1.0, b"weights")

    def evaluated(self) -> int:
        """The epoch whose weights are measured; they are there."""
        task = self.controller.suggest()
        assert isinstance(task, Evaluation)
        weights = f"{layout.experiment(0)}/{layout.checkpoint(task.epoch)}"
        assert self.store.read(weights) is not None
        return task.epoch


@pytest.fixture
def stopped(make_job: MakeJob) -> Stopped:
    return Stopped(make_job)


def test_a_trial_that_stopped_in_time_is_taken_as_it_was(stopped: Stopped) -> None:
    assert stopped.evaluated() == 3


def test_a_better_epoch_that_came_too_late_to_be_told_is_the_winner(stopped: Stopped) -> None:
    stopped.trains(0.4)
    assert stopped.evaluated() == 4
    assert stopped.controller.state.trials[0].epochs == 4


def test_a_late_epoch_that_is_no_better_costs_nobodys_budget(stopped: Stopped) -> None:
    stopped.trains(0.25)
    assert stopped.evaluated() == 3
    assert stopped.controller.state.epochs == 3
