"""The laws of a brain, as a pytest class to subclass.

::

    class TestMine(BrainContract):
        def make_brain(self, seed: int) -> Brain:
            return Mine(self.task(seed), Mine.Settings())

Two calls of ``make_brain`` with one seed must make brains alike. A third-party brain inherits
every law; `synchronous` adds the law that the order of reports changes nothing.
"""

# ruff: noqa: D102 (the name of a law says what it states)

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, TypeVar

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from raytao.brains.base import Brain, Task
from raytao.space import Bool, Categorical, Float, Int, Ordered, Space
from raytao.testing.objectives import LearningCurves
from raytao.testing.rehearsal import Rehearsal
from raytao.types import EPOCHS, Done, Failed, Json, Observation, Start, Wait

PLAIN = (bool, int, float, str, list)

Law = TypeVar("Law", bound=Callable[..., None])


def law(examples: int) -> Callable[[Law], Law]:
    """Hypothesis settings of a law that many classes inherit: few, repeatable examples."""
    return settings(
        max_examples=examples,
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=[HealthCheck.differing_executors, HealthCheck.too_slow],
    )


class Shuffle:
    """Choose who reports next by a seed of its own."""

    def __init__(self, seed: int) -> None:
        self._rng = np.random.default_rng(seed)

    def __call__(self, running: Sequence[int]) -> int:
        """Any of the running trials."""
        return running[int(self._rng.integers(len(running)))]


