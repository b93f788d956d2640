"""A node that is lost is not its trials' fault; slots that change while a run goes on."""

from __future__ import annotations

import pytest

from raytao.brains.base import Task
from raytao.brains.random import Random
from raytao.runs.controller import Controller, Lease
from raytao.runs.events import Lost, Opened
from raytao.runs.log import read_log
from raytao.runs.opening import open_run
from raytao.runs.retries import Retries
from raytao.runs.state import Phase, RunState
from raytao.runs.store import MemoryStore
from raytao.space import Float, Space
from raytao.types import Wait

LOG = "events.jsonl"
RETRIES = Retries(losses=2, nodes=4)


class Run:
    """One slot, two trials of three epochs."""

    def __init__(self, *, slots: int = 1, trials: int = 2) -> None:
        self.store = MemoryStore()
        brain = Random(
            Task(Space([Float("x", 0.0, 1.0)]), 3), Random.Settings(max_recommendations=trials)
        )
        opened = Opened({}, "value", "maximize", "1.0")
        self.controller: Controller = open_run(
            self.store, LOG, brain, opened, slots=slots, retries=RETRIES
        )

    def lease(self) -> Lease:
        lease = self.controller.suggest()
        assert isinstance(lease, Lease)
        return lease

    def loses(self, *, node: bool) -> None:
        lease = self.lease()
        assert lease.trial == 0
        self.controller.lost(lease.trial, lease.attempt, "gone", node=node)

    def is_(self, phase: Phase) -> bool:
        return self.controller.state.trials[0].phase is phase


@pytest.fixture
def run() -> Run:
    return Run()


def test_nodes_that_are_lost_do_not_count_as_the_trials_losses(run: Run) -> None:
    for _ in range(RETRIES.losses):
        run.loses(node=False)
    for _ in range(RETRIES.nodes):
        run.loses(node=True)
    assert run.is_(Phase.OFFERED)


def test_losses_count_however_many_nodes_were_lost(run: Run) -> None:
    for _ in range(RETRIES.nodes):
        run.loses(node=True)
    for _ in range(RETRIES.losses + 1):
        assert run.is_(Phase.OFFERED)
        run.loses(node=False)
    assert run.is_(Phase.FAILED)


def test_a_trial_that_brings_down_node_after_node_fails_at_last(run: Run) -> None:
    for _ in range(RETRIES.nodes):
        run.loses(node=True)
    assert run.is_(Phase.OFFERED)
    run.loses(node=True)
    assert run.is_(Phase.FAILED)
    failure = run.controller.state.trials[0].failure
    assert failure is not None
    assert failure.reason == "its worker was lost 5 times; last: gone"


def test_an_epoch_in_between_speaks_for_the_trial(run: Run) -> None:
    for epoch in (1, 2):
        for _ in range(RETRIES.nodes):
            run.loses(node=True)
        lease = run.lease()
        run.controller.report(0, lease.attempt, epoch, {"value": 0.5}, 1.0)
        run.controller.give_back(0, lease.attempt)
    assert run.is_(Phase.OFFERED)


def test_the_log_knows_whose_fault_a_loss_was(run: Run) -> None:
    run.loses(node=True)
    run.loses(node=False)
    records = read_log(run.store, LOG)
    assert [r.event.node for r in records if isinstance(r.event, Lost)] == [True, False]
    trial = RunState.fold(records).trials[0]
    assert (trial.losses, trial.nodes_lost) == (1, 1)


def test_a_run_is_hungry_while_it_has_work_for_a_free_slot() -> None:
    run = Run(slots=3, trials=2)
    assert run.controller.hungry
    first, _ = run.lease(), run.lease()
    assert run.controller.hungry
    assert isinstance(run.controller.suggest(), Wait)
    assert not run.controller.hungry
    run.controller.lost(first.trial, first.attempt, "gone")
    run.lease()
    assert run.controller.hungry


def test_a_run_whose_slots_are_all_taken_is_as_hungry_as_it_was() -> None:
    run = Run(slots=1, trials=2)
    run.lease()
    assert isinstance(run.controller.suggest(), Wait)
    assert run.controller.hungry


def test_fewer_slots_hold_back_new_work_until_enough_has_come_back() -> None:
    run = Run(slots=2, trials=3)
    first, second = run.lease(), run.lease()
    run.controller.slots = 1
    run.controller.give_back(first.trial, first.attempt)
    assert isinstance(run.controller.suggest(), Wait)
    run.controller.give_back(second.trial, second.attempt)
    run.lease()
    assert isinstance(run.controller.suggest(), Wait)
