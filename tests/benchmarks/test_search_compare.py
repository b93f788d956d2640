"""Figures of a comparison: seeds are repetitions, tasks are what is compared."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.search.compare import bounds, by_row, paired, regrets, spread
from benchmarks.search.methods import Method
from benchmarks.search.protocol import Outcome
from benchmarks.search.runs import Run
from benchmarks.search.speed import Reference, speed, time_to
from benchmarks.search.tables import tables
from benchmarks.search.toy import ToyFamily
from raytao.errors import DataError

TOY = ToyFamily()
GAPS = st.lists(st.floats(-50, 50), min_size=2, max_size=8)
BY_TASK = st.dictionaries(st.sampled_from("abcdefgh"), st.floats(0, 100), min_size=1)


def run(label: str, task: str, seed: int, value: float, *, at: float = 10.0) -> Run:
    """A run that found ``value`` after ``at`` seconds, and ended after 10."""
    outcome = Outcome((None, value), ((at, value),), 10.0, 0.1, 1, TOY.epochs)
    return Run("toy", label, task, seed, 1, 1, outcome, Method("random").described())


def test_a_task_with_more_seeds_has_no_more_weight() -> None:
    runs = [run("a", "1", seed, 0.5) for seed in range(9)] + [run("a", "2", 0, 0.9)]
    found = regrets(runs, TOY, 1)
    assert found == pytest.approx({"1": 50.0, "2": 10.0})
    assert spread(found).mean == pytest.approx(30.0)


def test_the_error_of_a_mean_is_over_tasks_and_unknown_for_one() -> None:
    assert spread({"a": 1.0, "b": 3.0}).error == pytest.approx(1.0)
    assert math.isnan(spread({"a": 1.0}).error)


@given(BY_TASK, BY_TASK)
@settings(max_examples=25, deadline=None)
def test_only_common_tasks_are_paired_and_signs_turn_around(
    ours: dict[str, float], theirs: dict[str, float]
) -> None:
    one, other = paired(ours, theirs), paired(theirs, ours)
    common = ours.keys() & theirs.keys()
    assert (one is None) == (other is None) == (not common)
    if one is not None and other is not None:
        assert one.tasks == len(common)
        assert one.gap.mean == pytest.approx(-other.gap.mean)
        assert (one.lower, one.upper) == pytest.approx((-other.upper, -other.lower), abs=1e-6)
        assert one.wins + other.wins <= one.tasks


@given(GAPS, st.floats(-9, 9))
@settings(max_examples=25, deadline=None)
def test_the_bounds_move_with_the_gaps_and_stay_among_them(
    gaps: list[float], shift: float
) -> None:
    lower, upper = bounds(gaps)
    assert min(gaps) - 1e-9 <= lower <= upper <= max(gaps) + 1e-9
    moved = bounds([gap + shift for gap in gaps])
    assert moved == pytest.approx((lower + shift, upper + shift), abs=1e-6)


def test_the_bounds_are_the_same_each_time_and_near_the_normal_ones() -> None:
    gaps = [float(k) for k in range(-50, 51)]
    error = spread({str(gap): gap for gap in gaps}).error
    near = pytest.approx((-1.645 * error, 1.645 * error), rel=0.05)
    assert bounds(gaps) == bounds(gaps) == near


def test_a_run_that_is_there_twice_is_refused() -> None:
    with pytest.raises(DataError, match="a, task 1, seed 0 is there twice"):
        by_row([run("a", "1", 0, 0.5), run("a", "1", 0, 0.6)])


def test_ours_may_not_hide_among_a_peers_runs() -> None:
    ours = [run("peer", "1", 100, 0.9)]
    given_ = [replace(run("peer", "1", 0, 0.5), method=None)]
    with pytest.raises(DataError, match="'peer' is a peer's label"):
        list(tables(ours, given_, TOY))


def test_runs_of_a_peer_that_were_made_here_extend_the_given_ones() -> None:
    more = replace(run("peer", "1", 1, 0.7), method=Method("optuna_tpe").described())
    (means,) = tables([more], [replace(run("peer", "1", 0, 0.5), method=None)], TOY)
    assert means.lines == [["peer", "2", "1", "2", "40.00 ± ?", "10", "0.10"]]


def test_a_portfolio_is_said_beside_the_label() -> None:
    method = Method("random", initial=(TOY.first,)).described()
    (means,) = tables([replace(run("a", "1", 0, 0.5), method=method)], [], TOY)
    assert means.lines[0][0] == "a (portfolio of 1)"


def test_a_difference_is_told_with_its_bound_and_wins() -> None:
    ours = [run("good", task, 0, 0.9) for task in "123"]
    given_ = [replace(run("bad", task, 0, 0.7), method=None) for task in "12"]
    _, differences = tables(ours, given_, TOY)
    assert differences.lines == [["good - bad", "2", "-20.00 ± 0.00 [-20.00, -20.00] 2"]]
    assert differences.markdown().splitlines()[-1] == (
        "| good - bad | 2 | -20.00 ± 0.00 [-20.00, -20.00] 2 |"
    )


def test_time_to_a_regret_is_when_it_is_first_reached() -> None:
    assert time_to(run("a", "1", 0, 0.5, at=4.0), TOY, 50.0) == 4.0
    assert time_to(run("a", "1", 0, 0.5, at=4.0), TOY, 49.0) == math.inf


def test_speed_is_told_in_shares_of_the_references_time() -> None:
    reference = Reference.of([run("slow", task, 0, 0.5) for task in "12"], TOY)
    fast = [run("fast", "1", 0, 0.6, at=1.0), run("fast", "2", 0, 0.6, at=2.0)]
    found = speed(fast, reference, TOY)
    assert found is not None
    assert (found.median, found.mean_curve) == pytest.approx((0.15, 0.2))
    assert (found.reached, found.runs, found.tasks) == (2, 2, 2)
    worse = speed([run("worse", "1", 0, 0.4)], reference, TOY)
    assert worse is not None
    assert (worse.median, worse.mean_curve, worse.reached) == (math.inf, math.inf, 0)
