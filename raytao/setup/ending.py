"""Ending a run before its plan is done, by its driver or in the place of one that is gone."""

from __future__ import annotations

from collections.abc import Callable

from raytao.runs.controller import Controller
from raytao.runs.eta import remaining
from raytao.runs.opening import open_run
from raytao.runs.owner import Say
from raytao.runs.place import store_at
from raytao.runs.state import RunState
from raytao.runs.store import Store
from raytao.setup.changes import asks_for_more
from raytao.setup.drawing import exporter_of
from raytao.setup.folder import claim
from raytao.setup.request import Ask
from raytao.setup.setup import Setup
from raytao.tao import layout


def nothing_to_do(setup: Setup, known: RunState, *, go_on: bool) -> str:
    """Why a run that has ended stays as it is, with what there is to do; empty if it goes on.

    Args:
        setup: the run that is asked for; more than what has ended goes on.
        known: what is in the log.
        go_on: whether the rest of a plan that was cut short is wanted.
    """
    if known.finished is None or asks_for_more(setup, known):
        return ""
    if known.stopped is None:
        return f"{setup.results} is finished; nothing to do"
    again = f"raytao resume {setup.results}"
    if not go_on:
        why = f"{known.finished.status}, {known.stopped.reason}"
        return f"{setup.results} is finished ({why}); the rest of its plan: {again}"
    spent = setup.budget.spent(known, known.driven)
    if spent is not None:
        return f"{setup.results}: {spent}; nothing to do\n  to raise it: {again} {spent.raised}"
    return ""


def cancel(controller: Controller) -> None:
    """Give up all that runs; ``controller.finish`` then calls the run Canceled."""
    controller.stop(Ask.CANCEL.reason, cancel=True)
    for trial in controller.state.running():
        controller.lost(trial.number, trial.attempt, Ask.CANCEL.reason)


def end(
    setup: Setup, ask: Ask, say: Say, take_in: Callable[[Controller, Store], None]
) -> RunState:
    """End a run that nobody drives, with what it has; nothing is trained, nothing measured.

    Args:
        setup: the run.
        ask: STOP or CANCEL.
        say: is told of a driver that did not leave in order.
        take_in: makes the controller learn what trials had trained and nobody was told.

    Raises:
        FolderError: if a driver is at work in the folder.
        DamagedRun: if the log cannot be trusted.
    """
    with claim(setup.results, say=say) as ownership:
        store = store_at(setup.results.resolve())
        store.sweep()
        brain = setup.new_brain()
        controller = open_run(store, layout.EVENTS, brain, setup.opened(), fence=ownership.check)
        if ask is Ask.CANCEL:
            cancel(controller)
        else:
            controller.stop(ask.reason)
        take_in(controller, store)
        if ask is not Ask.CANCEL:
            controller.suggest()  # nothing runs and nothing is measured: the run is over
        exporter = exporter_of(setup, store, controller)
        for _ in ("before the log calls the run finished", "after"):
            ownership.check()
            left = remaining(controller.state, brain.plan(), 1, setup.budget)
            exporter.draw(left, now=True)
            controller.finish()
        store.delete(layout.RAY_SCRATCH)
        return controller.state
