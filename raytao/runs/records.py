"""What a brain decided, as records of the log."""

from __future__ import annotations

import uuid
from dataclasses import asdict

from raytao.errors import DamagedRun
from raytao.runs.events import Judged, Started
from raytao.types import Decision, Json, Promotion, Start, Verdict


def started(trial: int, start: Start, saw: int | None = None) -> Started:
    """A new trial as a record, with a job number of its own, as TAO has it; see `Started`."""
    return Started(
        trial=trial,
        params=dict(start.params),
        budget=dict(start.budget),
        horizon=dict(start.horizon),
        why=start.why,
        job_id=str(uuid.uuid4()),
        parent=start.parent,
        saw=saw,
    )


def is_decision(verdict: Verdict) -> bool:
    """Whether a verdict is more than "go on", so that it must be in the log."""
    return bool(verdict.decision is not Decision.CONTINUE or verdict.promote or verdict.retire)


def judged(trial: int, verdict: Verdict) -> Judged:
    """The verdict as a record."""
    promote: list[dict[str, Json]] = [
        {**asdict(p), "budget": dict(p.budget)} for p in verdict.promote
    ]
    return Judged(trial, verdict.decision.value, promote, list(verdict.retire))


def told(seq: int, event: Judged) -> Verdict:
    """The verdict that a record holds.

    Raises:
        DamagedRun: if it is none.
    """
    try:
        promote = tuple(Promotion(p["trial"], p["budget"], p["why"]) for p in event.promote)
        return Verdict(Decision(event.decision), promote, tuple(event.retire))
    except (KeyError, TypeError, ValueError) as error:
        reason = f"record {seq}: a verdict that says nothing: {type(error).__name__}: {error}"
        raise DamagedRun(reason, record=seq) from error
