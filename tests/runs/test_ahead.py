"""Suggestions prepared while trials run: newer ones if they are in time, and always logged."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager

import pytest

from raytao.brains.base import Task
from raytao.brains.full import FullLength, FullLengthSettings
from raytao.brains.hyperband import Hyperband, HyperbandSettings
from raytao.runs.ahead import Ahead
from raytao.runs.controller import Controller, Lease
from raytao.runs.events import Changed, Judged, Opened, Started
from raytao.runs.log import read_log
from raytao.runs.opening import open_run
from raytao.runs.store import MemoryStore
from raytao.space import Float, Space
from raytao.testing.simulator import LOG_KEY
from raytao.types import Decision, Params, Wait

SPACE = Space([Float("x", 0.0, 1e6)])
OPENED = Opened({}, "value", "maximize", "1.0")
MANY = 12
SOON = 8.0
"""Seconds until something must have happened that takes milliseconds; a hang is a failure."""


class Counts(FullLength):
    """Proposes the number of results that it knows of, in the hundreds, and the trial's number.

    ``thinking`` counts the proposals that it has begun; each of them waits for ``may_go_on``.
    """

    name = "counts"

    def __init__(self, many: int = MANY) -> None:
        super().__init__(Task(SPACE, 1, seed=3), FullLengthSettings(max_recommendations=many))
        self.thinking = 0
        self.begun = threading.Semaphore(0)
        self.may_go_on = threading.Event()
        self.may_go_on.set()
        self.threads: set[str] = set()

    def _propose(self, trial: int) -> tuple[Params, str] | None:
        self.thinking += 1
        self.threads.add(threading.current_thread().name)
        known = sum(line["best"] is not None for line in self.state()["trials"])
        self.begun.release()
        assert self.may_go_on.wait(SOON)
        return {"x": float(100 * known + trial)}, f"{known} results"


class Broken(Counts):
    """Cannot think."""

    def _propose(self, trial: int) -> tuple[Params, str] | None:
        raise ArithmeticError(f"no proposal for trial {trial}")


class Clock:
    """Everything takes ``step`` seconds by it."""

    def __init__(self, step: float) -> None:
        self.step = step
        self.now = 0.0

    def __call__(self) -> float:
        self.now += self.step
        return self.now


class Run:
    """A controller whose brain is slow by its clock, and what it thinks ahead with."""

    def __init__(
        self,
        slots: int = 2,
        *,
        step: float = 10.0,
        patience: float = SOON,
        other: Counts | None = None,
        store: MemoryStore | None = None,
        changed: Changed | None = None,
    ) -> None:
        self.live, self.other = Counts(), other or Counts()
        self._begun = 0
        self.store = store or MemoryStore()
        self.clock = Clock(step)
        self.ahead = Ahead(self.other, clock=self.clock, patience=patience)
        self.controller: Controller = open_run(
            self.store,
            LOG_KEY,
            self.live,
            OPENED,
            slots=slots,
            ahead=self.ahead,
            changed=changed,
        )

    def close(self) -> None:
        self.ahead.close()

    def lease(self) -> Lease:
        lease = self.controller.suggest()
        assert isinstance(lease, Lease)
        return lease

    def train(self, lease: Lease, value: float = 0.5) -> None:
        said = self.controller.report(lease.trial, lease.attempt, 1, {"value": value}, 1.0)
        assert said is Decision.STOP

    def begun(self, thoughts: int) -> None:
        """Wait until the thread has begun so many thoughts in all."""
        for _ in range(thoughts - self._begun):
            assert self.other.begun.acquire(timeout=SOON)
        self._begun = thoughts

    def idle(self) -> None:
        """Wait until the thread has nothing to do: it does one thing after the other."""
        self.ahead._thread.submit(int).result(SOON)

    def started(self) -> list[Started]:
        return starts(self.store)

    def last_decision(self) -> int:
        """Number of the last event that changed what a brain knows."""
        told = [
            r.seq for r in read_log(self.store, LOG_KEY) if isinstance(r.event, Started | Judged)
        ]
        return told[-1]


def hyperband(*, overlap: bool = True) -> Hyperband:
    """As published: configurations are drawn, and the best of a rung are promoted."""
    chosen = HyperbandSettings(
        R=9,
        nu=3,
        epoch_multiplier=1,
        overlap=overlap,
        mode="sync",
        sampler="random",
        promotion="rank",
    )
    return Hyperband(Task(SPACE, 9, seed=3), chosen)


def play(controller: Controller, out: list[Lease]) -> None:
    """Go on to the end of the run; who came first is trained first."""
    while True:
        task = controller.suggest()
        if isinstance(task, Lease):
            out.append(task)
        elif not out:
            return
        else:
            lease = out.pop(0)
            for epoch in range(lease.reported_epoch + 1, lease.stop_epoch + 1):
                metrics = {"value": float(str(lease.params["x"])) + epoch}
                controller.report(lease.trial, lease.attempt, epoch, metrics, 1.0)


def starts(store: MemoryStore) -> list[Started]:
    """The trials that a log holds."""
    events = [record.event for record in read_log(store, LOG_KEY)]
    return [event for event in events if isinstance(event, Started)]


@contextmanager
def held(brain: Counts) -> Iterator[None]:
    """The brain does not come to an end with what it thinks."""
    brain.may_go_on.clear()
    try:
        yield
    finally:
        brain.may_go_on.set()


def test_at_one_slot_nothing_is_prepared() -> None:
    with closing(Run(slots=1)) as run:
        for trial in range(MANY):
            lease = run.lease()
            assert lease.params == {"x": 101.0 * trial}  # it has seen every result before it
            run.train(lease)
        run.idle()
    assert run.other.thinking == 0
    assert [event.saw for event in run.started()] == [None] * MANY


def test_a_brain_that_answers_at_once_is_not_asked_ahead() -> None:
    with closing(Run(slots=4, step=0.001)) as run:
        for _ in range(MANY):
            run.train(run.lease())
        run.idle()
    assert run.other.thinking == 0
    assert {event.saw for event in run.started()} == {None}


def test_a_prepared_suggestion_is_used_and_the_log_says_what_it_saw() -> None:
    with closing(Run()) as run:
        run.lease()
        assert run.live.thinking == 1
        seen = run.last_decision()
        run.idle()
        second = run.lease()
        assert run.live.thinking == 1, "asked anew, although a proposal was there"
        assert second.params == {"x": 1.0}
    first, second_event = run.started()
    assert first.saw is None
    assert (second_event.saw, second_event.why) == (seen, "0 results")


def test_the_second_brain_thinks_on_a_thread_of_its_own() -> None:
    with closing(Run()) as run:
        run.lease()
        run.idle()
    assert run.live.threads == {threading.current_thread().name}
    assert run.other.threads.isdisjoint(run.live.threads)


def test_a_result_that_arrives_in_time_refreshes_the_suggestion() -> None:
    with closing(Run()) as run:
        lease, _ = run.lease(), run.lease()
        run.idle()
        run.train(lease)
        seen = run.last_decision()
        assert run.lease().params == {"x": 102.0}  # waits for the proposal that knows it
    last = run.started()[-1]
    assert (last.saw, last.why) == (seen, "1 results")


def test_a_refresh_that_takes_too_long_leaves_the_older_suggestion() -> None:
    with closing(Run(patience=0.05)) as run:
        lease, _ = run.lease(), run.lease()
        run.idle()
        seen = run.last_decision()
        with held(run.other):
            run.train(lease)
            assert run.lease().params == {"x": 2.0}
    assert run.started()[-1].saw == seen


def test_a_proposal_under_way_is_waited_for_where_there_is_no_older_one() -> None:
    with closing(Run(patience=0.01)) as run:
        with held(run.other):
            run.lease()
            run.begun(1)
            threading.Timer(0.2, run.other.may_go_on.set).start()
            run.lease()
        assert run.live.thinking == 1


def test_results_that_come_while_it_thinks_are_thought_about_together() -> None:
    with closing(Run(slots=4)) as run:
        leases = [run.lease() for _ in range(4)]
        run.idle()
        before = run.other.thinking
        with held(run.other):
            run.train(leases[0])
            run.begun(before + 1)
            for lease in leases[1:]:
                run.train(lease)
        run.idle()
        assert run.other.thinking - before == 2  # after the first, and after the last
        assert run.lease().params == {"x": 404.0}


def test_slots_that_are_taken_away_end_it() -> None:
    with closing(Run()) as run:
        leases = [run.lease(), run.lease()]
        run.idle()
        run.controller.slots = 1
        before = run.other.thinking
        for lease in leases:
            run.train(lease)
        assert run.lease().params == {"x": 202.0}
        run.idle()
        assert run.other.thinking == before


def test_a_brain_that_has_become_quick_is_asked_at_once_again() -> None:
    with closing(Run(slots=MANY)) as run:
        run.lease()
        run.idle()
        run.clock.step = 0.001
        run.lease()  # prepared, before the brain became quick
        run.idle()
        run.lease()  # prepared, in no time
        run.idle()
        before = run.other.thinking
        run.lease()
        run.idle()
        assert run.other.thinking == before
    assert [event.saw is None for event in run.started()] == [True, False, False, True]


def test_to_be_told_to_wait_is_no_sign_of_a_quick_brain() -> None:
    store, clock = MemoryStore(), Clock(10.0)
    with closing(Ahead(hyperband(overlap=False), clock=clock)) as ahead:
        brain = hyperband(overlap=False)
        controller = open_run(store, LOG_KEY, brain, OPENED, slots=20, ahead=ahead)
        leases = []
        while isinstance(lease := controller.suggest(), Lease):
            leases.append(lease)
        clock.step = 0.001
        assert controller.suggest() == Wait()
        play(controller, leases)
    assert len(starts(store)) > 9
    assert starts(store)[9].saw is not None, "the second bracket was not thought about ahead"


def test_no_suggestion_is_prepared_once_the_run_is_to_stop() -> None:
    with closing(Run()) as run:
        lease = run.lease()
        run.idle()
        run.controller.stop("asked to")
        before = run.other.thinking
        run.train(lease)
        run.idle()
        assert run.other.thinking == before


def test_the_end_of_a_plan_is_the_live_brain_s_to_say() -> None:
    with closing(Run(slots=3)) as run:
        leases = [run.lease() for _ in range(3)]
        for _ in range(MANY - 3):
            run.train(leases.pop(0))
            leases.append(run.lease())
        for lease in leases:
            run.train(lease)
            assert not isinstance(run.controller.suggest(), Lease)
        assert run.controller.finish() == "Done"
    assert len(run.started()) == MANY
    assert {event.saw is None for event in run.started()[1:]} == {False}


def test_a_log_of_prepared_suggestions_is_replayed_to_the_same_state() -> None:
    with closing(Run(slots=3)) as run:
        leases = [run.lease() for _ in range(3)]
        for number in range(MANY - 4):
            run.train(leases.pop(number % 3), value=number / 10)
            leases.append(run.lease())
        run.controller.flush()
    replayed = Counts()
    controller = open_run(run.store, LOG_KEY, replayed, OPENED, only_look=True)
    assert any(event.saw is not None for event in run.started())
    assert replayed.thinking == 0
    assert replayed.state() == run.live.state()
    before, after = run.controller.state.trials, controller.state.trials
    assert [(t.params, t.why) for t in after.values()] == [
        (t.params, t.why) for t in before.values()
    ]


def test_a_search_that_began_anew_is_thought_ahead_in_the_run_s_numbers() -> None:
    with closing(Run()) as run:
        for _ in range(2):
            run.train(run.lease())
    anew = Changed({}, "value", "maximize", anew=True)
    with closing(Run(store=run.store, changed=anew)) as second:
        second.lease()
        second.idle()
        assert second.lease().params == {"x": 1.0}  # a brain counts its trials from 0
        assert second.live.thinking == 1
    assert [event.trial for event in second.started()] == [0, 1, 2, 3]


def test_an_error_on_the_thread_reaches_the_driver() -> None:
    with closing(Run(other=Broken())) as run:
        run.lease()
        with pytest.raises(ArithmeticError, match="no proposal for trial 1"):
            run.lease()
        assert len(run.started()) == 1


def test_nothing_runs_after_the_end() -> None:
    before = set(threading.enumerate())
    run = Run()
    with held(run.other):
        lease = run.lease()
        run.begun(1)
        run.train(lease)  # to be thought about after that
        waker = threading.Timer(0.2, run.other.may_go_on.set)
        waker.start()
        run.close()
        assert run.other.may_go_on.is_set(), "the end did not wait for it"
    waker.join()
    assert run.other.thinking == 1
    assert set(threading.enumerate()) == before


def test_a_proposal_that_has_no_room_any_more_is_dropped() -> None:
    with closing(Run()) as run:
        run.live = run.controller.brain = Counts(many=1)
        run.lease()
        run.idle()
        assert run.controller.suggest() == Wait()
        assert run.other.thinking == 1
    assert len(run.started()) == 1


def test_hyperband_ahead_trains_what_it_would_have_trained() -> None:
    """Its proposals know nothing of results: prepared or not, they are the same."""

    def run(ahead: Ahead | None) -> list[tuple[Params, int]]:
        controller = open_run(MemoryStore(), LOG_KEY, hyperband(), OPENED, slots=4, ahead=ahead)
        play(controller, [])
        return [(t.params, t.epochs) for t in controller.state.trials.values()]

    with closing(Ahead(hyperband(), clock=Clock(10.0))) as ahead:
        assert run(ahead) == run(None)
