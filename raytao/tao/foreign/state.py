"""A run of TAO as the state that every view of a run is drawn from.

Only what succeeded has a result, and the best is found among those by the run's direction: TAO
takes failed trials for the best at times. A trial that was granted an unknown number of epochs has
a budget of 0, which no trial of raytao has.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import accumulate, pairwise
from typing import Final

from raytao.brains.base import Plan, PlanRow
from raytao.runs.eta import Remaining
from raytao.runs.events import Broke, Finished, Opened, Reported
from raytao.runs.state import Phase, RunState, TrialState
from raytao.tao.foreign.files import finite
from raytao.tao.foreign.folder import ForeignRun, weights_of
from raytao.tao.foreign.trial import CANCELED, FAILED, OPEN, SUCCEEDED, ForeignTrial
from raytao.types import SCORE, Direction

RESULT: Final = "result"
"""What a metric is called whose name no file tells: TAO's key for its values."""

_SPAN: Final = re.compile(r"(?:(\d{1,6}) days?, )?(\d{1,6}):(\d{1,2}):(\d{1,2}(?:\.\d{1,9})?)")
_MINUTES: Final = re.compile(r"(\d{1,9}(?:\.\d{1,9})?) minutes? remaining.*")


def state_of(run: ForeignRun, direction: Direction) -> RunState:
    """The state of a run of TAO.

    Args:
        run: as it was read.
        direction: which way its metric is better; TAO writes that nowhere.
    """
    state = RunState()
    state.has_own_spec = False
    state.opened = Opened({}, run.metric or RESULT, direction.value, version="")
    last = _last_rungs(run)
    for trial in run.trials:
        state.add(_trial(trial, run, direction, last.get(trial.number)))
    state.launched = run.launched
    word, reason = status_of(run, state)
    if word in ("Done", "Error", "Canceled"):
        state.finished = Finished(word, reason)
    return state


def reports_of(run: ForeignRun, direction: Direction) -> tuple[Reported, ...]:
    """What trials reported, in the order in which it was written, as far as that is known."""
    metric = run.metric or RESULT
    told = [
        ((trial.times.get(epoch) is None, str(trial.times.get(epoch, "")), trial.number, epoch), v)
        for trial in run.trials
        for epoch, v in trial.values.items()
    ]
    return tuple(
        Reported(number, 1, epoch, {metric: value, SCORE: direction.score(value)}, 0.0)
        for (_, _, number, epoch), value in sorted(told)
    )


def plan_of(run: ForeignRun) -> Plan:
    """What TAO planned; no rows where that is not known.

    Only Hyperband's files tell, and only where every trial says how long it was to train.
    """
    started = [trial for trial in run.trials if trial.status not in OPEN]
    return Plan(run.brain.rows if all(trial.granted for trial in started) else ())


def remaining_of(run: ForeignRun) -> Remaining | None:
    """What TAO's own indicators say is left; None where they do not."""
    numbers = {key: finite(value) for key, value in run.indicators.items()}
    left = next((n for key, n in numbers.items() if key.endswith(" yet to start")), None)
    if left is None:
        return None
    each = next((n for key, n in numbers.items() if key.startswith("Time per ")), None)
    seconds = _seconds(run.indicators.get("Estimated time for automl completion"))
    return Remaining(max(0, round(left)), seconds, each)


def status_of(run: ForeignRun, state: RunState) -> tuple[str, str]:
    """TAO's word for the run, and what stands behind it.

    No file of the folder has that word: it is told by what the others say.
    """
    open_ = [trial.number for trial in run.trials if trial.status in OPEN]
    if open_ or not run.trials:
        return "Running", "as TAO's files say; whether TAO still works on it, they do not"
    if any(trial.status in CANCELED for trial in run.trials):
        return "Canceled", "it may be paused as well, TAO's files do not tell"
    left = remaining_of(run)
    over = (
        run.chosen is not None or bool(weights_of(run)) or (left is not None and not left.epochs)
    )
    if over:
        return ("Done", "") if state.incumbent else ("Error", "no recommendation has a result")
    if left is None:
        return "Unknown", "TAO's files do not tell whether it is over"
    return "Running", "no recommendation is under way, but TAO counts epochs yet to start"


def _trial(
    trial: ForeignTrial, run: ForeignRun, direction: Direction, horizon: int | None
) -> TrialState:
    metric = run.metric or RESULT
    history = {
        epoch: {metric: value, SCORE: direction.score(value)}
        for epoch, value in trial.values.items()
    }
    has_result = trial.status in SUCCEEDED
    return TrialState(
        number=trial.number,
        params=dict(trial.params),
        budget=trial.granted or 0,
        horizon=max(horizon or 0, trial.granted or 0),
        job_id=trial.job_id,
        why=[_why(trial, run.brain.name)],
        phase=_phase(trial),
        history=history,
        best_epoch=_best(history) if has_result else None,
        failure=_failure(trial),
    )


def _why(trial: ForeignTrial, algorithm: str) -> str:
    ended = f", {trial.status}" if trial.status in CANCELED else ""
    return f"TAO's {algorithm or 'AutoML'}{ended}"


def _best(history: dict[int, dict[str, float]]) -> int | None:
    return max(history, key=lambda epoch: (history[epoch][SCORE], -epoch), default=None)


def _phase(trial: ForeignTrial) -> Phase:
    if trial.status in SUCCEEDED:
        return Phase.FINISHED
    if trial.status in CANCELED or trial.status == "pending":
        return Phase.OFFERED  # TAO resumes a canceled one
    return Phase.RUNNING if trial.status in OPEN else Phase.FAILED


def _failure(trial: ForeignTrial) -> Broke | None:
    if trial.status in SUCCEEDED | OPEN | CANCELED:
        return None
    if trial.status in FAILED:
        return Broke(trial.number, 1, "failure", trial.reason or "TAO's files do not say why")
    return Broke(trial.number, 1, "unknown", f"its status is {trial.status or 'missing'!r}")


def _last_rungs(run: ForeignRun) -> dict[int, int]:
    """The epochs of the last rung of every trial's bracket, where the schedule is known."""
    rows = plan_of(run).rows
    firsts = [row for row in rows if row.rung == 0]
    bounds = pairwise(accumulate((row.trials for row in firsts), initial=0))
    return dict(_by_number(rows, firsts, bounds))


def _by_number(
    rows: tuple[PlanRow, ...], firsts: list[PlanRow], bounds: Iterator[tuple[int, int]]
) -> Iterator[tuple[int, int]]:
    for first, (begin, end) in zip(firsts, bounds, strict=True):
        last = max(row.epochs for row in rows if row.bracket == first.bracket)
        yield from ((number, last) for number in range(begin, end))


def _seconds(text: object) -> float | None:
    """Time as TAO writes it: a span, or minutes in words until 5.3."""
    if not isinstance(text, str):
        return None
    if span := _SPAN.fullmatch(text):
        days, hours, minutes, seconds = (float(part) for part in span.groups(default="0"))
        return ((days * 24 + hours) * 60 + minutes) * 60 + seconds
    minutes_ = _MINUTES.fullmatch(text)
    return None if minutes_ is None else 60 * float(minutes_[1])
