"""TAO's files, drawn from the state while the run goes on; complete at its end.

Keys and values are TAO 5.x's (TAO facts: controller.json, brain.json, automl_metadata.json,
current_rec.json), extended where more is known: a ``why`` for every recommendation, the epochs
granted and trained, the reason of a failure. No decision is ever read back from these files.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable
from datetime import timedelta

from raytao.runs.controller import Controller
from raytao.runs.eta import Remaining
from raytao.runs.state import RunState
from raytao.runs.store import Store, StoreError
from raytao.tao import layout
from raytao.tao.best_model import BestModel
from raytao.tao.retention import Quota, Retention
from raytao.tao.trial_list import TrialList
from raytao.types import Json

log = logging.getLogger(__name__)

EVERY_SECONDS = 1.0
"""Drawings are renewed at most this often, and at the end."""

REST = 19.0
"""Where a drawing takes long (ten thousand trials, slow storage) there are fewer: nothing is drawn
for this many times as long as the last one took. The driver has 95 % for its trials."""

AGAIN_SECONDS = 10.0
"""How soon what could not be drawn is tried again."""

SpecText = Callable[[int], str]
"""Number of a trial -> its entire train spec as text."""


class Exporter:
    """Draws a run's files. One writer: the driver.

    Args:
        store: the run's files.
        controller: whose state is drawn.
        spec_text: renders a recommendation's train spec.
        suffix: of recommendation files: ``yaml``, ``protobuf``, ….
        keep_all: keep every trial's checkpoints (TAO's automl_delete_intermediate_ckpt = false).
        quota: what the checkpoints are kept to; new trials are held back where it is too little.
        models: whether trials leave models, so that there is a best one to show.
        weights: ending of weights files.
        unit: what the network's spec counts: ``epochs``, or ``iters``.
    """

    def __init__(
        self,
        store: Store,
        controller: Controller,
        spec_text: SpecText,
        *,
        suffix: str = "yaml",
        keep_all: bool = False,
        quota: Quota | None = None,
        models: bool = True,
        weights: str = ".pth",
        unit: str = "epochs",
    ) -> None:
        self._store = store
        self._controller = controller
        self._spec_text = spec_text
        self._suffix = suffix
        self._unit = unit
        self._retention = Retention(store, keep_all=keep_all, quota=quota)
        controller.hold = lambda: self._retention.hold(controller.state)
        self._best_model = BestModel(store, suffix, weights) if models else None
        self._trials = TrialList()
        self._written = 0  # recommendations that are there; their numbers have no gap
        self._seen = -1
        self._due = 0.0
        self._put_off = False

    def draw(self, left: Remaining, *, now: bool = False) -> None:
        """Renew what changed, ``now`` or at most once a second; more seldom where it takes long.

        What storage refuses is drawn later, and said once: the log is the truth.

        Raises:
            StoreError: if the log cannot be written, or anything else and it is wanted ``now``.
        """
        state = self._controller.state
        due = now or (state.next_seq != self._seen and time.monotonic() >= self._due)
        if due:
            self._controller.flush()
        try:
            if due or not self._put_off:
                self._draw_recommendations(state)
            if due:
                self._draw_all(state, left)
            if now:
                self._store.settle()
        except StoreError as error:
            if now:
                raise
            if not self._put_off:
                log.warning("%s; the run goes on, and draws its files later", error)
            self._put_off, self._seen = True, -1
            self._due = time.monotonic() + AGAIN_SECONDS

    def _draw_all(self, state: RunState, left: Remaining) -> None:
        began = time.monotonic()
        self._store.replace(layout.CONTROLLER, self._trials.render(state))
        self._json(layout.BRAIN, dict(self._controller.brain.describe()))
        self._json(layout.METADATA, metadata_json(state, left, self._unit))
        if state.launched is not None:
            self._json(layout.CURRENT, state.launched)
        if self._best_model is not None:
            self._best_model.renew(state)
        self._retention.sweep(state)
        self._seen, self._put_off = state.next_seq, False
        took = time.monotonic() - began
        self._due = time.monotonic() + max(EVERY_SECONDS, took * REST)

    def _draw_recommendations(self, state: RunState) -> None:
        for number in range(self._written, len(state.trials)):
            key = layout.recommendation(number, self._suffix)
            self._store.replace(key, self._spec_text(number).encode())
            self._written = number + 1

    def _json(self, key: str, value: Json) -> None:
        self._store.replace(key, json.dumps(value, indent=2, allow_nan=False).encode() + b"\n")


def metadata_json(state: RunState, left: Remaining, unit: str = "epochs") -> dict[str, Json]:
    """What is in automl_metadata.json: TAO's indicators, and at the end how the run ended."""
    drawn = indicators(state, left, unit)
    tested = state.measured
    if tested and tested.metrics:
        drawn["test"] = dict(tested.metrics)
    if state.finished:
        drawn["status"] = state.finished.status
    return drawn


def indicators(state: RunState, left: Remaining, unit: str = "epochs") -> dict[str, Json]:
    """TAO's status indicators, under TAO's key names.

    Args:
        state: the run.
        left: what is left of it.
        unit: what the network's spec counts, as a plural: ``epochs``, or ``iters``.
    """
    best = state.incumbent
    metric = state.opened.metric if state.opened else ""
    each = left.epoch_seconds
    eta = "Will be updated after completing one epoch"
    if left.seconds is not None:
        eta = str(timedelta(seconds=round(left.seconds)))
    drawn: dict[str, Json] = {
        f"best_{metric}": best.value if best else 0.0,
        "Estimated time for automl completion": eta,
        "Current experiment number": len(state.trials),
        f"Number of {unit} yet to start": float(left.epochs),
        f"Time per {unit.removesuffix('s')} in seconds": None if each is None else round(each, 2),
    }
    if best:
        drawn["Best experiment id"] = best.trial
    return drawn
