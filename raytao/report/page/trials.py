"""All recommendations as a table, and what broke: folded so that thousands make no huge page."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from raytao.report.first import reasons
from raytao.report.page.values import listed, plain, shortened
from raytao.report.words import NOTHING, number, progress, stands
from raytao.runs.state import Best, Phase, RunState, TrialState

MOST_ROWS: Final = 1_000
"""Recommendations that are listed, the best; fewer where each has very many values."""

MOST_CELLS: Final = 30_000
FEWEST_ROWS: Final = 50

MOST_FAILURES: Final = 20
"""Kinds of failures that are listed."""

MOST_ALIKE: Final = 20
"""Recommendations that are named for one failure."""

LONGEST_REASON: Final = 600
"""Characters of a failure's reason, and of why something was proposed; its log has all of it."""


@dataclass(frozen=True)
class Row:
    """A recommendation: ``values`` are those of the searched parameters, in their order."""

    number: int
    result: str
    best_epoch: str
    epochs: str
    state: str
    leads: bool
    values: tuple[str, ...]
    why: str


@dataclass(frozen=True)
class Failure:
    """What broke alike: which recommendations, why, and where the log of the ``first`` is."""

    first: int
    trials: str
    cause: str
    reason: str
    log: str


@dataclass(frozen=True)
class Listing:
    """The best rows, and how many there are in all."""

    rows: tuple[Row, ...]
    total: int


@dataclass(frozen=True)
class Failures:
    """Those of most recommendations first; there are ``kinds``, and ``trials`` that failed."""

    told: tuple[Failure, ...]
    kinds: int
    trials: int

    @property
    def with_a_log(self) -> int | None:
        """A recommendation whose log can be read; None if there is none."""
        return next((failure.first for failure in self.told if failure.log), None)


def listing(names: Sequence[str], state: RunState, *, driven: bool = True) -> Listing:
    """The table of recommendations, best first.

    Args:
        names: columns: what was searched.
        state: the run.
        driven: whether its driver is at work.
    """
    room = max(FEWEST_ROWS, min(MOST_ROWS, MOST_CELLS // (len(names) + 6)))
    results = [(trial, state.best_of(trial)) for trial in state.trials.values()]
    results.sort(key=lambda pair: _place(*pair))
    leader = state.incumbent.trial if state.incumbent else None
    rows = tuple(
        Row(
            number=trial.number,
            result=number(best.value) if best else NOTHING,
            best_epoch=str(best.epoch) if best else NOTHING,
            epochs=progress(trial),
            state=stands(trial, state, driven=driven),
            leads=trial.number == leader,
            values=tuple(
                plain(trial.params[name]) if name in trial.params else NOTHING for name in names
            ),
            why=shortened(" → ".join(reasons(trial, state)), LONGEST_REASON),
        )
        for trial, best in results[:room]
    )
    return Listing(rows, len(results))


def _place(trial: TrialState, best: Best | None) -> tuple[float, int, int]:
    """Those with a result by it, then the others by number."""
    if best is None:
        return math.inf, 0, trial.number
    return -best.score, -best.fidelity, trial.number


def failures(state: RunState, log_of: Callable[[int], str]) -> Failures:
    """What broke, told once however many trials it broke.

    Args:
        state: the run.
        log_of: where a trial's log is; empty if it has none.
    """
    alike: dict[tuple[str, str], list[int]] = {}
    failed = state.by_phase(Phase.FAILED)
    for trial in failed:
        if trial.failure:
            alike.setdefault((trial.failure.cause, trial.failure.reason), []).append(trial.number)
    most = sorted(alike.items(), key=lambda pair: (-len(pair[1]), pair[1]))[:MOST_FAILURES]
    return Failures(tuple(_told(most, log_of)), len(alike), len(failed))


def _told(
    alike: Sequence[tuple[tuple[str, str], list[int]]], log_of: Callable[[int], str]
) -> Iterator[Failure]:
    for (cause, reason), numbers in alike:
        yield Failure(
            first=numbers[0],
            trials=listed(numbers, MOST_ALIKE),
            cause=cause,
            reason=shortened(reason, LONGEST_REASON),
            log=log_of(numbers[0]),
        )
