"""What the pictures of a run are drawn from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, TypeAlias

from raytao.brains.base import Plan
from raytao.report.pictures.elapsed import Elapsed, elapsed
from raytao.report.series import Improvement, improvements
from raytao.runs.log import Record
from raytao.runs.state import RunState
from raytao.space import Space

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Drawn: TypeAlias = "tuple[Figure | None, str]"
"""A figure and its caption; None where there is nothing to draw: then the caption says why."""


@dataclass(frozen=True)
class View:
    """What the pictures are drawn from.

    Args:
        state: the run.
        records: its log; none of a run that has no log, as those of TAO.
        plan: what was planned.
        space: what is searched; None where only the values are known.
        metric: by which recommendations are compared.
        series: the best value so far, whenever it changed; by default as the log tells.
        driven: whether a driver is at work on it, as far as anybody knows.
    """

    state: RunState
    records: Sequence[Record]
    plan: Plan
    space: Space | None
    metric: str
    series: Sequence[Improvement] | None = None
    driven: bool = True

    @cached_property
    def leads(self) -> Sequence[Improvement]:
        """The best value so far, whenever it changed."""
        return improvements(self.records) if self.series is None else self.series

    @cached_property
    def elapsed(self) -> Elapsed:
        """When every record was written."""
        return elapsed(self.records)
