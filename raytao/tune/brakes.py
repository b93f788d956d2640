"""What may end a run on Ray before its plan is done: signals, requests, a budget that is spent."""

from __future__ import annotations

import signal

from raytao.runs.budget import Meter
from raytao.runs.controller import Controller
from raytao.runs.owner import Say
from raytao.setup.ending import cancel
from raytao.setup.request import Ask, Inbox
from raytao.tune.interrupts import Interrupted, Interrupts


class Canceled(BaseException):
    """The run ends now, for good; not an ``Exception``, for Tune swallows those."""


class Brakes:
    """Looked at in every turn of Tune's loop.

    Args:
        controller: the run's.
        meter: its budget.
        inbox: where requests arrive.
        interrupts: where signals do.
        say: takes one line for people.
    """

    def __init__(
        self,
        controller: Controller,
        meter: Meter,
        inbox: Inbox,
        interrupts: Interrupts,
        say: Say,
    ) -> None:
        self._controller = controller
        self._meter = meter
        self._inbox = inbox
        self._interrupts = interrupts
        self._say = say

    def check(self) -> None:
        """Do what is asked.

        Raises:
            Interrupted: if a signal came, or a request to pause.
            Canceled: on a request to cancel; the log knows it already.
        """
        self._interrupts.check()
        match self._inbox.take():
            case Ask.PAUSE:
                self._say("asked to pause: no new work, trials end, what they reported is kept")
                raise Interrupted(signal.SIGTERM)
            case Ask.STOP:
                self._controller.stop(Ask.STOP.reason)
                self._say("asked to stop: trials end with the epoch they are in")
            case Ask.CANCEL:
                cancel(self._controller)
                raise Canceled
            case None:
                pass
        if self._controller.state.running():
            self.before_lease()

    def before_lease(self) -> None:
        """Stop the run if its budget leaves no room for another lease."""
        spent = self._meter.spent()
        if spent is not None:
            self._controller.stop(str(spent))
