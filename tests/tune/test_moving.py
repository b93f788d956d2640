"""Which leases leave their workers, and which actors are kept; on real Ray see the tests of runs
on many nodes and of two runs on one cluster."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from ray.exceptions import RpcError

from raytao.brains.base import Task
from raytao.brains.random import Random
from raytao.runs.controller import Controller, Evaluation, Lease
from raytao.runs.events import Opened
from raytao.runs.opening import open_run
from raytao.runs.state import Phase
from raytao.runs.store import MemoryStore
from raytao.space import Float, Space
from raytao.tune import moving
from raytao.tune.moving import LOOK_SECONDS, PATIENCE_SECONDS, Moves

pytestmark = [pytest.mark.ray, pytest.mark.filterwarnings("ignore::DeprecationWarning")]

EPOCHS = 9


class Tune:
    """What `Moves` uses of Tune: its trials, and the actors that it keeps."""

    def __init__(self) -> None:
        self.trials: list[Any] = []
        self.stopped: list[str] = []
        self._staged_trials: set[Any] = set()
        self._pending_trials: set[Any] = set()
        self._started_actors: set[str] = set()
        self._trial_to_actor: dict[Any, str] = {}
        self._actor_cache = SimpleNamespace(num_cached_objects=0)

    def get_live_trials(self) -> list[Any]:
        return list(self.trials)

    def stop_trial(self, trial: Any) -> None:
        self.stopped.append(trial.trial_id)
        self.trials.remove(trial)

    def _cleanup_cached_actors(self, force_all: bool) -> None:
        assert force_all
        self._actor_cache.num_cached_objects = 0


class Trial:
    """What `Moves` sees of a Tune trial."""

    def __init__(self, trial_id: str, status: str, actor: str | None) -> None:
        self.trial_id = trial_id
        self.status = status
        self.temporary_state = SimpleNamespace(ray_actor=actor)


class Bench:
    """A run, its leases at work, and time that passes as we say."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *, leases: int) -> None:
        space = Space([Float("x", 0.0, 1.0)])
        brain = Random(Task(space, EPOCHS), Random.Settings(max_recommendations=9))
        opened = Opened({}, "value", "maximize", "1.0")
        self.controller: Controller = open_run(
            MemoryStore(), "events.jsonl", brain, opened, slots=leases
        )
        self.time = 0.0
        self.notices: frozenset[str] = frozenset()
        self.crowded = False
        self.asked: list[str] = []
        self.forgotten: list[str] = []
        self.said: list[str] = []
        monkeypatch.setattr(moving, "ask_to_move", self.asked.append)
        monkeypatch.setattr(moving, "forget", self.forgotten.append)
        self.moves = Moves(
            self.controller,
            lambda: self.crowded,
            self.said.append,
            clock=lambda: self.time,
            notices=lambda: self.notices,
        )
        self.tune = Tune()
        self.work: dict[str, Lease | Evaluation] = {}
        for _ in range(leases):
            self.lease()

    def lease(self, *, pending: bool = False) -> Any:
        work = self.controller.suggest()
        assert isinstance(work, Lease)
        name = f"t{work.trial}"
        actor = None if pending else f"actor {name}"
        trial = Trial(name, "PENDING" if pending else "RUNNING", actor)
        self.tune.trials.append(trial)
        if actor is not None:
            self.tune._started_actors.add(actor)
            self.tune._trial_to_actor[trial] = actor
            self.moves.note_node(name, f"node {name}")
        self.work[name] = work
        return trial

    def report(self, trial: int, epoch: int) -> None:
        attempt = self.controller.state.trials[trial].attempt
        self.controller.report(trial, attempt, epoch, {"value": 0.5}, 1.0)

    def passes(self, seconds: float) -> None:
        self.turn()
        self.time += seconds
        self.turn()

    def turn(self) -> None:
        self.moves.turn(self.tune, self.work.get)


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> Bench:
    return Bench(monkeypatch, leases=3)


def test_a_run_within_its_slots_moves_nobody(bench: Bench) -> None:
    bench.passes(100)
    assert (bench.asked, bench.tune.stopped) == ([], [])


