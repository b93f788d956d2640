"""When things happened in a run, by the wall clock of its log: for the axes of charts."""

from __future__ import annotations

from collections.abc import Iterable

from raytao.runs.events import Broke, Event, Judged, Leased, Reported, Started
from raytao.types import Decision


class Times:
    """Folded from events and their times, as Unix time."""

    def __init__(self) -> None:
        self._proposed: dict[int, float] = {}
        self._began: dict[int, float] = {}
        self._ended: dict[int, float] = {}
        self._waits: set[int] = set()
        self._over: set[int] = set()
        self._epochs: dict[tuple[int, int], float] = {}

    def note(self, event: Event, at: float) -> None:
        """Take in one event."""
        match event:
            case Started(trial=trial):
                self._proposed[trial] = self._began[trial] = self._ended[trial] = at
                self._waits.add(trial)
            case Leased(trial=trial) if trial in self._waits:
                self._began[trial] = self._ended[trial] = at
                self._waits.discard(trial)
            case Reported(trial=trial, epoch=epoch):
                self._epochs[trial, epoch] = self._ended[trial] = at
                self._over.discard(trial)
            case Broke(trial=trial):
                self._end([trial], at)
            case Judged(trial=trial, decision=decision, retire=retired):
                stopped = decision == Decision.STOP.value
                self._end([trial, *retired] if stopped else retired, at)
            case _:
                pass

    def _end(self, trials: Iterable[int], at: float) -> None:
        """They are over; one that was keeps its time."""
        for trial in trials:
            if trial not in self._over:
                self._over.add(trial)
                self._ended[trial] = at

    def proposed(self, trial: int) -> float:
        """When the brain proposed it."""
        return self._proposed[trial]

    def began(self, trial: int) -> float:
        """When its training began; until then, when it was proposed."""
        return self._began[trial]

    def ended(self, trial: int) -> float:
        """When it was over; until then, when the last thing happened to it."""
        return self._ended[trial]

    def epoch(self, trial: int, epoch: int) -> float:
        """When the metrics of an epoch came in."""
        return self._epochs[trial, epoch]