class BrainContract:
    """Subclass it and answer `make_brain`; see the module."""

    space: ClassVar[Space] = Space(
        [
            Float("optim.lr", 1e-4, 1e-1, log=True),
            Int("model.units", 8, 256),
            Ordered("model.depth", (1, 2, 4, 8)),
            Categorical("optim.name", ("sgd", "adam", "rmsprop")),
            Bool("augment"),
        ]
    )
    """Every type of parameter; override it to test the brain on another space."""

    epochs: ClassVar[int] = 3
    synchronous: ClassVar[bool] = False
    """Whether configurations and promotions never depend on the order of reports."""

    def make_brain(self, seed: int) -> Brain:
        """Make a brain for ``self.task(seed)``, always alike for one seed."""
        raise NotImplementedError(f"{type(self).__name__} must say which brain it tests")

    def task(self, seed: int) -> Task:
        """The task that `make_brain` is meant for."""
        first = self.space.decode(np.full(self.space.dim, 0.4))
        return Task(self.space, epochs=self.epochs, seed=seed, first=first)

    def rehearse(self, seed: int = 0, **keywords: Any) -> Rehearsal:
        """A run that has not begun, on learning curves over the space."""
        return Rehearsal(self.make_brain(seed), LearningCurves(self.space), **keywords)

    def test_the_first_trial_is_the_user_s_own(self) -> None:
        start = self.make_brain(0).suggest(0)
        assert isinstance(start, Start)
        assert start.params == self.task(0).first

    def test_suggestions_lie_in_the_space(self) -> None:
        for start in self.rehearse(slots=2).play().starts:
            assert self.space.contains(start.params)

    def test_values_are_plain_python_never_numpy(self) -> None:
        for start in self.rehearse().play().starts:
            for value in start.params.values():
                assert type(value) in PLAIN
            assert json.loads(json.dumps(dict(start.params))) == start.params

    def test_a_budget_is_positive_and_within_the_horizon(self) -> None:
        run = self.rehearse(slots=2).play()
        for start in run.starts:
            assert 1 <= start.budget[EPOCHS] <= start.horizon[EPOCHS]
        for promotion in run.promotions:
            assert promotion.budget[EPOCHS] <= run.starts[promotion.trial].horizon[EPOCHS]

    def test_every_suggestion_and_promotion_says_why(self) -> None:
        run = self.rehearse(slots=2).play()
        assert all(start.why for start in run.starts)
        assert all(promotion.why for promotion in run.promotions)

    def test_trials_are_as_many_as_planned_when_nothing_fails(self) -> None:
        run = self.rehearse(slots=3).play()
        plan = run.brain.plan()
        if plan.exact:
            assert len(run.starts) == plan.trials
            assert sum(run.epochs.values()) == plan.epochs
            assert max(run.epochs.values()) == plan.longest
        else:
            assert sum(run.epochs.values()) <= plan.epochs
            assert max(run.epochs.values()) <= plan.longest

    def test_wait_and_done_leave_no_trace(self) -> None:
        run = self.rehearse(slots=10**6)
        while not run.done:
            run.fill()
            before = run.brain.state()
            assert isinstance(run.brain.suggest(len(run.starts)), Wait | Done)
            assert run.brain.state() == before
            if run.running:
                run.report(max(run.running))
        assert isinstance(run.brain.suggest(len(run.starts)), Done)

    def test_the_same_seed_gives_the_same_run(self) -> None:
        one, other = (self.rehearse(seed=3, slots=2).play() for _ in range(2))
        assert one.starts == other.starts
        assert one.promotions == other.promotions
        assert one.brain.state() == other.brain.state()

    def test_another_seed_gives_another_run(self) -> None:
        one, other = (self.rehearse(seed=seed).play() for seed in (1, 2))
        assert one.starts[1:] != other.starts[1:]

    @law(10)
    @given(data=st.data())
    def test_a_state_restored_mid_run_goes_on_identically(self, data: st.DataObject) -> None:
        run = self.rehearse(slots=data.draw(st.integers(1, 4)), choose=Shuffle(0))
        run.play(data.draw(st.integers(0, 40)))
        other = self.make_brain(0)
        other.load_state(through_json(run.brain.state()))
        assert other.state() == run.brain.state()
        assert other.describe() == run.brain.describe()
        restored = run.handed_to(other).play()
        run.play()
        assert restored.history == run.history
        assert restored.starts == run.starts
        assert restored.promotions == run.promotions
        assert restored.brain.state() == run.brain.state()

    @law(10)
    @given(data=st.data())
    def test_a_replayed_history_leaves_the_state_of_the_live_brain(
        self, data: st.DataObject
    ) -> None:
        fails = data.draw(self._failures())
        run = self.rehearse(slots=3, choose=Shuffle(1), fails=fails)
        run.play(data.draw(st.integers(0, 40)))
        replayed = self.make_brain(0)
        trials, verdicts = 0, iter(run.verdicts)
        for event in run.history:
            if isinstance(event, Observation):
                told = next(verdicts)
                assert replayed.recall(event, told) == told
            else:
                assert replayed.adopt(trials, event).params == event
                trials += 1
        assert through_json(replayed.state()) == through_json(run.brain.state())

    def test_an_adopted_trial_is_granted_what_a_suggested_one_is(self) -> None:
        suggested, adopting = self.make_brain(0), self.make_brain(0)
        start = suggested.suggest(0)
        assert isinstance(start, Start)
        adopted = adopting.adopt(0, start.params)
        assert (adopted.budget, adopted.horizon) == (start.budget, start.horizon)

    @law(10)
    @given(data=st.data())
    def test_a_failed_trial_blocks_nothing_and_is_never_promoted(
        self, data: st.DataObject
    ) -> None:
        fails = data.draw(self._failures())
        slots = data.draw(st.integers(1, 5))
        run = self.rehearse(slots=slots, choose=Shuffle(2), fails=fails).play()
        failed = set()
        for event in run.history:
            if isinstance(event, Observation):
                assert event.trial not in failed
                if isinstance(event.outcome, Failed):
                    failed.add(event.trial)
        assert not run.running
        assert not run.waiting
        assert not failed & set(run.retired)

    def test_a_run_whose_trials_all_fail_ends(self) -> None:
        many = self.make_brain(0).plan().epochs
        run = self.rehearse(slots=2, fails=dict.fromkeys(range(many), 1)).play()
        assert run.done
        assert not run.promotions

    def test_nobody_is_retired_twice_or_trained_after(self) -> None:
        run = self.rehearse(slots=4, choose=Shuffle(3)).play()
        assert len(run.retired) == len(set(run.retired))
        last = {p.trial: p.budget[EPOCHS] for p in run.promotions}
        for trial, epochs in run.epochs.items():
            assert epochs == last.get(trial, run.starts[trial].budget[EPOCHS])

    @law(15)
    @given(data=st.data())
    def test_the_order_of_reports_changes_nothing_if_synchronous(
        self, data: st.DataObject
    ) -> None:
        if not self.synchronous:
            return
        fails = data.draw(self._failures())
        alone = self.rehearse(fails=fails).play()
        slots, seed = data.draw(st.integers(1, 30)), data.draw(st.integers(0, 10**6))
        crowd = self.rehearse(slots=slots, choose=Shuffle(seed), fails=fails).play()
        assert [start.params for start in crowd.starts] == [s.params for s in alone.starts]
        assert sorted_by_trial(crowd) == sorted_by_trial(alone)
        assert sorted(crowd.retired) == sorted(alone.retired)
        assert crowd.epochs == alone.epochs
        assert crowd.brain.state() == alone.brain.state()

    def _failures(self) -> st.SearchStrategy[Mapping[int, int]]:
        """Which trials fail, and in which epoch."""
        many = self.make_brain(0).plan().trials
        return st.dictionaries(
            st.integers(0, many - 1), st.integers(1, self.epochs), max_size=many
        )


def through_json(state: Json) -> Json:
    """What is left of a state after it was written and read."""
    return json.loads(json.dumps(state))


def sorted_by_trial(run: Rehearsal) -> list[tuple[int, int, str]]:
    """The promotions of a run, in an order that no report changes."""
    return sorted((p.trial, p.budget[EPOCHS], p.why) for p in run.promotions)
