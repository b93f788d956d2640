"""TAO's files, drawn from the state while the run goes on; complete at its end.

Keys and values are TAO 5.x's (TAO facts: controller.json, brain.json, automl_metadata.json,
current_rec.json), extended where more is known: a ``why`` for every recommendation, the epochs
granted and trained, the reason of a failure. No decision is ever read back from these files.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Mapping
from datetime import timedelta

from raytao.runs.controller import Controller
from raytao.runs.eta import Remaining
from raytao.runs.state import Best, Phase, RunState, TrialState
from raytao.runs.store import Store, StoreError
from raytao.tao import layout
from raytao.tao.best_model import BestModel
from raytao.tao.retention import Quota, Retention
from raytao.types import Json

log = logging.getLogger(__name__)

EVERY_SECONDS = 1.0
"""Drawings are renewed at most this often, and at the end."""

AGAIN_SECONDS = 10.0
"""How soon what could not be drawn is tried again."""

TAO_STATUS: Mapping[Phase, str] = {
    Phase.OFFERED: "pending",
    Phase.RUNNING: "running",
    Phase.PAUSED: "success",
    Phase.FINISHED: "success",
    Phase.RETIRED: "success",
    Phase.FAILED: "failure",
}
"""TAO's trial states; to TAO a trial that reached its rung is a success."""

LEFT_OFF = "canceled"
"""TAO's state of a trial that had not come to its end when the run did."""

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
        self._written: set[int] = set()
        self._seen = -1
        self._due = 0.0
        self._put_off = False

    def draw(self, left: Remaining, *, now: bool = False) -> None:
        """Renew what changed; at most once a second unless ``now``.

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
        except StoreError as error:
            if now:
                raise
            if not self._put_off:
                log.warning("%s; the run goes on, and draws its files later", error)
            self._put_off, self._seen = True, -1
            self._due = time.monotonic() + AGAIN_SECONDS

    def _draw_all(self, state: RunState, left: Remaining) -> None:
        self._json(layout.CONTROLLER, controller_json(state))
        self._json(layout.BRAIN, dict(self._controller.brain.describe()))
        self._json(layout.METADATA, metadata_json(state, left, self._unit))
        if state.launched is not None:
            self._json(layout.CURRENT, state.launched)
        if self._best_model is not None:
            self._best_model.renew(state)
        self._retention.sweep(state)
        self._seen, self._put_off = state.next_seq, False
        self._due = time.monotonic() + EVERY_SECONDS

    def _draw_recommendations(self, state: RunState) -> None:
        for trial in state.trials.values():
            if trial.number not in self._written:
                text = self._spec_text(trial.number)
                key = layout.recommendation(trial.number, self._suffix)
                self._store.replace(key, text.encode())
                self._written.add(trial.number)

    def _json(self, key: str, value: Json) -> None:
        self._store.replace(key, json.dumps(value, indent=2, allow_nan=False).encode() + b"\n")


def controller_json(state: RunState) -> list[Json]:
    """TAO's list of trials, one object each."""
    best, full = state.incumbent, state.incumbent_at_full_budget
    return [_trial_json(t, state, best, full) for t in state.trials.values()]


def _trial_json(
    trial: TrialState, state: RunState, best: Best | None, full: Best | None
) -> dict[str, Json]:
    own = state.best_of(trial)
    entry: dict[str, Json] = {
        "id": trial.number,
        "specs": dict(trial.params),
        "job_id": trial.job_id,
        "status": trial_status(trial, over=state.finished is not None),
        "result": own.value if own else None,
        "best_epoch_number": f"{own.epoch:03d}" if own else "",
        "metric": state.opened.metric if state.opened else "",
        "phase": trial.phase.value,
        "why": list(trial.why),
        "epochs_granted": trial.budget,
        "epochs_trained": trial.epochs,
        "best": best is not None and best.trial == trial.number,
        "best_at_full_budget": full is not None and full.trial == trial.number,
    }
    if trial.failure:
        entry["failure"] = {"cause": trial.failure.cause, "reason": trial.failure.reason}
    if trial.halvings:
        entry["batch_size_halved"] = trial.halvings
    if trial.place:
        entry["ran_on"] = {"node": trial.place.node, "pid": trial.place.pid}
    return entry


def trial_status(trial: TrialState, *, over: bool) -> str:
    """TAO's state of a trial; ``over``: nobody trains any more, whatever the trial waits for."""
    waits = trial.phase in (Phase.OFFERED, Phase.RUNNING)
    return LEFT_OFF if over and waits else TAO_STATUS[trial.phase]


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
