"""Epochs that a trial's own folder knows and the log does not: nobody was told in time."""

from __future__ import annotations

from contextlib import suppress

from raytao.errors import DamagedRun
from raytao.runs.controller import Controller
from raytao.runs.state import Phase, TrialState
from raytao.runs.store import Store
from raytao.tao import layout
from raytao.trials.provenance import Provenance, read_provenance


def take_in_untold(controller: Controller, store: Store) -> None:
    """Take in what trials had trained when their driver died, so that the best model is the best.

    A run that goes on need not: the next lease of a trial tells it. One that its own driver ends
    must not, but for its winner (`take_in_winner`): its trials may still be training epochs that
    its budget does not pay for.

    Args:
        controller: of a run that gives out no more work, with no process of a trial left.
        store: the run's files.
    """
    for trial in controller.state.by_phase(Phase.OFFERED):
        with suppress(DamagedRun):  # what cannot be trusted tells nothing
            found = read_provenance(store, layout.experiment(trial.number))
            if found is not None and found.trial == trial.number:
                _take_in(controller, trial, found)


def take_in_winner(controller: Controller, store: Store) -> None:
    """Take in what the leading trial of a stopped run trained after its last word, if it is best.

    A trial may commit one more epoch before it hears that the run stops. Where that is its best,
    its folder keeps that epoch's weights and no longer those of the one that the log knows.

    Args:
        controller: of a run that gives out no more work, and whose trials have been told to end.
        store: the run's files.
    """
    best = controller.state.incumbent
    trial = None if best is None else controller.state.trials[best.trial]
    if trial is None or trial.phase is not Phase.OFFERED:
        return
    with suppress(DamagedRun):
        found = read_provenance(store, layout.experiment(trial.number))
        if found is None or found.trial != trial.number or found.best is None:
            return
        if found.best.epoch > trial.epochs:
            _take_in(controller, trial, found)


def _take_in(controller: Controller, trial: TrialState, found: Provenance) -> None:
    untold = range(trial.epochs + 1, min(found.epochs_trained, trial.budget) + 1)
    told = [(n, found.history[n], found.seconds[n]) for n in untold]
    if told and all(found.metric in metrics for _, metrics, _ in told):
        controller.take_in(trial.number, told)
