"""Whoever watches a run: a terminal, a notebook, a test."""

from __future__ import annotations

from typing import Protocol

from raytao.runs.eta import Remaining
from raytao.runs.events import Event
from raytao.runs.state import RunState


class Observer(Protocol):
    """Told what happens, on the driver's own thread: it must be quick and must not raise."""

    def connected(self, found: str) -> None:
        """Ray answered; ``found`` is what it has, in words."""

    def event(self, event: Event, state: RunState) -> None:
        """Something was written to the log, and the state took it in."""

    def step(self, state: RunState, left: Remaining) -> None:
        """About ten times a second; must be cheap."""
