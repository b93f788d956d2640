"""Runs of other tuners, as they were given: a file a method, a line a run.

File names say what the lines leave out: ``optuna_gp_b50_w1.jsonl`` holds runs of ``optuna_gp`` on
1 worker; runs with another budget than 20 stand in files with a ``_b`` of their own.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from benchmarks.search.family import NoData
from benchmarks.search.runs import Run, read_runs

NAME = re.compile(r"(?P<method>.+?)(_b\d+)?_w(?P<workers>\d+)")


def given_runs(folder: Path) -> Iterator[Run]:
    """Every run in ``folder``; they are of LCBench.

    Raises:
        NoData: if the folder has no such file.
    """
    files = [(NAME.fullmatch(path.stem), path) for path in sorted(folder.glob("*.jsonl"))]
    if not any(match for match, _ in files):
        raise NoData(f"no file METHOD_wWORKERS.jsonl in {folder}: name the folder with --peers")
    for match, path in files:
        if match is not None:
            yield from read_runs(
                path,
                family="lcbench",
                label=match["method"],
                workers=int(match["workers"]),
                paid=0,
            )
