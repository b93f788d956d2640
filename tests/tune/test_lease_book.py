"""How a lease is settled: lost once, however often Tune says so; given back, if it was to move."""

from __future__ import annotations

import pytest

from raytao.brains.base import Task
from raytao.brains.random import Random
from raytao.runs.controller import Controller, Lease
from raytao.runs.events import Opened
from raytao.runs.opening import open_run
from raytao.runs.state import Phase, TrialState
from raytao.runs.store import MemoryStore
from raytao.space import Float, Space
from raytao.trials.messages import Broken, Ended, EpochDone, FailureKind
from raytao.tune.lease import LeaseBook
from raytao.types import Decision

pytestmark = [pytest.mark.ray, pytest.mark.filterwarnings("ignore::DeprecationWarning")]

TUNE_ID = "t0"


class Bench:
    """A book with one lease, of three epochs."""

    def __init__(self) -> None:
        brain = Random(Task(Space([Float("x", 0.0, 1.0)]), 3), Random.Settings())
        opened = Opened({}, "value", "maximize", "1.0")
        self.controller: Controller = open_run(MemoryStore(), "events.jsonl", brain, opened)
        self.book = LeaseBook(self.controller)
        lease = self.controller.suggest()
        assert isinstance(lease, Lease)
        self.lease = lease
        self.book.hand_out(TUNE_ID, lease)

    @property
    def trial(self) -> TrialState:
        return self.controller.state.trials[0]


@pytest.fixture
def bench() -> Bench:
    return Bench()


def test_a_failure_that_tune_tells_twice_is_one_loss(bench: Bench) -> None:
    """As when a node dies while an actor of it is given its next lease."""
    bench.book.blame(TUNE_ID, "the actor died")
    bench.book.close(TUNE_ID)
    bench.book.blame(TUNE_ID, "the actor died")
    bench.book.close(TUNE_ID)
    assert bench.trial.losses == 1


@pytest.mark.parametrize("node", [True, False])
def test_a_lease_that_was_lost_with_its_node_is_no_loss_of_the_trials(
    bench: Bench, node: bool
) -> None:
    bench.book.blame(TUNE_ID, "its node has died", node=node)
    bench.book.close(TUNE_ID)
    assert (bench.trial.losses, bench.trial.nodes_lost) == ((0, 1) if node else (1, 0))


def test_the_first_reason_counts(bench: Bench) -> None:
    bench.book.blame(TUNE_ID, "said nothing for a minute")
    bench.book.blame(TUNE_ID, "its node has died", node=True)
    bench.book.close(TUNE_ID)
    assert (bench.trial.losses, bench.trial.nodes_lost) == (1, 0)


def test_a_trial_that_left_with_its_epoch_is_offered_again_and_has_lost_nothing(
    bench: Bench,
) -> None:
    epoch = EpochDone(1, {"value": 0.5}, 1.0)
    assert bench.book.deliver(bench.lease, epoch) is Decision.CONTINUE
    assert bench.book.deliver(bench.lease, Ended(1)) is Decision.STOP
    bench.book.close(TUNE_ID)
    assert (bench.trial.phase, bench.trial.losses, bench.trial.nodes_lost) == (
        Phase.OFFERED,
        0,
        0,
    )


def test_a_job_that_was_killed_is_a_loss(bench: Bench) -> None:
    bench.book.deliver(bench.lease, Broken(FailureKind.KILLED, "SIGKILL"))
    assert bench.trial.losses == 1
