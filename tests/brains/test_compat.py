"""The laws of TAO's own search, as raytao runs it: `compat: tao5 | tao7`."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Collection, Iterator

import numpy as np
import pytest
from pydantic import ValidationError

from raytao.brains.base import Brain, Task
from raytao.brains.bayesian import Bayesian, BayesianSettings
from raytao.brains.compat import bayesian as module
from raytao.brains.compat.bayesian import Surrogate, TaoBayesian
from raytao.brains.compat.values import Compat, tao_point
from raytao.brains.full import Stage, Trial
from raytao.space import (
    Bool,
    Categorical,
    Condition,
    Float,
    Int,
    IntRun,
    Space,
)
from raytao.testing.brain_contract import BrainContract
from raytao.types import Params, Start

LINE = Space([Float("x", 0.0, 1.0)])
MIXED = Space(
    [
        Float("lr", 1e-6, 0.1, log=True),
        Float("least_lr", 0.0, 0.1, conditions=(Condition("<", "lr"),)),
        Categorical("optim", ("sgd", "adam")),
        Int("units", 3, 50),
        Bool("augment"),
        IntRun("freeze", 0, 3),
    ]
)

compats = pytest.mark.parametrize("compat", ["tao5", "tao7"])


def rng(*seed: int) -> np.random.Generator:
    return np.random.default_rng(seed)


POINTS = np.array([[0.1, 0.2], [0.4, 0.9], [0.5, 0.5], [0.8, 0.3], [0.9, 0.7]])
SCORES = np.array([0.2, 0.35, 0.71, 0.6, 0.4])
ELSEWHERE = np.array([[0.25, 0.25], [0.6, 0.4], [0.95, 0.95], [0.5, 0.5]])


def test_the_posterior_and_expected_improvement_are_tao_s() -> None:
    """Numbers of NVIDIA's class, from nvidia-tao-core 7.3.0."""
    surrogate = Surrogate(POINTS, SCORES)
    mean, deviation = surrogate.predict(ELSEWHERE)
    assert mean == pytest.approx([0.4155993, 0.75221462, 0.26792503, 0.71], abs=1e-5)
    assert deviation == pytest.approx([0.09832788, 0.05400719, 0.11151877, 1e-5], abs=1e-5)
    gains = surrogate.expected_improvement(ELSEWHERE)
    assert gains == pytest.approx([2.668e-05, 0.04137629, 6.3e-07, 0.0], abs=1e-5)


def test_expected_improvement_is_climbed_to_a_top_within_the_cube() -> None:
    surrogate = Surrogate(POINTS, SCORES)
    point, gain = surrogate.climb(rng(0).random((5, 2)))
    assert np.all((point >= 0) & (point <= 1))
    assert gain >= surrogate.expected_improvement(rng(1).random((200, 2))).max() - 1e-6


def played(brain: TaoBayesian, trials: int, *, failed: Collection[int] = ()) -> list[Trial]:
    """A table of trials whose score is best at x = 0.8."""
    table: list[Trial] = []
    for trial in range(trials):
        params, _ = brain.propose(trial, table)
        stage = Stage.FAILED if trial in failed else Stage.DONE
        table.append(Trial(dict(params), stage, 1.0 - (x_of(params) - 0.8) ** 2))
    return table


def x_of(params: Params) -> float:
    """The parameter of the line; 0 on other spaces."""
    x = params.get("x", 0.0)
    assert isinstance(x, float)
    return x


def proposer(space: Space = LINE, seed: int = 0, compat: Compat = "tao7") -> TaoBayesian:
    return TaoBayesian(Task(space, epochs=1, seed=seed), compat)


@compats
def test_it_climbs_towards_the_larger_score(compat: Compat) -> None:
    last = played(proposer(compat=compat), 8)[-1]
    assert last.params["x"] == pytest.approx(0.8, abs=0.05)


def test_a_metric_that_is_to_be_small_is_followed_down_through_negative_scores() -> None:
    brain = proposer()
    table: list[Trial] = []
    for trial in range(9):
        params, _ = brain.propose(trial, table)
        loss = 3.0 + (x_of(params) - 0.2) ** 2
        table.append(Trial(dict(params), Stage.DONE, -loss))
    assert min(abs(x_of(line.params) - 0.2) for line in table) < 0.05


def test_the_first_trial_is_drawn_at_random_not_the_user_s_own() -> None:
    task = Task(LINE, epochs=1, first={"x": 0.123})
    params, why = TaoBayesian(task, "tao5").propose(0, [])
    assert params != task.first
    assert "random" in why


def test_the_same_seed_gives_the_same_run_and_another_another() -> None:
    assert played(proposer(seed=1), 4) == played(proposer(seed=1), 4)
    assert played(proposer(seed=1), 1) != played(proposer(seed=2), 1)


