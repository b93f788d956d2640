"""A budget ends a run in order, and is exceeded by no more than what runs then."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from raytao.brains.base import Brain, Plan, PlanRow, Task
from raytao.brains.hyperband import Hyperband, HyperbandSettings
from raytao.brains.random import Random
from raytao.runs.budget import HOUR, Meter, RunBudget, Spent
from raytao.runs.controller import Controller, Lease
from raytao.runs.eta import remaining
from raytao.runs.events import Finished, Opened, Placed
from raytao.runs.opening import open_run
from raytao.runs.store import MemoryStore
from raytao.space import Float, Space
from raytao.types import Decision, Done, Wait

SPACE = Space([Float("x", 0.0, 1.0)])
OPENED = Opened({}, "value", "maximize", "1.0")


def random() -> Brain:
    return Random(Task(SPACE, 3), Random.Settings(max_recommendations=4))


def hyperband() -> Brain:
    return Hyperband(Task(SPACE, 9), HyperbandSettings(R=9, nu=3, epoch_multiplier=1, mode="sync"))


class Drive:
    """A driver without workers: the test says which trial reports next, and what time it is."""

    def __init__(self, brain: Brain, budget: RunBudget, slots: int = 1, gpus: float = 0) -> None:
        self.controller: Controller = open_run(
            MemoryStore(), "events.jsonl", brain, OPENED, slots=slots
        )
        self.now = 0.0
        self.gpus = gpus
        state, plan = self.controller.state, brain.plan()
        self.meter = Meter(budget, state, plan, clock=lambda: self.now)
        self.leases: dict[int, Lease] = {}

    def check(self) -> None:
        if (spent := self.meter.spent()) is not None:
            self.controller.stop(str(spent))

    def fill(self) -> bool:
        """Hand out all that can be; return whether the run is over."""
        while True:
            self.check()
            match self.controller.suggest():
                case Lease() as lease:
                    self.leases[lease.trial] = lease
                    place = Placed(lease.trial, lease.attempt, "node", 1, 1.0, self.gpus)
                    self.controller.place(place)
                case Wait():
                    return False
                case other:
                    assert isinstance(other, Done)
                    return True

    def report(self, trial: int, seconds: float = 1.0) -> None:
        lease = self.leases[trial]
        epoch = self.controller.state.trials[trial].epochs + 1
        self.now += seconds
        if (
            self.controller.report(trial, lease.attempt, epoch, {"value": trial / 10}, seconds)
            is not Decision.CONTINUE
        ):
            del self.leases[trial]

    def run(self, seconds: float = 1.0) -> Controller:
        while not self.fill():
            self.report(min(self.leases), seconds)
        self.controller.finish()
        return self.controller


@settings(max_examples=60, deadline=None)
@given(
    data=st.data(),
    brain=st.sampled_from([random, hyperband]),
    slots=st.integers(1, 5),
    limit=st.integers(1, 60),
)
def test_epochs_are_spent_to_the_last_and_never_exceeded(
    data: st.DataObject, brain: Callable[[], Brain], slots: int, limit: int
) -> None:
    drive = Drive(brain(), RunBudget(epochs=limit), slots)
    while not drive.fill():
        drive.report(data.draw(st.sampled_from(sorted(drive.leases))))
        if data.draw(st.booleans()):
            drive.check()
    drive.controller.finish()
    planned = brain().plan().epochs
    assert drive.controller.state.epochs == min(limit, planned)
    assert (drive.controller.state.stopped is not None) == (limit < planned)


def test_a_budget_that_is_spent_with_the_last_epoch_has_cut_nothing_short() -> None:
    drive = Drive(random(), RunBudget(hours=11.5 / HOUR), slots=2)
    while not drive.fill():
        drive.check()
        drive.report(min(drive.leases))
    assert drive.meter.driven > 11.5
    drive.controller.finish()
    assert drive.controller.state.finished == Finished("Done")


@pytest.mark.parametrize("slots", [1, 3])
def test_hours_are_exceeded_by_no_more_than_the_epochs_that_run(slots: int) -> None:
    budget = RunBudget(hours=5 / HOUR)
    drive = Drive(hyperband(), budget, slots)
    while not drive.fill():
        before = drive.meter.driven
        drive.report(min(drive.leases))
        if before >= 5.0:
            assert drive.controller.state.stopped is not None
    finished = drive.controller.finish()
    assert finished == "Done"
    assert drive.controller.state.epochs <= 5 + slots


def test_hours_of_gpus_count_a_trials_share() -> None:
    budget = RunBudget(gpu_hours=4 / HOUR)
    half = Drive(random(), budget, gpus=0.5).run()
    assert half.state.epochs == 8 + 1  # the budget is found spent when the ninth is under way
    none = Drive(random(), budget, gpus=0).run()
    assert none.state.epochs == random().plan().epochs


def test_a_budget_below_one_epoch_still_gives_a_result() -> None:
    drive = Drive(hyperband(), RunBudget(hours=1e-6), slots=3)
    drive.now += 10  # Ray took its time
    controller = drive.run()
    assert controller.state.finished == Finished("Done", "budget spent: 1e-06 hours")
    assert controller.state.incumbent is not None
    assert controller.state.epochs == len(controller.state.trials) == 1


def test_what_a_trial_reports_after_the_budget_is_its_last_epoch() -> None:
    drive = Drive(random(), RunBudget(epochs=2), slots=2)
    drive.fill()
    drive.check()
    for trial in (0, 1):
        drive.report(trial)
    assert drive.leases == {}
    assert {t.phase.value for t in drive.controller.state.trials.values()} == {"offered"}


def test_a_finished_run_has_no_epoch_under_way() -> None:
    drive = Drive(random(), RunBudget(epochs=3), slots=2)
    drive.fill()
    drive.report(0)
    drive.controller.stop("canceled", cancel=True)
    drive.controller.finish()
    assert drive.meter.budget.spent(drive.controller.state, 0.0) is None
    assert RunBudget(epochs=1).spent(drive.controller.state, 0.0) == Spent("epochs", 1)


def test_what_is_said_of_it() -> None:
    budget = RunBudget(hours=8, epochs=1, gpu_hours=0.5)
    assert str(budget) == "8 hours, 1 epoch, 0.5 GPU hours"
    assert str(RunBudget()) == ""
    assert Spent("epochs", 500).raised == "budget.epochs=1000"
    state = Drive(random(), budget).controller.state
    assert budget.used(state, 4500.0) == "1.25 of 8 hours, 0 of 1 epoch, 0 of 0.5 GPU hours"


def test_what_is_left_is_no_more_than_the_budget_pays_for() -> None:
    plan = Plan((PlanRow(bracket=0, rung=0, trials=4, epochs=3),))
    drive = Drive(random(), RunBudget())
    drive.fill()
    drive.report(0, 2.0)
    state = drive.controller.state

    def left(budget: RunBudget, driven: float | None = None) -> tuple[int, float | None]:
        found = remaining(state, plan, 1, budget, driven)
        return found.epochs, found.seconds and round(found.seconds, 1)

    assert left(RunBudget()) == (11, 22.0)
    assert left(RunBudget(epochs=5)) == (4, 8.0)
    assert left(RunBudget(hours=7 / HOUR), 2.0) == (3, 5.0)
    assert left(RunBudget(hours=1 / HOUR), 2.0) == (0, 0.0)
    assert remaining(state, plan, 1, RunBudget(epochs=5)).budget == "1 of 5 epochs"
    drive.controller.stop("enough")
    assert left(RunBudget()) == (1, 2.0)
