"""What all models of the run file's parts have in common."""

from __future__ import annotations

from typing import Final

from pydantic import ConfigDict

STRICT: Final = ConfigDict(
    extra="forbid", frozen=True, strict=True, populate_by_name=True, allow_inf_nan=False
)
"""Numbers are finite: settings go to the log, and JSON has no others."""
