"""A user's function as a network: how it is called, and what is said when it does not answer."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from raytao.errors import RaytaoError, SettingsError
from raytao.networks.base import TrainContext
from raytao.networks.function import Function, OwnFunction
from raytao.runs.store import MemoryStore
from raytao.trials.messages import Broken, Ended, EpochDone, Event, FailureKind, Job
from raytao.trials.runner import run

SPEC = {"lr": 0.5, "kind": "a", "train": {"num_epochs": 2, "num_gpus": 0, "seed": 3}}


def by_value(train: Callable[..., Any]) -> OwnFunction:
    """As a notebook's function travels: with its code, not by the name of this module."""
    import cloudpickle

    module = sys.modules[__name__]
    cloudpickle.register_pickle_by_value(module)
    try:
        return OwnFunction.of(train)
    finally:
        cloudpickle.unregister_pickle_by_value(module)


def happened(train: Callable[..., Any], stop_epoch: int = 2) -> list[Event]:
    """What a trial of the function tells."""
    job = Job(
        kind="train",
        network="function",
        spec=SPEC,
        root="",
        folder="experiment_0",
        trial=0,
        attempt=1,
        reported_epoch=0,
        stop_epoch=stop_epoch,
        metric="acc",
        direction="maximize",
        seed=3,
        threads=1,
        gpus=0,
        function=by_value(train).text(),
    )
    told: list[Event] = []
    run(Job.from_json(json.loads(json.dumps(job.to_json()))), MemoryStore(), told.append)
    return told


def test_a_function_with_a_context_reports_every_epoch() -> None:
    def train(params: Mapping[str, Any], ctx: TrainContext) -> None:
        for epoch in ctx.epochs:
            ctx.report(epoch, {"acc": params["lr"] * epoch})

    assert [(e.epoch, dict(e.metrics)) for e in happened(train) if isinstance(e, EpochDone)] == [
        (1, {"acc": 0.5}),
        (2, {"acc": 1.0}),
    ]


def test_a_function_sees_the_searched_values_alone() -> None:
    def train(params: Mapping[str, Any]) -> float:
        return float(sorted(params) == ["kind", "lr"])

    first, last = happened(train, stop_epoch=1)
    assert isinstance(first, EpochDone)
    assert dict(first.metrics) == {"acc": 1.0}
    assert last == Ended(1)


@pytest.mark.parametrize("returned", [0.25, {"acc": 0.25, "loss": 2}, {"acc": 0.25, "name": "x"}])
def test_a_function_without_a_context_answers_with_a_number_or_metrics(returned: Any) -> None:
    def train(params: Mapping[str, Any]) -> Any:
        return returned

    first = happened(train, stop_epoch=1)[0]
    assert isinstance(first, EpochDone)
    assert first.metrics["acc"] == 0.25


def raises(params: Mapping[str, Any]) -> float:
    raise ZeroDivisionError("no images")


def returns_nothing(params: Mapping[str, Any]) -> None:
    return None


def reports_another_metric(params: Mapping[str, Any]) -> dict[str, float]:
    return {"loss": 1.0}


def reports_nothing(params: Mapping[str, Any], ctx: TrainContext) -> None:
    return None


def reports_text(params: Mapping[str, Any], ctx: TrainContext) -> None:
    ctx.report(1, {"acc": "high"})  # type: ignore[dict-item]


def reports_nan(params: Mapping[str, Any]) -> float:
    return float("nan")


def goes_out(params: Mapping[str, Any]) -> float:
    sys.exit(3)


BAD = [
    (raises, FailureKind.ERROR, "ZeroDivisionError: no images"),
    (returns_nothing, FailureKind.ERROR, "returns_nothing returned nothing; return {'acc': …}"),
    (reports_another_metric, FailureKind.METRIC, "metric 'acc' not reported; got: loss"),
    (reports_nothing, FailureKind.SILENT, "without reporting epoch 1"),
    (reports_text, FailureKind.METRIC, "not a number but str"),
    (reports_nan, FailureKind.DIVERGED, "became nan"),
    (goes_out, FailureKind.ERROR, "sys.exit(3)"),
]


@pytest.mark.parametrize(("train", "kind", "reason"), BAD, ids=[b[0].__name__ for b in BAD])
def test_a_function_that_does_not_answer_fails_its_trial_with_the_reason(
    train: Callable[..., Any], kind: FailureKind, reason: str
) -> None:
    last = happened(train, stop_epoch=1)[-1]
    assert isinstance(last, Broken)
    assert last.kind is kind
    assert reason in last.reason


def test_what_cannot_be_called_is_refused_before_anything_starts() -> None:
    with pytest.raises(SettingsError, match="must be a function"):
        OwnFunction.of(3)  # type: ignore[arg-type]
    with pytest.raises(SettingsError, match=r"train=<lambda>\(a, b, c\) cannot be called"):
        OwnFunction.of(lambda a, b, c: None)
    with pytest.raises(SettingsError, match="cannot be called"):
        OwnFunction.of(lambda: 1)


def test_what_cannot_be_sent_is_refused_before_anything_starts(tmp_path: Path) -> None:
    with (tmp_path / "file").open("w") as file:

        def train(params: Mapping[str, Any]) -> float:
            return file.tell()

        with pytest.raises(SettingsError, match="cannot be sent to the trials"):
            by_value(train)


def test_optional_arguments_of_the_users_own_do_not_hide_the_context() -> None:
    assert OwnFunction.of(lambda params, ctx, width=3: None).takes_context
    assert not OwnFunction.of(lambda params: None).takes_context
    assert not OwnFunction.of(lambda params, scale=2.0: None).takes_context
    assert OwnFunction.of(lambda params, ctx=None: None).takes_context


def test_without_its_function_a_run_can_be_looked_at_and_not_trained() -> None:
    forgotten = Function("train_digits", "acc")
    with pytest.raises(SettingsError, match="train_digits, a function of yours") as refused:
        forgotten.check(SPEC)
    assert "fit(resume=True)" in refused.value.remedy
    with pytest.raises(RaytaoError):
        forgotten.evaluate(SPEC, b"", threads=1, gpus=0)


MODULES = """
import numpy as np
import json as plain
import torch
from sklearn.datasets import load_digits

class Net(torch.nn.Module):
    pass

def data():
    return load_digits()

def train(params):
    Net(); data()
    return float(np.mean([1.0])) + len(plain.dumps(1))

from raytao.networks.function import OwnFunction
own = OwnFunction.of(train)
print(plain.dumps([*own.modules]))
"""


def test_installed_modules_of_the_code_are_imported_ahead_of_the_trials() -> None:
    done = subprocess.run(
        [sys.executable, "-c", MODULES], capture_output=True, text=True, check=True
    )
    modules = set(json.loads(done.stdout))
    assert {"numpy", "torch._dynamo"} <= modules
    assert any(name.startswith("sklearn") for name in modules)
    assert not {"json", "__main__", "raytao"} & modules
