"""What a brain decided, as records of the log."""

from __future__ import annotations

import uuid
from dataclasses import asdict

from raytao.runs.events import Judged, Started
from raytao.types import Decision, Json, Start, Verdict


def started(trial: int, start: Start) -> Started:
    """A new trial as a record, with a job number of its own, as TAO has it."""
    return Started(
        trial=trial,
        params=dict(start.params),
        budget=dict(start.budget),
        horizon=dict(start.horizon),
        why=start.why,
        job_id=str(uuid.uuid4()),
        parent=start.parent,
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
