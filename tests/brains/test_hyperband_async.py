"""Asynchronous Hyperband: no rung waits, the budget holds, and a log is replayed without a fit."""

from __future__ import annotations

from itertools import pairwise
from typing import ClassVar

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from raytao.brains.base import Brain, Evidence, Initial, Task
from raytao.brains.climbing import rungs
from raytao.brains.hyperband import Hyperband, HyperbandSettings
from raytao.space import Bool, Categorical, Float, Space
from raytao.testing.brain_contract import BrainContract, Shuffle, through_json
from raytao.testing.objectives import LearningCurves
from raytao.testing.rehearsal import Rehearsal
from raytao.types import (
    EPOCHS,
    SCORE,
    Decision,
    Done,
    Failed,
    Observation,
    Promotion,
    Scored,
    Start,
    Verdict,
    Wait,
)

SPACE = Space([Float("lr", 1e-4, 1e-1, log=True), Float("momentum", 0.0, 0.99)])
CURVES = LearningCurves(SPACE)
CHOICES = [("model", "model"), ("model", "rank"), ("random", "model"), ("random", "rank")]


def climbing(
    sampler: str = "model", promotion: str = "model", *, space: Space = SPACE, **more: object
) -> Hyperband:
    given = {"R": 9, "nu": 3, "epoch_multiplier": 1, "mode": "async", **more}
    chosen = HyperbandSettings.model_validate(
        {**given, "sampler": sampler, "promotion": promotion}
    )
    return Hyperband(Task(space, 9, seed=1), chosen)


def score(brain: Brain, trial: int, epoch: int, value: float) -> Verdict:
    return brain.observe(Observation(trial, {EPOCHS: epoch}, Scored({SCORE: value})))


def fail(brain: Brain, trial: int, epoch: int) -> Verdict:
    return brain.observe(Observation(trial, {EPOCHS: epoch}, Failed("out of memory")))


def told(brain: Hyperband, trial: int, epoch: int, verdict: Verdict) -> Verdict:
    return brain.recall(Observation(trial, {EPOCHS: epoch}, Scored({SCORE: 0.5})), verdict)


class AsyncContract(BrainContract):
    epochs = 9
    chosen: ClassVar[tuple[str, str]]

    def make_brain(self, seed: int) -> Brain:
        sampler, promotion = self.chosen
        found = HyperbandSettings.model_validate(
            {
                **{"R": 9, "epoch_multiplier": 1, "brackets": 1, "mode": "async"},
                **{"sampler": sampler, "promotion": promotion},
            }
        )
        return Hyperband(self.task(seed), found)


class TestClimbingByTheModelIsABrain(AsyncContract):
    chosen = ("model", "model")


class TestClimbingByRankIsABrain(AsyncContract):
    chosen = ("random", "rank")


class TestModelledRungsAreABrain(BrainContract):
    """Synchronous, but a model draws and promotes."""

    epochs = 9

    def make_brain(self, seed: int) -> Brain:
        chosen = {"R": 9, "epoch_multiplier": 1, "brackets": 1, "mode": "sync"}
        found = HyperbandSettings.model_validate(
            {**chosen, "sampler": "model", "promotion": "model"}
        )
        return Hyperband(self.task(seed), found)


@pytest.mark.parametrize(
    ("top", "nu", "expected"),
    [
        (52, 3, (6, 18, 52)),
        (9, 3, (1, 3, 9)),
        (81, 3, (9, 27, 81)),
        (64, 2, (8, 16, 32, 64)),
        (64, 4, (16, 64)),
        (100, 10, (10, 100)),
        (2, 3, (1, 2)),
        (1, 3, (1,)),
    ],
)
def test_the_lowest_rung_is_about_a_ninth_of_the_top(
    top: int, nu: int, expected: tuple[int, ...]
) -> None:
    assert rungs(top, nu) == expected


def test_a_trial_starts_low_and_its_horizon_is_the_schedule_s_longest_training() -> None:
    start = climbing(R=27).suggest(0)
    assert isinstance(start, Start)
    assert (start.budget, start.horizon) == ({EPOCHS: 3}, {EPOCHS: 27})


