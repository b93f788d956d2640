"""TAO's files of a run, drawn from its log: while it goes on, and again when it is over."""

from __future__ import annotations

from raytao.networks.function import Function
from raytao.runs.controller import Controller, open_run
from raytao.runs.eta import remaining
from raytao.runs.store import LocalStore, Store
from raytao.setup.folder import owned
from raytao.setup.setup import Setup
from raytao.tao import layout
from raytao.tao.export import Exporter


def exporter_of(setup: Setup, store: Store, controller: Controller) -> Exporter:
    """What draws the files of this run."""
    return Exporter(
        store,
        controller,
        lambda params, horizon: setup.recommendation(params, horizon).dump(),
        suffix=setup.spec.format,
        keep_all=not setup.settings.delete_intermediate_checkpoints,
        models=not (isinstance(setup.network, Function) and setup.network.is_loop),
    )


def redraw(setup: Setup) -> None:
    """Draw the files of a run that is over from its log; nothing is trained, nothing logged.

    Raises:
        FolderError: if a driver is at work in the folder.
        DamagedRun: if the log cannot be trusted.
    """
    with owned(setup.results):
        store = LocalStore(setup.results.resolve())
        brain = setup.new_brain()
        controller = open_run(store, layout.EVENTS, brain, setup.opened(), only_look=True)
        left = remaining(controller.state, brain.plan(), controller.slots)
        exporter_of(setup, store, controller).draw(left, now=True)
