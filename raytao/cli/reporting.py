"""``raytao report``: the page of a run, and where it was written."""

from __future__ import annotations

from pathlib import Path

import click

from raytao.report.file import write_report


def show_report(folder: Path, output: Path | None) -> None:
    """Write the page of the run in ``folder``, and print its path."""
    click.echo(write_report(folder, output))
