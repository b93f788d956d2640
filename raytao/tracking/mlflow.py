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
from urllib.parse import quote, unquote, urlsplit

import raytao
from raytao.errors import SettingsError
from raytao.runs.events import Event, Reported, Started
from raytao.runs.events import Tested as Measured
from raytao.runs.place import Place, store_at
from raytao.runs.state import Best, Phase, RunState, TrialState
from raytao.runs.store import LocalStore, Store
from raytao.setup.setup import Setup
from raytao.setup.trackers import Tracking as TrackingSettings
from raytao.spec import flatten
from raytao.tao import layout
from raytao.tracking.base import Tracker
from raytao.tracking.described import describe_run, describe_trial
from raytao.tracking.hush import hush_this_thread, switch_off
from raytao.tracking.ledger import NOTE_TAG, RUNNING, Entry, Ledger, Point
from raytao.tracking.logged_model import RUN_TAG, Models, Winner, pack
from raytao.tracking.said import how_to_sync, reason_of, where_in_mlflow
from raytao.tracking.times import Times
from raytao.tracking.winning import winning_module
from raytao.types import SCORE

DATABASE: Final = "mlflow.db"
ARTIFACTS: Final = "mlflow_artifacts"
"""In the results folder, where the user names no server."""

OLDEST: Final = 3
"""First major version with the calls that are made here."""

JOB_TAG: Final = "raytao.job_id"
SAVED_TAG: Final = "raytao.artifacts"
MODEL_TAG: Final = "raytao.model"

OVER: Final = (Phase.FINISHED, Phase.RETIRED, Phase.FAILED)

