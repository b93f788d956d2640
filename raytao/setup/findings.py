"""What a run found, in its own words, whoever drove it: what another run can begin with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from raytao.types import Json, Params


@dataclass(frozen=True)
class Finding:
    """A trial of an earlier run at its best.

    Args:
        trial: its number there.
        epoch: its best epoch.
        score: larger is better, in the units of the run that asks.
        network: what was trained.
        searched: its configuration there.
        spec: its entire train spec, by dotted key; empty if that is not known.
        data: what its data set was, as the run's log says.
    """

    trial: int
    epoch: int
    score: float
    network: str
    searched: Params
    spec: Mapping[str, Json]
    data: Mapping[str, Json] | None = None


@dataclass(frozen=True)
class Findings:
    """All of them.

    Args:
        found: by number.
        baseline: the trial that was its user's own spec, if that has a result.
        searched: names of what was searched at last.
        spec: what all its trials had in common, and more of one of them; by dotted key.
        notes: what the user should know of it.
    """

    found: tuple[Finding, ...]
    baseline: int | None
    searched: tuple[str, ...]
    spec: Mapping[str, Json]
    notes: tuple[str, ...] = ()
