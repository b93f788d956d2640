"""``raytao run`` and ``raytao resume``: run, show, summarise."""

from __future__ import annotations

import click

from raytao.automl.conduct import Outcome, conduct
from raytao.report.live.progress import terminal_observer
from raytao.report.summary import summary
from raytao.report.talk import talk
from raytao.report.visible import visible
from raytao.runs.log import read_log
from raytao.runs.place import store_at
from raytao.setup.setup import Setup
from raytao.tao import layout


def run_setup(setup: Setup, *, allow_changed: bool = False, go_on: bool = False) -> int:
    """Run to the end, or until interrupted; return the exit code. See ``conduct``."""
    from raytao.tune.interrupts import Interrupted

    try:
        outcome = conduct(setup, terminal_observer, talk, allow_changed=allow_changed, go_on=go_on)
    except (Interrupted, KeyboardInterrupt) as stop:
        begun = bool(read_log(store_at(setup.results), layout.EVENTS))
        how = f"go on with: raytao resume {setup.results}" if begun else "nothing was written"
        click.echo(f"stopped; {how}", err=True)
        return stop.exit_code if isinstance(stop, Interrupted) else 130
    return _conclude(setup, outcome)


def _conclude(setup: Setup, outcome: Outcome) -> int:
    told = map(visible, outcome.told)
    for line in (*summary(outcome.state, setup.results, outcome.seconds), *told):
        click.echo(line)
    finished = outcome.state.finished
    canceled = finished is not None and finished.status == "Canceled"
    return 0 if outcome.state.incumbent and not canceled else 1
