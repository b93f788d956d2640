"""The brakes end a run before its plan is done, and call no other run stopped."""

from __future__ import annotations

import pytest

from raytao.brains.base import Task
from raytao.brains.random import Random
from raytao.report.words import how_to_go_on
from raytao.runs.budget import Meter, RunBudget
from raytao.runs.controller import Controller, Lease
from raytao.runs.events import Finished, Opened
from raytao.runs.opening import open_run
from raytao.runs.store import MemoryStore
from raytao.setup.request import Inbox
from raytao.space import Float, Space
from raytao.tune.brakes import Brakes
from raytao.tune.interrupts import Interrupts
from raytao.types import Decision


def driven(budget: RunBudget, slots: int) -> Controller:
    """Two trials of three epochs, to their end."""
    store = MemoryStore()
    brain = Random(Task(Space([Float("x", 0.0, 1.0)]), 3), Random.Settings(max_recommendations=2))
    opened = Opened({}, "value", "maximize", "1.0")
    controller = open_run(store, "events.jsonl", brain, opened, slots=slots)
    meter = Meter(budget, controller.state, brain.plan())
    brakes = Brakes(controller, meter, Inbox(store, "token"), Interrupts(), print)
    leases: list[Lease] = []
    while True:
        brakes.before_lease()
        while isinstance(task := controller.suggest(), Lease):
            leases.append(task)
            brakes.before_lease()
        if not leases:
            controller.finish()
            return controller
        lease = leases.pop(0)
        epoch = controller.state.trials[lease.trial].epochs + 1
        decision = controller.report(lease.trial, lease.attempt, epoch, {"value": 0.5}, 1.0)
        if decision is Decision.CONTINUE:
            leases.append(lease)
        brakes.check()


@pytest.mark.parametrize("slots", [1, 2])
@pytest.mark.parametrize("epochs", range(1, 8))
def test_a_budget_stops_a_run_only_where_it_cuts_its_plan_short(epochs: int, slots: int) -> None:
    state = driven(RunBudget(epochs=epochs), slots).state
    short = epochs < 6
    assert state.epochs == (epochs if short else 6)
    assert (state.stopped is not None) is short
    assert bool(how_to_go_on(state, "results")) is short
    if not short:
        assert state.finished == Finished("Done")
