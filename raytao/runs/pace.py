"""How fast a run goes: what its log tells, event by event, of the time that its trials take.

A trial's segment (one lease) takes, by the driver's own clock::

    start      from the lease to the trainer's first epoch: a fork, the checkpoint read; where a
               worker is new, it has to start itself, once, and that is not counted
    warm-up    what a segment's first epoch takes longer than the others: data opened, caches cold
    epochs     training and validation, as the trial itself measures them
    gaps       after each epoch: the checkpoint written, the report on its way

What is asked while the run goes on costs the same after ten thousand trials as after a hundred:
sums and counts are kept, and of trials' speeds the last ``RECENT``.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from statistics import fmean
from typing import Final, TypeAlias

from raytao.runs.events import (
    Broke,
    Changed,
    Event,
    Judged,
    Leased,
    Reported,
    Resumed,
    Started,
    Tested,
)
from raytao.runs.trial import TrialState
from raytao.types import EPOCHS

RECENT: Final = 50
"""Segments and trials by which the pace is told."""

Rung: TypeAlias = tuple[int, int]
"""A kind of rung: epochs of its bracket's first one, and its own."""


@dataclass
class _Speed:
    """What one trial's epochs took, in seconds.

    ``since`` is when the trial was last heard of, in seconds that drivers were at work. Of the
    segment that it is in or was in last: whether its worker was ``new``, ``epochs`` told of it,
    what the ``first`` of them took, and whether that was ``told_again``: trained before.
    """

    since: float = 0.0
    new: bool = False
    epochs: int = 0
    first: float = 0.0
    told_again: bool = False
    later: float = 0.0
    laters: int = 0


_UNKNOWN: Final = _Speed()


def _recent() -> deque[float]:
    return deque(maxlen=RECENT)


@dataclass
class Pace:
    """See the module. A part of `RunState`, which hands it every event after its own fold.

    Of this search: how many trials were ``granted`` a rung, have ``arrived`` there, or ``failed``
    on the way; ``widest`` is how many ran at once at most, under the driver that is at work;
    ``evaluation`` the seconds of the last measurement on the test set.
    """

    granted: Counter[Rung] = field(default_factory=Counter)
    arrived: Counter[Rung] = field(default_factory=Counter)
    failed: Counter[Rung] = field(default_factory=Counter)
    widest: int = 0
    evaluation: float | None = None
    _begins: dict[int, int] = field(default_factory=dict)
    _speeds: dict[int, _Speed] = field(default_factory=dict)
    _heard: dict[int, None] = field(default_factory=dict)
    _members: dict[Rung, deque[int]] = field(default_factory=dict)
    _starts: deque[float] = field(default_factory=_recent)
    _gaps: deque[float] = field(default_factory=_recent)
    _warmups: deque[float] = field(default_factory=_recent)
    _last: float = 0.0

    @property
    def start(self) -> float:
        """Seconds before a segment's first epoch; 0 until a worker has begun its second."""
        return _mean(self._starts)

    @property
    def gap(self) -> float:
        """Seconds after each epoch. Where epochs are told in twos, what ``start`` has too much."""
        return _mean(self._gaps)

    @property
    def warmup(self) -> float:
        """Seconds that a segment's first epoch takes longer than the others."""
        return max(0.0, _mean(self._warmups))

    def rung_of(self, trial: TrialState) -> Rung:
        """Where a trial of this search is on its way to, or waits."""
        return self._begins.get(trial.number, trial.budget), trial.budget

    def since(self, trial: TrialState) -> float:
        """When a trial was last heard of: its lease, or its last epoch."""
        return self._speed(trial.number).since

    def is_warm(self, trial: TrialState) -> bool:
        """Whether an epoch of its present lease is known."""
        return self._speed(trial.number).epochs > 0

    def seconds_of(self, trial: TrialState) -> float | None:
        """An epoch of this trial after its segment's first; None before it has trained one."""
        return self._each(self._speeds[trial.number]) if trial.number in self._speeds else None

    def speeds(self) -> list[float]:
        """The same of the trials that were heard of last, ascending."""
        return self._ascending(self._heard)

    def speeds_at(self, rung: Rung) -> list[float]:
        """The same of the trials that were sent to a rung last, ascending; of those that are."""
        return self._ascending(self._members.get(rung, ()))

    def take(self, event: Event, trials: Mapping[int, TrialState], now: float, busy: int) -> None:
        """Take in an event.

        Args:
            event: what happened.
            trials: as they are now.
            now: seconds that drivers have been at work.
            busy: trials that run now.
        """
        match event:
            case Started() | Judged() | Broke() | Changed():
                self._count(event, trials)
            case Leased(trial=number):
                speed = self._speeds.setdefault(number, _Speed())
                speed.since, speed.epochs, speed.new = now, 0, busy > self.widest
                self.widest = max(self.widest, busy)
            case Reported():
                self._report(event, trials[event.trial], now)
            case Resumed():
                self.widest = 0
            case Tested():
                self.evaluation = now - self._last
            case _:
                pass
        self._last = now

    def _count(
        self, event: Started | Judged | Broke | Changed, trials: Mapping[int, TrialState]
    ) -> None:
        match event:
            case Started(trial=number, budget=budget):
                self._begins[number] = budget[EPOCHS]
                self._grant(trials[number])
            case Judged(promote=promote):
                for one in promote:
                    self._grant(trials[one["trial"]])
            case Broke(trial=number):
                self.failed[self.rung_of(trials[number])] += 1
            case Changed(anew=True):
                for known in (self.granted, self.arrived, self.failed, self._members):
                    known.clear()
            case Changed():
                pass

    def _report(self, event: Reported, trial: TrialState, now: float) -> None:
        speed, seconds = self._speeds.setdefault(trial.number, _Speed()), event.seconds
        over = now - speed.since - seconds
        if speed.epochs == 0:
            speed.first, speed.told_again = seconds, over < 0
            if not (speed.new or speed.told_again):
                self._starts.append(over)
        else:
            speed.later += seconds
            speed.laters += 1
            speed.told_again = speed.told_again and over < 0
            if not speed.told_again:
                self._gaps.append(over)
            if speed.epochs == 1:
                self._warmups.append(speed.first - seconds)
        speed.since, speed.epochs = now, speed.epochs + 1
        self._heard.pop(trial.number, None)
        self._heard[trial.number] = None
        if len(self._heard) > RECENT:
            del self._heard[next(iter(self._heard))]
        if trial.epochs == trial.budget:
            self.arrived[self.rung_of(trial)] += 1

    def _grant(self, trial: TrialState) -> None:
        rung = self.rung_of(trial)
        self.granted[rung] += 1
        self._members.setdefault(rung, deque(maxlen=RECENT)).append(trial.number)

    def _ascending(self, numbers: Iterable[int]) -> list[float]:
        known = map(self._speed, numbers)
        return sorted(self._each(speed) for speed in known if speed.first or speed.laters)

    def _speed(self, number: int) -> _Speed:
        return self._speeds.get(number, _UNKNOWN)

    def _each(self, speed: _Speed) -> float:
        if speed.laters:
            return speed.later / speed.laters
        return max(speed.first - self.warmup, speed.first / 10)


def _mean(times: deque[float]) -> float:
    return fmean(times) if times else 0.0
