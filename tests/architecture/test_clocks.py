"""The wall clock jumps: it is shown to people, and nothing is measured or decided by it."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[2] / "raytao"
WALL = {
    *("time.time", "time.time_ns", "time.localtime", "time.gmtime", "time.ctime"),
    *("datetime.now", "datetime.utcnow", "datetime.today", "date.today"),
}
FOR_PEOPLE = {
    "cli/listing.py": "how long ago a run was heard of",
    "cluster/doctor/probe.py": "the clocks of a cluster's nodes are what the doctor compares",
    "report/page/file.py": "when a page was written",
    "runs/log.py": "when a record was written",
    "runs/owner.py": "since when a run is driven",
    "runs/owner_file.py": "a note for those who only look; who owns a run is not decided by it",
    "runs/repair.py": "when a log was repaired",
    "setup/damage.py": "the name of a copy",
    "setup/job.py": "when a job's detailed status was looked at",
    "setup/request.py": "when something was asked",
    "tracking/thread.py": "when a tracker hears of an event; its charts are over epochs",
    "trials/folder.py": "TAO's status lines",
}


def wall_clocks(source: str) -> list[str]:
    """Every use of the wall clock in ``source``, called or handed on, as ``line: use``."""
    uses = (node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Attribute))
    return [f"{use.lineno}: {ast.unparse(use)}" for use in uses if ast.unparse(use) in WALL]


def test_the_wall_clock_is_for_people() -> None:
    found = {
        str(path.relative_to(PACKAGE)): uses
        for path in sorted(PACKAGE.rglob("*.py"))
        if (uses := wall_clocks(path.read_text()))
    }
    assert {place: uses for place, uses in found.items() if place not in FOR_PEOPLE} == {}


@pytest.mark.parametrize(
    "source", ["time.time()", "began = time.time", "datetime.now()", "datetime.now(tz)"]
)
def test_a_wall_clock_is_noticed(source: str) -> None:
    assert wall_clocks(source)


@pytest.mark.parametrize(
    "source", ["time.monotonic()", "time.sleep(1)", "datetime.fromtimestamp(at)"]
)
def test_other_clocks_are_fine(source: str) -> None:
    assert wall_clocks(source) == []