def test_a_run_over_its_slots_asks_the_latest_to_move_after_a_while(bench: Bench) -> None:
    bench.controller.slots = 1
    bench.passes(PATIENCE_SECONDS - 0.1)
    assert bench.asked == []
    bench.passes(0.2)
    bench.passes(100)
    assert bench.asked == ["t2", "t1"]


def test_a_run_that_is_over_its_slots_for_a_moment_moves_nobody(bench: Bench) -> None:
    bench.controller.slots = 1
    bench.passes(PATIENCE_SECONDS - 1)
    bench.controller.slots = 3
    bench.turn()
    bench.controller.slots = 1
    bench.passes(PATIENCE_SECONDS - 1)
    assert bench.asked == []


def test_a_node_that_leaves_with_its_slot_moves_nobody_but_its_own_trials(bench: Bench) -> None:
    bench.notices = frozenset({"node t0"})
    bench.controller.slots = 2
    bench.passes(LOOK_SECONDS)
    bench.passes(PATIENCE_SECONDS)
    bench.passes(100)
    assert bench.asked == ["t0"]


def test_a_cluster_that_does_not_answer_is_asked_again(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    def silent(tune_id: str) -> None:
        raise RpcError("no answer")

    with monkeypatch.context() as patch:
        patch.setattr(moving, "ask_to_move", silent)
        bench.notices = frozenset({"node t0"})
        bench.passes(LOOK_SECONDS)
    bench.passes(LOOK_SECONDS)
    assert bench.asked == ["t0"]


def test_a_lease_whose_own_end_is_next_is_left_alone(bench: Bench) -> None:
    for epoch in range(1, EPOCHS):
        bench.report(2, epoch)
    bench.controller.slots = 1
    bench.passes(PATIENCE_SECONDS)
    assert bench.asked == ["t1"]


def test_a_lease_that_waits_for_a_worker_is_taken_back_at_once(bench: Bench) -> None:
    bench.controller.slots = 5
    waiting = [bench.lease(pending=True), bench.lease(pending=True)]
    bench.controller.slots = 4
    bench.turn()
    assert bench.tune.stopped == [waiting[1].trial_id]
    phases = [trial.phase for trial in bench.controller.state.trials.values()]
    assert phases == [Phase.RUNNING] * 4 + [Phase.OFFERED]
    bench.passes(100)
    assert bench.asked == []


def test_trials_on_a_node_that_has_got_notice_are_asked_once(bench: Bench) -> None:
    bench.notices = frozenset({"node t1", "node of others"})
    bench.passes(LOOK_SECONDS)
    bench.passes(LOOK_SECONDS)
    assert bench.asked == ["t1"]
    assert bench.said == ["nodes are about to leave the cluster: asked a trial there to move"]


def test_the_actor_of_a_lease_is_kept_only_where_the_next_one_may_have_it(bench: Bench) -> None:
    kept, full, left = bench.tune.trials
    bench.notices = frozenset({"node t2"})
    bench.passes(LOOK_SECONDS)
    for trial in (kept, full, left):
        work = bench.work[trial.trial_id]
        assert isinstance(work, Lease)
        bench.controller.give_back(work.trial, work.attempt)
        bench.controller.slots = 1 if trial is full else 3  # one other lease is out then
        bench.moves.over(bench.tune, trial)
    assert bench.tune._started_actors == {"actor t0"}
    assert bench.forgotten == ["t2"]


@pytest.mark.parametrize(
    ("slots", "crowded", "hungry", "kept"),
    [
        (4, False, True, 1),
        (4, False, False, 1),
        (4, True, True, 1),
        (4, True, False, 0),
        (3, False, True, 0),
    ],
)
def test_an_idle_actor_is_let_go_where_it_is_one_too_many_or_others_have_use_for_its_place(
    bench: Bench, slots: int, crowded: bool, hungry: bool, kept: int
) -> None:
    bench.controller.slots, bench.controller.hungry = slots, hungry
    bench.crowded = crowded
    bench.tune._actor_cache.num_cached_objects = 1
    bench.turn()
    assert bench.tune._actor_cache.num_cached_objects == kept
