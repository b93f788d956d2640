"""``best_model/``: staged beside the old one and swapped as a whole."""

from __future__ import annotations

import json
import logging

from raytao.runs.object_folder import is_torn
from raytao.runs.state import Best, Phase, RunState
from raytao.runs.store import Store
from raytao.tao import layout
from raytao.types import SCORE

log = logging.getLogger(__name__)


class BestModel:
    """Keeps ``best_model/`` equal to the best trial that is not being trained right now.

    A trainer that saves no checkpoints at all wins without weights: its recommendation is shown.
    A trial that is training may still replace its own checkpoints, so its model is taken over
    when its segment ends. What is shown stays while nothing at rest beats it. What a killed
    driver had staged, or not wholly removed, goes at once.
    """

    def __init__(self, store: Store, suffix: str, weights: str = ".pth") -> None:
        self._store = store
        self._suffix = suffix
        self._weights = weights
        if store.list(layout.BEST_MODEL_STAGED):
            store.delete(layout.BEST_MODEL_STAGED)
        self._shown = self._on_disk()
        self._missed: Best | None = None

    def renew(self, state: RunState) -> None:
        """Swap in a better model, if there is one and its weights are there."""
        if self._shown is not None and not _is_known(state, *self._shown[:2]):
            self._shown = None  # a damaged log was cut, and does not know it any more
        at_rest = (Phase.PAUSED, Phase.FINISHED, Phase.RETIRED)
        stopped = (Phase.OFFERED,) if state.stopped is not None else ()  # nothing is given out
        best = state.best_among(*at_rest, *stopped)
        if best is None:
            self._withdraw_failed(state)
            return
        if (best.trial, best.epoch, best.fidelity) == self._shown or self._still_leads(
            best, state
        ):
            return
        if self._stage(best):
            self._store.replace_folder(layout.BEST_MODEL_STAGED, layout.BEST_MODEL)
            self._shown = (best.trial, best.epoch, best.fidelity)

    def _still_leads(self, best: Best, state: RunState) -> bool:
        """Whether what is shown beats ``best``: its trial trains on, and has not failed."""
        if self._shown is None or self._shown[0] == best.trial:
            return False
        trial = state.trials[self._shown[0]]
        trains = trial.phase in (Phase.RUNNING, Phase.OFFERED)
        if not trains or state.best_of(trial) is None:
            return False
        return trial.history[self._shown[1]][SCORE] > best.score

    def _withdraw_failed(self, state: RunState) -> None:
        """A failed trial has no value: its model is not shown even where there is no other."""
        if self._shown and state.trials[self._shown[0]].phase is Phase.FAILED:
            self._store.delete(layout.BEST_MODEL)
            self._shown = None

    def _stage(self, best: Best) -> bool:
        folder = layout.experiment(best.trial)
        weights = layout.checkpoint(best.epoch, self._weights)
        self._store.delete(layout.BEST_MODEL_STAGED)
        if not self._copy(f"{folder}/{weights}", weights) and not self._saves_nothing(folder):
            if best != self._missed:
                log.warning(
                    "%s/%s is not there: %s/ does not show recommendation %d, which leads",
                    folder,
                    weights,
                    layout.BEST_MODEL,
                    best.trial,
                )
            self._missed = best
            return False
        recommendation = layout.recommendation(best.trial, self._suffix)
        self._copy(recommendation, recommendation)
        for name in (layout.LOG, layout.STATUS, layout.PROVENANCE):
            self._copy(f"{folder}/{name}", name)
        return True

    def _saves_nothing(self, folder: str) -> bool:
        """Whether the trial's own record says that its trainer saved no checkpoint at all."""
        try:
            return bool(
                json.loads(self._store.read(_record(folder)) or b"{}")["checkpoints"] == {}
            )
        except (ValueError, KeyError, TypeError):
            return False

    def _copy(self, source: str, name: str) -> bool:
        return self._store.copy(source, f"{layout.BEST_MODEL_STAGED}/{name}")

    def _on_disk(self) -> tuple[int, int, int] | None:
        """(trial, best epoch, epochs trained) of a ``best_model/`` left by an earlier driver.

        None also for one that was half replaced: it is made anew.
        """
        if is_torn(self._store, layout.BEST_MODEL):
            return None
        data = self._store.read(_record(layout.BEST_MODEL))
        if data is None:
            return None
        try:
            found = json.loads(data)
            return int(found["trial"]), int(found["best_epoch"]), int(found["epochs_trained"])
        except (ValueError, KeyError, TypeError):
            return None


def _is_known(state: RunState, trial: int, epoch: int) -> bool:
    return trial in state.trials and epoch in state.trials[trial].history


def _record(folder: str) -> str:
    return f"{folder}/{layout.PROVENANCE}"
