"""A run in MLflow: one run for the search, one below it for every recommendation.

    digits                   raytao.run, raytao.brain …  | brain.R …        | best_kpi over epochs
    ├── recommendation_0     raytao.phase, raytao.why …  | train.optim.lr … | kpi by epoch
    └── recommendation_1 …

What is told is the difference between the run's state and what MLflow has, so a driver that
resumes tells nothing twice, and one that was cut off from its server has nothing to make up for.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final
from urllib.parse import quote

import raytao
from raytao.errors import SettingsError
from raytao.runs.events import Event, Reported, Started
from raytao.runs.place import store_at
from raytao.runs.state import Phase, RunState, TrialState
from raytao.runs.store import LocalStore, Store
from raytao.setup.settings import Tracking as TrackingSettings
from raytao.setup.setup import Setup
from raytao.spec import flatten
from raytao.tao import layout
from raytao.tracking.base import Tracker
from raytao.tracking.hush import hush_this_thread, switch_off
from raytao.tracking.ledger import RUNNING, Entry, Ledger, Point
from raytao.types import SCORE

DATABASE: Final = "mlflow.db"
ARTIFACTS: Final = "mlflow_artifacts"
"""In the results folder, where the user names no server."""

OLDEST: Final = 3
"""First major version with the calls that are made here."""

RUN_TAG: Final = "raytao.run"
JOB_TAG: Final = "raytao.job_id"
SAVED_TAG: Final = "raytao.artifacts"

OVER: Final = (Phase.FINISHED, Phase.RETIRED, Phase.FAILED)


@dataclass
class _Child:
    """A recommendation's entry, and how much of its trial is in it."""

    entry: Entry
    epochs: int = 0
    shown: tuple[object, ...] = ()


