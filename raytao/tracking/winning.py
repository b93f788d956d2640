"""The module of a run's best model, as its results folder keeps it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from raytao.errors import FolderError
from raytao.runs.place import store_at
from raytao.runs.state import Best
from raytao.setup.documents import document_at
from raytao.setup.setup import Setup
from raytao.spec import resolved
from raytao.spec.source import FORMATS
from raytao.tao import layout
from raytao.trials.provenance import read_provenance

if TYPE_CHECKING:
    from torch import Tensor
    from torch.nn import Module


def winning_module(setup: Setup, best: Best) -> tuple[Module, Tensor]:
    """Load the best model, and an example of what it takes.

    Args:
        setup: the run; ``best_model/`` in its folder is read.
        best: whose model that must be.

    Raises:
        FolderError: if ``best_model/`` is missing, or of another epoch.
        SettingsError: if the network has no module of its own.
        SpecError: if the weights are damaged.
        DamagedRun: if its raytao.json cannot be trusted.
    """
    store, folder = store_at(setup.results), layout.BEST_MODEL
    found = read_provenance(store, folder)
    if found is None or found.best is None or found.trial != best.trial:
        raise FolderError(f"{folder}/ holds no model of recommendation {best.trial}")
    if found.best.epoch != best.epoch:
        raise FolderError(f"{folder}/ is of epoch {found.best.epoch}, not of epoch {best.epoch}")
    weights = store.read(f"{folder}/{found.best.file}")
    names = [layout.recommendation(best.trial, suffix[1:]) for suffix in FORMATS]
    there = set(store.list(folder))
    spec_name = next((name for name in names if f"{folder}/{name}" in there), None)
    if weights is None or spec_name is None:
        raise FolderError(f"{folder}/ is not whole")
    spec = resolved(document_at(setup.results / folder / spec_name).plain())
    return setup.network.load(spec, weights), setup.network.example(spec)
