"""A run as it goes: one line for everything that happens, or a view that renews itself."""

from __future__ import annotations

import io
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final, Literal

import click
from rich.console import Console
from rich.live import Live
from rich.text import Text

from raytao.report.first import reasons
from raytao.report.live.terminal import live
from raytao.report.summary import measured
from raytao.report.visible import visible
from raytao.report.words import clock, describe_best, plural, where_it_runs
from raytao.runs.eta import Remaining, whole
from raytao.runs.events import (
    Broke,
    Event,
    Judged,
    Lost,
    Reported,
    Resumed,
    Retried,
    Returned,
    Started,
    Stopped,
    Tested,
)
from raytao.runs.state import RunState
from raytao.setup.setup import Setup
from raytao.types import EPOCHS

REFRESH_SECONDS = 0.5
PIPED_COLUMNS = 160
INDICATOR_SECONDS = 15.0
"""Plain output repeats TAO's indicators as often as TAO's notebooks poll them."""
BETWEEN: Final = 4
"""Lines from a run's header to its view: that Ray starts, what it found, and two to spare."""


def header(setup: Setup) -> str:
    """What is being run; fits 80 columns but for a long folder."""
    brain, searched = setup.settings.brain["name"], len(setup.space.names)
    budget = f"budget {setup.budget}\n" if str(setup.budget) else ""
    return (
        f"raytao {setup.card.name} · {brain} · {setup.metric} "
        f"({setup.direction.value}) · {searched} {plural(searched, 'parameter')}\n"
        f"{budget}results in {setup.results}"
    )


def _err(line: str) -> None:
    click.echo(line, err=True)
    sys.stderr.flush()


class PlainObserver:
    """One line for everything that happens: for logs, pipes and job servers.

    Args:
        setup: the run.
        out: takes a line; default: to stderr.
    """

    def __init__(self, setup: Setup, out: Callable[[str], None] = _err) -> None:
        self._metric = setup.metric
        self._out = out
        self._plan = setup.new_brain().plan()
        self._next = time.monotonic() + INDICATOR_SECONDS
        self._places: dict[int, int] = {}

    def connected(self, found: str) -> None:
        """Say what Ray found."""
        self._say(found)

    def event(self, event: Event, state: RunState) -> None:
        """Say what happened."""
        for line in self._lines(event, state):
            self._say(line)

    def step(self, state: RunState, left: Remaining) -> None:
        """Repeat the indicators now and then."""
        if time.monotonic() < self._next or state.finished:
            return
        self._next = time.monotonic() + INDICATOR_SECONDS
        best = state.incumbent
        shown = f"{best.value:.4f} ({describe_best(best)})" if best else "none yet"
        used = f", used {left.budget}" if left.budget else ""
        end = whole(state, self._plan)
        self._say(
            f"{len(state.trials)} of {end.trials} experiments, {left.epochs} epochs "
            f"pending, {clock(left.seconds)} remaining{used}, best {shown}"
        )

    def _say(self, line: str) -> None:
        self._out(f"{time.strftime('%H:%M:%S')} {visible(line)}")

    def _lines(self, event: Event, state: RunState) -> Iterator[str]:
        match event:
            case Started(trial=trial, horizon=horizon):
                most, why = horizon[EPOCHS], reasons(state.trials[trial], state)[0]
                yield f"recommendation {trial}: {why} (up to {most} {plural(most, 'epoch')})"
            case Reported(trial=trial, epoch=epoch, metrics=metrics, seconds=seconds):
                yield from self._where(trial, state)
                known = state.trials[trial]
                tail = "" if known.budget == known.horizon else f" (of {known.horizon})"
                yield (
                    f"recommendation {trial} epoch {epoch}/{known.budget}{tail}: "
                    f"{self._metric} {metrics[self._metric]:.4f} ({seconds:.1f} s)"
                )
            case Judged(promote=promote, retire=retire):
                for one in promote:
                    to = one["budget"][EPOCHS]
                    yield f"recommendation {one['trial']} goes on to epoch {to}: {one['why']}"
                if retire:
                    beaten = ", ".join(str(n) for n in retire)
                    yield f"retired: {plural(len(retire), 'recommendation')} {beaten}"
            case Resumed():
                count, epochs = len(state.trials), state.epochs
                yield (
                    f"resuming: {count} {plural(count, 'recommendation')}, "
                    f"{epochs} {plural(epochs, 'epoch')} known"
                )
            case Tested(metrics=metrics, reason=reason):
                yield f"test set: {reason or measured(metrics)}"
            case _:
                yield from _troubles(event, state)

    def _where(self, trial: int, state: RunState) -> Iterator[str]:
        place = state.trials[trial].place
        if place and self._places.get(trial) != place.attempt:
            self._places[trial] = place.attempt
            yield f"recommendation {trial} runs on {where_it_runs(place)}"