@pytest.mark.parametrize(("sampler", "promotion"), CHOICES)
@settings(max_examples=4, deadline=None, derandomize=True, database=None)
@given(data=st.data())
def test_the_budget_holds_and_promotions_lead_upwards(
    sampler: str, promotion: str, data: st.DataObject
) -> None:
    fails = data.draw(st.dictionaries(st.integers(0, 20), st.integers(1, 9), max_size=8))
    slots, seed = data.draw(st.integers(1, 5)), data.draw(st.integers(0, 10**6))
    brain = climbing(sampler, promotion, brackets=1)
    run = Rehearsal(brain, CURVES, slots=slots, fails=fails, choose=Shuffle(seed)).play()
    granted = {n: [1] for n in range(len(run.starts))}
    for one in run.promotions:
        granted[one.trial].append(one.budget[EPOCHS])
    assert all(a < b for steps in granted.values() for a, b in pairwise(steps))
    assert sum(steps[-1] for steps in granted.values()) <= brain.plan().epochs
    assert not run.running
    assert not run.waiting


@pytest.mark.parametrize(("sampler", "promotion"), CHOICES)
def test_nothing_is_left_that_could_have_been_afforded(sampler: str, promotion: str) -> None:
    brain = climbing(sampler, promotion, brackets=1)
    run = Rehearsal(brain, CURVES).play()
    assert sum(run.epochs.values()) == brain.plan().epochs
    assert max(run.epochs.values()) == 9


@pytest.mark.parametrize(("sampler", "promotion"), CHOICES)
def test_a_finite_space_that_is_used_up_ends_in_promotions(sampler: str, promotion: str) -> None:
    space = Space([Categorical("fruit", ("apple", "fig")), Bool("ripe")])
    brain = climbing(sampler, promotion, space=space)
    run = Rehearsal(brain, LearningCurves(space), slots=2).play()
    assert run.done
    if sampler == "model":
        assert len(run.starts) == 4
        assert set(run.epochs.values()) == {9}


def test_no_worker_waits_while_a_trial_can_be_started() -> None:
    brain = climbing(R=27)
    for trial in range(30):
        assert isinstance(brain.suggest(trial), Start)


def fully_trained(brain: Hyperband) -> None:
    """Start trial 0 and take it to the top, whatever the brain would have chosen."""
    assert isinstance(brain.suggest(0), Start)
    for epoch, further in ((1, 3), (3, 9)):
        promoted = Verdict(Decision.PAUSE, promote=(Promotion(0, {EPOCHS: further}, "told"),))
        assert told(brain, 0, epoch, promoted) == promoted
    assert score(brain, 0, 9, 0.5).decision is Decision.STOP


def test_the_end_is_waited_for_by_those_that_run_only() -> None:
    brain = climbing("random", "rank", brackets=1)
    fully_trained(brain)
    last = brain.plan().epochs - 9
    for trial in range(1, last + 1):
        assert isinstance(brain.suggest(trial), Start)
    assert brain.suggest(last + 1) == Wait()
    for trial in range(1, last + 1):
        assert score(brain, trial, 1, 0.01 * trial) == Verdict(Decision.STOP)
    assert brain.suggest(last + 1) == Done()


def test_what_can_no_longer_be_afforded_is_retired() -> None:
    brain = climbing("random", "rank", brackets=1)
    fully_trained(brain)
    last = brain.plan().epochs - 9
    for trial in range(1, last - 1):
        assert isinstance(brain.suggest(trial), Start)
    assert score(brain, 1, 1, 0.4).decision is Decision.PAUSE
    brain.suggest(last - 1)
    verdict = score(brain, 2, 1, 0.3)
    assert (verdict.decision, verdict.promote, verdict.retire) == (Decision.STOP, (), (1,))


