"""``raytao report``: the page of a run, and where it was written."""

from __future__ import annotations

import webbrowser
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Timer
from typing import Final

import click

from raytao.report.page.file import write_report
from raytao.runs.place import Place

PATIENCE: Final = 2.0
"""Seconds that pass in silence."""

SLOW: Final = "drawing the page: this takes some seconds"


def show_report(
    folder: Place, output: Place | None, *, gpu_price: float | None, browse: bool
) -> None:
    """Write the page of the run in ``folder``, print its path; open it if asked."""
    with _told_if_slow():
        page = write_report(folder, output, gpu_price=gpu_price)
    click.echo(page)
    if browse and not (
        isinstance(page, Path) and webbrowser.open_new_tab(page.resolve().as_uri())
    ):
        click.echo(f"raytao: nothing here shows it: open {page} in a browser", err=True)


@contextmanager
def _told_if_slow() -> Iterator[None]:
    """Say what takes so long, once it does."""
    timer = Timer(PATIENCE, lambda: click.echo(SLOW, err=True))
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
