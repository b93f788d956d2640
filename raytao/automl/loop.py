"""Ask and tell: the brain, the log and the folder for a loop of the user's own. No Ray."""

from __future__ import annotations

import logging
import math
import signal
import threading
import time
import weakref
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from raytao.automl.uninterrupted import uninterrupted
from raytao.automl.watching import say
from raytao.errors import RaytaoError, SettingsError
from raytao.networks.function import Function
from raytao.runs.budget import Meter
from raytao.runs.controller import Evaluation, Lease
from raytao.runs.eta import remaining
from raytao.runs.log import read_log
from raytao.runs.opening import open_run
from raytao.runs.patience import PatientStore
from raytao.runs.place import store_at
from raytao.runs.state import Phase, RunState
from raytao.runs.store import StoreError
from raytao.setup.changes import enter
from raytao.setup.drawing import exporter_of
from raytao.setup.ending import cancel, nothing_to_do
from raytao.setup.folder import claim
from raytao.setup.request import Ask, Inbox
from raytao.setup.setup import Setup
from raytao.tao import layout
from raytao.trials.measured import as_number, reported
from raytao.types import Done, ParamValue, Wait

log = logging.getLogger(__name__)

Told: TypeAlias = tuple[int, Mapping[str, float] | None]
"""An attempt, and the metrics of its next epoch; None: it failed."""

AT_ONCE = 1_000_000
"""How many trials may be out is the user's business."""

