"""A run in a notebook: one block that renews itself in place, without widgets."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Any

from raytao.report.live.block import block, block_text
from raytao.report.words import outcome
from raytao.runs.eta import Remaining
from raytao.runs.events import Event
from raytao.runs.state import RunState
from raytao.setup.setup import Setup

REFRESH_SECONDS = 0.5


def in_notebook() -> bool:
    """Whether this code runs in a Jupyter kernel, whose front end shows HTML."""
    shell = sys.modules.get("IPython")
    return shell is not None and getattr(shell.get_ipython(), "kernel", None) is not None


class NotebookObserver:
    """Renews its block at most twice a second; an update replaces the one before."""

    def __init__(self, setup: Setup) -> None:
        self._title = title(setup)
        self._place = f"results in {setup.results}"
        self._plan = setup.new_brain().plan()
        self._shown: Any = None
        self._next = 0.0
        self._last: tuple[RunState, Remaining] | None = None

    def connected(self, found: str) -> None:
        """Put what Ray found below the title."""
        self._place = f"{self._place} · {found}"

    def event(self, event: Event, state: RunState) -> None:
        """The block shows the state; events need no line of their own."""
        del event, state

    def step(self, state: RunState, left: Remaining) -> None:
        """Renew the block."""
        self._last = (state, left)
        if time.monotonic() >= self._next or state.finished:
            self._next = time.monotonic() + REFRESH_SECONDS
            self._draw(outcome(state), driven=True)

    def close(self) -> None:
        """Leave a block that says how the run was left."""
        if self._last is not None and self._last[0].finished is None:
            self._draw("Interrupted; go on with .fit(resume=True)", driven=False)

    def _draw(self, status: str, *, driven: bool) -> None:
        if self._last is None:
            return
        state, left = self._last
        page = _Page(
            block(self._title, self._place, status, state, left, self._plan, driven=driven),
            block_text(self._title, status, state, self._plan),
        )
        if self._shown is None:
            self._shown = _display(page)
        else:
            self._shown.update(page)


class _Page:
    """HTML as notebooks take it, and a line for front ends that show none."""

    def __init__(self, html: str, text: str) -> None:
        self._html = html
        self._text = text

    def _repr_html_(self) -> str:
        return self._html

    def __repr__(self) -> str:
        return self._text


def _display(page: _Page) -> Any:
    """Show a page; the answer's ``update`` replaces it."""
    display: Any = import_module("IPython.display").display
    return display(page, display_id=True)


@contextmanager
def notebook_observer(setup: Setup) -> Iterator[NotebookObserver]:
    """The block, for the time of a run."""
    observer = NotebookObserver(setup)
    try:
        yield observer
    finally:
        observer.close()


def title(setup: Setup) -> str:
    """What is run, in one line."""
    brain = setup.settings.brain["name"]
    return f"raytao {setup.card.name} · {brain} · {setup.metric} ({setup.direction.value})"
