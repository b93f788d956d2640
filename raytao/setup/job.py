"""A run as a job of TAO's: how it stands, by its log, its owner, and what it was asked to do.

Not all of TAO's words can be known at every moment. A request to pause is seen until its driver
takes it, a second at most; from then on, until the driver has left, the run counts as Running.
"""

from __future__ import annotations

from datetime import datetime

from raytao.errors import DamagedRun
from raytao.runs.owner_file import Owner
from raytao.runs.place import Place, store_at
from raytao.runs.retries import Retries
from raytao.runs.state import Phase, RunState
from raytao.runs.store import StoreError
from raytao.setup.folder import driver_of
from raytao.setup.left import left_of
from raytao.setup.request import Ask, waiting
from raytao.setup.setup import Setup
from raytao.tao.payload import JobStatus, Standing, payload
from raytao.types import Json


def job_of(setup: Setup, state: RunState, folder: Place) -> dict[str, Json]:
    """TAO's payload of the run in ``folder``; see `raytao.tao.payload`.

    Args:
        setup: the run.
        state: how far it is.
        folder: its results folder.

    Raises:
        DamagedRun: if its log calls it finished in a word that is none of TAO's.
    """
    left = left_of(setup, state, setup.new_brain().plan())
    now = datetime.now().astimezone()
    return payload(state, left, standing(setup, state, folder), now, setup.card.unit)


def standing(setup: Setup, state: RunState, folder: Place) -> Standing:
    """How the run in ``folder`` stands.

    A driver that left in order left the run Paused, unless trial after trial had failed for one
    reason; one that vanished without a word is an Error. Both can be gone on with.

    Raises:
        DamagedRun: see `job_of`.
    """
    if state.finished is not None:
        return _ended(state)
    owner, again = driver_of(folder), f"raytao resume {folder}"
    if owner is None:
        retries = Retries(**setup.settings.retries.model_dump())
        if retries.hopeless(state, state.last_failure[0]):
            last = state.by_phase(Phase.FAILED)[-1].failure
            why = f"{state.alike} trials in a row failed alike: {last.reason if last else ''}"
            return Standing(JobStatus.ERROR, f"{why}; when that is mended: {again}")
        return Standing(JobStatus.PAUSED, f"paused; go on with: {again}")
    if not owner.seems_alive():
        return Standing(JobStatus.ERROR, f"its driver is gone ({owner}); go on with: {again}")
    return _driven(state, _asked(folder, owner))


def _ended(state: RunState) -> Standing:
    assert state.finished is not None
    best, why = state.incumbent, state.finished.reason
    try:
        status = JobStatus(state.finished.status)
    except ValueError as error:
        raise DamagedRun(f"the log ends with a status that is none: {error}") from error
    if status is JobStatus.DONE and best is not None:
        told = f"best model: experiment {best.trial}, epoch {best.epoch}"
        return Standing(status, f"{told} ({why})" if why else told)
    return Standing(status, why)


def _driven(state: RunState, asked: Ask | None) -> Standing:
    """How a run stands that a driver is at work on."""
    if asked is Ask.CANCEL or (state.stopped is not None and state.stopped.cancel):
        return Standing(JobStatus.CANCELING, "asked to cancel: its experiments end now")
    if asked is Ask.PAUSE:
        return Standing(JobStatus.PAUSING, "asked to pause: its experiments end now")
    if state.launched is None:
        return Standing(JobStatus.PENDING, "no experiment has started yet")
    if not state.begun:
        said = f"going on with {len(state.trials)} experiments known; none has started again yet"
        return Standing(JobStatus.RESUMING, said)
    trial = state.trials[state.launched]
    said = f"experiment {trial.number}: epoch {trial.epochs} of {trial.budget}"
    ending = "" if state.stopped is None else f"; ending: {state.stopped.reason}"
    return Standing(JobStatus.RUNNING, said + ending)


def _asked(folder: Place, owner: Owner) -> Ask | None:
    try:
        return waiting(store_at(folder), owner.token)
    except StoreError:  # whoever may not read it need not know
        return None
