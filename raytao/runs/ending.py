"""A run's last record: which of TAO's words it ends with, and why."""

from __future__ import annotations

from raytao.errors import RaytaoError
from raytao.runs.events import Finished
from raytao.runs.state import RunState


def ending(state: RunState, *, done: bool) -> Finished:
    """How a run ends that has come so far.

    Args:
        state: the run; nothing of it is running.
        done: whether the brain has nothing left to do.

    Raises:
        RaytaoError: if there is work left: a run that was cut short is not finished.
    """
    stopped = state.stopped
    if stopped is not None and stopped.cancel:
        return Finished("Canceled", stopped.reason)
    if not done:
        raise RaytaoError("the run ended before its work was done; it can be resumed")
    if state.incumbent is None:
        return Finished("Error", "no trial has a result")
    return Finished("Done", stopped.reason if stopped else "")
