"""What a run has cost: epochs, hours that trials held their places, GPU hours, money.

All times are differences of a driver's clock that never jumps.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

from raytao.errors import SettingsError
from raytao.report.page.values import HOUR, span
from raytao.report.words import clock, number, plural
from raytao.runs.events import (
    Broke,
    Judged,
    Leased,
    Lost,
    Opened,
    Placed,
    Reported,
    Resumed,
    Retried,
    Returned,
)
from raytao.runs.log import Record
from raytao.runs.state import RunState
from raytao.types import Decision

NOT_KNOWN: Final = "not known: nothing tells when its trials ran"
NO_GPU: Final = "none: no trial was given a GPU"


@dataclass(frozen=True)
class Price:
    """What an hour of a GPU costs, in any currency.

    Raises:
        SettingsError: if that is no price.
    """

    of_gpu_hour: float

    def __post_init__(self) -> None:
        if not (math.isfinite(self.of_gpu_hour) and self.of_gpu_hour >= 0):
            raise SettingsError(
                f"the price of a GPU hour is {self.of_gpu_hour:g}; it must be 0 or more",
                remedy="give a number without a currency: 2.5",
            )


@dataclass(frozen=True)
class Cost:
    """What trials used up, in seconds.

    Args:
        held: all trials together, from being placed until they were done, paused or lost.
        trained: what the epochs among it took that are known.
        cpus: ``held``, times the CPUs that each had.
        gpus: the same with GPUs.
        gpus_trained: ``trained``, times the GPUs that each had.
        driven: a driver was at work.
    """

    held: float = 0.0
    trained: float = 0.0
    cpus: float = 0.0
    gpus: float = 0.0
    gpus_trained: float = 0.0
    driven: float = 0.0


@dataclass(frozen=True)
class _Segment:
    """A trial on its place: since when, and with what."""

    leased: float
    since: float
    cpus: float = 0.0
    gpus: float = 0.0


class _Meter:
    """Adds up what segments take, as the log tells of them one by one."""

    def __init__(self) -> None:
        self.cost = Cost()
        self._up = 0.0
        self._open: dict[int, _Segment] = {}

    def take(self, record: Record) -> None:
        if isinstance(record.event, Opened | Resumed) or record.up < self._up:
            self.close()  # nothing tells how long they went on without their driver
            self._up = 0.0
        self.cost = replace(self.cost, driven=self.cost.driven + record.up - self._up)
        self._up = record.up
        match record.event:
            case Leased(trial=trial):
                self._open[trial] = _Segment(leased=record.up, since=record.up)
            case Placed(trial=trial, cpus=cpus, gpus=gpus) if trial in self._open:
                leased = self._open[trial].leased
                self._open[trial] = _Segment(leased, record.up, cpus, gpus)
            case Reported(trial=trial, seconds=seconds) if trial in self._open:
                self._train(trial, seconds)
            case Judged(trial=trial, decision=decision, retire=retired):
                over = [] if decision == Decision.CONTINUE.value else [trial]
                self._end(*over, *retired)
            case (
                Lost(trial=trial)
                | Retried(trial=trial)
                | Returned(trial=trial)
                | Broke(trial=trial)
            ):
                self._end(trial)

    def close(self) -> None:
        """What is still open ended with the last news, as far as anybody knows."""
        self._end(*self._open)

    def _train(self, trial: int, seconds: float) -> None:
        """A place is told of with the first epoch that was trained there, or before it."""
        known = self._open[trial]
        since = max(known.leased, min(known.since, self._up - seconds))
        self._open[trial] = replace(known, since=since)
        self.cost = replace(
            self.cost,
            trained=self.cost.trained + seconds,
            gpus_trained=self.cost.gpus_trained + seconds * known.gpus,
        )

    def _end(self, *trials: int) -> None:
        for trial in trials:
            segment = self._open.pop(trial, None)
            if segment is None:
                continue
            seconds = self._up - segment.since
            self.cost = replace(
                self.cost,
                held=self.cost.held + seconds,
                cpus=self.cost.cpus + seconds * segment.cpus,
                gpus=self.cost.gpus + seconds * segment.gpus,
            )


def cost_of(records: Sequence[Record]) -> Cost:
    """What the log tells of the use that trials made of the cluster; nothing of an empty one."""
    meter = _Meter()
    for record in records:
        meter.take(record)
    meter.close()
    return meter.cost


def cost_facts(
    state: RunState, cost: Cost | None, price: Price | None
) -> Iterator[tuple[str, str]]:
    """Names and figures of what was used up.

    Args:
        state: the run.
        cost: as its log tells it; None where there is no log.
        price: to be paid for GPU hours, if that is known.
    """
    count = len(state.trials)
    yield "Epochs", f"{state.epochs:,} trained by {count:,} {plural(count, 'recommendation')}"
    if cost is None or not cost.driven:
        yield "Time", NOT_KNOWN
        return
    yield "Driver", f"at work for {clock(cost.driven)}"
    trials = f"{span(cost.held)} on their places, all together"
    yield "Trials", f"{trials}; {span(cost.trained)} of it in epochs"
    if cost.cpus:
        yield "CPU time", span(cost.cpus)
    if not cost.gpus:
        yield "GPU time", NO_GPU
        return
    yield "GPU time", f"{span(cost.gpus)}; {span(cost.gpus_trained)} of it in epochs"
    if price is not None:
        paid, used = (money(seconds, price) for seconds in (cost.gpus, cost.gpus_trained))
        yield "Price", f"{paid} at {price.of_gpu_hour:g} a GPU hour; {used} of it for epochs"


def money(gpu_seconds: float, price: Price) -> str:
    """What GPU time costs, to cents where it comes to some."""
    paid = gpu_seconds / HOUR * price.of_gpu_hour
    return f"{paid:,.2f}" if paid >= 1 else number(paid)
