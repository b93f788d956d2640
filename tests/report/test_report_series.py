"""The best value over time: it only ever improves, and ends at the incumbent."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from raytao.report.series import improvements, lowest_shown, takeovers, thinned
from raytao.runs.events import Broke, Event, Opened, Reported, Started
from raytao.runs.log import Record
from raytao.runs.state import RunState
from raytao.types import Direction

values = st.floats(-1e9, 1e9).map(lambda value: round(value, 3))
directions = st.sampled_from(list(Direction))


@st.composite
def logs(draw: st.DrawFn) -> list[Record]:
    """Up to four trials whose epochs come in any order; some of the trials break."""
    direction = draw(directions)
    trials = draw(st.integers(0, 4))
    events: list[Event] = [Opened({}, "loss", direction.value, "0")]
    for n in range(trials):
        events.append(Started(n, {}, {"epochs": 9}, {"epochs": 9}, "why", "id"))
    known = dict.fromkeys(range(trials), 0)
    alive = set(known)
    for _ in range(draw(st.integers(0, 20))):
        if not alive:
            break
        n = draw(st.sampled_from(sorted(alive)))
        if draw(st.integers(0, 9)) == 0:
            alive.discard(n)
            events.append(Broke(n, 1, "error", "reason"))
            continue
        known[n] += 1
        value = draw(values)
        metrics = {"loss": value, "score": direction.score(value)}
        events.append(Reported(n, 1, known[n], metrics, 1.0))
    return [Record(seq, float(seq), event) for seq, event in enumerate(events)]


@given(logs())
def test_scores_only_rise_and_time_only_goes_on(records: list[Record]) -> None:
    series = improvements(records)
    assert all(old.score < new.score for old, new in pairwise(series))
    assert all(old.after < new.after for old, new in pairwise(series))


@given(logs())
def test_the_last_improvement_is_what_the_incumbent_is_worth(records: list[Record]) -> None:
    best, series = RunState.fold(records).incumbent, improvements(records)
    assert (best is None) == (series == ())
    if best is not None:
        assert (series[-1].score, series[-1].value) == (best.score, best.value)


@given(logs())
def test_every_improvement_is_a_report_of_a_trial_that_did_not_fail(records: list[Record]) -> None:
    reports = [r.event for r in records if isinstance(r.event, Reported)]
    failed = {r.event.trial for r in records if isinstance(r.event, Broke)}
    for point in improvements(records):
        report = reports[point.after - 1]
        assert (report.trial, report.epoch) == (point.trial, point.epoch)
        assert report.metrics["loss"] == point.value
        assert point.trial not in failed


@given(logs())
def test_a_takeover_is_an_improvement_by_another_trial(records: list[Record]) -> None:
    series = improvements(records)
    leaders = takeovers(series)
    assert leaders[:1] == series[:1]
    assert set(leaders) <= set(series)
    assert all(old.trial != new.trial for old, new in pairwise(leaders))
    assert [p.trial for p in leaders[-1:]] == [p.trial for p in series[-1:]]


@given(st.dictionaries(st.integers(1, 500), values, min_size=1), st.integers(2, 50))
def test_a_thinned_curve_keeps_its_ends_and_invents_nothing(
    history: dict[int, float], most: int
) -> None:
    kept = thinned(history, most)
    assert kept.items() <= history.items()
    assert len(kept) == min(most, len(history))
    assert {min(history), max(history)} <= kept.keys()
    assert list(kept) == sorted(kept)


@given(st.lists(values, min_size=1))
def test_the_axis_begins_at_a_score_and_has_the_better_three_quarters(
    scores: list[float],
) -> None:
    lowest = lowest_shown(scores)
    assert lowest in scores
    assert sum(score >= lowest for score in scores) >= 0.75 * len(scores)


def test_a_diverged_training_is_off_the_scale_and_a_poor_start_is_not() -> None:
    rng = np.random.default_rng(3)
    usual = [*rng.uniform(0.6, 0.9, 40), 0.05]
    assert lowest_shown(usual) == 0.05
    assert lowest_shown([*usual, -1e6]) == 0.05
