"""What a benchmark run pays for, what counts, and when."""

from __future__ import annotations

import sys
from types import MappingProxyType

import numpy as np
import pytest

from benchmarks.search.family import Curve
from benchmarks.search.methods import PEERS, Method, parse_settings
from benchmarks.search.protocol import Ledger, search
from benchmarks.search.toy import ToyFamily
from raytao.errors import SettingsError
from raytao.types import Params

TOY = ToyFamily()
TASK = TOY.tasks["dev"][0]
PLENTY = 1_000


class Falling(ToyFamily):
    """Training that makes things worse after the second epoch."""

    def curve(self, task: str, params: Params) -> tuple[Curve, Curve]:
        values, seconds = super().curve(task, params)
        values[2:] = 0.0
        return values, seconds


def test_a_promoted_trial_pays_only_what_it_adds() -> None:
    settings = {"R": 4, "nu": 2, "epoch_multiplier": 1, "brackets": 1, "cap_epochs": True}
    brain = Method("hyperband", settings).build(TOY, seed=0, budget=1)
    planned = brain.plan()
    outcome = search(brain, TOY, TASK, budget=PLENTY)
    assert len(planned.rows) > 1
    assert outcome.paid == planned.epochs < sum(row.trials * row.epochs for row in planned.rows)


def test_the_best_epoch_counts_even_if_training_ends_worse() -> None:
    brain = Method("random").build(Falling(), seed=0, budget=1)
    outcome = search(brain, Falling(), TASK, budget=1)
    assert outcome.traj == (Falling().curve(TASK, TOY.first)[0][1],) * 2


def test_half_trainings_end_with_the_last_epoch_that_fits_in_them() -> None:
    ledger = Ledger(epochs=5, budget=2)
    for now in range(1, 20):
        ledger.pay(float(now), float(now))
    assert ledger.traj == (2.0, 5.0, 7.0, 10.0)
    assert (ledger.paid, ledger.makespan) == (10, 10.0)


def test_before_the_first_epoch_there_is_no_value() -> None:
    assert Ledger(epochs=5, budget=1).traj == (None, None)


def test_a_run_that_ends_early_keeps_its_best_to_the_end() -> None:
    brain = Method("random", {"max_recommendations": 1}).build(TOY, seed=0, budget=3)
    outcome = search(brain, TOY, TASK, budget=3)
    assert outcome.paid == TOY.epochs
    assert set(outcome.traj[1:]) == {TOY.curve(TASK, TOY.first)[0].max()}


@pytest.mark.parametrize("workers", [1, 3])
@pytest.mark.parametrize("brain", ["random", "hyperband"])
def test_epochs_beyond_the_budget_do_not_count(brain: str, workers: int) -> None:
    method = Method(brain)
    long = search(method.build(TOY, seed=1, budget=9), TOY, TASK, budget=9, workers=workers)
    short = search(method.build(TOY, seed=1, budget=9), TOY, TASK, budget=4, workers=workers)
    assert short.paid == 4 * TOY.epochs
    assert short.traj == long.traj[:8]
    assert short.makespan < long.makespan


def test_workers_share_the_trainings_and_the_clock_is_the_curves() -> None:
    alone, three = (
        search(Method("random").build(TOY, seed=2, budget=6), TOY, TASK, budget=6, workers=n)
        for n in (1, 3)
    )
    assert (alone.paid, alone.traj[-1]) == (three.paid, three.traj[-1])
    assert three.makespan < alone.makespan < 3.01 * three.makespan
    assert alone.wall[0] == (2.0, TOY.curve(TASK, TOY.first)[0][0])


def test_the_same_seed_finds_the_same() -> None:
    first, second = (
        search(Method("bayesian").build(TOY, seed=3, budget=5), TOY, TASK, budget=5, workers=2)
        for _ in range(2)
    )
    assert (first.traj, first.wall) == (second.traj, second.wall)


def test_full_trainings_are_planned_as_many_as_are_paid_for() -> None:
    plan = Method("bayesian").build(TOY, seed=0, budget=7).plan()
    assert plan.trials == 7


def test_rungs_are_planned_beyond_the_budget() -> None:
    plan = Method("hyperband").build(TOY, seed=0, budget=7).plan()
    assert plan.longest <= TOY.epochs
    assert plan.epochs >= 2 * 7 * TOY.epochs


def test_a_portfolio_comes_after_the_users_own_spec() -> None:
    given = TOY.space.decode(np.full(TOY.space.dim, 0.7))
    brain = Method("random", initial=(given,)).build(TOY, seed=0, budget=2)
    outcome = search(brain, TOY, TASK, budget=2)
    finals = [TOY.curve(TASK, params)[0].max() for params in (TOY.first, given)]
    assert outcome.traj[1::2] == (finals[0], max(finals))


def test_a_setting_that_a_brain_does_not_know_is_refused_with_those_it_knows() -> None:
    with pytest.raises(SettingsError, match=r"refuses its settings: depth.*\n.*max_recomm"):
        Method("random", {"depth": 3}).build(TOY, seed=0, budget=1)


def test_a_setting_without_a_value_is_refused() -> None:
    with pytest.raises(SettingsError, match="write key=value"):
        parse_settings(["mode"])


@pytest.mark.parametrize("peer", sorted(PEERS))
def test_a_peer_that_is_not_installed_names_the_extra(
    peer: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(SettingsError, match=r"optuna(.|\n)*pip install -e \.\[bench\]"):
        Method(peer).build(TOY, seed=0, budget=1)


def test_methods_are_described_by_all_that_tells_them_apart() -> None:
    one = Method("random", MappingProxyType({"max_recommendations": 3}))
    assert one.described() != Method("random").described()
    assert Method("random", first=False).described() != Method("random").described()
