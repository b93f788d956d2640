"""A chapter: one brain, and the trials of a run that are its own.

A run has one chapter, unless its search began anew under other settings. A brain counts its trials
from 0; in the run they begin with ``first``.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from raytao.brains.base import Brain
from raytao.types import EPOCHS, Observation, Outcome, Params, Start, Suggestion, Verdict


@dataclass(frozen=True)
class Chapter:
    """Speaks to ``brain`` in the run's numbers."""

    brain: Brain
    first: int

    def suggest(self, trial: int) -> Suggestion:
        """See `Brain.suggest`."""
        suggestion = self.brain.suggest(trial - self.first)
        return self._started(suggestion) if isinstance(suggestion, Start) else suggestion

    def adopt(self, trial: int, params: Params) -> Start:
        """See `Brain.adopt`."""
        return self._started(self.brain.adopt(trial - self.first, params))

    def observe(self, trial: int, epoch: int, outcome: Outcome) -> Verdict:
        """See `Brain.observe`."""
        verdict = self.brain.observe(Observation(trial - self.first, {EPOCHS: epoch}, outcome))
        return replace(
            verdict,
            promote=tuple(replace(p, trial=p.trial + self.first) for p in verdict.promote),
            retire=tuple(number + self.first for number in verdict.retire),
        )

    def _started(self, start: Start) -> Start:
        parent = None if start.parent is None else start.parent + self.first
        return replace(start, parent=parent)
