"""A chapter: one brain, and the trials of a run that are its own.

A run has one chapter, unless its search began anew under other settings. A brain counts its trials
from 0; in the run they begin with ``first``.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from raytao.brains.threads import one_blas_thread
from raytao.types import EPOCHS, Observation, Outcome, Params, Start, Suggestion, Verdict

if TYPE_CHECKING:
    from raytao.brains.base import Brain


@dataclass(frozen=True)
class Chapter:
    """Speaks to ``brain`` in the run's numbers, and keeps it to one core."""

    brain: Brain
    first: int

    @one_blas_thread()
    def suggest(self, trial: int) -> Suggestion:
        """See `Brain.suggest`."""
        suggestion = self.brain.suggest(trial - self.first)
        return self._started(suggestion) if isinstance(suggestion, Start) else suggestion

    def adopt(self, trial: int, params: Params) -> Start:
        """See `Brain.adopt`."""
        return self._started(self.brain.adopt(trial - self.first, params))

    @one_blas_thread()
    def observe(self, trial: int, epoch: int, outcome: Outcome) -> Verdict:
        """See `Brain.observe`."""
        return self._moved(
            self.brain.observe(self._observation(trial, epoch, outcome)), self.first
        )

    @one_blas_thread()
    def recall(self, trial: int, epoch: int, outcome: Outcome, told: Verdict) -> Verdict:
        """See `Brain.recall`."""
        observation = self._observation(trial, epoch, outcome)
        verdict = self.brain.recall(observation, self._moved(told, -self.first))
        return self._moved(verdict, self.first)

    def _observation(self, trial: int, epoch: int, outcome: Outcome) -> Observation:
        return Observation(trial - self.first, {EPOCHS: epoch}, outcome)

    def _moved(self, verdict: Verdict, by: int) -> Verdict:
        """The same verdict on trials whose numbers are larger by so many."""
        return replace(
            verdict,
            promote=tuple(replace(p, trial=p.trial + by) for p in verdict.promote),
            retire=tuple(number + by for number in verdict.retire),
        )

    def _started(self, start: Start) -> Start:
        parent = None if start.parent is None else start.parent + self.first
        return replace(start, parent=parent)
