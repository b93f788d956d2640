"""What is left of a run, as whoever looks at it reckons."""

from __future__ import annotations

from raytao.brains.base import Plan
from raytao.runs.eta import Remaining, remaining
from raytao.runs.state import RunState
from raytao.setup.setup import Setup


def left_of(setup: Setup, state: RunState, plan: Plan, driven: float | None = None) -> Remaining:
    """What is left of a run, for somebody who does not drive it and only guesses its slots.

    Args:
        setup: the run.
        state: how far it is.
        plan: what was planned.
        driven: seconds that drivers have been at work until now; default: until its last record.
    """
    at_once = state.pace.widest or setup.settings.slots or 1
    return remaining(state, plan, at_once, setup.budget, driven)
