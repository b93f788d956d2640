"""TAO's files of a run, drawn from its log: while it goes on, and again when it is over."""

from __future__ import annotations

from raytao.brains.base import Plan
from raytao.networks.function import Function
from raytao.runs.controller import Controller
from raytao.runs.eta import remaining
from raytao.runs.opening import open_run
from raytao.runs.place import store_at
from raytao.runs.store import Store
from raytao.setup.chapters import Chapters
from raytao.setup.folder import claim
from raytao.setup.setup import Setup
from raytao.spec import resolved
from raytao.tao import layout
from raytao.tao.export import Exporter
from raytao.tao.retention import GIGABYTE, Quota


def exporter_of(setup: Setup, store: Store, controller: Controller) -> Exporter:
    """What draws the files of this run."""
    chapters = Chapters(setup, controller.state)
    return Exporter(
        store,
        controller,
        lambda trial: chapters.recommendation(trial).dump(),
        suffix=setup.spec.format,
        keep_all=not setup.settings.delete_intermediate_checkpoints,
        quota=quota_of(setup, controller.brain.plan()),
        models=not (isinstance(setup.network, Function) and setup.network.is_loop),
        weights=setup.network.checkpoint_suffix,
        unit=setup.card.unit,
    )


def quota_of(setup: Setup, plan: Plan) -> Quota | None:
    """What the run's checkpoints are to be kept to, if anything."""
    if setup.settings.checkpoint_gb is None:
        return None
    return Quota(
        size=round(setup.settings.checkpoint_gb * GIGABYTE),
        checkpoint=setup.network.checkpoint_bytes(resolved(setup.spec.plain())) or 0,
        trials=plan.trials,
        keep_all=not setup.settings.delete_intermediate_checkpoints,
    )


def redraw(setup: Setup) -> None:
    """Draw the files of a run that is over from its log; nothing is trained, nothing logged.

    Raises:
        FolderError: if a driver is at work in the folder.
        DamagedRun: if the log cannot be trusted.
    """
    with claim(setup.results):
        store = store_at(setup.results.resolve())
        store.sweep()
        brain = setup.new_brain()
        controller = open_run(store, layout.EVENTS, brain, setup.opened(), only_look=True)
        left = remaining(controller.state, brain.plan(), controller.slots, setup.budget)
        exporter_of(setup, store, controller).draw(left, now=True)
