"""What tests of the page share: runs as logs, without Ray, and pages as browsers see them."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from html.parser import HTMLParser
from itertools import chain
from pathlib import Path
from typing import Any, Final

import numpy as np

from raytao.automl import AutoML
from raytao.runs.events import Event, Finished, Judged, Leased, Placed, Reported, Started
from raytao.runs.log import Record, read_log
from raytao.setup.setup import Setup
from raytao.testing.simulator import LOG_KEY, Objective, simulate
from raytao.types import SCORE, Params

Fails = Callable[[int, int], bool]
Run = tuple[Setup, list[Record]]

BEGAN = 1_750_000_000.0
SCRIPT = "<script>alert(1)</script>"
HOSTILE = (SCRIPT, "</style></svg><b>", "javascript:alert(1)", "\x1b[31mred", "\u202eltr & \"'")
"""Names of a category that a page must show as text."""

HYPERBAND: Final = {"name": "hyperband", "R": 9, "nu": 3, "epoch_multiplier": 1, "mode": "sync"}
"""Random proposals and rungs that wait: fast to drive."""


class Page(HTMLParser):
    """What a browser would see: elements with their attributes, the text, the rows of tables."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.style = ""
        self.rows: list[list[str]] = []
        self.open: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        self.open.append(tag)
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")

    def handle_endtag(self, tag: str) -> None:
        while self.open and self.open.pop() != tag:
            pass

    def handle_data(self, data: str) -> None:
        if "style" in self.open:
            self.style += data
            return
        self.text += data
        if {"td", "th"} & set(self.open):
            self.rows[-1][-1] += data

    def table(self, first_heading: str) -> list[list[str]]:
        """Rows below the heading that begins so."""
        start = next(n for n, row in enumerate(self.rows) if row[0] == first_heading)
        width = len(self.rows[start])
        rows = self.rows[start + 1 :]
        end = next((n for n, row in enumerate(rows) if len(row) != width), len(rows))
        return rows[:end]

    def all(self, *tags: str) -> list[dict[str, str | None]]:
        """The attributes of all elements with one of these tags."""
        return [attributes for tag, attributes in self.elements if tag in tags]


def never(trial: int, epoch: int) -> bool:
    del trial, epoch
    return False


def told(setup: Setup, objective: Objective, fails: Fails = never, *, gpus: float = 0.0) -> Run:
    """Drive a run in virtual time; its log, records 1 s apart, its trials placed."""
    run = simulate(setup.new_brain(), objective, workers=3, direction=setup.direction, fails=fails)
    events = [setup.opened(), *(record.event for record in read_log(run.store, LOG_KEY)[1:])]
    placed = chain.from_iterable(_placed(event, setup.metric, gpus) for event in events)
    return setup, [Record(seq, BEGAN + seq, event, float(seq)) for seq, event in enumerate(placed)]


def _placed(event: Event, metric: str, gpus: float) -> list[Event]:
    """The simulator calls every metric ``value``, and places no trial."""
    if isinstance(event, Reported):
        return [replace(event, metrics={**event.metrics, metric: event.metrics["value"]})]
    if isinstance(event, Leased):
        node = f"node-{event.trial % 4}"
        return [event, Placed(event.trial, event.attempt, node, 100, 2.0, gpus, [])]
    return [event]


def train(params: dict[str, Any], ctx: Any) -> None:
    """Stands for a user's function: nothing here trains."""
    raise AssertionError


def ridge(params: Params, epoch: int) -> float:
    """Rises with epochs to a height that the rate and the optimizer decide."""
    rate = float(str(params["optim.lr"]))
    height = 0.9 - 0.05 * (math.log10(rate) + 2.5) ** 2 - 0.1 * float(str(params["dropout"]))
    if params["optim.type"] == SCRIPT:
        height += 0.05
    return height * (1 - math.exp(-epoch / 3))


def of_a_function(folder: Path, brain: Mapping[str, Any], *, epochs: int = 81) -> Setup:
    """A run of a user's own function with ten parameters, a category's names full of markup."""
    space = {
        "optim.lr": (1e-5, 1e-1),
        "optim.type": list(HOSTILE),
        "optim.weight_decay": (1e-6, 1e-2),
        "optim.momentum": (0.5, 0.99),
        "dropout": (0.0, 0.5),
        "width": [8, 16, 32, 64],
        "depth": (2, 8),
        "batch_size": [16, 32, 64, 128],
        "schedule": ["cosine", "step", "constant"],
        "augment": [True, False],
    }
    search = AutoML(
        train=train,
        space=space,
        epochs=epochs,
        metric={"name": "val_acc", "direction": "maximize"},
        brain=dict(brain),
        results_dir=str(folder),
    )
    return search._setup  # the page is drawn from it; nothing public shows it


def random_5000(folder: Path) -> Run:
    """5,000 trials of one epoch, one after the other; written, not driven: that takes longer."""
    setup = of_a_function(folder, {"name": "random", "max_recommendations": 5_000}, epochs=1)
    draw, one = np.random.default_rng(0), {"epochs": 1}
    events: list[Event] = [setup.opened()]
    for trial in range(5_000):
        params = setup.space.sample(draw)
        value = ridge(params, 1)
        metrics = {setup.metric: value, SCORE: value}
        events += [
            Started(trial, params, one, one, "random", f"job-{trial}"),
            Leased(trial, 1),
            Placed(trial, 1, f"node-{trial % 4}", 100, 2.0, 0.5),
            Reported(trial, 1, 1, metrics, 3.0),
            Judged(trial, "stop"),
        ]
    events.append(Finished("Done"))
    return setup, [Record(seq, BEGAN + seq, event, float(seq)) for seq, event in enumerate(events)]


def fails_in_epoch_2(trial: int, epoch: int) -> bool:
    return trial % 17 == 5 and epoch == 2


def hyperband_of_500(folder: Path) -> Run:
    """More than 500 trials in brackets, ten parameters, some failures."""
    brain = {**HYPERBAND, "R": 81, "brackets": 17}
    return told(of_a_function(folder, brain), ridge, fails_in_epoch_2, gpus=0.5)
