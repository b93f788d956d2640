"""controller.json: TAO's list of trials, one object each, under TAO's key names.

It is renewed while the run goes on, and long after ten thousand trials: what is written of a trial
is kept as text, and rendered again only when something about it has changed.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Final, TypeAlias

from raytao.runs.state import Phase, RunState, TrialState
from raytao.types import Json

TAO_STATUS: Mapping[Phase, str] = {
    Phase.OFFERED: "pending",
    Phase.RUNNING: "running",
    Phase.PAUSED: "success",
    Phase.FINISHED: "success",
    Phase.RETIRED: "success",
    Phase.FAILED: "failure",
}
"""TAO's trial states; to TAO a trial that reached its rung is a success."""

LEFT_OFF = "canceled"
"""TAO's state of a trial that had not come to its end when the run did."""

_Seen: TypeAlias = tuple[int, bool, bool, bool]

_INDENT: Final = 2


class TrialList:
    """Renders the file; keeps what it rendered."""

    def __init__(self) -> None:
        self._known: dict[int, tuple[_Seen, str]] = {}

    def render(self, state: RunState) -> bytes:
        """The whole file."""
        leaders = state.incumbent, state.incumbent_at_full_budget
        best, full = (None if one is None else one.trial for one in leaders)
        over = state.finished is not None
        for number, trial in state.trials.items():
            seen = (trial.changed, number == best, number == full, over)
            known = self._known.get(number)
            if known is None or known[0] != seen:
                entry = json.dumps(_trial_json(trial, state), indent=_INDENT, allow_nan=False)
                self._known[number] = seen, entry.replace("\n", "\n" + _INDENT * " ")
        return _as_list([text for _, text in self._known.values()]).encode()


def _as_list(entries: list[str]) -> str:
    """What `json.dumps` makes of a list of such entries, and the end of the line."""
    start = "\n" + _INDENT * " "
    return f"[{start}{f',{start}'.join(entries)}\n]\n" if entries else "[]\n"


def controller_json(state: RunState) -> list[Json]:
    """What the file says."""
    return [_trial_json(trial, state) for trial in state.trials.values()]


def _trial_json(trial: TrialState, state: RunState) -> dict[str, Json]:
    best, full = state.incumbent, state.incumbent_at_full_budget
    own = state.best_of(trial)
    entry: dict[str, Json] = {
        "id": trial.number,
        "specs": dict(trial.params),
        "job_id": trial.job_id,
        "status": trial_status(trial, over=state.finished is not None),
        "result": own.value if own else None,
        "best_epoch_number": f"{own.epoch:03d}" if own else "",
        "metric": state.opened.metric if state.opened else "",
        "phase": trial.phase.value,
        "why": list(trial.why),
        "epochs_granted": trial.budget,
        "epochs_trained": trial.epochs,
        "best": best is not None and best.trial == trial.number,
        "best_at_full_budget": full is not None and full.trial == trial.number,
    }
    if trial.failure:
        entry["failure"] = {"cause": trial.failure.cause, "reason": trial.failure.reason}
    if trial.halvings:
        entry["batch_size_halved"] = trial.halvings
    if trial.place:
        entry["ran_on"] = {"node": trial.place.node, "pid": trial.place.pid}
    return entry


def trial_status(trial: TrialState, *, over: bool) -> str:
    """TAO's state of a trial; ``over``: nobody trains any more, whatever the trial waits for."""
    waits = trial.phase in (Phase.OFFERED, Phase.RUNNING)
    return LEFT_OFF if over and waits else TAO_STATUS[trial.phase]
