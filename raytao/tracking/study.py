"""A run as a study of Optuna's, in a file that optuna-dashboard opens.

Optuna writes to a temporary file, which then appears in its place as a whole.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Final

import raytao
from raytao.errors import FolderError, SettingsError
from raytao.runs.log import Record, read_log
from raytao.runs.place import Place, is_file, store_at
from raytao.runs.state import Phase, RunState, TrialState
from raytao.setup.folder import open_folder
from raytao.setup.setup import Setup
from raytao.tao import layout
from raytao.tracking.distributions import Domain, domains
from raytao.tracking.times import Times
from raytao.types import SCORE, Direction, Json

if TYPE_CHECKING:
    from optuna.storages import BaseStorage
    from optuna.trial import FrozenTrial

JOURNAL: Final = ".log"
"""Ending of a file that is written as Optuna's journal; every other is an SQLite database."""


@dataclass(frozen=True)
class Exported:
    """A written file; ``study`` is the name of the one study in it."""

    path: Place
    study: str
    trials: int
    journal: bool

    @property
    def url(self) -> str:
        """What optuna-dashboard is given: a journal's path, or a database's address."""
        return str(self.path) if self.journal else f"sqlite:///{self.path}"


def export_study(
    place: Place, to: Place, *, name: str | None = None, force: bool = False
) -> Exported:
    """Write the run in ``place`` as a study.

    A trial's value is the metric at its best epoch. Trials that were beaten at their rung are
    PRUNED; ranges are those of the search, widened to what was tried outside of them.

    Args:
        place: the results folder.
        to: the file; one that ends in ``.log`` is a journal.
        name: of the study; by default that of the results folder.
        force: whether a file that is there may be replaced.

    Raises:
        SettingsError: if Optuna is not installed.
        FolderError: if there is no run, or the file is there.
        DamagedRun: if the log cannot be trusted.
    """
    if find_spec("optuna") is None:
        raise SettingsError("Optuna is not installed", remedy="pip install 'raytao[optuna]'")
    _refuse_existing(to, force=force)
    setup, state = open_folder(place)
    title = name or place.resolve().name
    trials = list(_frozen(setup, state, read_log(store_at(place), layout.EVENTS)))
    journal = to.suffix == JOURNAL
    with TemporaryDirectory(prefix="raytao_") as folder, _quietly():
        draft = Path(folder) / "study"
        storage = _journal(draft) if journal else _database(draft)
        _write(storage, title, setup, trials)
        storage.remove_session()
        store_at(to.resolve().parent).replace(to.name, draft.read_bytes())
    return Exported(to, title, len(trials), journal)


def _refuse_existing(to: Place, *, force: bool) -> None:
    if isinstance(to, Path) and to.is_dir():
        raise FolderError(f"{to} is a folder", remedy="name a file")
    if is_file(to) and not force:
        raise FolderError(f"{to} is there already", remedy="--force replaces it")


def _journal(file: Path) -> BaseStorage:
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend

    return JournalStorage(JournalFileBackend(str(file)))


def _database(file: Path) -> BaseStorage:
    """SQLite that waits for no disk: the file is a draft until it is whole."""
    from optuna.storages import RDBStorage
    from sqlalchemy import event

    storage = RDBStorage(f"sqlite:///{file}")
    listen: Any = event.listens_for(storage.engine, "begin")
    listen(lambda connection: connection.exec_driver_sql("PRAGMA synchronous=OFF"))
    return storage


@contextmanager
def _quietly() -> Iterator[None]:
    """Keep Optuna's remarks on what is going well back."""
    from optuna import logging

    level = logging.get_verbosity()
    logging.set_verbosity(logging.WARNING)
    try:
        yield
    finally:
        logging.set_verbosity(level)


def _write(storage: BaseStorage, title: str, setup: Setup, trials: Sequence[FrozenTrial]) -> None:
    from optuna.study import StudyDirection

    minimize = setup.direction is Direction.MINIMIZE
    way = StudyDirection.MINIMIZE if minimize else StudyDirection.MAXIMIZE
    study = storage.create_new_study([way], study_name=title)
    # The key under which Study.set_metric_names keeps them.
    storage.set_study_system_attr(study, "study:metric_names", [setup.metric])
    for key, value in _facts(setup).items():
        storage.set_study_user_attr(study, key, value)
    for trial in trials:
        storage.create_new_trial(study, template_trial=trial)


def _facts(setup: Setup) -> dict[str, str]:
    return {
        "network": setup.settings.network,
        "brain": str(setup.settings.brain["name"]),
        "metric": setup.metric,
        "results": str(setup.results.resolve()),
        "raytao": raytao.__version__,
    }


def _frozen(setup: Setup, state: RunState, records: Sequence[Record]) -> Iterator[FrozenTrial]:
    times = Times()
    for record in records:
        times.note(record.event, record.at)
    ranges = domains(setup.space, [trial.params for trial in state.trials.values()])
    for trial in state.trials.values():
        yield _trial(setup, state, trial, times, ranges)


def _trial(
    setup: Setup, state: RunState, trial: TrialState, times: Times, ranges: Mapping[str, Domain]
) -> FrozenTrial:
    from optuna.trial import FrozenTrial, TrialState

    known = {n: m[setup.metric] for n, m in trial.history.items() if setup.metric in m}
    kind = _kind(trial, over=state.finished is not None)
    best = known.get(trial.best_epoch) if trial.best_epoch is not None else None
    told = kind in ("COMPLETE", "PRUNED")
    over = kind not in ("RUNNING", "WAITING")
    return FrozenTrial(
        number=trial.number,
        trial_id=trial.number,
        state=TrialState[kind],
        value=best if told else None,
        values=None,
        datetime_start=None if kind == "WAITING" else _local(times.began(trial.number)),
        datetime_complete=_local(times.ended(trial.number)) if over else None,
        params={name: ranges[name].shown(value) for name, value in trial.params.items()},
        distributions={name: ranges[name].distribution for name in trial.params},
        user_attrs=_attributes(trial),
        system_attrs={},
        intermediate_values=known,
    )


def _kind(trial: TrialState, *, over: bool) -> str:
    """A phase in Optuna's words; what still waits at its rung when a run ends was pruned."""
    match trial.phase:
        case Phase.FINISHED if trial.epochs:
            return "COMPLETE"
        case Phase.RETIRED if trial.epochs:
            return "PRUNED"
        case Phase.FINISHED | Phase.RETIRED | Phase.FAILED:
            return "FAIL"
        case Phase.OFFERED if not trial.epochs:
            return "WAITING"
        case _ if over:
            return "PRUNED" if trial.epochs else "FAIL"
        case _:
            return "RUNNING"


def _attributes(trial: TrialState) -> dict[str, Json]:
    """What Optuna has no word for."""
    kept: dict[str, Json] = {"why": "; ".join(trial.why), "epochs": trial.epochs}
    if trial.best_epoch is not None:
        metrics = trial.history[trial.best_epoch]
        kept["best_epoch"] = trial.best_epoch
        kept["metrics"] = {key: value for key, value in metrics.items() if key != SCORE}
    if trial.failure is not None:
        kept["failure"] = f"{trial.failure.cause}: {trial.failure.reason}"
    return kept


def _local(at: float) -> datetime:
    """Optuna's times are local ones, and do not say so."""
    return datetime.fromtimestamp(at, tz=UTC).astimezone().replace(tzinfo=None)
