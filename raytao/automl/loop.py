"""Ask and tell: the brain, the log and the folder for a loop of the user's own. No Ray."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass

from raytao.errors import SettingsError
from raytao.networks.function import Function
from raytao.runs.controller import Evaluation, Lease, open_run
from raytao.runs.eta import remaining
from raytao.runs.log import read_log
from raytao.runs.state import Phase, RunState
from raytao.runs.store import LocalStore
from raytao.setup.drawing import exporter_of
from raytao.setup.folder import claim
from raytao.setup.setup import Setup
from raytao.tao import layout
from raytao.trials.context import as_number, finite
from raytao.types import Decision, Done, ParamValue, Wait

AT_ONCE = 1_000_000
"""How many trials may be out is the user's business."""


@dataclass(frozen=True)
class Trial:
    """One segment of one recommendation: train ``params`` for the ``epochs``, telling each."""

    number: int
    params: Mapping[str, ParamValue]
    epochs: range
    attempt: int


class Loop:
    """A search that the user drives, in a results folder like every other run's.

    Args:
        setup: of `raytao.setup.function.function_setup`, without a function.

    Raises:
        SettingsError: if the setup trains by itself.
        FolderError: if another process drives the folder.
    """

    def __init__(self, setup: Setup) -> None:
        if not (isinstance(setup.network, Function) and setup.network.is_loop):
            raise SettingsError(
                "ask and tell are for a loop of your own, without network and without train",
                remedy="write AutoML(space=…, metric=…, epochs=…), or call fit()",
            )
        setup.results.mkdir(parents=True, exist_ok=True)
        self._metric = setup.metric
        self._turn = threading.RLock()  # trials of several threads, one after the other
        self._owner = claim(setup.results)
        store = LocalStore(setup.results.resolve())
        store.sweep()
        brain, opened = setup.new_brain(), setup.opened()
        known = RunState.fold(read_log(store, layout.EVENTS))
        over = known.finished is not None  # a finished run stays as it is
        self._controller = open_run(
            store, layout.EVENTS, brain, opened, slots=AT_ONCE, only_look=over
        )
        self._exporter = exporter_of(setup, store, self._controller)
        self._told = time.monotonic()
        if over:
            self._owner.release()

    @property
    def done(self) -> bool:
        """Whether no trial will ever be asked for again."""
        return self._controller.state.finished is not None

    def close(self) -> None:
        """Leave the folder to another driver; what was told is in its log."""
        with self._turn:
            self._owner.release()

    def ask(self) -> Trial | None:
        """See `AutoML.ask`."""
        with self._turn:
            return None if self.done else self._ask()

    def tell(self, trial: Trial, result: Mapping[str, float] | float | None) -> bool:
        """See `AutoML.tell`."""
        with self._turn:
            goes_on = self._tell(trial, result)
            self._controller.flush()  # an epoch of the user's own may have taken a day
            self._draw()
            return goes_on

    def _ask(self) -> Trial | None:
        match self._controller.suggest():
            case Lease() as lease:
                self._draw()
                epochs = range(lease.reported_epoch + 1, lease.stop_epoch + 1)
                return Trial(lease.trial, dict(lease.params), epochs, lease.attempt)
            case Done():
                self._controller.finish()
                self._draw()
                self._owner.release()
                return None
            case Wait() | Evaluation():
                return None

    def _tell(self, trial: Trial, result: Mapping[str, float] | float | None) -> bool:
        known = self._controller.state.trials.get(trial.number)
        if known is None or known.phase is not Phase.RUNNING or known.attempt != trial.attempt:
            stands = "unknown here" if known is None else known.phase.value
            raise SettingsError(
                f"trial {trial.number} is {stands}: it expects no result",
                remedy="tell a trial that ask() answered, while tell() answers True",
            )
        if result is None:
            self._controller.broke(trial.number, trial.attempt, "error", "told to have failed")
            return False
        metrics = result if isinstance(result, Mapping) else {self._metric: result}
        value = as_number(metrics.get(self._metric))
        if value is None:
            got = ", ".join(map(str, metrics)) or "nothing"
            raise SettingsError(
                f"metric {self._metric!r} not told, or no number; got: {got}",
                remedy=f"tell(trial, {{{self._metric!r}: …}}), or None if the trial failed",
            )
        if not math.isfinite(value):
            reason = f"metric {self._metric!r} became {value}"
            self._controller.broke(trial.number, trial.attempt, "diverged", reason)
            return False
        seconds, self._told = time.monotonic() - self._told, time.monotonic()
        decision = self._controller.report(
            trial.number, trial.attempt, known.epochs + 1, finite(metrics), seconds
        )
        return decision is Decision.CONTINUE

    def _draw(self) -> None:
        controller = self._controller
        left = remaining(controller.state, controller.brain.plan(), 1)
        self._exporter.draw(left, now=True)