@pytest.mark.parametrize(("sampler", "promotion"), CHOICES)
@pytest.mark.parametrize("slots", [1, 2, 5])
def test_the_smallest_budget_ends_with_a_full_training(
    sampler: str, promotion: str, slots: int
) -> None:
    brain = climbing(sampler, promotion, R=3)
    run = Rehearsal(brain, CURVES, slots=slots).play()
    assert max(run.epochs.values()) == brain.plan().longest == 3
    assert sum(run.epochs.values()) <= brain.plan().epochs == 5


def test_by_rank_a_third_of_a_rung_goes_on_the_highest_first() -> None:
    brain = climbing("random", "rank", R=27)
    for trial in range(3):
        brain.suggest(trial)
    assert score(brain, 0, 3, 0.5) == Verdict(Decision.PAUSE)
    assert score(brain, 1, 3, 0.9) == Verdict(Decision.PAUSE)
    assert score(brain, 2, 3, 0.1) == Verdict(
        Decision.PAUSE, promote=(Promotion(1, {EPOCHS: 9}, "rank 1 of 3 at epoch 3"),)
    )
    assert score(brain, 1, 9, 0.95) == Verdict(Decision.PAUSE)


def test_a_slot_that_a_failure_frees_goes_to_a_paused_trial() -> None:
    brain = climbing(R=27, space=Space([Bool("ripe")]))
    for trial in range(2):
        brain.suggest(trial)
    told(brain, 0, 3, Verdict(Decision.PAUSE))
    verdict = fail(brain, 1, 1)
    assert verdict.decision is Decision.STOP
    assert [(one.trial, one.budget) for one in verdict.promote] == [(0, {EPOCHS: 9})]


def test_a_trial_that_is_lost_while_it_waits_frees_no_slot() -> None:
    brain = climbing("random", "rank", R=27)
    brain.suggest(0)
    brain.suggest(1)
    score(brain, 0, 3, 0.5)
    assert fail(brain, 0, 3) == Verdict(Decision.STOP)
    assert score(brain, 0, 4, 0.9) == Verdict(Decision.STOP)


def test_the_model_goes_on_with_what_promises_most_and_says_so() -> None:
    run = Rehearsal(climbing(R=27), CURVES).play()
    assert run.promotions
    assert all("expected improvement" in one.why for one in run.promotions)
    assert any("± " in start.why for start in run.starts[6:])
    tops = [n for n, epochs in run.epochs.items() if epochs == 27]
    final = {n: CURVES(run.starts[n].params, 27) for n in range(len(run.starts))}
    left = [n for n in final if n not in tops]
    assert max(final[n] for n in tops) >= max(final[n] for n in left) - 0.01


def test_given_configurations_come_first_and_evidence_spares_the_design() -> None:
    wanted = Initial({"lr": 0.01, "momentum": 0.5}, "recommendation 3 of another run")
    trusted = tuple(
        Evidence({"lr": 10**-exponent, "momentum": 0.9}, 9, 1.0 / exponent) for exponent in (2, 3)
    )
    task = Task(SPACE, 9, first={"lr": 0.001, "momentum": 0.9}, initial=(wanted,))
    chosen = HyperbandSettings(R=9, nu=3, epoch_multiplier=1)
    plain = Rehearsal(Hyperband(task, chosen), CURVES).play(10)
    assert [start.why for start in plain.starts[:3]] == [
        "user's spec",
        "recommendation 3 of another run",
        "space-filling",
    ]
    known = Task(SPACE, 9, first=task.first, evidence=trusted)
    run = Rehearsal(Hyperband(known, chosen), CURVES).play(6)
    assert "expected improvement" in run.starts[1].why


def with_two_paused() -> Hyperband:
    brain = climbing(R=27)
    for trial in range(3):
        brain.suggest(trial)
    told(brain, 0, 3, Verdict(Decision.PAUSE))
    told(brain, 1, 3, Verdict(Decision.PAUSE))
    return brain


