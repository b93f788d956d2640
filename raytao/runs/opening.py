"""Open a run: start its log, or go on where it ends."""

from __future__ import annotations

from collections.abc import Callable

from raytao.brains.base import Brain
from raytao.runs.ahead import Ahead
from raytao.runs.controller import Controller, Listener
from raytao.runs.events import Changed, Opened, Stopped
from raytao.runs.log import EventLog, mend_tail, read_log
from raytao.runs.replay import replay
from raytao.runs.retries import Retries
from raytao.runs.state import RunState
from raytao.runs.store import Store


def open_run(
    store: Store,
    key: str,
    brain: Brain,
    opened: Opened,
    *,
    slots: int = 1,
    evaluate: bool = False,
    listen: Listener | None = None,
    only_look: bool = False,
    retries: Retries | None = None,
    ahead: Ahead | None = None,
    changed: Changed | None = None,
    stopped: Stopped | None = None,
    fence: Callable[[], None] = lambda: None,
) -> Controller:
    """Start a run, or go on where its log ends.

    Args:
        store: the run's files.
        key: the log's key in it.
        brain: fresh; a log that is there is replayed into it.
        opened: what a new log begins with; ignored if there is one (the caller compared).
        slots: trials that may run at once.
        evaluate: whether the winner is measured on the test set at the end.
        listen: is told every new event.
        only_look: write nothing; for drawing what is there.
        retries: what becomes of trials that break.
        ahead: prepares suggestions while trials run; closed by the caller.
        changed: what is different from now on, in a log that is there; ``brain`` fits it.
        stopped: how that run was to end when its driver died, if it is to end so still.
        fence: called before everything that is written; raises if this driver was given up.

    Raises:
        DamagedRun: if the log cannot be trusted or was written by a brain that decides otherwise.
    """
    records = read_log(store, key)
    state = RunState.fold(records)
    unsettled = None if changed and changed.anew else replay(records, brain)  # before any write
    if only_look:
        return Controller(brain, EventLog(store, key, next_seq=len(records)), state)
    fence()
    size = mend_tail(store, key)
    events = EventLog(store, key, next_seq=len(records), size=size, fence=fence)
    if not records:
        state.take(events.add(opened))
        events.commit()
    controller = Controller(
        brain,
        events,
        state,
        slots=slots,
        evaluate=evaluate,
        listen=listen,
        retries=retries,
        ahead=ahead,
    )
    if records:
        controller.go_on(unsettled, changed, stopped)
    return controller
