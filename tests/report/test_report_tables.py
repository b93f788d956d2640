"""Recommendations and failures as tables: thousands are folded, and nothing is left out unsaid."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from raytao.report.page.trials import (
    LONGEST_REASON,
    MOST_FAILURES,
    MOST_ROWS,
    failures,
    listing,
)
from raytao.report.page.values import LONGEST_VALUE, listed, plain, span
from raytao.runs.events import Broke, Opened
from raytao.runs.state import Phase, RunState, TrialState
from raytao.types import SCORE, Json, Params


def state_of(
    count: int,
    params: Callable[[int], Params] = lambda n: {"x": n},
    reason: Callable[[int], str] = lambda n: "",
) -> RunState:
    """So many trials of one epoch, the later the better; those with a reason failed."""
    state = RunState()
    state.opened = Opened({}, "value", "maximize", "1.0")
    for number in range(count):
        why = reason(number)
        trial = TrialState(number, params(number), 1, 1, "job", ["random"])
        trial.history = {1: {"value": float(number), SCORE: float(number)}}
        trial.best_epoch = 1
        trial.phase = Phase.FAILED if why else Phase.FINISHED
        trial.failure = Broke(number, 1, "error", why) if why else None
        state.add(trial)
    return state


def no_log(trial: int) -> str:
    return ""


def test_of_5000_the_best_are_listed_and_all_are_counted() -> None:
    found = listing(("x",), state_of(5_000))
    assert found.total == 5_000
    assert [row.number for row in found.rows] == [*range(4_999, 4_999 - MOST_ROWS, -1)]
    assert [row.leads for row in found.rows] == [True, *[False] * (MOST_ROWS - 1)]


def test_the_more_values_a_row_has_the_fewer_are_listed() -> None:
    names = tuple(f"p{n}" for n in range(300))
    state = state_of(1_000, lambda n: dict.fromkeys(names, n))
    found = listing(names, state)
    assert 50 <= len(found.rows) < 200
    assert found.total == 1_000


def test_a_value_that_was_not_active_is_a_dash() -> None:
    (row, *_) = listing(("x", "y"), state_of(1)).rows
    assert row.values == ("0", "–")


def test_long_values_and_reasons_are_shortened() -> None:
    state = state_of(1, lambda n: {"x": "v" * 10_000}, lambda n: "r" * 10_000)
    assert len(listing(("x",), state).rows[0].values[0]) <= LONGEST_VALUE + 2
    assert len(failures(state, no_log).told[0].reason) <= LONGEST_REASON + 2


def test_what_broke_alike_is_told_once_the_most_frequent_first() -> None:
    found = failures(state_of(90, reason=lambda n: "often" if n % 3 else "seldom"), no_log)
    assert [(f.reason, f.first) for f in found.told] == [("often", 1), ("seldom", 0)]
    assert found.told[0].trials.endswith(" and 40 more")
    assert (found.kinds, found.trials) == (2, 90)


def test_5000_failures_of_as_many_kinds_are_counted_and_some_are_told() -> None:
    found = failures(state_of(5_000, reason=lambda n: f"at {n}"), no_log)
    assert (len(found.told), found.kinds, found.trials) == (MOST_FAILURES, 5_000, 5_000)


def test_a_log_is_named_where_there_is_one() -> None:
    state = state_of(3, reason=lambda n: f"at {n}")
    found = failures(state, lambda trial: "experiment_1/log.txt" if trial == 1 else "")
    assert [failure.log for failure in found.told] == ["", "experiment_1/log.txt", ""]
    assert found.with_a_log == 1
    assert failures(state, no_log).with_a_log is None


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (True, "true"),
        (0.1 + 0.2, "0.3"),
        (1e-9, "1e-09"),
        (None, "–"),
        ("a", "a"),
        ([1, 2], "[1, 2]"),
    ],
)
def test_values_are_written_as_in_a_spec(value: Json, shown: str) -> None:
    assert plain(value) == shown


def test_nothing_is_listed_as_nothing() -> None:
    assert listed([], 3) == ""
    assert span(0) == "0:00:00"
