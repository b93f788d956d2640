"""How a run is shown where Python code started it: in a notebook, a terminal or a log."""

from __future__ import annotations

import signal
import warnings
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager

import click

from raytao.automl.conduct import Outcome
from raytao.report.live.notebook import in_notebook, notebook_observer
from raytao.report.live.progress import terminal_observer
from raytao.report.summary import summary
from raytao.report.talk import talk
from raytao.report.visible import visible
from raytao.runs.log import read_log
from raytao.runs.observer import Observer
from raytao.runs.place import store_at
from raytao.setup.setup import Setup
from raytao.tao import layout


def watch(setup: Setup) -> AbstractContextManager[Observer]:
    """The observer that fits where this code runs."""
    return notebook_observer(setup) if in_notebook() else terminal_observer(setup)


def say(line: str) -> None:
    """Tell the user a line; a notebook shows stderr as if it were an error."""
    if in_notebook():
        click.echo(visible(line, lines=True))
    else:
        talk(line)


def conclude(setup: Setup, outcome: Outcome) -> None:
    """Say how the run ended, where no block of a notebook shows it."""
    if in_notebook():
        return
    for line in (*summary(outcome.state, setup.results, outcome.seconds), *outcome.told):
        say(line)


@contextmanager
def stopped(setup: Setup) -> Iterator[None]:
    """Turn a stopped run into what stops a cell, after saying how to go on.

    Raises:
        KeyboardInterrupt: after Ctrl-C or the kernel's interrupt.
        SystemExit: after SIGTERM, with its exit code.
    """
    if in_notebook():  # what tqdm says when Ray looks for it; nothing of ours wants its widgets
        warnings.filterwarnings("ignore", message="IProgress not found")
    from raytao.tune.interrupts import Interrupted

    try:
        yield
    except (Interrupted, KeyboardInterrupt) as stop:
        begun = bool(read_log(store_at(setup.results), layout.EVENTS))
        other = "" if setup.function else f", or: raytao resume {setup.results}"
        how = f"go on with .fit(resume=True){other}" if begun else "nothing was written"
        say(f"stopped; {how}")
        if isinstance(stop, Interrupted) and stop.signum != signal.SIGINT:
            raise SystemExit(stop.exit_code) from None
        raise KeyboardInterrupt from None
