"""Recovery is replay: any prefix of a log is gone on with to the same end, or refused."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from raytao.brains.base import Brain, Task
from raytao.brains.bayesian import Bayesian, BayesianSettings
from raytao.brains.full import FullLengthSettings
from raytao.brains.gp.believed import Believer
from raytao.brains.hyperband import Hyperband, HyperbandSettings
from raytao.brains.random import Random
from raytao.errors import DamagedRun
from raytao.runs.controller import Controller
from raytao.runs.events import Event, Judged, Opened, Reported, Resumed
from raytao.runs.log import EventLog, read_log
from raytao.runs.opening import open_run
from raytao.runs.state import Phase
from raytao.runs.store import MemoryStore
from raytao.space import Float, Space
from raytao.testing.objectives import LearningCurves
from raytao.testing.simulator import LOG_KEY, simulate
from raytao.types import Decision, Done

SPACE = Space([Float("lr", 1e-4, 1e-1, log=True), Float("momentum", 0.0, 0.99)])
CURVES = LearningCurves(SPACE)
OPENED = Opened({}, "value", "maximize", "1.0")

Make = Callable[[], Brain]


def hyperband(R: int = 9, multiplier: int = 1) -> Hyperband:
    chosen = HyperbandSettings(R=R, nu=3, epoch_multiplier=multiplier, mode="sync")
    return Hyperband(Task(SPACE, 9, seed=3), chosen)


def climbing() -> Hyperband:
    chosen = HyperbandSettings(R=9, nu=3, epoch_multiplier=1, brackets=1, mode="async")
    return Hyperband(Task(SPACE, 9, seed=3), chosen)


def bayesian() -> Bayesian:
    return Bayesian(Task(SPACE, 2, seed=3), BayesianSettings(max_recommendations=5))


def random(many: int = 4) -> Random:
    return Random(Task(SPACE, 2, seed=3), FullLengthSettings(max_recommendations=many))


def opened(brain: Brain, store: MemoryStore, slots: int = 1) -> Controller:
    return open_run(store, LOG_KEY, brain, OPENED, slots=slots)


def logged(store: MemoryStore) -> list[Event]:
    return [record.event for record in read_log(store, LOG_KEY)]


def rewritten(events: Sequence[Event]) -> MemoryStore:
    """A log of these events that no checksum objects to."""
    store = MemoryStore()
    log = EventLog(store, LOG_KEY)
    for event in events:
        log.add(event)
    log.commit()
    return store


def final(controller: Controller) -> list[tuple[int, dict[str, Any], int]]:
    """What two runs are compared by: the number, configuration and epochs of every trial."""
    trials = controller.state.trials.values()
    return [(t.number, dict(t.params), t.epochs) for t in trials]


@cache
def finished(make: Make, workers: int = 1) -> tuple[MemoryStore, list[tuple[int, Any, int]]]:
    """An undisturbed run: its files and its end."""
    store = MemoryStore()
    return store, final(simulate(make(), CURVES, workers=workers, store=store).controller)


def refuse(brain: Brain, store: MemoryStore) -> None:
    """Opening the log, with a torn tail for good measure, is refused and leaves it alone."""
    store.append_batch(LOG_KEY, b'{"seq":999')
    before = dict(store.files)
    with pytest.raises(DamagedRun):
        opened(brain, store)
    assert store.files == before


@pytest.mark.parametrize(
    ("make", "workers"), [(hyperband, 1), (hyperband, 4), (bayesian, 1), (climbing, 1)]
)
@settings(max_examples=20, deadline=None)
@given(data=st.data())
def test_any_prefix_of_a_log_is_gone_on_with_to_the_same_end(
    make: Callable[[], Brain], workers: int, data: st.DataObject
) -> None:
    undisturbed, end = finished(make, workers)
    whole = undisturbed.files[LOG_KEY]
    boundaries = [n + 1 for n, byte in enumerate(whole) if byte == 10]
    cut = data.draw(st.sampled_from(boundaries) | st.integers(0, len(whole)))
    store = MemoryStore()
    store.replace(LOG_KEY, whole[:cut])
    kept = logged(store)
    controller = simulate(make(), CURVES, workers=workers, store=store).controller
    assert logged(store)[: len(kept)] == kept
    assert final(controller) == end
    reports = [(e.trial, e.epoch) for e in logged(store) if isinstance(e, Reported)]
    assert len(reports) == len(set(reports))
    assert sum(isinstance(e, Resumed) for e in logged(store)) == bool(kept)


def test_a_verdict_that_was_torn_off_is_made_again_before_anything_else() -> None:
    events = logged(finished(hyperband, 4)[0])
    for place, event in enumerate(events):
        if isinstance(event, Judged):
            store = rewritten(events[:place])
            controller = opened(hyperband(), store, slots=4)
            assert event in logged(store)[place:]
            state = controller.state
            assert sorted(state.offers) == [t.number for t in state.by_phase(Phase.OFFERED)]


def test_a_finished_run_opened_again_has_nothing_to_do() -> None:
    store = MemoryStore()
    end = final(simulate(hyperband(), CURVES, store=store).controller)
    controller = opened(hyperband(), store, slots=9)
    assert isinstance(controller.suggest(), Done)
    assert controller.finish() == "Done"
    assert final(controller) == end


@pytest.mark.parametrize("change", ["decision", "promote", "retire", "missing"])
def test_an_edited_verdict_is_damage_and_nothing_is_changed(change: str) -> None:
    events = logged(finished(hyperband)[0])
    place, verdict = next(
        (n, e) for n, e in enumerate(events) if isinstance(e, Judged) and e.promote
    )
    edits: dict[str, list[Event]] = {
        "decision": [replace(verdict, decision=Decision.CONTINUE.value)],
        "promote": [replace(verdict, promote=[{**verdict.promote[0], "trial": 0}])],
        "retire": [replace(verdict, retire=verdict.retire[1:])],
        "missing": [],
    }
    refuse(hyperband(), rewritten([*events[:place], *edits[change], *events[place + 1 :]]))


@pytest.mark.parametrize("workers", [1, 4])
def test_what_a_model_decided_is_taken_over_and_nothing_is_fitted(
    workers: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, end = finished(climbing, workers)
    brain = climbing()

    def refuse_to_fit(*_: object) -> None:
        raise AssertionError("a replay fits nothing")

    monkeypatch.setattr(Believer, "believe", refuse_to_fit)
    controller = open_run(store, LOG_KEY, brain, OPENED, only_look=True)
    assert final(controller) == end
    epochs = sum(t.epochs for t in controller.state.trials.values())
    assert epochs <= brain.plan().epochs


@pytest.mark.parametrize(
    "change",
    [
        {"budget": {"epochs": 9}},
        {"trial": 0},
        {"trial": 99},
    ],
)
def test_a_model_s_promotion_that_breaks_the_rules_is_damage(change: dict[str, Any]) -> None:
    events = logged(finished(climbing)[0])
    at = [
        n
        for n, e in enumerate(events)
        if isinstance(e, Judged) and e.promote and e.promote[0]["budget"] == {"epochs": 3}
    ]
    first, last = events[at[0]], events[at[-1]]
    assert isinstance(first, Judged)
    assert isinstance(last, Judged)
    if change == {"trial": 0}:
        change = {"trial": first.promote[0]["trial"]}  # it has been promoted before
    edited = replace(last, promote=[{**last.promote[0], **change}])
    refuse(climbing(), rewritten([*events[: at[-1]], edited, *events[at[-1] + 1 :]]))


def test_a_verdict_that_says_nothing_is_damage() -> None:
    events = logged(finished(climbing)[0])
    place, verdict = next(
        (n, e) for n, e in enumerate(events) if isinstance(e, Judged) and e.promote
    )
    edited = replace(verdict, promote=[{"trial": verdict.promote[0]["trial"]}])
    refuse(climbing(), rewritten([*events[:place], edited, *events[place + 1 :]]))


@pytest.mark.parametrize(
    "other",
    [lambda: hyperband(R=3), lambda: hyperband(multiplier=2), lambda: random(2), bayesian],
)
def test_a_log_of_another_schedule_is_refused_and_nothing_is_changed(
    other: Callable[[], Brain],
) -> None:
    events = logged(finished(hyperband)[0])
    refuse(other(), rewritten(events))
    refuse(other(), rewritten(events[:3]))  # opened, started, leased: nothing was judged yet


def test_a_log_of_more_trials_than_the_plan_has_is_refused() -> None:
    refuse(random(2), rewritten(logged(finished(random)[0])))
