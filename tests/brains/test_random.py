"""Random search is independent draws, trained to the end."""

from __future__ import annotations

import subprocess
import sys

import pytest
from pydantic import ValidationError

from raytao.brains.base import Brain, Plan, PlanRow, Task
from raytao.brains.random import Random
from raytao.space import Float, Space
from raytao.testing.brain_contract import BrainContract
from raytao.types import EPOCHS, SCORE, Decision, Observation, Scored, Start

SPACE = Space([Float("lr", 1e-4, 1e-1, log=True)])


class TestRandomIsABrain(BrainContract):
    synchronous = True

    def make_brain(self, seed: int) -> Brain:
        return Random(self.task(seed), Random.Settings(max_recommendations=6))


def test_a_trial_s_configuration_depends_on_its_number_only() -> None:
    one = Random(Task(SPACE, epochs=2, seed=5), Random.Settings())
    other = Random(Task(SPACE, epochs=2, seed=5), Random.Settings())
    other.adopt(0, {"lr": 0.05})
    one.suggest(0)
    assert one.suggest(1) == other.suggest(1)


def test_every_trial_trains_to_the_end() -> None:
    brain = Random(Task(SPACE, epochs=2), Random.Settings())
    start = brain.suggest(0)
    assert isinstance(start, Start)
    assert start.budget == start.horizon == {EPOCHS: 2}
    decisions = [
        brain.observe(Observation(0, {EPOCHS: epoch}, Scored({SCORE: 0.5}))).decision
        for epoch in (1, 2)
    ]
    assert decisions == [Decision.CONTINUE, Decision.STOP]


def test_the_plan_is_twenty_full_trainings_by_default() -> None:
    plan = Random(Task(SPACE, epochs=80), Random.Settings()).plan()
    assert plan == Plan((PlanRow(0, 0, trials=20, epochs=80),))
    assert plan.epochs == 1600


def test_tao_s_name_of_the_setting_is_known() -> None:
    made = Random.Settings.model_validate({"automl_max_recommendations": 7})
    assert made == Random.Settings.model_validate({"max_recommendations": 7})


@pytest.mark.parametrize("value", [0, -1, "7", 7.0, True])
def test_a_setting_of_another_kind_is_refused(value: object) -> None:
    with pytest.raises(ValidationError, match="max_recommendations"):
        Random.Settings.model_validate({"max_recommendations": value})


def test_a_trial_beyond_the_plan_is_not_adopted() -> None:
    brain = Random(Task(SPACE, epochs=1), Random.Settings(max_recommendations=1))
    brain.adopt(0, {"lr": 0.01})
    with pytest.raises(LookupError, match="no room for trial 1"):
        brain.adopt(1, {"lr": 0.02})


def test_a_number_out_of_turn_is_refused() -> None:
    brain = Random(Task(SPACE, epochs=1), Random.Settings())
    with pytest.raises(ValueError, match="trial 3 is out of turn: the next is 0"):
        brain.suggest(3)


def test_random_and_hyperband_do_without_scipy() -> None:
    code = (
        "import sys, raytao.brains.hyperband, raytao.brains.random; print('scipy' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
