"""What each trial of a run was trained as: the setup of the search that it belongs to."""

from __future__ import annotations

from raytao.runs.events import Opened
from raytao.runs.state import RunState
from raytao.setup.reopen import reopen
from raytao.setup.setup import Setup
from raytao.spec import Document


class Chapters:
    """The setups of a run, which has one unless its search began anew.

    Args:
        setup: that of the search that goes on.
        state: the run.
    """

    def __init__(self, setup: Setup, state: RunState) -> None:
        self._setup = setup
        self._state = state
        self._earlier: list[tuple[Opened, Setup]] = []

    def of(self, trial: int) -> Setup:
        """The setup that a trial was proposed under.

        Raises:
            DamagedRun: if the log's record of it describes none.
        """
        if trial >= self._state.first:
            return self._setup
        opened = self._state.opened_for(trial)
        for known, setup in self._earlier:
            if known is opened:
                return setup
        setup = reopen(opened, self._setup.results)
        self._earlier.append((opened, setup))
        return setup

    def recommendation(self, trial: int) -> Document:
        """The entire train spec of a trial, as it is trained."""
        known = self._state.trials[trial]
        return self.of(trial).recommendation(known.params, known.horizon)
