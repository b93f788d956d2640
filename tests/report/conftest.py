"""Whole runs in virtual time, as the logs that a report is drawn from."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from raytao.runs.events import Event, Reported
from raytao.runs.log import Record, read_log
from raytao.setup.resolve import resolve
from raytao.setup.setup import Setup
from raytao.testing.simulator import LOG_KEY, Objective, simulate
from raytao.testing.toy import curve

Fails = Callable[[int, int], bool]


def never(trial: int, epoch: int) -> bool:
    del trial, epoch
    return False


@pytest.fixture
def make_run(tmp_path: Path) -> Callable[..., tuple[Setup, list[Record]]]:
    """Run the toy network under a brain; return the setup and the log, times 1 s apart."""

    def make(
        brain: str = "{name: hyperband, R: 9, nu: 3, epoch_multiplier: 1, mode: sync}",
        *,
        epochs: int = 9,
        metric: str = "value",
        objective: Objective = curve,
        fails: Fails = never,
    ) -> tuple[Setup, list[Record]]:
        path = tmp_path / "run.yaml"
        path.write_text(
            f"network: toy\nmetric: {metric}\nbrain: {brain}\n"
            f"set: {{train.num_epochs: {epochs}}}\nresults_dir: {tmp_path / 'results'}\n"
        )
        setup = resolve(str(path))
        run = simulate(
            setup.new_brain(), objective, workers=3, direction=setup.direction, fails=fails
        )
        records = read_log(run.store, LOG_KEY)
        events: list[Event] = [setup.opened(), *(record.event for record in records[1:])]
        return setup, [
            Record(seq, 1_750_000_000.0 + seq, _in_its_own_words(event, metric))
            for seq, event in enumerate(events)
        ]

    return make


def _in_its_own_words(event: Event, metric: str) -> Event:
    """The simulator calls every metric ``value``."""
    if isinstance(event, Reported):
        return replace(event, metrics={**event.metrics, metric: event.metrics["value"]})
    return event
