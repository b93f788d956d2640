"""Hyperband: rungs close in any order, the best go on, failures stand in nobody's way."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from raytao.brains.base import Brain, Task
from raytao.brains.hyperband import Hyperband, HyperbandSettings
from raytao.errors import BudgetError
from raytao.space import Float, Space
from raytao.testing.brain_contract import BrainContract, Shuffle
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


def hyperband(R: int = 9, *, epochs: int = 9, seed: int = 0, **more: object) -> Hyperband:
    given = {"R": R, "nu": 3, "epoch_multiplier": 1, "mode": "sync", **more}
    return Hyperband(Task(SPACE, epochs, seed), HyperbandSettings.model_validate(given))


def started(brain: Hyperband, count: int) -> list[Start]:
    starts = [brain.suggest(trial) for trial in range(count)]
    assert all(isinstance(start, Start) for start in starts)
    return [start for start in starts if isinstance(start, Start)]


def score(brain: Brain, trial: int, epoch: int, value: float) -> Verdict:
    return brain.observe(Observation(trial, {EPOCHS: epoch}, Scored({SCORE: value})))


def fail(brain: Brain, trial: int, epoch: int) -> Verdict:
    return brain.observe(Observation(trial, {EPOCHS: epoch}, Failed("out of memory")))


class TestHyperbandIsABrain(BrainContract):
    synchronous = True
    epochs = 9

    def make_brain(self, seed: int) -> Brain:
        return Hyperband(self.task(seed), HyperbandSettings(R=9, epoch_multiplier=1, mode="sync"))


class TestHyperbandWithoutOverlapIsABrain(BrainContract):
    synchronous = True
    epochs = 8

    def make_brain(self, seed: int) -> Brain:
        chosen = HyperbandSettings(R=8, nu=2, epoch_multiplier=1, overlap=False, mode="sync")
        return Hyperband(self.task(seed), chosen)


class TestHyperbandOfThePaperIsABrain(BrainContract):
    synchronous = True
    epochs = 7

    def make_brain(self, seed: int) -> Brain:
        chosen = HyperbandSettings(
            R=9, epoch_multiplier=1, rule="paper", cap_epochs=True, mode="sync"
        )
        return Hyperband(self.task(seed), chosen)


def test_the_trace_in_the_contract_is_what_happens() -> None:
    brain = hyperband(R=3)
    starts = started(brain, 3)
    assert [start.budget for start in starts] == [{EPOCHS: 1}] * 3
    assert [start.horizon for start in starts] == [{EPOCHS: 3}] * 3
    assert brain.suggest(3) == Wait()
    assert score(brain, 0, 1, 0.5) == Verdict(Decision.PAUSE)
    assert score(brain, 1, 1, 0.9) == Verdict(Decision.PAUSE)
    assert fail(brain, 2, 0) == Verdict(
        Decision.STOP,
        promote=(Promotion(1, {EPOCHS: 3}, "rank 1 of 2 at epoch 1"),),
        retire=(0,),
    )
    assert brain.suggest(3) == Wait()
    assert score(brain, 1, 2, 0.92) == Verdict(Decision.CONTINUE)
    assert score(brain, 1, 3, 0.95) == Verdict(Decision.STOP)
    assert brain.suggest(3) == Done()


def test_one_that_closes_its_rung_and_is_promoted_is_named_and_paused() -> None:
    brain = hyperband(R=3)
    started(brain, 3)
    score(brain, 0, 1, 0.1)
    score(brain, 1, 1, 0.2)
    verdict = score(brain, 2, 1, 0.3)
    assert verdict.decision is Decision.PAUSE
    assert [promotion.trial for promotion in verdict.promote] == [2]
    assert verdict.retire == (0, 1)


def test_one_that_closes_its_rung_and_is_not_promoted_stops() -> None:
    brain = hyperband(R=3)
    started(brain, 3)
    score(brain, 0, 1, 0.9)
    score(brain, 1, 1, 0.2)
    verdict = score(brain, 2, 1, 0.3)
    assert verdict.decision is Decision.STOP
    assert verdict.retire == (1, 2)


def test_ties_go_to_the_earlier_trial() -> None:
    brain = hyperband(R=3)
    started(brain, 3)
    score(brain, 2, 1, 0.5)
    score(brain, 1, 1, 0.5)
    verdict = score(brain, 0, 1, 0.5)
    assert [promotion.trial for promotion in verdict.promote] == [0]


def test_trials_are_ranked_by_the_score_at_the_rung_not_by_their_best() -> None:
    brain = hyperband(R=6)
    started(brain, 3)
    for trial, scores in enumerate([(0.9, 0.1), (0.2, 0.3), (0.2, 0.2)]):
        assert score(brain, trial, 1, scores[0]).decision is Decision.CONTINUE
        verdict = score(brain, trial, 2, scores[1])
    assert [promotion.trial for promotion in verdict.promote] == [1]


def test_fewer_successes_than_places_promote_fewer() -> None:
    brain = hyperband(R=9)
    started(brain, 9)
    for trial in range(7):
        assert fail(brain, trial, 0).decision is Decision.STOP
    score(brain, 7, 1, 0.1)
    verdict = score(brain, 8, 1, 0.2)
    assert [promotion.trial for promotion in verdict.promote] == [8, 7]
    assert verdict.retire == ()


def test_an_empty_rung_closes_at_once() -> None:
    brain = hyperband(R=9, overlap=False)
    started(brain, 9)
    for trial in range(9):
        assert brain.suggest(9) == Wait()
        assert fail(brain, trial, 0) == Verdict(Decision.STOP)
    assert isinstance(brain.suggest(9), Start)


def test_a_trial_lost_while_it_waits_gives_its_place_to_another() -> None:
    brain = hyperband(R=3)
    started(brain, 3)
    score(brain, 0, 1, 0.9)
    assert fail(brain, 0, 1) == Verdict(Decision.STOP)
    score(brain, 1, 1, 0.2)
    verdict = score(brain, 2, 1, 0.1)
    assert [promotion.trial for promotion in verdict.promote] == [1]


def test_a_trial_that_fails_after_its_promotion_does_not_unmake_the_rung() -> None:
    brain = hyperband(R=3)
    started(brain, 3)
    for trial in range(3):
        score(brain, trial, 1, 0.1 * trial)
    assert fail(brain, 2, 1) == Verdict(Decision.STOP)
    assert brain.suggest(3) == Done()


@pytest.mark.parametrize("late", [0, 2])
def test_what_comes_after_the_end_changes_nothing(late: int) -> None:
    brain = hyperband(R=3)
    started(brain, 3)
    for trial in range(3):
        score(brain, trial, 1, 0.1 * trial)
    score(brain, 2, 3, 0.9)
    before = brain.state()
    assert score(brain, late, 4, 1.0) == fail(brain, late, 4) == Verdict(Decision.STOP)
    assert brain.state() == before


@given(slots=st.integers(1, 20), seed=st.integers(0, 10**6))
@settings(max_examples=20, deadline=None)
def test_overlap_changes_no_configuration_promotion_or_epoch(slots: int, seed: int) -> None:
    runs = [
        Rehearsal(
            hyperband(R=9, overlap=overlap),
            LearningCurves(SPACE),
            slots=slots,
            choose=Shuffle(seed),
        ).play()
        for overlap in (True, False)
    ]
    assert runs[0].starts == runs[1].starts
    assert sorted(p.trial for p in runs[0].promotions) == sorted(
        p.trial for p in runs[1].promotions
    )
    assert runs[0].epochs == runs[1].epochs
    assert runs[0].brain.state() == runs[1].brain.state()


def test_with_overlap_the_next_bracket_starts_while_a_rung_waits() -> None:
    brain = hyperband(R=9)
    ninth = started(brain, 10)[9]
    assert ninth.budget == {EPOCHS: 3}
    assert ninth.why == "random, bracket 2 of 2"


def test_without_overlap_the_next_bracket_waits_for_the_last_rung() -> None:
    brain = hyperband(R=9, overlap=False)
    run = Rehearsal(brain, LearningCurves(SPACE), slots=20)
    seen = []
    while not run.done:
        run.fill()
        seen.append((len(run.starts), sorted(run.running)))
        if run.running:
            run.report(min(run.running))
    first_of_next = next(i for i, (count, _) in enumerate(seen) if count > 9)
    assert seen[first_of_next] == (12, [9, 10, 11])


@given(slots=st.integers(1, 12), seed=st.integers(0, 10**6))
@settings(max_examples=20, deadline=None)
def test_no_retired_trial_beats_a_promoted_one(slots: int, seed: int) -> None:
    objective = LearningCurves(SPACE)
    run = Rehearsal(hyperband(R=9), objective, slots=slots, choose=Shuffle(seed)).play()
    for bracket in (range(9), range(9, 12)):
        for rung in {run.starts[t].budget[EPOCHS] for t in bracket} | {3}:
            here = [t for t in bracket if run.epochs[t] >= rung]
            gone = [t for t in here if run.epochs[t] == rung]
            kept = [t for t in here if run.epochs[t] > rung]
            scores = {t: objective(run.starts[t].params, rung) for t in here}
            if kept and gone:
                assert min(scores[t] for t in kept) >= max(scores[t] for t in gone)


def test_r_27_trains_exactly_234_epochs_in_61_runs() -> None:
    brain = hyperband(R=27, epochs=27)
    run = Rehearsal(brain, LearningCurves(SPACE), slots=4, choose=Shuffle(0)).play()
    assert sum(run.epochs.values()) == brain.plan().epochs == 234
    assert len(run.starts) + len(run.promotions) == 61
    assert len(run.starts) == brain.plan().trials == 42


def test_the_first_bracket_s_best_is_found_again_by_hand() -> None:
    objective = LearningCurves(SPACE)
    run = Rehearsal(hyperband(R=9), objective).play()
    drawn = [SPACE.sample(np.random.default_rng([0, trial])) for trial in range(9)]
    by_one = sorted(range(9), key=lambda t: -objective(drawn[t], 1))[:3]
    by_three = sorted(by_one, key=lambda t: -objective(drawn[t], 3))[:1]
    assert [t for t in range(9) if run.epochs[t] > 1] == sorted(by_one)
    assert [t for t in range(9) if run.epochs[t] == 9] == by_three


def test_brain_json_has_tao_s_counters() -> None:
    brain = hyperband(R=27, epochs=27)
    started(brain, 3)
    assert json.loads(json.dumps(brain.describe())) == {
        "bracket": 0,
        "sh_iter": 0,
        "expt_iter": 3,
        "complete": False,
        "epoch_number": 1,
        "resume_epoch_number": 0,
        "epoch_multiplier": 1,
        "ni": {"0": [27, 9, 3, 1], "1": [9, 3, 1], "2": [6, 2]},
        "ri": {"0": [1, 3, 9, 27], "1": [3, 9, 27], "2": [9, 27]},
    }


def test_tao_s_counters_follow_the_rungs() -> None:
    brain = hyperband(R=3, epoch_multiplier=2)
    started(brain, 3)
    for trial in range(3):
        score(brain, trial, 2, 0.1 * trial)
    then = brain.describe()
    assert [then[key] for key in ("sh_iter", "expt_iter", "epoch_number")] == [1, 1, 6]
    assert then["resume_epoch_number"] == 2
    score(brain, 2, 6, 0.9)
    assert brain.describe()["complete"] is True


def test_capped_rungs_are_described_in_epochs() -> None:
    brain = hyperband(R=9, epochs=20, epoch_multiplier=3, cap_epochs=True)
    described = brain.describe()
    assert described["epoch_multiplier"] == 1
    assert described["ri"] == {"0": [3, 9, 20], "1": [9, 20]}


def test_the_plan_tells_what_auto_adjustment_costs() -> None:
    plan = Hyperband(Task(SPACE, epochs=80), HyperbandSettings(mode="sync")).plan()
    assert plan.epochs == 234 * 4
    assert plan.longest == 108
    assert plan.notes == ("longest training 108 epochs; the spec says 80",)


@pytest.mark.parametrize(
    "given",
    [
        {"R": 81, "nu": 4},
        {"automl_R": 81, "automl_nu": 4},
        {"automl_max_epochs": 81, "automl_reduction_factor": 4},
    ],
)
def test_tao_s_names_of_the_settings_are_known(given: dict[str, int]) -> None:
    made = HyperbandSettings.model_validate(given)
    assert (made.R, made.nu) == (81, 4)


@pytest.mark.parametrize("given", [{"R": "27"}, {"eta": 3}, {"rule": "asha"}, {"overlap": 1}])
def test_settings_of_another_kind_are_refused(given: dict[str, object]) -> None:
    with pytest.raises(ValidationError, match=next(iter(given))):
        HyperbandSettings.model_validate(given)


def test_settings_that_leave_nothing_to_run_are_refused() -> None:
    with pytest.raises(BudgetError, match="R=2 leaves no bracket"):
        hyperband(R=2)


def test_a_trial_beyond_the_plan_is_not_adopted() -> None:
    brain = hyperband(R=3)
    started(brain, 3)
    with pytest.raises(LookupError, match="no room for trial 3"):
        brain.adopt(3, {"lr": 0.01, "momentum": 0.9})


def test_a_number_out_of_turn_is_refused() -> None:
    with pytest.raises(ValueError, match="trial 1 is out of turn: the next is 0"):
        hyperband().adopt(1, {"lr": 0.01, "momentum": 0.9})
