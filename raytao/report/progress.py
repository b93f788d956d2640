"""A run as it goes: one line for everything that happens, or a table that renews itself."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

import click
from rich.console import Console
from rich.live import Live
from rich.text import Text

from raytao.report.summary import measured
from raytao.report.terminal import live
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
INDICATOR_SECONDS = 15.0
"""Plain output repeats TAO's indicators as often as TAO's notebooks poll them."""


def header(setup: Setup) -> str:
    """What is being run; fits 80 columns but for a long folder."""
    brain, searched = setup.settings.brain["name"], len(setup.space.names)
    budget = f"budget {setup.budget}\n" if str(setup.budget) else ""
    return (
        f"raytao {setup.card.name} · {brain} · {setup.metric} "
        f"({setup.direction.value}) · {searched} {plural(searched, 'parameter')}\n"
        f"{budget}results in {setup.results}"
    )


class PlainObserver:
    """One line for everything that happens: for logs, pipes and job servers."""

    def __init__(self, setup: Setup) -> None:
        self._metric = setup.metric
        self._plan = setup.new_brain().plan()
        self._next = time.monotonic() + INDICATOR_SECONDS
        self._places: dict[int, int] = {}

    def connected(self, found: str) -> None:
        """Say what Ray found."""
        _say(found)

    def event(self, event: Event, state: RunState) -> None:
        """Say what happened."""
        for line in self._lines(event, state):
            _say(line)

    def step(self, state: RunState, left: Remaining) -> None:
        """Repeat the indicators now and then."""
        if time.monotonic() < self._next or state.finished:
            return
        self._next = time.monotonic() + INDICATOR_SECONDS
        best = state.incumbent
        shown = f"{best.value:.4f} ({describe_best(best)})" if best else "none yet"
        used = f", used {left.budget}" if left.budget else ""
        end = whole(state, self._plan)
        _say(
            f"{len(state.trials)} of {end.trials} experiments, {left.epochs} epochs "
            f"pending, {clock(left.seconds)} remaining{used}, best {shown}"
        )

    def _lines(self, event: Event, state: RunState) -> Iterator[str]:
        match event:
            case Started(trial=trial, horizon=horizon, why=why):
                most = horizon[EPOCHS]
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
    """One table that renews itself in place."""

    def __init__(self, setup: Setup, view: Live) -> None:
        self._header = header(setup)
        self._plan = setup.new_brain().plan()
        self._view = view
        self._next = 0.0

    def connected(self, found: str) -> None:
        """Keep what Ray found above the table."""
        self._view.console.print(Text(visible(found), style="dim"))

    def event(self, event: Event, state: RunState) -> None:
        """The table shows the state; events need no line of their own."""
        del event, state

    def step(self, state: RunState, left: Remaining) -> None:
        """Renew the table twice a second."""
        if time.monotonic() >= self._next or state.finished:
            self._next = time.monotonic() + REFRESH_SECONDS
            self._view.update(live(self._header, state, left, self._plan), refresh=True)


@contextmanager
def terminal_observer(setup: Setup) -> Iterator[PlainObserver | LiveObserver]:
    """A live table where stderr is a terminal, plain lines elsewhere."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield PlainObserver(setup)
        return
    with Live(console=console, auto_refresh=False, transient=True) as view:
        yield LiveObserver(setup, view)


def _say(line: str) -> None:
    stamp = time.strftime("%H:%M:%S")
    click.echo(f"{stamp} {visible(line)}", err=True)
    sys.stderr.flush()
