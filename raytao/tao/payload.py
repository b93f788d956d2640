"""What TAO's service answers about an AutoML job, drawn from the state of a run.

Both shapes are there: what 5.5 calls ``result``, with ``stats``, and what 7.3 keeps in
``job_details``, with ``automl_brain_info`` (TAO facts §5.3). Values of statistics are text, as in
TAO; a result that is not there is null, where TAO has 0.0.

TAO's service gives a job an id of its own. A run has none: it is known by its folder. The id here
is made from that of recommendation 0, and stays for as long as the run can be resumed.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import Final

from raytao.runs.eta import Remaining
from raytao.runs.state import RunState, TrialState
from raytao.tao.export import indicators
from raytao.tao.status import Status, date_and_time, span_text
from raytao.tao.trial_list import trial_status
from raytao.types import SCORE, Json

BEST: Final = "best_"
"""Indicators of this prefix are results, the others are statistics."""

NUMBER_5: Final = "Current experiment number"
NUMBER_7: Final = "Current experiment id"
"""TAO 7.3's name for it; the value still is how many there are."""

BEST_ID_7: Final = "Best experiment id"
"""TAO 5.5 has no such statistic."""


class JobStatus(Enum):
    """TAO's words for how a job stands."""

    PENDING = "Pending"
    RUNNING = "Running"
    DONE = "Done"
    ERROR = "Error"
    CANCELED = "Canceled"
    CANCELING = "Canceling"
    PAUSED = "Paused"
    PAUSING = "Pausing"
    RESUMING = "Resuming"

    @property
    def at_work(self) -> bool:
        """Whether somebody is working on the job."""
        return self not in (self.DONE, self.ERROR, self.CANCELED, self.PAUSED)

    @property
    def detailed(self) -> Status:
        """The word of a status line that comes nearest; TAO calls what was paused a success."""
        return _DETAILED.get(self, Status.RUNNING)


_DETAILED: Final[Mapping[JobStatus, Status]] = {
    JobStatus.PENDING: Status.STARTED,
    JobStatus.DONE: Status.SUCCESS,
    JobStatus.PAUSED: Status.SUCCESS,
    JobStatus.ERROR: Status.FAILURE,
    JobStatus.CANCELED: Status.FAILURE,
}


@dataclass(frozen=True)
class Standing:
    """How a run stands: ``message`` says in a sentence what ``status`` does not."""

    status: JobStatus
    message: str


def payload(
    state: RunState, left: Remaining, standing: Standing, now: datetime, unit: str = "epochs"
) -> dict[str, Json]:
    """Return the job, as JSON.

    Args:
        state: the run.
        left: what is left of it.
        standing: how it stands.
        now: when it is looked at, by the wall clock; it is what ``detailed_status`` is of.
        unit: what the network's spec counts, as a plural: ``epochs``, or ``iters``.
    """
    job = job_id(state)
    shown = indicators(state, left, unit)
    shared: dict[str, Json] = {
        **_current(state, left, unit),
        "detailed_status": {
            **date_and_time(now),
            "message": standing.message,
            "status": standing.status.detailed.value,
        },
        "automl_result": [
            {"metric": name, "value": value}
            for name, value in shown.items()
            if name.startswith(BEST)
        ],
    }
    trials = {trial.job_id: _trial_details(state, trial) for trial in state.trials.values()}
    brain_info = _statistics({(NUMBER_7 if k == NUMBER_5 else k): v for k, v in shown.items()})
    own = {} if job is None else {job: {**shared, "automl_brain_info": brain_info}}
    return {
        "id": job,
        "action": "train",
        "status": standing.status.value,
        "result": {
            **shared,
            "stats": _statistics({k: v for k, v in shown.items() if k != BEST_ID_7}),
        },
        "job_details": {**own, **trials},
        "automl_details": automl_details(state, over=not standing.status.at_work),
        "checkpoint_epoch_number": checkpoint_epochs(state),
    }


def job_id(state: RunState) -> str | None:
    """The job's id; None before there is a trial."""
    if not state.trials:
        return None
    return str(uuid.uuid5(uuid.NAMESPACE_OID, f"raytao {state.trials[0].job_id}"))


def automl_details(state: RunState, *, over: bool) -> dict[str, Json]:
    """TAO's ``:automl_details``: every experiment by its number; ``specs`` is what is searched.

    Args:
        state: the run.
        over: whether nobody trains any more; see `trial_status`.
    """
    best = state.incumbent
    return {
        "current_experiment_id": state.launched,
        **({} if best is None else {"best_experiment_id": best.trial}),
        "metric": _metric(state),
        "experiments": {
            str(trial.number): {
                "result": _result(state, trial),
                "status": trial_status(trial, over=over),
                "specs": dict(trial.params),
            }
            for trial in state.trials.values()
        },
    }


def checkpoint_epochs(state: RunState) -> dict[str, Json]:
    """Epochs of the best model and of the last that its trial has trained.

    Empty before there is a result. TAO 5.5 stores the epochs of the trial that came last.
    """
    best, job = state.incumbent, job_id(state)
    if best is None:
        return {}
    return {f"best_model_{job}": best.epoch, f"latest_model_{job}": best.fidelity}


def _current(state: RunState, left: Remaining, unit: str) -> dict[str, Json]:
    """How far the experiment is that was launched last; ``max_epoch`` is the end of its rung."""
    trial = None if state.launched is None else state.trials[state.launched]
    each, togo = left.epoch_seconds, 0 if trial is None else trial.budget - trial.epochs
    epoch, top = (None, None) if trial is None else (trial.epochs, trial.budget)
    return {
        "epoch": epoch,
        "max_epoch": top,
        "automl_experiment_epoch": epoch,
        "automl_experiment_max_epoch": top,
        f"time_per_{unit.removesuffix('s')}": span_text(each),
        "eta": None if each is None else span_text(togo * each),
        "graphical": [],
        "categorical": [],
        "kpi": [] if trial is None else _curves(trial),
    }


def _curves(trial: TrialState) -> list[Json]:
    """Every metric as TAO has it: ``{metric, values: {epoch: value}}``."""
    names = dict.fromkeys(name for metrics in trial.history.values() for name in metrics)
    return [
        {
            "metric": name,
            "values": {str(n): m[name] for n, m in sorted(trial.history.items()) if name in m},
        }
        for name in names
        if name != SCORE
    ]


def _trial_details(state: RunState, trial: TrialState) -> dict[str, Json]:
    return {
        "epoch": trial.epochs,
        "max_epoch": trial.budget,
        "key_metric": _result(state, trial),
        "specs": dict(trial.params),
    }


def _result(state: RunState, trial: TrialState) -> float | None:
    best = state.best_of(trial)
    return None if best is None else best.value


def _metric(state: RunState) -> str:
    return state.opened.metric if state.opened else ""


def _statistics(shown: Mapping[str, Json]) -> list[Json]:
    return [
        {"metric": name, "value": str(value)}
        for name, value in shown.items()
        if not name.startswith(BEST)
    ]
