"""When a run will be over, by what its trials have taken so far: its plan, worked off in advance.

Trials that are known go on at their own speed; those to come are as fast as the known ones, dealt
out so that slow and fast come in their proportions: in a rung it is the slowest that counts. A
segment costs its start and its warm-up besides its epochs, see `pace`.

A short rest of an exact plan is worked off step by step, slot by slot and rung by rung. Of a long
one, and of a plan that is a bound, the work is shared among the slots: what is left unused at its
end is little then.
"""

from __future__ import annotations

import heapq
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import count
from typing import Final

from raytao.brains.base import Plan
from raytao.runs.pace import Pace, Rung
from raytao.runs.state import RunState, TrialState

MOST_SEGMENTS: Final = 256
"""Segments that are worked off one by one; a driver asks ten times a second."""

_GOLDEN: Final = 0.6180339887498949
"""Multiples of it, modulo 1, are spread evenly however many one takes."""


@dataclass(frozen=True)
class Costs:
    """What segments cost, in seconds; ``speeds`` are those of known trials, ascending."""

    pace: Pace
    speeds: Sequence[float]
    start: float
    warmup: float
    gap: float

    @staticmethod
    def of(pace: Pace) -> Costs:
        """What is known now; at least one epoch was trained."""
        return Costs(pace, pace.speeds(), pace.start, pace.warmup, pace.gap)

    @property
    def typical(self) -> float:
        """An epoch of a trial of which nothing is known, its gap included."""
        return self._epoch(sum(self.speeds) / len(self.speeds))

    def dealt(self, speeds: Sequence[float]) -> Iterator[float]:
        """The same of one such trial after the other, each as fast as one of those known.

        The first is in the middle of them; the tenths at either end, of which a few trials to
        come would have none, are left out.
        """
        for n in count():
            share = 0.1 + 0.8 * ((0.5 + n * _GOLDEN) % 1.0)
            yield self._epoch(speeds[int(share * len(speeds))])

    def segment(self, epochs: float, each: float) -> float:
        """A whole segment of epochs that take ``each``."""
        return max(0.0, self.start + self.warmup + epochs * each)

    def of_trial(self, trial: TrialState) -> float:
        """The segment that a trial waits for."""
        return self.segment(trial.budget - trial.epochs, self._each(trial))

    def rest(self, trial: TrialState, now: float) -> float:
        """What is left of the segment that a trial is in."""
        after = max(0, trial.budget - trial.epochs - 1) * self._each(trial)
        return self.epoch_under_way(trial, now) + after

    def epoch_under_way(self, trial: TrialState, now: float) -> float:
        """Until a trial's next epoch is known; it may be late."""
        return max(0.0, self._next_epoch(trial) - self._waited(trial, now))

    def part_of_epoch(self, trial: TrialState, now: float) -> float:
        """How much of a trial's next epoch is over, 0 to 1; one that is not known is not over."""
        lasts = self._next_epoch(trial)
        return min(self._waited(trial, now) / lasts, 0.95) if lasts else 0.0

    def _waited(self, trial: TrialState, now: float) -> float:
        return max(0.0, now - self.pace.since(trial))

    def _next_epoch(self, trial: TrialState) -> float:
        if trial.epochs >= trial.budget:
            return 0.0
        each = self._each(trial)
        return each if self.pace.is_warm(trial) else self.segment(1, each)

    def _each(self, trial: TrialState) -> float:
        own = self.pace.seconds_of(trial) if trial.epochs else None
        return self.typical if own is None else self._epoch(own)

    def _epoch(self, seconds: float) -> float:
        return max(seconds + self.gap, seconds / 10)


def seconds_left(state: RunState, plan: Plan, slots: int, epochs: int, now: float) -> float:
    """Seconds until the plan is worked off, the winner's measurement included.

    Args:
        state: the run; at least one epoch is known.
        plan: what was planned.
        slots: trials at once.
        epochs: to be trained, all in all.
        now: seconds that drivers have been at work.
    """
    costs = Costs.of(state.pace)
    running = [(trial, costs.rest(trial, now)) for trial in state.running()]
    offered = [(state.trials[n], costs.of_trial(state.trials[n])) for n in state.offers]
    known = sum(trial.budget - trial.epochs for trial, _ in (*running, *offered))
    to_come = max(0, epochs - known)
    segments = _segments_to_come(state, plan, to_come)
    if plan.exact and segments + len(offered) <= MOST_SEGMENTS:
        return _Worked(state, plan, costs, slots).off(running, offered)
    work = sum(seconds for _, seconds in (*running, *offered))
    work += segments * (costs.start + costs.warmup) + to_come * costs.typical
    longest = max((seconds for _, seconds in running), default=0.0)
    return max(work / slots, longest)


