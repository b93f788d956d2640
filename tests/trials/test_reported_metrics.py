"""What a trainer may report as metrics, and what becomes of everything else it reports."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
import torch
from trials_testing import MakeJob

from raytao.runs.store import MemoryStore
from raytao.trials.context import JobBroken, StopFlag, TrialContext
from raytao.trials.folder import ExperimentFolder
from raytao.trials.measured import MOST_METRICS
from raytao.trials.messages import Broken, EpochDone, Event, FailureKind


class Reported:
    """One report of one epoch."""

    def __init__(self, make_job: MakeJob, metrics: Any) -> None:
        job, self.store = make_job(), MemoryStore()
        folder = ExperimentFolder(self.store, job.folder, job)
        self.events: list[Event] = []
        self.context = TrialContext(job, folder, folder.begin(), self.events.append, StopFlag())
        self.broken: Broken | None = None
        self.was_best = self.context.is_best(metrics)
        try:
            self.context.report(1, metrics)
        except JobBroken as stop:
            self.broken = stop.broken

    @property
    def metrics(self) -> Mapping[str, float]:
        (event,) = self.events
        assert isinstance(event, EpochDone)
        return event.metrics


def test_whoever_watches_a_trainer_says_how_long_its_epoch_took(make_job: MakeJob) -> None:
    told = Reported(make_job, {"val_acc": 0.5})
    told.context.report(2, {"val_acc": 0.6}, seconds=123.5)
    event = told.events[-1]
    assert isinstance(event, EpochDone)
    assert (event.epoch, event.seconds) == (2, 123.5)


@pytest.mark.parametrize("seconds", [-0.1, math.nan, math.inf])
def test_what_is_no_time_is_refused(make_job: MakeJob, seconds: float) -> None:
    told = Reported(make_job, {"val_acc": 0.5})
    with pytest.raises(ValueError, match=r"seconds=.*0 or more, and finite"):
        told.context.report(2, {"val_acc": 0.6}, seconds=seconds)
    assert len(told.events) == 1


@pytest.mark.parametrize(
    ("value", "number"),
    [
        (3, 3.0),
        (True, 1.0),
        (Decimal("0.5"), 0.5),
        (Fraction(1, 4), 0.25),
        (np.float32(0.5), 0.5),
        (np.int8(-3), -3.0),
        (np.bool_(True), 1.0),
        (np.array(0.5), 0.5),
        (np.float16(0.5), 0.5),
        (torch.tensor(0.5), 0.5),
        (torch.tensor(0.5, dtype=torch.bfloat16, requires_grad=True), 0.5),
        (torch.tensor(7), 7.0),
        (torch.tensor(True), 1.0),
    ],
    ids=repr,
)
def test_a_scalar_of_any_library_is_a_number(make_job: MakeJob, value: Any, number: float) -> None:
    told = Reported(make_job, {"val_acc": value, "other": value})
    assert told.metrics == {"val_acc": number, "other": number}
    assert {type(found) for found in told.metrics.values()} == {float}
    assert told.was_best


@pytest.mark.parametrize(
    ("value", "named"),
    [
        (None, "NoneType"),
        ("0.9", "str"),
        (b"0.9", "bytes"),
        (bytearray(b"0.9"), "bytearray"),
        (np.str_("0.9"), "str_"),
        (np.array("0.9"), "ndarray"),
        (1 + 2j, "complex"),
        (np.complex64(1 + 2j), "complex64"),
        (np.array(1 + 2j), "ndarray"),
        (torch.tensor(1 + 2j), "Tensor"),
        (np.timedelta64(3, "s"), "timedelta64"),
        ([0.9], "list"),
        ({"mean": 0.9}, "dict"),
        (np.array([0.9]), "ndarray of shape (1,)"),
        (torch.tensor([0.9, 0.8]), "Tensor of shape (2,)"),
        (lambda: 0.9, "function"),
    ],
    ids=lambda value: repr(value).split(" at ")[0],
)
def test_what_is_no_number_breaks_the_trial_and_is_named(
    make_job: MakeJob, value: Any, named: str
) -> None:
    told = Reported(make_job, {"val_acc": value})
    assert told.broken is not None
    assert told.broken.kind is FailureKind.METRIC
    assert told.broken.reason == f"metric 'val_acc' of epoch 1 is not a number but {named}"
    assert told.events == []
    assert not told.was_best


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (math.nan, "nan"),
        (-math.inf, "-inf"),
        (np.float32("inf"), "inf"),
        (torch.tensor(math.nan), "nan"),
        (10**400, "inf"),
        (-(10**400), "-inf"),
        (Fraction(10**400), "inf"),
    ],
    ids=["nan", "-inf", "numpy", "torch", "huge", "-huge", "huge fraction"],
)
def test_what_is_not_finite_has_diverged(make_job: MakeJob, value: Any, said: str) -> None:
    told = Reported(make_job, {"val_acc": value})
    assert told.broken == Broken(
        FailureKind.DIVERGED, f"metric 'val_acc' became {said} in epoch 1"
    )
    assert not told.was_best


@pytest.mark.parametrize(
    "value",
    [math.nan, math.inf, 10**400, None, "text", [1], 1j, np.array("3"), object()],
    ids=lambda value: repr(value).split(" at ")[0],
)
def test_another_metric_that_is_no_finite_number_is_left_out(
    make_job: MakeJob, value: Any
) -> None:
    assert Reported(make_job, {"val_acc": 0.5, "other": value}).metrics == {"val_acc": 0.5}


@pytest.mark.parametrize("metrics", [0.9, None, "val_acc", [("val_acc", 0.9)], {"val_acc"}])
def test_metrics_without_names_break_the_trial_with_a_remedy(
    make_job: MakeJob, metrics: Any
) -> None:
    told = Reported(make_job, metrics)
    assert told.broken is not None
    assert told.broken.kind is FailureKind.METRIC
    assert "takes the metrics by name, such as {'val_acc': 0.5}" in told.broken.reason
    assert told.broken.reason.endswith(f"and got {type(metrics).__name__}")


def test_a_missing_metric_is_named_with_those_that_came(make_job: MakeJob) -> None:
    told = Reported(make_job, {"loss": 1.0, "acc": 0.5})
    assert told.broken == Broken(
        FailureKind.METRIC, "metric 'val_acc' not reported; got: loss, acc"
    )


def test_names_become_text(make_job: MakeJob) -> None:
    told = Reported(make_job, {"val_acc": 0.5, 3: 1.0, None: 2.0, ("a", 1): 3.0})
    assert told.metrics == {"val_acc": 0.5, "3": 1.0, "None": 2.0, "('a', 1)": 3.0}


def test_of_ten_thousand_metrics_the_first_thousand_and_the_watched_one_are_kept(
    make_job: MakeJob, capsys: pytest.CaptureFixture[str]
) -> None:
    many = {f"layer_{n}": float(n) for n in range(10_000)} | {"val_acc": 0.5}
    told = Reported(make_job, many)
    assert len(told.metrics) == MOST_METRICS
    assert told.metrics["val_acc"] == 0.5
    assert "layer_998" in told.metrics
    told.context.report(2, many)
    said = capsys.readouterr().out
    assert said == f"raytao: of 10001 metrics the first {MOST_METRICS} are kept\n"


def test_the_brains_own_word_is_not_kept_and_the_log_says_so(
    make_job: MakeJob, capsys: pytest.CaptureFixture[str]
) -> None:
    assert Reported(make_job, {"val_acc": 0.5, "score": 9.0}).metrics == {"val_acc": 0.5}
    assert "'score' is not kept" in capsys.readouterr().out


def test_what_was_kept_is_json(make_job: MakeJob) -> None:
    told = Reported(make_job, {"val_acc": np.float64(0.5), "\ud800": torch.tensor(1)})
    data = told.store.read("experiment_3/raytao.json")
    assert data is not None
    assert json.loads(data)["history"]["1"] == {"val_acc": 0.5, "\ud800": 1.0}
