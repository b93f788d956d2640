"""A run that nobody drives any more is ended with what it has, and can be gone on with."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from raytao.automl.stopping import ask_run
from raytao.errors import FolderError, SettingsError
from raytao.runs.controller import Evaluation
from raytao.runs.events import Finished, Stopped
from raytao.runs.opening import open_run
from raytao.runs.place import store_at
from raytao.runs.state import RunState
from raytao.runs.store import Store
from raytao.setup.budget import refuse_endless
from raytao.setup.changes import Entry, enter
from raytao.setup.ending import nothing_to_do
from raytao.setup.folder import is_driven, open_folder, read_state
from raytao.setup.places import Places
from raytao.setup.reopen import relocated
from raytao.setup.request import Ask
from raytao.setup.resolve import resolve
from raytao.setup.resources import Resources
from raytao.setup.settings import Budget
from raytao.setup.setup import Setup
from raytao.tao import layout
from raytao.testing.folder_run import Sight, run_in_folder
from raytao.testing.places import local
from raytao.types import Done

RUN = """
network: toy
brain: {name: random, max_recommendations: 4}
set: {train.num_epochs: 3}
seed: 3
"""


class Killed(BaseException):
    """The driver dies here."""


@pytest.fixture
def setup(tmp_path: Path) -> Setup:
    (tmp_path / "run.yaml").write_text(RUN)
    (tmp_path / "results").mkdir()
    found = resolve(str(tmp_path / "run.yaml"), [f"results_dir={tmp_path / 'results'}"])
    return replace(found, results=tmp_path / "results")


def cut_short(setup: Setup, epochs: int) -> RunState:
    """The run, killed when ``epochs`` epochs were taken in."""
    seen = 0

    def witness(sight: Sight) -> None:
        nonlocal seen
        seen += sight.what == "answered"
        if seen == epochs:
            raise Killed

    with pytest.raises(Killed):
        run_in_folder(setup, store_at(setup.results), witness=witness)
    return read_state(setup.results)


def test_stop_ends_it_well_with_its_best_model(setup: Setup) -> None:
    before = cut_short(setup, 5)
    said: list[str] = []
    state = ask_run(Ask.STOP, setup.results, said.append)
    assert state.finished == Finished("Done", "stopped by request")
    assert state.incumbent == before.incumbent is not None
    assert state.tested is None
    best = state.incumbent
    assert best is not None
    model = local(setup.results / layout.BEST_MODEL)
    assert (model / layout.checkpoint(best.epoch)).is_file()
    assert "raytao evaluate" in said[-1]
    assert not is_driven(setup.results)
    assert read_state(setup.results).finished == state.finished


def test_cancel_calls_it_canceled(setup: Setup) -> None:
    cut_short(setup, 5)
    state = ask_run(Ask.CANCEL, setup.results, lambda line: None)
    assert state.finished == Finished("Canceled", "canceled by request")
    assert state.running() == []


def test_pause_leaves_it_as_it_is(setup: Setup) -> None:
    cut_short(setup, 5)
    log = local(setup.results / layout.EVENTS).read_bytes()
    said: list[str] = []
    assert ask_run(Ask.PAUSE, setup.results, said.append).finished is None
    assert local(setup.results / layout.EVENTS).read_bytes() == log
    assert f"raytao resume {setup.results}" in said[-1]


@pytest.mark.parametrize("ask", Ask)
def test_a_finished_run_is_told_to_be_so_and_left_alone(ask: Ask, setup: Setup) -> None:
    run_in_folder(setup, store_at(setup.results))
    log = local(setup.results / layout.EVENTS).read_bytes()
    said: list[str] = []
    ask_run(ask, setup.results, said.append)
    assert said == [f"{setup.results} is finished (Done); nothing to do"]
    assert local(setup.results / layout.EVENTS).read_bytes() == log


def begun_only(setup: Setup) -> Store:
    """A run whose log ends with its first trial's start, and whose folder knows more."""
    cut_short(setup, 1)
    store = store_at(setup.results)
    first = (store.read(layout.EVENTS) or b"").split(b"\n")[:2]
    store.replace(layout.EVENTS, b"\n".join(first) + b"\n")  # opened, started
    return store


def test_a_run_without_a_result_ends_in_error(setup: Setup) -> None:
    begun_only(setup).delete(layout.experiment(0))
    state = ask_run(Ask.STOP, setup.results, lambda line: None)
    assert state.finished == Finished("Error", "no trial has a result")


@pytest.mark.parametrize("ask", [Ask.STOP, Ask.CANCEL])
def test_what_a_trial_had_trained_and_nobody_was_told_is_in_the_end(
    setup: Setup, ask: Ask
) -> None:
    store = begun_only(setup)
    state = ask_run(ask, setup.results, lambda line: None)
    best = state.incumbent
    assert best is not None
    assert store.read(f"{layout.BEST_MODEL}/{layout.checkpoint(best.epoch)}") is not None


def test_a_folder_that_cannot_be_trusted_does_not_keep_a_run_from_ending(setup: Setup) -> None:
    begun_only(setup).replace(f"{layout.experiment(0)}/{layout.PROVENANCE}", b"{")
    state = ask_run(Ask.STOP, setup.results, lambda line: None)
    assert state.finished == Finished("Error", "no trial has a result")


def test_a_folder_without_a_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FolderError, match="holds no raytao run"):
        ask_run(Ask.STOP, tmp_path, lambda line: None)