DATABRICKS: Final = ("databricks", "databricks-uc")
"""Addresses that are no paths, though they look it."""


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
        self._best: list[Point] = []
        self._times = Times()
        self._tested_at = 0.0
        self._job = ""
        self._uri = ""
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
        self._uri, artifacts = self._address()
        self._ledger = Ledger(self._uri, self.settings.experiment, artifacts, self.written)
        if self._uri == _database(self._results):
            _refuse_moved(self._ledger.files_at, self._results)

    def _address(self) -> tuple[str, str | None]:
        """The server or database, and where the latter's new experiments keep their files."""
        named = self.settings.uri or os.environ.get("MLFLOW_TRACKING_URI")
        if named:
            _refuse_folder(named)
            return named, _beside(named)
        if not isinstance(self._results, Path):
            raise SettingsError(
                f"MLflow's database cannot lie at {self._results}",
                remedy="name a server: tracking.uri, or MLFLOW_TRACKING_URI",
            )
        return _database(self._results), (self._results / ARTIFACTS).as_uri()

    def event(self, event: Event, state: RunState) -> None:
        """See Tracker; the way of the best value is all that the state does not keep."""
        self._times.note(event, self.at)
        match event:
            case Started(trial=0, job_id=job_id):
                self._job = job_id
                self._parent = self._open_parent()
            case Reported() if self._parent is not None:
                best = state.incumbent
                if best and state.epochs > self._parent.last_step(self._best_metric):
                    self._best.append(Point(self._best_metric, state.epochs, best.value, self.at))
            case Measured():
                self._tested_at = self.at
            case _:
                pass

    def sync(self, state: RunState) -> None:
        """See Tracker."""
        if self._parent is None:
            return
        if state.finished is None:
            self._parent.mark(RUNNING, self.at)
        for done, trial in enumerate(state.trials.values(), start=1):
            self._show(trial, self._parent, ended=state.finished is not None)
            self.progress(done, len(state.trials))
        self._parent.write(
            tags=self._run_tags(state), params=self._run_params(), points=self._run_points(state)
        )
        self._best.clear()

    def close(self, state: RunState) -> None:
        """See Tracker; a run that was cut short is KILLED, until somebody resumes it."""
        if self._parent is None:
            return
        if state.finished is not None:
            status = "FINISHED" if state.finished.status == "Done" else "FAILED"
            self._parent.mark(status, self.at)
            self._save(self._parent, state)
            self._keep_model(self._parent, state)
            return
        for number, child in self._children.items():
            if state.trials[number].phase not in OVER:
                child.entry.mark("KILLED", self._times.ended(number))
        self._parent.mark("KILLED", self.at)

    def where(self) -> str:
        """See Tracker; a database in the results folder is named as the user names the folder."""
        if self._parent is None or self._ledger is None:
            return ""
        own = self._uri == _database(self._results)
        uri = _database(self.setup.results) if own else self._uri
        return where_in_mlflow(uri, self._ledger.experiment, self._parent.id)

    def _open_parent(self) -> Entry:
        """The search's own run. Trial 0's job id names it: one is drawn for every new log."""
        assert self._ledger is not None
        parent = self._ledger.find(RUN_TAG, self._job)
        if parent is None:
            return self._ledger.make(self._results.name, {RUN_TAG: self._job}, self.at)
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
            points=list(self._points(trial, child.epochs + 1)),
        )
        child.entry.mark(_status(trial.phase, ended=ended), self._times.ended(trial.number))
        child.epochs, child.shown = trial.epochs, shown

    def _open_child(self, trial: TrialState, parent: Entry) -> _Child:
        assert self._ledger is not None
        entry = self._found.get(trial.job_id) or self._ledger.make(
            f"recommendation_{trial.number}",
            {JOB_TAG: trial.job_id},
            self._times.began(trial.number),
            parent,
        )
        return self._children.setdefault(trial.number, _Child(entry))

    def _points(self, trial: TrialState, first: int) -> Iterator[Point]:
        """What the trial measured from epoch ``first`` on; its score is for brains only.

        Its best value is a metric of the same name as the search's, so that one column sorts all.
        """
        best: float | None = None
        for epoch, metrics in trial.history.items():
            better = best is None or metrics[SCORE] > best
            best = metrics[SCORE] if better else best
            if epoch < first:
                continue
            at = self._times.epoch(trial.number, epoch)
            yield from (Point(k, epoch, v, at) for k, v in metrics.items() if k != SCORE)
            if better and self.setup.metric in metrics:
                yield Point(self._best_metric, epoch, metrics[self.setup.metric], at)

    def _run_tags(self, state: RunState) -> dict[str, str]:
        tags = {
            NOTE_TAG: describe_run(self.setup, state),
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
        tested, at = state.measured, self._tested_at
        if tested is None:
            return self._best
        measured = [Point(k, tested.epoch, v, at) for k, v in tested.metrics.items()]
        return [*self._best, *measured]

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

    def _keep_model(self, parent: Entry, state: RunState) -> None:
        """Keep the best module with its signature, and register it if that is asked for."""
        best = state.incumbent
        if best is None:
            return
        assert self._ledger is not None
        on_server = urlsplit(self._uri).scheme in ("http", "https", "databricks")
        models = Models(self._ledger, self.written, on_server=on_server or self._uri in DATABRICKS)
        winner = self._winner(parent, state, best)
        model = models.find(winner)
        if model is None:
            with TemporaryDirectory(prefix="raytao_") as folder:
                try:
                    packed, described = pack(*winning_module(self.setup, best), folder)
                except Exception as error:  # noqa: BLE001 - a network's own code, or torch's export
                    parent.write(tags={MODEL_TAG: f"files only: {reason_of(error)}"})
                    return
                model = models.add(winner, packed, described)
        known = f"models:/{model.model_id}"
        if self.settings.registered is not None:
            number = models.register(self.settings.registered, model, winner)
            known = f"models:/{self.settings.registered}/{number}"
        parent.write(tags={MODEL_TAG: known})

    def _winner(self, parent: Entry, state: RunState, best: Best) -> Winner:
        trial = state.trials[best.trial]
        tags = {
            RUN_TAG: self._job,
            JOB_TAG: trial.job_id,
            "raytao.network": self.setup.settings.network,
            "raytao.best": f"recommendation_{best.trial}, epoch {best.epoch}",
            self.setup.metric: f"{best.value:g}",
        }
        measured = state.measured.metrics if state.measured else {}
        tags |= {name: f"{value:g}" for name, value in measured.items()}
        key = f"{trial.job_id}/{best.epoch}"
        return Winner(parent.id, key, best.epoch, trial.params, tags)


def _refuse_folder(uri: str) -> None:
    """MLflow 3 keeps no runs in plain folders any more, unless it is told to.

    Raises:
        SettingsError: if ``uri`` is one.
    """
    allowed = os.environ.get("MLFLOW_ALLOW_FILE_STORE", "").lower() in ("1", "true")
    if urlsplit(uri).scheme in ("", "file") and uri not in DATABRICKS and not allowed:
        raise SettingsError(
            f"MLflow keeps no runs in plain folders any more: {uri}",
            remedy="name a database, such as sqlite:////home/me/mlflow.db, or a server's address",
        )


def _refuse_moved(files_at: str, results: Place) -> None:
    """MLflow notes where files lie by whole paths: a database that was moved means another folder.

    Raises:
        SettingsError: if the files of the database in ``results`` would lie elsewhere.
    """
    before = Path(unquote(urlsplit(files_at).path)).parent
    if before != results:
        raise SettingsError(
            f"{results / DATABASE} was made in {before}, and its links lead there",
            remedy=f"remove it, and {how_to_sync(results)} --tracker mlflow writes it anew",
        )


def _beside(uri: str) -> str | None:
    """Files of a database on this machine lie beside it; MLflow would take the working folder."""
    scheme, _, path = uri.partition(":///")
    if scheme != "sqlite" or not path or "?" in path:
        return None
    return (Path(unquote(path)).resolve().parent / ARTIFACTS).as_uri()


def _database(results: Place) -> str:
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
    tags = {
        NOTE_TAG: describe_trial(trial),
        "raytao.phase": trial.phase.value,
        "raytao.why": "; ".join(trial.why),
    }
    if trial.failure is not None:
        tags["raytao.failure"] = f"{trial.failure.cause}: {trial.failure.reason}"
    return tags