def test_a_promotion_that_is_told_is_taken_over_whatever_the_model_would_say() -> None:
    for trial in (0, 1, 2):
        brain = with_two_paused()
        verdict = Verdict(Decision.PAUSE, (Promotion(trial, {EPOCHS: 9}, "told"),))
        assert told(brain, 2, 3, verdict) == verdict
        assert brain.state()["trials"][trial]["granted"] == 2


@pytest.mark.parametrize(
    "promotion",
    [
        Promotion(2, {EPOCHS: 27}, "skips a rung"),
        Promotion(3, {EPOCHS: 9}, "still runs"),
        Promotion(9, {EPOCHS: 9}, "was never started"),
    ],
)
def test_a_promotion_against_the_rules_is_not_taken_over(promotion: Promotion) -> None:
    brain = with_two_paused()
    brain.suggest(3)
    verdict = Verdict(Decision.PAUSE, (promotion,))
    assert told(brain, 2, 3, verdict) == Verdict(Decision.PAUSE)


def test_a_state_survives_json_in_the_middle() -> None:
    run = Rehearsal(climbing(), CURVES, slots=2).play(12)
    other = climbing()
    other.load_state(through_json(run.brain.state()))
    assert other.state() == run.brain.state()
    assert other.describe() == run.brain.describe()


@pytest.mark.parametrize(
    ("given", "rule"),
    [
        (
            {"compat": "tao5", "mode": "async"},
            "which means mode: sync, with mode: async",
        ),
        (
            {"compat": "tao7", "sampler": "model"},
            "which means sampler: random, with sampler: model",
        ),
        (
            {"compat": "tao7", "rule": "paper"},
            "which means rule: tao, with rule: paper",
        ),
        (
            {"compat": "tao7", "overlap": True},
            "which means overlap: false, with overlap: true",
        ),
        ({"overlap": False}, "overlap: false with mode: async"),
        ({"mode": "asynchronous"}, "mode"),
    ],
)
def test_settings_that_contradict_each_other_are_refused(
    given: dict[str, object], rule: str
) -> None:
    with pytest.raises(ValueError, match=rule):
        HyperbandSettings.model_validate(given)


def test_compat_means_tao_s_own_hyperband() -> None:
    made = HyperbandSettings.model_validate({"compat": "tao7"})
    assert (made.mode, made.sampler, made.promotion) == ("sync", "random", "rank")
    assert not made.overlap
    assert HyperbandSettings.model_validate(made.model_dump()) == made
    brain = Hyperband(Task(SPACE, 9, seed=1), made)
    run = Rehearsal(brain, CURVES).play()
    assert sum(run.epochs.values()) == brain.plan().epochs
    assert all(SPACE.contains(start.params) for start in run.starts)


def test_mode_sync_draws_and_ranks_unless_it_is_told_otherwise() -> None:
    made = HyperbandSettings.model_validate({"mode": "sync"})
    assert (made.sampler, made.promotion) == ("random", "rank")
    mixed = HyperbandSettings.model_validate({"mode": "sync", "sampler": "model"})
    assert (mixed.sampler, mixed.promotion) == ("model", "rank")


@pytest.mark.parametrize("promotion", ["rank", "model"])
def test_a_longer_budget_recalls_what_a_shorter_one_decided(promotion: str) -> None:
    """Whoever was given up because nothing was left stays so, or the log would be damaged."""
    short, long = (climbing("random", promotion, brackets=n) for n in (1, 4))
    trial = 0
    while isinstance(start := short.suggest(trial), Start):
        long.adopt(trial, start.params)
        due = [(trial, start.budget[EPOCHS])]
        trial += 1
        while due:
            number, epoch = due.pop()
            params = short.state()["trials"][number]["params"]
            seen = Observation(number, {EPOCHS: epoch}, Scored({SCORE: CURVES(params, epoch)}))
            verdict = short.observe(seen)
            assert long.recall(seen, verdict) == verdict
            due += [(up.trial, up.budget[EPOCHS]) for up in verdict.promote]
    assert trial > 3
    assert long.state() == short.state()
    assert isinstance(long.suggest(trial), Start)