def _segments_to_come(state: RunState, plan: Plan, epochs: int) -> float:
    granted = state.pace.granted.total()
    if plan.exact:
        return max(0, plan.segments - granted)
    return epochs * granted / state.granted if state.granted else 0.0


class _Worked:
    """A plan's rest, worked off."""

    def __init__(self, state: RunState, plan: Plan, costs: Costs, slots: int) -> None:
        self._state = state
        self._plan = plan
        self._costs = costs
        self._slots = slots
        self._new = costs.dealt(costs.speeds)
        self._under_way: Counter[Rung] = Counter()
        self._queue: deque[tuple[Rung, float]] = deque()
        self._to_come: Counter[Rung] = Counter()
        granted = state.pace.granted
        for begin, rows in plan.ladders.items():
            for row in rows:
                rung = (begin, row.epochs)
                self._to_come[rung] = max(0, row.trials - granted[rung])

    def off(
        self,
        running: Sequence[tuple[TrialState, float]],
        offered: Sequence[tuple[TrialState, float]],
    ) -> float:
        """Seconds until nothing is left to do."""
        ends: list[tuple[float, Rung]] = []
        for trial, seconds in running:
            rung = self._state.pace.rung_of(trial)
            self._under_way[rung] += 1
            ends.append((seconds, rung))
        for trial, seconds in offered:
            rung = self._state.pace.rung_of(trial)
            self._under_way[rung] += 1
            self._queue.append((rung, seconds))
        heapq.heapify(ends)
        self._forget_places_nobody_takes()
        now = 0.0
        while True:
            while len(ends) < self._slots and (task := self._next_task()) is not None:
                heapq.heappush(ends, (now + task[1], task[0]))
            if not ends:
                return now
            now, rung = heapq.heappop(ends)
            self._under_way[rung] -= 1
            self._close(rung)

    def _next_task(self) -> tuple[Rung, float] | None:
        """Those that were promoted first, then new trials, in the plan's order."""
        if self._queue:
            return self._queue.popleft()
        for begin in self._plan.ladders:
            rung = (begin, begin)
            if self._to_come[rung]:
                self._to_come[rung] -= 1
                self._under_way[rung] += 1
                return rung, self._costs.segment(begin, next(self._new))
            if self._plan.waits == "brackets" and self._is_open(begin):
                return None
        return None

    def _is_open(self, begin: int) -> bool:
        rungs = [(begin, row.epochs) for row in self._plan.ladders[begin]]
        return any(self._under_way[rung] or self._to_come[rung] for rung in rungs)

    def _close(self, rung: Rung) -> None:
        """Once nobody is on the way to a rung any more, its best go on to the next."""
        begin, epochs = rung
        if self._under_way[rung] or self._to_come[rung] or begin not in self._plan.ladders:
            return
        above = [row.epochs for row in self._plan.ladders[begin] if row.epochs > epochs]
        if not above:
            return
        further = (begin, min(above))
        pace = self._costs.pace
        dealt = self._costs.dealt(pace.speeds_at(rung) or self._costs.speeds)
        for _ in range(self._to_come[further]):
            seconds = self._costs.segment(further[1] - epochs, next(dealt))
            self._queue.append((further, seconds))
        self._under_way[further] += self._to_come[further]
        self._to_come[further] = 0

    def _forget_places_nobody_takes(self) -> None:
        """Trials that failed leave places open that no rung below will ever fill."""
        for begin, rows in self._plan.ladders.items():
            below = False  # whether anybody is yet to arrive at a lower rung
            for row in rows:
                rung = (begin, row.epochs)
                if row is not rows[0] and not below:
                    self._to_come[rung] = 0
                below = below or bool(self._under_way[rung] or self._to_come[rung])
