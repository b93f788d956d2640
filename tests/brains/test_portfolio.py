"""Portfolios: the laws of the order in which earlier runs' configurations are tried again."""

from __future__ import annotations

import math

from hypothesis import given
from hypothesis import strategies as st

from raytao.brains.portfolio import portfolio, regrets, thinned

Known = list[dict[int, float]]

numbers = st.integers(-1000, 1000).map(float)
scores = st.lists(numbers, min_size=1, max_size=30)
shares = st.sampled_from([0.0, 0.1, 0.25, 0.5, 0.75, 1.0])
known_somewhere = st.lists(
    st.dictionaries(st.integers(0, 3), shares, min_size=1, max_size=3), min_size=1, max_size=12
)
of_own_runs = st.lists(st.lists(numbers, min_size=3, max_size=6, unique=True), min_size=1)


@given(scores)
def test_the_best_of_a_run_has_no_regret_and_regrets_follow_the_scores(
    values: list[float],
) -> None:
    found = regrets(values)
    assert min(found) == 0.0
    assert all(0.0 <= one <= 1.0 for one in found)
    for score, regret in zip(values, found, strict=True):
        better = sum(other > score for other in values)
        assert regret == better / max(len(values) - 1, 1)


@given(scores)
def test_regrets_do_not_change_when_all_scores_of_a_run_are_rescaled(values: list[float]) -> None:
    assert regrets([math.atan(value) for value in values]) == regrets(values)


@given(known_somewhere, st.integers(0, 12))
def test_members_are_different_and_a_smaller_portfolio_begins_a_larger(
    known: Known, size: int
) -> None:
    chosen = portfolio(known, {}, size)
    assert len(set(chosen)) == len(chosen) <= size
    assert portfolio(known, {}, size + 1)[: len(chosen)] == chosen


@given(known_somewhere)
def test_the_first_member_serves_the_runs_best(known: Known) -> None:
    chosen = portfolio(known, {}, 1)
    served = [sum(1.0 - regret for regret in one.values()) for one in known]
    if max(served) == 0:
        assert chosen == []
    else:
        assert served[chosen[0]] == max(served)


@given(known_somewhere)
def test_what_is_the_worst_wherever_it_is_known_is_never_chosen(known: Known) -> None:
    chosen = portfolio(known, {}, len(known))
    useless = {n for n, one in enumerate(known) if min(one.values()) == 1.0}
    assert set(chosen) == set(range(len(known))) - useless


@given(of_own_runs)
def test_the_best_of_each_run_come_first_by_how_far_they_beat_its_own_baseline(
    runs: list[list[float]],
) -> None:
    shared = [regrets(one) for one in runs]
    known = [{run: regret} for run, found in enumerate(shared) for regret in found]
    baselines = {run: found[0] for run, found in enumerate(shared)}  # its first configuration
    chosen = portfolio(known, baselines, len(runs))
    assert [known[one] for one in chosen] == [
        {run: 0.0} for run in sorted(baselines, key=lambda run: (-baselines[run], run))
    ]
    both = portfolio(known, baselines, 2 * len(runs))
    second = [run for one in both[len(runs) :] for run in known[one]]
    assert len(second) == len(set(second))


def test_a_run_without_a_baseline_counts_as_one_that_began_worst() -> None:
    assert portfolio([{0: 0.0}, {1: 0.0}], {0: 0.9}, 2) == [1, 0]


def test_a_configuration_that_two_runs_know_comes_before_the_best_of_one() -> None:
    assert portfolio([{0: 0.0}, {1: 0.0}, {0: 0.2, 1: 0.1}], {}, 3) == [2, 0, 1]


def test_a_run_that_is_well_served_waits_for_the_others() -> None:
    assert portfolio([{0: 0.0}, {0: 0.01}, {1: 0.9}], {}, 3) == [0, 2, 1]


@given(known_somewhere)
def test_of_configurations_that_are_alike_one_is_enough(known: Known) -> None:
    chosen = portfolio(known, {}, len(known), lambda one, other: one % 3 == other % 3)
    assert len({one % 3 for one in chosen}) == len(chosen)


@given(st.lists(numbers, max_size=40), st.integers(1, 20))
def test_thinned_results_keep_the_best_half_and_reach_down_to_the_worst(
    values: list[float], most: int
) -> None:
    kept = thinned(values, most)
    assert kept == sorted(set(kept))
    assert len(kept) == min(len(values), most)
    best = sorted(values, reverse=True)[: most - most // 2]
    found = sorted((values[one] for one in kept), reverse=True)
    assert found[: len(best)] == best
    if most > 1 and values:
        assert found[-1] == min(values)
