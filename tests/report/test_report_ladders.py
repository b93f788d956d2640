"""Who went on at each rung: the laws of successive halving, read back from the log."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from itertools import pairwise

import pytest

from raytao.report.pictures.captions import brackets
from raytao.report.pictures.ladders import ladders
from raytao.runs.log import Record
from raytao.runs.state import RunState
from raytao.setup.setup import Setup
from raytao.types import SCORE

MakeRun = Callable[..., tuple[Setup, list[Record]]]
BRAIN = "{{name: hyperband, R: 9, nu: 3, epoch_multiplier: 1, mode: {}}}"


def sometimes(trial: int, epoch: int) -> bool:
    return trial % 2 == 1 and epoch == 2


def test_a_run_without_failures_fills_every_rung_as_planned(make_run: MakeRun) -> None:
    setup, records = make_run()
    plan = setup.new_brain().plan()
    found = ladders(RunState.fold(records), plan)
    filled = [(rung.epochs, len(rung.ranked)) for ladder in found for rung in ladder]
    assert filled == [(row.epochs, row.trials) for row in plan.rows]
    assert all(not rung.open and not rung.failed for ladder in found for rung in ladder)


@pytest.mark.parametrize("share", [0.0, 0.2, 0.5, 0.8, 1.0])
def test_only_those_who_went_on_are_at_the_next_rung(make_run: MakeRun, share: float) -> None:
    setup, records = make_run(fails=sometimes)
    state = RunState.fold(records[: max(1, int(share * len(records)))])
    found = ladders(state, setup.new_brain().plan())
    for ladder in found:
        for here, there in pairwise(ladder):
            assert set(there.members) == here.on
            assert here.on <= set(here.members)
        assert all(len(rung.members) <= rung.planned for rung in ladder)
    first = [trial for ladder in found for trial in ladder[0].members]
    assert sorted(first) == sorted(state.trials)


@pytest.mark.parametrize("mode", ["sync", "async"])
@pytest.mark.parametrize("share", [0.2, 0.4, 0.6, 0.8, 1.0])
def test_whoever_is_said_to_have_come_to_a_rung_was_trained_so_far(
    make_run: MakeRun, share: float, mode: str
) -> None:
    setup, records = make_run(BRAIN.format(mode), fails=sometimes)
    state = RunState.fold(records[: max(2, int(share * len(records)))])
    plan = setup.new_brain().plan()
    told: Counter[int] = Counter()
    for count, epoch in re.findall(
        r"(\d+)(?: of \d+)?(?: of them)?(?: trials?)? to epoch (\d+)", brackets(state, plan)
    ):
        told[int(epoch)] += int(count)
    came: Counter[int] = Counter()
    for rung in (rung for ladder in ladders(state, plan) for rung in ladder):
        came[rung.epochs] += sum(state.trials[n].epochs >= rung.epochs for n in rung.members)
    assert told == came


def test_nobody_who_stopped_was_better_than_one_who_went_on(make_run: MakeRun) -> None:
    setup, records = make_run(fails=sometimes)
    state = RunState.fold(records)
    for ladder in ladders(state, setup.new_brain().plan()):
        for rung in ladder[:-1]:
            scores = {t: state.trials[t].history[rung.epochs][SCORE] for t in rung.ranked}
            assert list(scores.values()) == sorted(scores.values(), reverse=True)
            on = [scores[t] for t in rung.ranked if t in rung.on]
            off = [scores[t] for t in rung.ranked if t not in rung.on]
            assert not on or not off or min(on) >= max(off)


def test_a_failed_trial_is_shown_at_the_rung_that_it_did_not_reach(make_run: MakeRun) -> None:
    setup, records = make_run(fails=sometimes)
    state = RunState.fold(records)
    broken = {t.number: t.epochs for t in state.trials.values() if t.failure is not None}
    assert broken
    for ladder in ladders(state, setup.new_brain().plan()):
        for rung in ladder:
            assert all(broken[trial] < rung.epochs for trial in rung.failed)


def test_a_plan_without_rungs_has_no_ladders(make_run: MakeRun) -> None:
    setup, records = make_run("{name: random, max_recommendations: 4}")
    assert ladders(RunState.fold(records), setup.new_brain().plan()) == ()