@compats
def test_a_replayed_brain_proposes_what_the_live_one_does(compat: Compat) -> None:
    live = proposer(MIXED, compat=compat)
    table = played(live, 3, failed=(1,))
    replayed = proposer(MIXED, compat=compat)
    assert replayed.propose(3, table) == live.propose(3, table)
    assert replayed.describe(table) == live.describe(table)


def test_a_failed_trial_teaches_nothing() -> None:
    brain = proposer()
    table = played(brain, 4, failed=(1, 2))
    described = brain.describe(table)
    assert described["ys"] == [table[0].best, table[3].best]
    assert len(described["Xs"]) == 2
    next_one = brain.propose(4, table)
    table[1].best = 5.0  # what it scored before it failed
    assert brain.propose(4, table) == next_one


def test_a_run_whose_trials_all_failed_goes_on_at_random() -> None:
    brain = proposer()
    table = played(brain, 3, failed=(0, 1, 2))
    assert len({line.params["x"] for line in table}) == 3
    assert brain.propose(3, table)[1] == "random: no result yet"


def test_a_running_trial_is_described_but_is_no_evidence() -> None:
    brain = proposer()
    table = played(brain, 2)
    params, _ = brain.propose(2, table)
    described = brain.describe([*table, Trial(dict(params))])
    assert len(described["Xs"]) == 3
    assert len(described["ys"]) == 2
    assert json.loads(json.dumps(described)) == described


def test_a_suggestion_has_one_coordinate_for_each_parameter() -> None:
    brain = proposer(MIXED)
    described = brain.describe(played(brain, 1))
    assert np.shape(described["Xs"]) == (1, len(MIXED.parameters))


def test_the_model_is_taught_suggestions_not_the_values_made_of_them() -> None:
    space = Space([Int("units", 0, 3)])
    brain = proposer(space)
    (suggestion,) = brain.describe(played(brain, 1))["Xs"]
    assert suggestion != tao_point(space, played(brain, 1)[0].params, "tao7").tolist()


def test_a_trial_from_elsewhere_is_taught_by_its_values() -> None:
    brain = proposer()
    described = brain.describe([Trial({"x": 0.25}, Stage.DONE, 0.5)])
    assert described == {"Xs": [[0.25]], "ys": [0.5]}


def test_results_too_alike_for_the_model_do_not_end_the_run(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "ALPHA", 0.0)
    table = [Trial({"x": 0.5}, Stage.DONE, 0.5) for _ in range(3)]
    params, why = proposer().propose(3, table)
    assert LINE.contains(params)
    assert "too alike" in why


def test_what_was_proposed_is_not_computed_again(monkeypatch: pytest.MonkeyPatch) -> None:
    brain = proposer()
    table = played(brain, 4)
    brain.propose(4, table)

    def refuse(*given: object) -> None:
        raise AssertionError("fitted again")

    monkeypatch.setattr(module, "Surrogate", refuse)
    brain.describe(table)
    brain.propose(4, table)
    table[2].best = 0.0
    with pytest.raises(AssertionError, match="fitted again"):
        brain.propose(4, table)


def test_importing_it_loads_no_scikit_learn() -> None:
    code = "import sys, raytao.brains.compat.bayesian; sys.exit('sklearn' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.fixture(scope="class")
def quick_fits() -> Iterator[None]:
    """The laws of a brain do not depend on how well its model is fitted."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "FIT_RESTARTS", 0)
        patch.setattr(module, "STARTS", 1)
        yield


@pytest.mark.usefixtures("quick_fits")
class TestTao7IsABrain(BrainContract):
    space = Space([Float("lr", 0.0, 0.1), Categorical("optim", ("sgd", "adam")), Bool("augment")])
    compat: Compat = "tao7"

    def make_brain(self, seed: int) -> Brain:
        settings = BayesianSettings(max_recommendations=3, compat=self.compat)
        return Bayesian(self.task(seed), settings)

    def test_the_first_trial_is_the_user_s_own(self) -> None:
        """It is not: TAO trains no baseline."""
        start = self.make_brain(0).suggest(0)
        assert isinstance(start, Start)
        assert start.params != self.task(0).first


class TestTao5IsABrain(TestTao7IsABrain):
    compat = "tao5"


def test_settings_of_a_run_of_its_own_log_are_accepted() -> None:
    """A log holds every setting, those that were left out too."""
    asked = BayesianSettings(compat="tao7")
    assert BayesianSettings.model_validate(asked.model_dump()) == asked
    with pytest.raises(ValidationError, match="leave initial_points out"):
        BayesianSettings(compat="tao7", initial_points=4)