def _troubles(event: Event, state: RunState) -> Iterator[str]:
    """What kept a trial, or the run, from going on as planned."""
    match event:
        case Broke(trial=trial, cause=cause, reason=reason):
            yield f"recommendation {trial} failed ({cause}): {reason}"
        case Lost(trial=trial, reason=reason):
            yield f"recommendation {trial} lost its worker, offered again: {reason}"
        case Retried(trial=trial, cause=cause, reason=reason, smaller_batch=smaller):
            how = "with half its batch" if smaller else "as it was"
            yield f"recommendation {trial} broke ({cause}), offered again {how}: {reason}"
        case Returned(trial=trial):
            epochs = state.trials[trial].epochs
            yield f"recommendation {trial} is left at epoch {epochs}"
        case Stopped(reason=reason):
            yield f"ending: {reason}"
        case _:
            pass


class LiveObserver:
    """One view that renews itself in place; the run's header was said before it."""

    def __init__(self, setup: Setup, view: Live) -> None:
        self._header = header(setup)
        self._plan = setup.new_brain().plan()
        self._view = view
        self._next = 0.0

    def connected(self, found: str) -> None:
        """Keep what Ray found above the view."""
        self._view.console.print(Text(visible(found), style="dim"))

    def event(self, event: Event, state: RunState) -> None:
        """The view shows the state; events need no line of their own."""
        del event, state

    def step(self, state: RunState, left: Remaining) -> None:
        """Renew the view twice a second."""
        if time.monotonic() >= self._next or state.finished:
            self._next = time.monotonic() + REFRESH_SECONDS
            above = self._header.count("\n") + 1 + BETWEEN
            shown = live(self._header, state, left, self._plan, above=above)
            self._view.update(shown, refresh=True)


def console_on(stream: Literal["stdout", "stderr"]) -> Console:
    """A console; what its terminal cannot write is spelled out rather than an error.

    Where nobody looks and no COLUMNS says how wide it is, lines are as long as they need be.
    """
    file = sys.stdout if stream == "stdout" else sys.stderr
    if isinstance(file, io.TextIOWrapper) and not file.encoding.lower().startswith("utf"):
        file.reconfigure(errors="backslashreplace")
    piped = not file.isatty() and "COLUMNS" not in os.environ
    return Console(stderr=stream == "stderr", width=PIPED_COLUMNS if piped else None)


def shows_live(console: Console) -> bool:
    """Whether a view can renew itself in place there."""
    return console.is_terminal and not console.is_dumb_terminal


@contextmanager
def terminal_observer(setup: Setup) -> Iterator[PlainObserver | LiveObserver]:
    """A view that renews itself where stderr is a terminal that can, plain lines elsewhere."""
    console = console_on("stderr")
    if not shows_live(console):
        yield PlainObserver(setup)
        return
    with Live(console=console, auto_refresh=False, transient=True) as view:
        yield LiveObserver(setup, view)
