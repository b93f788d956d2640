"""``raytao stop``, ``pause`` and ``cancel``: a run is ended from outside."""

from __future__ import annotations

import click

from raytao.automl.stopping import ask_run
from raytao.report.summary import summary
from raytao.report.talk import talk
from raytao.runs.place import Place
from raytao.setup.request import Ask


def end_run(ask: Ask, folder: Place, patience: float) -> None:
    """End the run in ``folder``; print how it ended, if it has."""
    state = ask_run(ask, folder, talk, patience)
    if state.finished:
        for line in summary(state, folder, None):
            click.echo(line)
