"""One recommendation of a run of TAO: its entry in controller.json beside its status lines."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Final

from raytao.tao.foreign.files import count, finite
from raytao.tao.status import Status, StatusLine
from raytao.types import Json

SUCCEEDED: Final = frozenset({"success", "done"})
FAILED: Final = frozenset({"failure", "error"})
CANCELED: Final = frozenset({"canceled", "canceling"})
OPEN: Final = frozenset({"pending", "started", "running"})
"""TAO's states of a trial; ``done`` and ``error`` are declared there, and never written."""

TINY: Final = 1e-7
"""TAO 5 adds it to every result; it stands alone where there is none."""

HUGE: Final = 1e7
"""The loss of a trial that failed, in TAO 7."""

DIGITS: Final = 12
"""Decimals that are left of a result when ``TINY`` is taken off it."""


@dataclass(frozen=True)
class ForeignTrial:
    """One recommendation, as TAO's files tell of it.

    Args:
        number: its id.
        params: what was searched: dotted key to value.
        job_id: as TAO wrote it; empty if it did not.
        status: TAO's word, in small letters.
        result: the metric, None where TAO's number stands for none.
        epoch: the epoch of ``result``, as far as TAO told it.
        granted: epochs that it was to reach.
        history: epoch to metric. A promotion deletes what was there, so it may begin late.
        times: when those were written, by the clock of the machine that trained.
        reason: what its status.json says of a failure; empty if nothing.
    """

    number: int
    params: Mapping[str, Json]
    job_id: str
    status: str
    result: float | None
    epoch: int | None
    granted: int | None = None
    history: Mapping[int, float] = field(default_factory=dict)
    times: Mapping[int, datetime] = field(default_factory=dict)
    reason: str = ""

    @property
    def values(self) -> Mapping[int, float]:
        """Every value that is known: ``history``, and ``result`` where that does not have it.

        Some networks count checkpoints from another number than epochs: a value that is in the
        history is not put beside it once more.
        """
        known, result = dict(self.history), self.result
        if result is None or self.epoch is None:
            return known
        if not any(math.isclose(result, one, abs_tol=1e-9) for one in known.values()):
            known.setdefault(self.epoch, result)
        return dict(sorted(known.items()))


def read_trial(
    entry: Mapping[str, Json], metric: str, lines: Sequence[StatusLine], *, adds_tiny: bool
) -> ForeignTrial:
    """A recommendation from its entry in controller.json and its status lines.

    Args:
        entry: whatever keys it has; ``id`` is a number.
        metric: of the run.
        lines: in the order in which they were written.
        adds_tiny: whether ``TINY`` was added to its result.
    """
    status, specs = entry.get("status"), entry.get("specs")
    word = status.lower() if isinstance(status, str) else ""
    same = entry.get("metric") in (None, "", metric)
    result = _result(entry.get("result"), adds_tiny) if word in SUCCEEDED and same else None
    granted = count(entry.get("early_stop_epoch"))
    told = [line.max_epoch for line in lines if line.max_epoch is not None]
    ends = [line.message for line in lines if line.status is Status.FAILURE and line.message]
    series = _series(lines, metric)
    job = entry.get("job_id")
    return ForeignTrial(
        number=count(entry["id"]) or 0,
        params=dict(specs) if isinstance(specs, dict) else {},
        job_id=job if isinstance(job, str) else "",
        status=word,
        result=result,
        epoch=count(entry.get("best_epoch_number")),
        granted=granted or (count(told[-1]) if told else None) or None,
        history={epoch: value for epoch, (value, _) in series.items()},
        times={epoch: when for epoch, (_, when) in series.items()},
        reason=ends[-1] if ends else "",
    )


def counted_from_one(trials: Sequence[ForeignTrial], problems: list[str]) -> list[ForeignTrial]:
    """The trials with epochs from 1: several networks of TAO count theirs from 0.

    A value at epoch 0 is the first epoch's, unless a trial reached its last epoch by number: then
    it was measured before training, and is left out.
    """
    if not any(0 in trial.values for trial in trials):
        return list(trials)
    if any(trial.granted and trial.granted in trial.history for trial in trials):
        problems.append("what was measured at epoch 0, before training, is left out")
        return [_without_zero(trial) for trial in trials]
    problems.append("its epochs count from 0; here they count from 1")
    return [_shifted(trial) for trial in trials]


def _without_zero(trial: ForeignTrial) -> ForeignTrial:
    return replace(
        trial,
        epoch=trial.epoch or None,
        history={epoch: value for epoch, value in trial.history.items() if epoch},
    )


def _shifted(trial: ForeignTrial) -> ForeignTrial:
    return replace(
        trial,
        epoch=None if trial.epoch is None else trial.epoch + 1,
        history={epoch + 1: value for epoch, value in trial.history.items()},
        times={epoch + 1: when for epoch, when in trial.times.items()},
    )


def _result(written: Json, adds_tiny: bool) -> float | None:
    """The metric that TAO wrote, None where its number stands for none."""
    value = finite(written)
    if value is None or value == 0.0 or math.isclose(value, TINY, rel_tol=1e-6):
        return None
    if not adds_tiny:
        return None if value == HUGE else value
    return round(value - TINY, DIGITS)


def _series(lines: Iterable[StatusLine], metric: str) -> dict[int, tuple[float, datetime]]:
    """The metric by epoch, in their order: the first value of an epoch counts, as in TAO 5.

    A line without an epoch is of the last epoch that was named. What stands under ``kpi`` counts
    before what stands under ``graphical``.
    """
    kpi: dict[int, tuple[float, datetime]] = {}
    graphical: dict[int, tuple[float, datetime]] = {}
    epoch: int | None = None
    for line in lines:
        epoch = epoch if line.epoch is None else count(line.epoch)
        if epoch is None:
            continue
        if metric in line.kpi and not line.training:
            kpi.setdefault(epoch, (line.kpi[metric], line.when))
        if metric in line.graphical:
            graphical.setdefault(epoch, (line.graphical[metric], line.when))
    return dict(sorted((kpi or graphical).items()))