class MLflow(Tracker):
    """See the module. The server is settings.uri, MLFLOW_TRACKING_URI or the results folder."""

    def __init__(self, setup: Setup, settings: TrackingSettings) -> None:
        super().__init__(setup, settings)
        switch_off()
        self._results = setup.results.resolve()
        self._best_metric = f"best_{setup.metric}"
        self._best: list[tuple[int, float]] = []
        self._ledger: Ledger | None = None
        self._parent: Entry | None = None
        self._found: dict[str, Entry] = {}
        self._children: dict[int, _Child] = {}

    @classmethod
    def missing(cls) -> str | None:
        """See Tracker."""
        if find_spec("mlflow") is None:
            return "MLflow is not installed; pip install mlflow"
        try:
            found = version("mlflow")
        except PackageNotFoundError:  # mlflow-skinny alone, which will do for a server
            return None
        if int(found.partition(".")[0]) < OLDEST:
            return f"MLflow {found} is too old; pip install 'mlflow>={OLDEST}'"
        return None

    def open(self) -> None:
        """See Tracker; importing MLflow gives it the handlers that are hushed here."""
        import_module("mlflow")
        hush_this_thread()
        uri = self.settings.uri or os.environ.get("MLFLOW_TRACKING_URI")
        if uri:
            self._ledger = Ledger(uri, self.settings.experiment, None)
            return
        if not isinstance(self._results, Path):
            raise SettingsError(
                f"MLflow's database cannot lie at {self._results}",
                remedy="name a server: tracking.uri, or MLFLOW_TRACKING_URI",
            )
        artifacts = (self._results / ARTIFACTS).as_uri()
        self._ledger = Ledger(_database(self._results), self.settings.experiment, artifacts)

    def event(self, event: Event, state: RunState) -> None:
        """See Tracker; the way of the best value is all that the state does not keep."""
        match event:
            case Started(trial=0, job_id=job_id):
                self._parent = self._open_parent(job_id)
            case Reported() if self._parent is not None:
                if state.epochs > self._parent.last_step(self._best_metric):
                    best = state.incumbent
                    self._best += [(state.epochs, best.value)] if best else []
            case _:
                pass

    def sync(self, state: RunState) -> None:
        """See Tracker."""
        if self._parent is None:
            return
        if state.finished is None:
            self._parent.mark(RUNNING)
        for trial in state.trials.values():
            self._show(trial, self._parent, ended=state.finished is not None)
        self._parent.write(
            tags=self._run_tags(state), params=self._run_params(), points=self._run_points(state)
        )
        self._best.clear()

    def close(self, state: RunState) -> None:
        """See Tracker; a run that was cut short is KILLED, until somebody resumes it."""
        if self._parent is None:
            return
        if state.finished is not None:
            self._parent.mark("FINISHED" if state.finished.status == "Done" else "FAILED")
            self._save(self._parent, state)
            return
        for number, child in self._children.items():
            if state.trials[number].phase not in OVER:
                child.entry.mark("KILLED")
        self._parent.mark("KILLED")

    def _open_parent(self, job_id: str) -> Entry:
        """The search's own run. Trial 0's job id names it: one is drawn for every new log."""
        assert self._ledger is not None
        parent = self._ledger.find(RUN_TAG, job_id)
        if parent is None:
            source = {"mlflow.source.name": "raytao", "mlflow.source.type": "LOCAL"}
            return self._ledger.make(self._results.name, {RUN_TAG: job_id, **source})
        self._found = self._ledger.children(parent, JOB_TAG)
        return parent

    def _show(self, trial: TrialState, parent: Entry, *, ended: bool) -> None:
        """Bring one recommendation's entry up to date."""
        child = self._children.get(trial.number) or self._open_child(trial, parent)
        shown = (trial.phase, trial.epochs, len(trial.why), ended)
        if shown == child.shown:
            return
        child.entry.write(
            tags=_trial_tags(trial),
            params=trial.params,
            points=list(_points(trial, child.epochs + 1)),
        )
        child.entry.mark(_status(trial.phase, ended=ended))
        child.epochs, child.shown = trial.epochs, shown

    def _open_child(self, trial: TrialState, parent: Entry) -> _Child:
        assert self._ledger is not None
        entry = self._found.get(trial.job_id) or self._ledger.make(
            f"recommendation_{trial.number}", {JOB_TAG: trial.job_id}, parent
        )
        return self._children.setdefault(trial.number, _Child(entry))

    def _run_tags(self, state: RunState) -> dict[str, str]:
        tags = {
            "raytao.version": raytao.__version__,
            "raytao.network": self.setup.settings.network,
            "raytao.brain": str(self.setup.settings.brain["name"]),
            "raytao.metric": self.setup.metric,
            "raytao.direction": self.setup.direction.value,
        }
        best = state.incumbent
        if best is not None:
            tags["raytao.best"] = f"recommendation_{best.trial}, epoch {best.epoch}"
        if state.measured is not None and state.measured.reason:
            tags["raytao.test_failure"] = state.measured.reason
        return tags

    def _run_params(self) -> dict[str, object]:
        brain = flatten({"brain": self.setup.identity()["brain"]})
        return {**brain, "searched": ", ".join(self.setup.space.names)}

    def _run_points(self, state: RunState) -> list[Point]:
        best = [Point(self._best_metric, step, value) for step, value in self._best]
        tested = state.measured
        if tested is None:
            return best
        return [*best, *(Point(k, tested.epoch, v) for k, v in tested.metrics.items())]

    def _save(self, parent: Entry, state: RunState) -> None:
        """Copy the winner and the table of all recommendations; once for one winner."""
        best = state.incumbent
        saved = "no model" if best is None else f"{best.trial}/{best.epoch}/{best.fidelity}"
        if parent.tags.get(SAVED_TAG) == saved:
            return
        store = store_at(self._results)
        for key in store.list(layout.BEST_MODEL):
            self._attach(parent, store, key)
        if store.size(layout.CONTROLLER) is not None:
            self._attach(parent, store, layout.CONTROLLER)
        parent.write(tags={SAVED_TAG: saved})

    def _attach(self, parent: Entry, store: Store, key: str) -> None:
        """Copy a file of the run; MLflow takes it from a path, so an object is fetched first."""
        folder = key.rpartition("/")[0]
        if isinstance(self._results, Path):
            parent.attach(self._results / key, folder)
            return
        with TemporaryDirectory(prefix="raytao_") as fetched:
            LocalStore(Path(fetched)).replace(key, store.read(key) or b"")
            parent.attach(Path(fetched) / key, folder)


def _database(results: Path) -> str:
    """SQLite in the results folder; MLflow 3 takes no plain folder any more."""
    path = re.sub("[%?#]", lambda mark: quote(mark[0]), str(results / DATABASE))
    return f"sqlite:///{path}"


def _status(phase: Phase, *, ended: bool) -> str:
    """A trial's phase in MLflow's words; what still waits when the run ends is through, too."""
    match phase:
        case Phase.FAILED:
            return "FAILED"
        case Phase.FINISHED | Phase.RETIRED:
            return "FINISHED"
        case _:
            return "FINISHED" if ended else RUNNING


def _trial_tags(trial: TrialState) -> dict[str, str]:
    tags = {"raytao.phase": trial.phase.value, "raytao.why": "; ".join(trial.why)}
    if trial.failure is not None:
        tags["raytao.failure"] = f"{trial.failure.cause}: {trial.failure.reason}"
    return tags


def _points(trial: TrialState, first: int) -> Iterator[Point]:
    """What the trial measured from epoch ``first`` on; its score is for brains only."""
    from raytao.tracking.ledger import Point

    for epoch in range(first, trial.epochs + 1):
        for key, value in trial.history[epoch].items():
            if key != SCORE:
                yield Point(key, epoch, value)
