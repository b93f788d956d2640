"""What was tried and what came of it: the points of the pictures over parameters."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from raytao.report.pictures.scales import Numbers, Scale, parameters_of, scale_of
from raytao.report.pictures.view import View
from raytao.report.series import lowest_shown
from raytao.report.words import plural
from raytao.runs.state import Phase
from raytao.types import Direction, Json, Params

GOLDEN: Final = 0.6180339887498949
"""Multiples of it spread evenly over 0 … 1, however many they are."""

MOST_LISTED: Final = 8
"""Parameters that a caption tells; the table has all."""


@dataclass(frozen=True)
class Try:
    """A configuration and its best value.

    ``value`` is None where the trial failed or has no result; ``whole`` says that it was trained
    as long as it ever can be, ``failed`` that it broke.
    """

    trial: int
    params: Params
    value: float | None
    score: float | None
    whole: bool
    failed: bool

    @property
    def spread(self) -> float:
        """A number from -1 to 1 that keeps equal values apart."""
        return 2 * (self.trial * GOLDEN % 1) - 1


def tries(view: View) -> tuple[Try, ...]:
    """All trials: the best first, those without a value last, by number."""
    found = []
    for trial in view.state.trials.values():
        best = view.state.best_of(trial)
        value, score = (None, None) if best is None else (best.value, best.score)
        whole = trial.epochs >= trial.horizon
        failed = trial.phase is Phase.FAILED
        found.append(Try(trial.number, trial.params, value, score, whole, failed))
    return tuple(sorted(found, key=_place))


def _place(one: Try) -> tuple[float, int]:
    return (math.inf if one.score is None else -one.score, one.trial)


def best_of(found: Sequence[Try], view: View) -> Try | None:
    """The incumbent among them."""
    leader = view.state.incumbent
    return next((one for one in found if leader and one.trial == leader.trial), None)


def axes_of(found: Sequence[Try], view: View) -> dict[str, Scale]:
    """An axis for every parameter that is searched."""
    names = list(dict.fromkeys(name for one in found for name in one.params))
    return {
        name: scale_of(parameter, _seen(name, found))
        for name, parameter in parameters_of(view.space, names).items()
    }


def _seen(name: str, found: Sequence[Try]) -> list[Json]:
    return [one.params[name] for one in found if name in one.params]


def value_axis(found: Sequence[Try], direction: Direction) -> Numbers:
    """The axis of the metric; it has no place for the values of diverged trainings."""
    scores = [one.score for one in found if one.score is not None]
    if not scores:
        return Numbers(0.0, 1.0)
    ends = [direction.score(end) for end in (lowest_shown(scores), max(scores))]
    return Numbers(min(ends), max(ends))


def sampled(found: Sequence[Try], most: int, own: int | None) -> tuple[Try, ...]:
    """About ``most`` of them: a quarter for the best, the others evenly by rank, and ``own``."""
    if len(found) <= most:
        return tuple(found)
    head = most // 4
    step = (len(found) - head) / (most - head)
    taken = {*range(head), *(head + int(k * step) for k in range(most - head))}
    return tuple(one for n, one in enumerate(found) if n in taken or one.trial == own)


def own_spec(view: View) -> int | None:
    """The number of the user's own spec, if that was tried."""
    state = view.state
    return state.first if state.has_own_spec and state.first in state.trials else None


def counted(shown: int, every: int) -> str:
    """How many parameters are drawn, in words."""
    names = f"{every} {plural(every, 'parameter')}"
    return names if shown == every else f"the first {shown} of {names}"


def listed(parts: Iterable[str]) -> str:
    """The first ones, and how many more there are."""
    every = list(parts)
    more = f"; and {len(every) - MOST_LISTED} more" if every[MOST_LISTED:] else ""
    return "; ".join(every[:MOST_LISTED]) + more
