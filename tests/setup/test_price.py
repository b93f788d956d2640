"""What a plan takes: the time of a simulated run, and no number that nobody gave."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

import raytao
from raytao.brains.base import Brain, Plan, PlanRow, Task
from raytao.brains.bayesian import Bayesian, BayesianSettings
from raytao.brains.hyperband import Hyperband, HyperbandSettings
from raytao.cli.main import main
from raytao.errors import SettingsError
from raytao.setup.price import HOUR, Rates, estimate
from raytao.setup.resolve import resolve_values
from raytao.setup.schedule import forecast, rates
from raytao.space import Float, Space
from raytao.testing.simulator import simulate
from raytao.types import Json, Params

SPACE = Space([Float("x", 0.0, 1.0)])
SYNC: dict[str, Json] = {"name": "hyperband", "R": 9, "nu": 3, "epoch_multiplier": 1}
SYNC |= {"mode": "sync"}


def by_x(params: Params, epoch: int) -> float:
    del epoch
    return float(str(params["x"]))


def hyperband(R: int, nu: int, **keys: Any) -> Brain:
    made = HyperbandSettings.model_validate({"R": R, "nu": nu, "epoch_multiplier": 1, **keys})
    return Hyperband(Task(SPACE, 9), made)


def minutes(brain: Brain, workers: int) -> float:
    """The estimate, at a minute an epoch."""
    return estimate(brain.plan(), Rates(1.0, workers)).hours * HOUR


shapes = given(st.integers(3, 30), st.integers(2, 4), st.integers(1, 20))


@shapes
@settings(deadline=None, max_examples=60)
def test_brackets_one_by_one_take_what_a_simulated_run_takes(
    R: int, nu: int, workers: int
) -> None:
    R = max(R, nu)

    def brain() -> Brain:
        return hyperband(R, nu, mode="sync", overlap=False)

    simulated = simulate(brain(), by_x, workers=workers).makespan
    assert minutes(brain(), workers) == pytest.approx(simulated)


@shapes
@settings(deadline=None, max_examples=60)
def test_overlapping_brackets_take_about_what_a_simulated_run_takes(
    R: int, nu: int, workers: int
) -> None:
    """Whose end is seen first, of two at the same time, is not the schedule's to say."""
    R = max(R, nu)
    plan = hyperband(R, nu, mode="sync").plan()
    simulated = simulate(hyperband(R, nu, mode="sync"), by_x, workers=workers).makespan
    found = estimate(plan, Rates(1.0, workers)).hours * HOUR
    assert found == pytest.approx(simulated, rel=0.25)
    even = plan.epochs / workers
    assert max(even, plan.longest) <= found * (1 + 1e-9)
    assert found <= (even + plan.longest * (1 - 1 / workers)) * (1 + 1e-9)


@shapes
@settings(deadline=None, max_examples=60)
def test_a_bound_is_not_exceeded_where_no_rung_waits(R: int, nu: int, workers: int) -> None:
    R = max(R, nu)

    def brain() -> Brain:
        return hyperband(R, nu, mode="async", sampler="random", promotion="rank")

    bound = estimate(brain().plan(), Rates(1.0, workers))
    assert not bound.exact
    simulated = simulate(brain(), by_x, workers=workers).makespan
    assert simulated <= bound.hours * HOUR * (1 + 1e-9)


def test_full_trainings_fill_the_workers() -> None:
    brain = Bayesian(Task(SPACE, 9), BayesianSettings())
    assert minutes(brain, 1) == pytest.approx(20 * 9)
    assert minutes(brain, 8) == pytest.approx(3 * 9)


def test_taos_search_keeps_one_worker_busy() -> None:
    brain = Bayesian(Task(SPACE, 9), BayesianSettings(compat="tao5"))
    taken = estimate(brain.plan(), Rates(1.0, 4, gpus=1))
    assert taken.hours * HOUR == pytest.approx(20 * 9)
    assert taken.held_gpu_hours == pytest.approx(4 * taken.gpu_hours)


def test_a_promotion_that_retrains_pays_its_rungs_in_full() -> None:
    plan = hyperband(9, 3, mode="sync").plan()
    resumed, anew = (estimate(plan, Rates(1.0, retrain=again)) for again in (False, True))
    assert resumed.epochs == plan.epochs == 36
    assert anew.epochs == sum(row.trials * row.epochs for row in plan.rows) == 45
    assert anew.hours / resumed.hours == pytest.approx(45 / 36)


def test_a_plan_beyond_playing_through_is_bounded() -> None:
    plan = Plan((PlanRow(0, 0, 10**7, 1), PlanRow(0, 1, 10**6, 10)))
    taken = estimate(plan, Rates(1.0, 4))
    assert not taken.exact
    assert taken.hours * HOUR == pytest.approx((10**7 + 9 * 10**6 + 3 * 10) / 4)
    assert estimate(plan, Rates(1.0, 1)).exact