def test_after_stop_the_rest_of_the_plan_is_trained_as_if_it_had_not_been_stopped(
    setup: Setup, tmp_path: Path
) -> None:
    cut_short(setup, 5)
    ask_run(Ask.STOP, setup.results, lambda line: None)
    store = store_at(setup.results)
    kept = store.read(layout.EVENTS) or b""
    ended = local(setup.results / layout.EVENTS)
    whole = replace(setup, results=tmp_path / "whole")
    local(whole.results).mkdir()
    run_in_folder(whole, store_at(whole.results))
    # run_in_folder leaves a finished run alone, as every driver does that is not told to go on.
    lines = [line for line in kept.split(b"\n") if b'"kind":"finished"' not in line]
    ended.write_bytes(b"\n".join(lines))
    run_in_folder(setup, store)
    state, expected = read_state(setup.results), read_state(whole.results)
    assert state.stopped is None
    assert state.finished == Finished("Done")
    assert [t.history for t in state.trials.values()] == [
        t.history for t in expected.trials.values()
    ]


@pytest.fixture
def stopped(setup: Setup) -> RunState:
    """A run whose driver died after it was stopped, before it could call it finished."""
    cut_short(setup, 5)
    store = store_at(setup.results)
    open_run(store, layout.EVENTS, setup.new_brain(), setup.opened()).stop("stopped by request")
    return read_state(setup.results)


def test_a_stop_that_was_not_carried_out_holds_unless_more_is_wanted(
    setup: Setup, stopped: RunState
) -> None:
    assert enter(setup, stopped).stopped == Stopped("stopped by request")
    assert enter(relocated(setup, ["slots=2"]), stopped).stopped == stopped.stopped
    assert enter(setup, stopped, go_on=True).stopped is None
    assert enter(relocated(setup, ["brain.max_recommendations=6"]), stopped).stopped is None
    assert enter(setup, cut_short_again(setup, stopped)).stopped is None


def cut_short_again(setup: Setup, stopped: RunState) -> RunState:
    """The run, gone on with after all, and killed again."""
    store = store_at(setup.results)
    entry = enter(setup, stopped, go_on=True)
    open_run(store, layout.EVENTS, setup.new_brain(), entry.opened, stopped=entry.stopped)
    return read_state(setup.results)


@pytest.mark.parametrize("cancel", [False, True])
def test_a_stop_that_was_not_carried_out_is_by_the_next_driver(
    cancel: bool, setup: Setup, stopped: RunState
) -> None:
    store = store_at(setup.results)
    entry = Entry(setup.opened(), stopped=Stopped("by request", cancel=cancel))
    controller = open_run(
        store,
        layout.EVENTS,
        setup.new_brain(),
        entry.opened,
        stopped=entry.stopped,
        evaluate=True,
    )
    assert read_state(setup.results).stopped == entry.stopped  # before anything else is done
    task = controller.suggest()
    if cancel:
        assert isinstance(task, Done)
    else:
        assert isinstance(task, Evaluation)
        controller.tested(task, {"val_accuracy": 0.5}, "")
        assert isinstance(controller.suggest(), Done)
    assert controller.finish() == ("Canceled" if cancel else "Done")
    assert read_state(setup.results).epochs == stopped.epochs


def finished_state(setup: Setup, *, stopped: str | None = None) -> RunState:
    run_in_folder(setup, store_at(setup.results))
    state = read_state(setup.results)
    state.stopped = None if stopped is None else Stopped(stopped)
    return state


def test_a_run_whose_plan_is_done_is_never_gone_on_with(setup: Setup) -> None:
    state = finished_state(setup)
    for go_on in (False, True):
        assert "nothing to do" in nothing_to_do(setup, state, go_on=go_on)


def test_a_run_that_was_stopped_goes_on_only_where_that_is_wanted(setup: Setup) -> None:
    state = finished_state(setup, stopped="stopped by request")
    assert f"raytao resume {setup.results}" in nothing_to_do(setup, state, go_on=False)
    assert nothing_to_do(setup, state, go_on=True) == ""


def test_a_spent_budget_must_be_raised_first(setup: Setup) -> None:
    setup = relocated(setup, ["budget.epochs=12"])
    state = finished_state(setup, stopped="budget spent: 12 epochs")
    assert "budget.epochs=24" in nothing_to_do(setup, state, go_on=True)
    assert nothing_to_do(relocated(setup, ["budget.epochs=13"]), state, go_on=True) == ""


def test_a_budget_that_can_never_be_spent_is_refused(setup: Setup) -> None:
    counted = setup.settings.model_copy(update={"budget": Budget(gpu_hours=2.0)})
    with pytest.raises(SettingsError, match="could never be spent"):
        refuse_endless(counted, Places("run.yaml"))
    with_gpu = counted.model_copy(update={"resources": Resources(gpus=0.5)})
    refuse_endless(with_gpu, Places("run.yaml"))
    with pytest.raises(SettingsError, match=r"gpu_hours.*\n.*resources.gpus: 1"):
        relocated(setup, ["budget.gpu_hours=2"])


def test_no_trial_is_left_running(setup: Setup) -> None:
    before = cut_short(setup, 4)
    assert before.running()
    ask_run(Ask.CANCEL, setup.results, lambda line: None)
    state = open_folder(setup.results)[1]
    assert {t.phase.value for t in state.trials.values()} <= {"finished", "offered"}
