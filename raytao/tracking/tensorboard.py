"""A run as event files that TensorBoard opens: one folder a recommendation, one for the search.

    tensorboard/
    ├── search/             best_kpi over the epochs of all
    ├── recommendation_0/   kpi and the other metrics by epoch; parameters for the HParams tab
    └── recommendation_1/ …

Below a ``uri``, where runs lie side by side, this folder has the name of the results folder; where
another run has that name already, a part of the run's id as well: ``digits-3f2a9c1e``.

A file's bytes follow from the run's log alone. So a driver that resumes, and ``raytao sync``, draw
a file anew where it differs, and add to it afterwards: no step is there twice.
"""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from shlex import quote
from typing import Final

from raytao.runs.events import Event, Reported, Started
from raytao.runs.place import Place, place_of, store_at
from raytao.runs.state import Phase, RunState, TrialState
from raytao.runs.store import Store
from raytao.setup.setup import Setup
from raytao.setup.trackers import Tracking as TrackingSettings
from raytao.space.options import Bool, Categorical
from raytao.space.parameters import Float, Int, Parameter, is_number
from raytao.tracking import event_file
from raytao.tracking.base import Tracker
from raytao.tracking.times import Times
from raytao.types import SCORE

FOLDER: Final = "tensorboard"
"""In the results folder, where the user names no other."""

FILE: Final = "events.out.tfevents.raytao"
"""TensorBoard knows its files by the middle of this name."""

OWNER: Final = "raytao.job_id"
"""In a folder among those of other runs: whose it is."""

ID_LENGTH: Final = 8

SEARCH: Final = "search"
OVER: Final = (Phase.FINISHED, Phase.RETIRED, Phase.FAILED)


class TensorBoard(Tracker):
    """See the module; ``settings.uri`` is a folder or an address."""

    def __init__(self, setup: Setup, settings: TrackingSettings) -> None:
        super().__init__(setup, settings)
        self._place: Place = setup.results / FOLDER
        self._store: Store | None = None
        self._times = Times()
        self._began = 0.0
        self._best = b""
        self._kinds = {one.name: _kind(one) for one in setup.space.parameters}
        self._files: dict[str, _File] = {}
        self._shown: dict[int, tuple[int, bool]] = {}

    @classmethod
    def missing(cls) -> str | None:
        """See Tracker."""
        if find_spec("tensorboardX") is None:
            return "tensorboardX is not installed; pip install tensorboardX"
        return None

    def open(self) -> None:
        """See Tracker."""
        import_module("tensorboardX.proto.event_pb2")

    def event(self, event: Event, state: RunState) -> None:
        """See Tracker."""
        self._times.note(event, self.at)
        match event:
            case Started(trial=0, job_id=job_id):
                self._began = self.at
                self._best = event_file.experiment(self._kinds, self.setup.metric, self.at)
                if self.settings.uri is not None:
                    self._place = self._own_place(place_of(self.settings.uri), job_id)
                self._store = store_at(self._place)
            case Reported() if (best := state.incumbent) is not None:
                values = {f"best_{self.setup.metric}": best.value}
                self._best += event_file.scalars(values, state.epochs, self.at)
            case _:
                pass

    def sync(self, state: RunState) -> None:
        """See Tracker."""
        if self._store is None:
            return
        self._add(SEARCH, self._began, self._best)
        self._best = b""
        for done, trial in enumerate(state.trials.values(), start=1):
            self._show(trial)
            self.progress(done, len(state.trials))

    def close(self, state: RunState) -> None:
        """See Tracker; a trial that had not ended gets its end from whoever resumes the run."""
        del state
        if self._store is not None:
            self._store.settle()  # TensorBoard reads plain files, on object storage too

    def where(self) -> str:
        """See Tracker; all the runs of a folder are looked at together."""
        if self._store is None:
            return ""
        if self.settings.uri is None:
            return f"tensorboard --logdir {quote(str(self._place))}"
        return f"tensorboard --logdir {quote(self.settings.uri)} # this run: {self._place.name}"

    def _own_place(self, shared: Place, run: str) -> Place:
        """A folder below ``shared`` that no other run has. Trial 0's job id names this one."""
        results, own = self.setup.results.resolve(), run.encode()
        name = results.name or str(results).rpartition("/")[2]  # a whole bucket
        short, longer = shared / name, shared / f"{name}-{run[:ID_LENGTH]}"
        for place in (longer, short):
            if store_at(place).read(OWNER) == own:
                return place
        store = store_at(short)
        if self._is_no_others(store) and store.create_exclusive(OWNER, own):
            return short
        store_at(longer).create_exclusive(OWNER, own)
        return longer

    def _is_no_others(self, store: Store) -> bool:
        """Whether a folder holds no events, or this run's, of a version that left no id there."""
        there = store.read(f"{SEARCH}/{FILE}")
        return there is None or there.startswith(event_file.header(self._began) + self._best)

    def _show(self, trial: TrialState) -> None:
        """Add what is new of a recommendation."""
        over = trial.phase in OVER
        epochs, ended = self._shown.get(trial.number, (-1, False))
        if (epochs, ended) == (trial.epochs, over):
            return
        new = b""
        began = self._times.proposed(trial.number)
        if epochs < 0:
            new += event_file.session_begins(trial.params, self._kinds, began)
        for epoch in range(max(epochs, 0) + 1, trial.epochs + 1):
            values = {key: value for key, value in trial.history[epoch].items() if key != SCORE}
            new += event_file.scalars(values, epoch, self._times.epoch(trial.number, epoch))
        if over and not ended:
            at = self._times.ended(trial.number)
            new += event_file.session_ends(at, failed=trial.phase is Phase.FAILED)
        self._add(f"recommendation_{trial.number}", began, new)
        self._shown[trial.number] = trial.epochs, over

    def _add(self, folder: str, began: float, new: bytes) -> None:
        """Write what is new of a file; the first time, all of it, unless it is there."""
        assert self._store is not None
        file = self._files.get(folder)
        if file is None:
            self._files[folder] = file = _File(self._store, folder)
            new = event_file.header(began) + new
        self.written["bytes"] += file.add(new)


def _kind(parameter: Parameter) -> str:
    """What TensorBoard takes a parameter's values for; a list is text to it."""
    match parameter:
        case Float() | Int():
            return event_file.NUMBER
        case Bool():
            return event_file.SWITCH
        case Categorical(options=options) if all(map(is_number, options)):
            return event_file.NUMBER
        case _:
            return event_file.TEXT


class _File:
    """One event file, which is drawn from its beginning and then added to.

    Args:
        store: where it lies.
        folder: of its recommendation.
    """

    def __init__(self, store: Store, folder: str) -> None:
        self._store = store
        self._key = f"{folder}/{FILE}"
        self._size: int | None = None

    def add(self, new: bytes) -> int:
        """Write ``new`` at the end of what this object has written; return how much was new."""
        if self._size is not None:
            if new:
                self._store.append_batch(self._key, new, durable=False, at=self._size)
            self._size += len(new)
            return len(new)
        self._size = len(new)
        if self._store.read(self._key) == new:
            return 0
        self._store.replace(self._key, new)
        return len(new)