PAUSED = 128 + signal.SIGTERM
"""Exit code after a request to pause."""


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
        if isinstance(setup.results, Path):
            setup.results.mkdir(parents=True, exist_ok=True)
        self._metric = setup.metric
        self._turn = threading.RLock()  # trials of several threads, one after the other
        self._unanswered: dict[int, Told] = {}
        self._asked: Ask | None = None
        self._paused = self._left = self._put_off = False
        self._owner = claim(setup.results, say=say)
        weakref.finalize(self, self._owner.release)  # also while a cycle keeps the controller
        try:
            self._open(setup)
        except BaseException:  # else its traceback would keep the folder from the next try
            self._owner.release()
            raise

    def _open(self, setup: Setup) -> None:
        store = store_at(setup.results.resolve(), must_exist=True)
        patient = PatientStore(store)
        patient.sweep()
        known = RunState.fold(read_log(patient, layout.EVENTS))
        entry = enter(setup, known, go_on=True)
        over = bool(nothing_to_do(setup, known, go_on=True))
        self._controller = open_run(
            patient,
            layout.EVENTS,
            setup.new_brain(),
            entry.opened,
            slots=AT_ONCE,
            only_look=over,
            changed=None if over else entry.changed,
            fence=self._owner.check,
        )
        self._exporter = exporter_of(setup, store, self._controller)
        plan = self._controller.brain.plan()
        self._meter = Meter(setup.budget, self._controller.state, plan)
        self._inbox = Inbox(store, self._owner.owner.token)
        self._told = time.monotonic()
        if over:
            self._leave()

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
            before = self._out()
            try:
                with uninterrupted():
                    return self._ask()
            except BaseException:  # nobody has the trial that it would have answered
                with uninterrupted(), suppress(RaytaoError):
                    for trial, attempt in self._out() - before:
                        self._controller.give_back(trial, attempt)
                raise

    def tell(self, trial: Trial, result: Mapping[str, float] | float | None) -> bool:
        """See `AutoML.tell`; what raised a StoreError may be told again, and counts once."""
        with self._turn, uninterrupted():
            self._refuse_paused()
            if self.done and self._controller.state.stopped is not None:
                self._end()
                return False
            metrics = None if result is None else self._named(result)
            if self._unanswered.get(trial.number) != (trial.attempt, metrics):
                self._stop_where_spent()  # counts the epoch that is told
                self._take_in(trial, metrics)
            self._controller.flush()  # an epoch of the user's own may have taken a day
            self._heed()
            if not self.done:
                if self._controller.state.stopped is not None:
                    self._controller.give_back(trial.number, trial.attempt)
                self._draw()
            del self._unanswered[trial.number]
            return (trial.number, trial.attempt) in self._out()

    def _named(self, result: Mapping[str, float] | float) -> dict[str, float]:
        return dict(result) if isinstance(result, Mapping) else {self._metric: result}

    def _out(self) -> set[tuple[int, int]]:
        """The leases that are out: trial and attempt."""
        return {(trial.number, trial.attempt) for trial in self._controller.state.running()}

    def _refuse_paused(self) -> None:
        if self._paused:
            raise SystemExit(PAUSED)

    def _heed(self) -> None:
        """Do what is asked from outside; a request that storage kept from it is done later.

        Raises:
            SystemExit: on a request to pause, as after SIGTERM; what was told is in the log.
        """
        self._asked = self._asked or self._inbox.take()
        match self._asked:
            case Ask.PAUSE:
                self._draw()
                self._leave()
                self._paused = True
                say("paused by request; go on with .ask(resume=True)")
                raise SystemExit(PAUSED)
            case Ask.STOP:
                self._controller.stop(Ask.STOP.reason)
            case Ask.CANCEL:
                cancel(self._controller)
                self._end()
            case None:
                pass
        self._asked = None

    def _stop_where_spent(self) -> None:
        if (spent := self._meter.spent()) is not None:
            self._controller.stop(str(spent))

    def _end(self) -> None:
        """Leave a run that is over, once its log says so."""
        if not self._left:
            self._controller.finish()
            self._draw()
            self._leave()

    def _leave(self) -> None:
        self._owner.release()
        self._left = True

    def _ask(self) -> Trial | None:
        self._refuse_paused()
        self._controller.flush()  # what storage refused before
        if not self.done:
            self._heed()
        if self.done:
            self._end()
            return None
        self._stop_where_spent()
        match self._controller.suggest():
            case Lease() as lease:
                self._draw()
                epochs = range(lease.reported_epoch + 1, lease.stop_epoch + 1)
                return Trial(lease.trial, dict(lease.params), epochs, lease.attempt)
            case Done():
                self._end()
                return None
            case Wait() | Evaluation():
                return None

    def _read(self, trial: Trial, metrics: Mapping[str, float] | None) -> float | None:
        """The value of the metric that is watched; None if the trial failed.

        Raises:
            SettingsError: if it is missing, or the trial expects no result.
        """
        known = self._controller.state.trials.get(trial.number)
        if known is None or known.phase is not Phase.RUNNING or known.attempt != trial.attempt:
            stands = "unknown here" if known is None else known.phase.value
            raise SettingsError(
                f"trial {trial.number} is {stands}: it expects no result",
                remedy="tell a trial that ask() answered, while tell() answers True",
            )
        if metrics is None:
            return None
        value = as_number(metrics.get(self._metric))
        if value is None:
            got = ", ".join(map(str, metrics)) or "nothing"
            raise SettingsError(
                f"metric {self._metric!r} not told, or no number; got: {got}",
                remedy=f"tell(trial, {{{self._metric!r}: …}}), or None if the trial failed",
            )
        return value

    def _take_in(self, trial: Trial, metrics: Mapping[str, float] | None) -> None:
        value = self._read(trial, metrics)
        number, attempt = trial.number, trial.attempt
        self._unanswered[number] = (attempt, metrics)
        if metrics is None or value is None:
            self._controller.broke(number, attempt, "error", "told to have failed")
        elif not math.isfinite(value):
            reason = f"metric {self._metric!r} became {value}"
            self._controller.broke(number, attempt, "diverged", reason)
        else:
            epoch = self._controller.state.trials[number].epochs + 1
            seconds, self._told = time.monotonic() - self._told, time.monotonic()
            scored = reported(metrics, self._metric)
            self._controller.report(number, attempt, epoch, scored, seconds)

    def _draw(self) -> None:
        """Renew the drawings; what storage refuses is drawn later, and said once."""
        controller = self._controller
        plan, meter = controller.brain.plan(), self._meter
        left = remaining(controller.state, plan, 1, meter.budget, meter.driven)
        try:
            self._owner.check()
            self._exporter.draw(left, now=True)
        except StoreError as error:
            if not self._put_off:
                log.warning("%s; the run goes on, and draws its files later", error)
            self._put_off = True
        else:
            self._put_off = False
