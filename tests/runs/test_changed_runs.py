"""A run goes on under a longer plan, or with another search beside what was found."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from raytao.brains.base import Brain, Task
from raytao.brains.bayesian import Bayesian, BayesianSettings
from raytao.brains.full import FullLengthSettings
from raytao.brains.hyperband import Hyperband, HyperbandSettings
from raytao.brains.random import Random
from raytao.errors import DamagedRun
from raytao.runs.controller import Controller, Evaluation, Lease
from raytao.runs.events import Changed, Event, Opened
from raytao.runs.events import Tested as Measured  # pytest would collect a Test…
from raytao.runs.log import read_log
from raytao.runs.opening import open_run
from raytao.runs.state import Phase, RunState
from raytao.runs.store import MemoryStore
from raytao.space import Float, Space
from raytao.testing.objectives import LearningCurves
from raytao.testing.simulator import LOG_KEY, simulate
from raytao.types import SCORE, Decision, Done, Wait

SPACE = Space([Float("lr", 1e-4, 1e-1, log=True), Float("momentum", 0.0, 0.99)])
OTHER = Space([Float("lr", 1e-3, 1e-2, log=True)])
CURVES = LearningCurves(SPACE)
OPENED = Opened({"is": "first"}, "value", "maximize", "1.0")


def bayesian(many: int = 5, space: Space = SPACE) -> Brain:
    return Bayesian(Task(space, 2, seed=3), BayesianSettings(max_recommendations=many))


def random(many: int = 4, space: Space = SPACE) -> Brain:
    return Random(Task(space, 2, seed=3), FullLengthSettings(max_recommendations=many))


def hyperband(brackets: int | None = None, space: Space = SPACE) -> Brain:
    settings = HyperbandSettings(R=9, nu=3, epoch_multiplier=1, brackets=brackets, mode="sync")
    return Hyperband(Task(space, 9, seed=3), settings)


def changed(*, anew: bool, metric: str = "value", direction: str = "maximize") -> Changed:
    return Changed({"is": "changed"}, metric, direction, anew, ["key: old -> new"])


def drive(controller: Controller, epochs: int | None = None) -> Controller:
    """Train one trial after the other, at most ``epochs``; two metrics are reported."""
    while epochs is None or epochs > 0:
        match controller.suggest():
            case Lease() as lease:
                epoch = lease.reported_epoch
                decision = Decision.CONTINUE
                while decision is Decision.CONTINUE and epochs != 0:
                    epoch += 1
                    value = CURVES({"momentum": 0.5, **lease.params}, epoch)
                    metrics = {"value": value, "loss": 2 - value}
                    decision = controller.report(lease.trial, lease.attempt, epoch, metrics, 1.0)
                    epochs = None if epochs is None else epochs - 1
            case Evaluation() as evaluation:
                controller.tested(evaluation, {"test": 1.0}, "")
            case Done():
                controller.finish()
                break
            case Wait():
                raise AssertionError("one trial at a time never waits")
    controller.flush()
    return controller


def again(store: MemoryStore, brain: Brain, change: Changed | None, **how: Any) -> Controller:
    return open_run(store, LOG_KEY, brain, OPENED, changed=change, **how)


def table(controller: Controller) -> list[tuple[int, dict[str, Any], int, Phase]]:
    trials = controller.state.trials.values()
    return [(t.number, dict(t.params), t.epochs, t.phase) for t in trials]


def events(store: MemoryStore) -> list[Event]:
    return [record.event for record in read_log(store, LOG_KEY)]


@pytest.mark.parametrize(
    ("short", "long"),
    [
        pytest.param(lambda: bayesian(4), lambda: bayesian(7), id="bayesian"),
        pytest.param(lambda: random(3), lambda: random(9), id="random"),
        pytest.param(lambda: hyperband(1), lambda: hyperband(3), id="brackets"),
        pytest.param(lambda: hyperband(), lambda: hyperband(4), id="another schedule"),
    ],
)
@pytest.mark.parametrize("epochs", [None, 3, 12])
def test_a_longer_plan_ends_as_if_it_had_been_long_from_the_start(
    short: Callable[[], Brain], long: Callable[[], Brain], epochs: int | None
) -> None:
    store = MemoryStore()
    before = table(drive(open_run(store, LOG_KEY, short(), OPENED), epochs))
    extended = drive(again(store, long(), changed(anew=False)))
    whole = drive(open_run(MemoryStore(), LOG_KEY, long(), OPENED))
    assert [row[:2] for row in table(extended)][: len(before)] == [row[:2] for row in before]
    assert table(extended) == table(whole)
    assert again(store, long(), None, only_look=True).state.finished is not None


def test_brackets_beyond_the_schedule_begin_with_its_first_again() -> None:
    once, more = hyperband().plan(), hyperband(4).plan()
    sizes = [(row.rung, row.trials, row.epochs) for row in once.rows]
    count = max(row.bracket for row in once.rows) + 1
    assert [row.bracket for row in more.rows][-1] == 3
    assert sizes[: len(sizes)] == [(r.rung, r.trials, r.epochs) for r in more.rows][: len(sizes)]
    first = [(r.rung, r.trials, r.epochs) for r in more.rows if r.bracket == 0]
    assert [(r.rung, r.trials, r.epochs) for r in more.rows if r.bracket == count] == first


def test_a_plan_that_ends_before_what_has_begun_is_refused_and_nothing_is_written() -> None:
    store = MemoryStore()
    drive(open_run(store, LOG_KEY, random(4), OPENED))
    before = dict(store.files)
    with pytest.raises(DamagedRun, match="longer run"):
        again(store, random(2), changed(anew=False))
    assert store.files == before


@pytest.mark.parametrize(
    "brain",
    [lambda: hyperband(space=OTHER), lambda: bayesian(3, OTHER), lambda: random(3, OTHER)],
)
@pytest.mark.parametrize("epochs", [None, 1, 4, 12])
def test_another_search_begins_beside_what_was_found(
    brain: Callable[[], Brain], epochs: int | None
) -> None:
    store = MemoryStore()
    old = drive(open_run(store, LOG_KEY, hyperband(), OPENED), epochs)
    first = len(old.state.trials)
    running = drive(again(store, brain(), changed(anew=True)))
    alone = drive(open_run(MemoryStore(), LOG_KEY, brain(), OPENED))
    assert running.state.first == first
    moved = [(n - first, params, e, phase) for n, params, e, phase in table(running)[first:]]
    assert moved == table(alone)
    early = [running.state.trials[n] for n in range(first)]
    assert {t.phase for t in early} <= {Phase.FINISHED, Phase.FAILED, Phase.RETIRED}
    assert [t.epochs for t in early] == [t.epochs for t in old.state.trials.values()]
    candidates = [state.incumbent for state in (old.state, alone.state)]
    scores = [best.score for best in candidates if best is not None]
    assert running.state.incumbent is not None
    assert running.state.incumbent.score == max(scores)


@pytest.mark.parametrize("epochs", range(1, 13))
def test_a_search_that_began_anew_is_resumed_as_if_it_had_not_been_killed(epochs: int) -> None:
    store = MemoryStore()
    drive(open_run(store, LOG_KEY, bayesian(), OPENED), 3)
    drive(again(store, hyperband(space=OTHER), changed(anew=True)), epochs)
    resumed = drive(again(store, hyperband(space=OTHER), None))
    alone = drive(open_run(MemoryStore(), LOG_KEY, hyperband(space=OTHER), OPENED))
    first = resumed.state.first
    assert [row[1:] for row in table(resumed)[first:]] == [row[1:] for row in table(alone)]
    assert vars(RunState.fold(read_log(store, LOG_KEY))) == vars(resumed.state)


def test_by_another_metric_everything_is_scored_again() -> None:
    store = MemoryStore()
    drive(open_run(store, LOG_KEY, random(4), OPENED))
    change = changed(anew=True, metric="loss", direction="minimize")
    controller = again(store, random(2, OTHER), change)
    assert controller.state.opened is not None
    assert controller.state.opened.metric == "loss"
    for trial in controller.state.trials.values():
        for metrics in trial.history.values():
            assert metrics[SCORE] == -metrics["loss"]
    drive(controller)
    losses = [m["loss"] for t in controller.state.trials.values() for m in t.history.values()]
    assert controller.state.incumbent is not None
    assert controller.state.incumbent.value == min(losses)


def test_trials_that_never_reported_the_new_metric_have_no_value_and_cannot_win() -> None:
    store = MemoryStore()
    simulate(random(4), CURVES, store=store)
    controller = again(store, random(2, OTHER), changed(anew=True, metric="loss"))
    assert controller.state.incumbent is None
    drive(controller)
    assert controller.state.incumbent is not None
    assert controller.state.incumbent.trial >= controller.state.first


def measuring(
    store: MemoryStore, many: int, change: Changed | None
) -> tuple[Controller, Evaluation]:
    """A run that has come to the measurement of its winner."""
    controller = again(store, bayesian(many), change, evaluate=True)
    while True:
        match controller.suggest():
            case Lease() as lease:
                for epoch in range(lease.reported_epoch + 1, lease.stop_epoch + 1):
                    metrics = {"value": float(lease.trial)}
                    controller.report(lease.trial, lease.attempt, epoch, metrics, 1.0)
            case Evaluation() as evaluation:
                return controller, evaluation
            case other:
                raise AssertionError(other)


def test_a_measurement_that_is_lost_is_tried_three_times_also_after_an_extension() -> None:
    store = MemoryStore()
    controller, evaluation = measuring(store, 3, None)
    controller.tested(evaluation, {"test": 1.0}, "")
    drive(controller)
    controller, evaluation = measuring(store, 4, changed(anew=False))
    tried = 0
    while isinstance(evaluation, Evaluation):
        tried += 1
        controller.untested(evaluation, "its node was lost")
        controller.untested(evaluation, "said twice")
        evaluation = controller.suggest()  # type: ignore[assignment]  # the loop looks at it
    assert tried == 3
    assert isinstance(evaluation, Done)
    assert controller.state.tested is not None
    assert controller.state.tested.reason == "its node was lost"


@pytest.mark.parametrize("brain", [bayesian, hyperband])
def test_a_change_that_was_torn_off_at_any_byte_leaves_a_run_that_goes_on(
    brain: Callable[[], Brain],
) -> None:
    """Also where the log ended before the verdict on its last report."""
    whole = MemoryStore()
    drive(open_run(whole, LOG_KEY, brain(), OPENED))
    lines = whole.files[LOG_KEY].splitlines(keepends=True)
    verdict = next(n for n, line in enumerate(lines) if b'"judged"' in line)
    before = b"".join(lines[:verdict])
    store = MemoryStore()
    store.files[LOG_KEY] = before
    again(store, random(2, OTHER), changed(anew=True))
    after = store.files[LOG_KEY]
    ends = [n for n in range(len(before), len(after)) if after[n : n + 1] == b"\n"]
    for cut in [*range(len(before), len(after), 37), *ends, *(n + 1 for n in ends)]:
        store = MemoryStore()
        store.files[LOG_KEY] = after[:cut]
        is_new = any(isinstance(event, Changed) for event in events(store))
        controller = drive(again(store, random(2, OTHER) if is_new else brain(), None))
        assert controller.state.finished is not None
        resumed = RunState.fold(read_log(store, LOG_KEY))
        assert sorted(resumed.offers) == []


def test_a_new_winner_is_measured_and_an_old_one_is_not_measured_twice() -> None:
    store = MemoryStore()
    first = drive(open_run(store, LOG_KEY, bayesian(3), OPENED, evaluate=True))
    drive(again(store, bayesian(3), None, evaluate=True))
    assert sum(isinstance(event, Measured) for event in events(store)) == 1
    for many in range(4, 12):
        controller = drive(again(store, bayesian(many), changed(anew=False), evaluate=True))
        best, tested = controller.state.incumbent, controller.state.tested
        assert best is not None
        assert tested is not None
        assert (tested.trial, tested.epoch) == (best.trial, best.epoch)
    winners = [(e.trial, e.epoch) for e in events(store) if isinstance(e, Measured)]
    assert len(winners) == len(set(winners))
    assert first.state.tested is not None


@pytest.mark.parametrize("change", [None, changed(anew=False)], ids=["the same", "changed"])
def test_the_time_of_earlier_drivers_counts_also_where_something_changes(
    change: Changed | None,
) -> None:
    """A budget of hours is of all resumptions, raised or not."""
    store = MemoryStore()
    drive(again(store, random(), None), epochs=3)
    at_work = replace(read_log(store, LOG_KEY)[-1], up=100.0)
    state = RunState.fold([*read_log(store, LOG_KEY)[:-1], at_work])
    assert state.driven == 100.0
    again(store, random(6), change)
    for record in read_log(store, LOG_KEY)[at_work.seq + 1 :]:
        state.take(record)
    assert 100.0 <= state.driven < 101.0