def test_gpu_hours_are_those_of_trials_and_idle_ones_are_told_apart() -> None:
    plan = Plan((PlanRow(0, 0, 3, 60),))
    taken = estimate(plan, Rates(1.0, 2, gpus=0.5, gpu_price=4.0))
    assert (taken.hours, taken.gpu_hours, taken.held_gpu_hours) == (2.0, 1.5, 2.0)
    assert (taken.cost, taken.held_cost) == (6.0, 8.0)
    assert estimate(plan, Rates(1.0)).cost is None


@pytest.mark.parametrize("bad", [0.0, -1.0, math.nan, math.inf])
def test_minutes_that_mean_nothing_are_refused(bad: float) -> None:
    with pytest.raises(SettingsError, match="must be more than 0"):
        Rates(bad)


@pytest.mark.parametrize("bad", [-1.0, math.nan, math.inf])
def test_a_price_that_means_nothing_is_refused(bad: float) -> None:
    with pytest.raises(SettingsError, match="must be 0 or more"):
        Rates(1.0, gpus=1, gpu_price=bad)


def configured(**keys: Json) -> raytao.AutoML:
    return raytao.AutoML("toy", **{"brain": SYNC, "results_dir": "unused", **keys})


@pytest.mark.parametrize(
    ("numbers", "told"),
    [
        ({"workers": 4}, "nobody says how long an epoch takes"),
        ({"gpu_price": 2.0}, "nobody says how long an epoch takes"),
        ({"minutes_per_epoch": 1.0, "workers": 0}, "0 workers train nothing"),
        ({"minutes_per_epoch": 1.0, "workers": 9}, "slots is 8"),
        ({"minutes_per_epoch": 1.0, "gpu_price": 2.0}, "trials get no GPU"),
    ],
)
def test_numbers_that_do_not_fit_the_run_are_refused(numbers: dict[str, Any], told: str) -> None:
    with pytest.raises(SettingsError, match=told):
        configured(slots=8).plan(**numbers)


def test_without_minutes_nothing_is_estimated() -> None:
    plan = configured().plan()
    assert plan.estimate is None
    for word in ("time", "GPU hours", "cost"):
        assert f"\n{word} " not in repr(plan)


def test_the_slots_of_the_run_are_its_workers() -> None:
    found = configured(slots=3).plan(minutes_per_epoch=2.0).estimate
    alone = configured().plan(minutes_per_epoch=2.0).estimate
    assert found is not None
    assert alone is not None
    assert (found.rates.workers, alone.rates.workers) == (3, 1)
    assert alone.hours * HOUR == pytest.approx(72.0)


def test_a_card_that_retrains_and_a_command_that_cannot_go_on_pay_rungs_in_full() -> None:
    anew = {
        network: found.rates.retrain
        for network in ("toy", "dino", "mask_rcnn", "detectnet_v2")
        if (found := raytao.AutoML(network).plan(minutes_per_epoch=1.0).estimate) is not None
    }
    assert anew == {"toy": False, "dino": False, "mask_rcnn": True, "detectnet_v2": True}


def test_a_budget_that_ends_the_run_before_is_told_of() -> None:
    setup = resolve_values(
        {"network": "toy", "brain": SYNC, "results_dir": "unused", "budget": {"hours": 1}},
        caller="test",
    )
    assert any("budget.hours=1 ends it" in n for n in forecast(setup, rates(setup, 2.0)).notes)
    assert not any("ends it" in n for n in forecast(setup, rates(setup, 1.0)).notes)


def test_text_page_and_json_tell_the_same_numbers(tmp_path: Path) -> None:
    run = tmp_path / "run.yaml"
    run.write_text(f"network: toy\nbrain: {json.dumps(SYNC)}\nresources: {{gpus: 1}}\n")
    asked = ["plan", str(run), "--minutes-per-epoch", "2", "--workers", "3", "--gpu-price", "2.5"]
    shown = CliRunner().invoke(main, asked)
    data = json.loads(CliRunner().invoke(main, [*asked, "--json"]).stdout)["estimate"]
    assert (data["epochs"], data["hours"], data["exact"]) == (36, 0.5, True)
    assert (data["gpu_hours"], data["cost"], data["held_cost"]) == (1.2, 3.0, 3.75)
    page = raytao.AutoML.from_file(run).plan(minutes_per_epoch=2, workers=3, gpu_price=2.5)
    for line in ("0:30:00 of training on 3 workers", "1.20; 1.50 if all 3 workers", "3.00 at 2.5"):
        assert line in shown.stdout
        assert line in page._repr_html_()


def test_a_bad_number_on_the_command_line_is_the_users_mistake() -> None:
    for word in ("nan", "-1", "0"):
        shown = CliRunner().invoke(main, ["plan", "digits_hyperband", "--minutes-per-epoch", word])
        assert shown.exit_code == 2
        assert "must be more than 0" in shown.stderr
