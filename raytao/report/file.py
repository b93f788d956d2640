"""The page of a run as a file beside it."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from pathlib import Path

from raytao.report.page import render
from raytao.runs.log import read_log
from raytao.runs.store import LocalStore
from raytao.setup.folder import is_driven, open_folder
from raytao.tao import layout


def write_report(folder: Path, output: Path | None = None) -> Path:
    """Write the page of the run in ``folder``; return its path.

    Args:
        folder: the results folder.
        output: the file; without it, ``report.html`` in ``folder``.

    Raises:
        FolderError: if there is no run in it.
        DamagedRun: if its log cannot be trusted.
    """
    setup, _ = open_folder(folder)
    records = read_log(LocalStore(folder), layout.EVENTS)
    found = replace(setup, results=folder.resolve())  # the page is read from anywhere
    page = render(found, records, datetime.now().astimezone(), driven=is_driven(folder))
    target = output or folder / layout.REPORT
    LocalStore(target.parent).replace(target.name, page.encode())
    return target
