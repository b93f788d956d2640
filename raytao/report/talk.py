"""Lines for people beside what a run shows of itself."""

from __future__ import annotations

import sys

from raytao.report.visible import visible


def talk(line: str) -> None:
    """Write a line to stderr; where a live table is on it, the line appears above the table.

    Through ``sys.stderr`` itself, which a live table replaces: click would write past it.
    """
    sys.stderr.write(f"{visible(line, lines=True)}\n")
    sys.stderr.flush()
