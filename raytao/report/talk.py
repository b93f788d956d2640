"""Lines for people beside what a run shows of itself."""

from __future__ import annotations

import sys

from raytao.report.visible import fit_for, visible


def talk(line: str) -> None:
    """Write a line to stderr; where a live table is on it, the line appears above the table.

    Through ``sys.stderr`` itself, which a live table replaces: click would write past it.
    """
    shown = fit_for(visible(line, lines=True), getattr(sys.stderr, "encoding", None))
    sys.stderr.write(f"{shown}\n")
    sys.stderr.flush()
