"""``raytao report``: the page of a run, and where it was written."""

from __future__ import annotations

import click

from raytao.report.file import write_report
from raytao.runs.place import Place


def show_report(folder: Place, output: Place | None) -> None:
    """Write the page of the run in ``folder``, and print its path."""
    click.echo(write_report(folder, output))
