"""When which trial trained, and side by side with whom, as plain numbers."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import Enum

from raytao.report.pictures.elapsed import Elapsed
from raytao.runs.events import Broke, Event, Leased, Lost, Placed, Resumed, Retried, Returned
from raytao.runs.log import Record
from raytao.runs.state import Phase, RunState


class End(Enum):
    """How a stretch of training ended."""

    JUDGED = "judged"
    """The trial reached its budget, or was stopped by its brain."""
    FAILED = "failed"
    LOST = "lost"
    """Its worker or its driver went without a word."""
    RETRIED = "retried"
    RETURNED = "returned"
    """It gave its place back before its end."""
    OPEN = "open"
    """It trains still, as far as the log knows."""


@dataclass(frozen=True)
class Stretch:
    """A trial held a place from ``begin`` to ``end``, in seconds of `Elapsed`.

    ``budget`` is the epoch it was to reach, ``lane`` one of its node's places side by side: the
    lowest one that was free.
    """

    trial: int
    begin: float
    end: float
    budget: int
    how: End
    node: str
    lane: int

    @property
    def seconds(self) -> float:
        """How long it held its place."""
        return self.end - self.begin


@dataclass
class _Held:
    """A stretch that goes on."""

    trial: int
    attempt: int
    begin: float
    budget: int
    node: str = ""


def stretches(records: Sequence[Record], times: Elapsed) -> tuple[Stretch, ...]:
    """All stretches of training of a log, by their beginning; no two of a lane overlap."""
    state, found = RunState(), []
    held: dict[int, _Held] = {}
    now = 0.0
    for record, at in zip(records, times.seconds, strict=True):
        before, now, event = now, at, record.event
        state.take(record)
        for one in [one for one in held.values() if _is_over(one, state)]:
            end = before if isinstance(event, Resumed) else now
            found.append((held.pop(one.trial), end, _how(event)))
        match event:
            case Leased(trial=trial, attempt=attempt):
                held[trial] = _Held(trial, attempt, now, state.trials[trial].budget)
            case Placed(trial=trial, node=node) if trial in held:
                held[trial].node = node
    found += [(one, now, End.OPEN) for one in held.values()]
    return tuple(_in_lanes(sorted(found, key=lambda each: (each[0].begin, each[0].trial))))


def _is_over(held: _Held, state: RunState) -> bool:
    trial = state.trials[held.trial]
    return trial.phase is not Phase.RUNNING or trial.attempt != held.attempt


def _how(event: Event) -> End:
    match event:
        case Broke():
            return End.FAILED
        case Lost() | Resumed():
            return End.LOST
        case Retried():
            return End.RETRIED
        case Returned():
            return End.RETURNED
        case _:
            return End.JUDGED


def _in_lanes(found: Iterable[tuple[_Held, float, End]]) -> Iterable[Stretch]:
    free: dict[str, list[float]] = {}
    for held, end, how in found:
        lanes = free.setdefault(held.node, [])
        lane = next((n for n, at in enumerate(lanes) if at <= held.begin), len(lanes))
        lanes[lane : lane + 1] = [end]
        yield Stretch(held.trial, held.begin, end, held.budget, how, held.node, lane)
