"""The same jobs, run in this process: what a trainer may say, and what it may not."""

from __future__ import annotations

import os
import signal
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
import pytest
from trials_testing import MakeJob

from raytao.errors import DataError
from raytao.networks.base import Network, TrainContext
from raytao.runs.store import MemoryStore
from raytao.trials.messages import Broken, Ended, EpochDone, Event, FailureKind, Job
from raytao.trials.provenance import read_provenance
from raytao.trials.runner import run
from raytao.types import Json


class Spoken(Network):
    """Does what a test says."""

    name = "spoken"
    script: ClassVar[Any] = None

    def check(self, spec: Mapping[str, Json]) -> None:
        if spec.get("data") == "missing":
            raise DataError("no folder /data/train", remedy="set dataset.train")

    def train(self, spec: Mapping[str, Json], ctx: TrainContext) -> None:
        type(self).script(ctx)

    def evaluate(
        self, spec: Mapping[str, Json], checkpoint: bytes, *, threads: int, gpus: int
    ) -> Mapping[str, float]:
        raise NotImplementedError


@pytest.fixture
def spoken(make_job: MakeJob, monkeypatch: pytest.MonkeyPatch) -> Job:
    monkeypatch.setattr("raytao.trials.runner.network_of", lambda job: Spoken())
    return make_job()


def told(job: Job, script: Any) -> list[Event]:
    Spoken.script = script
    events: list[Event] = []
    run(job, MemoryStore(), events.append)
    return events


def test_no_epoch_is_durable_before_what_was_printed_is_on_its_way_to_the_log(
    spoken: Job,
) -> None:
    def script(ctx: TrainContext) -> None:
        for epoch in ctx.epochs:
            ctx.report(epoch, {"val_acc": 0.5})

    def note() -> None:
        known = read_provenance(store, spoken.folder)
        assert known is not None
        durable.append(known.epochs_trained)

    Spoken.script = script
    store = MemoryStore()
    durable: list[int] = []
    run(spoken, store, lambda event: None, settle_log=note)
    assert durable == [0, 1, 2]


class Tensor:
    """As far as raytao knows tensors."""

    def __init__(self, value: float, ndim: int) -> None:
        self.value, self.ndim = value, ndim

    def __float__(self) -> float:
        return self.value


@pytest.mark.parametrize("value", [np.float32(0.5), np.array(0.5), Tensor(0.5, 0), True, 1])
def test_scalars_become_floats(spoken: Job, value: Any) -> None:
    def script(ctx: TrainContext) -> None:
        ctx.report(1, {"val_acc": value})

    event = told(spoken, script)[0]
    assert isinstance(event, EpochDone)
    assert type(event.metrics["val_acc"]) is float
    assert event.metrics["val_acc"] == float(value)


@pytest.mark.parametrize("value", ["0.5", None, [0.5], np.array([0.5]), Tensor(0.5, 1), 1j])
def test_what_is_no_number_is_no_metric(spoken: Job, value: Any) -> None:
    def script(ctx: TrainContext) -> None:
        assert not ctx.is_best({"val_acc": value})
        ctx.report(1, {"val_acc": value})

    (last,) = told(spoken, script)
    assert isinstance(last, Broken)
    assert last.kind is FailureKind.METRIC


def test_other_metrics_that_are_not_finite_are_dropped(spoken: Job) -> None:
    def script(ctx: TrainContext) -> None:
        ctx.report(1, {"val_acc": 0.5, "loss": float("nan"), "note": "fine", "lr": 0.1})  # type: ignore[dict-item]

    event = told(spoken, script)[0]
    assert isinstance(event, EpochDone)
    assert event.metrics == {"val_acc": 0.5, "lr": 0.1}


@pytest.mark.parametrize("epochs", [[2], [1, 1], [1, 3], [0], [1, 2, 3, 4], [-1]])
def test_epochs_come_in_order_and_not_past_the_last(spoken: Job, epochs: list[int]) -> None:
    def script(ctx: TrainContext) -> None:
        for epoch in epochs:
            ctx.report(epoch, {"val_acc": 0.5})

    last = told(spoken, script)[-1]
    assert isinstance(last, Broken)
    assert last.kind is FailureKind.ERROR
    assert f"report(epoch={epochs[-1]})" in last.reason


def test_a_bare_except_does_not_hide_a_broken_trial(spoken: Job) -> None:
    def script(ctx: TrainContext) -> None:
        try:
            ctx.report(1, {"val_acc": float("nan")})
        except BaseException:  # noqa: BLE001 - as a careless trainer does
            return

    (last,) = told(spoken, script)
    assert isinstance(last, Broken)
    assert last.kind is FailureKind.DIVERGED


@pytest.mark.parametrize(("code", "kind"), [(0, "silent"), (None, "silent"), ("bad", "error")])
def test_sys_exit_is_an_end_without_a_result(spoken: Job, code: Any, kind: str) -> None:
    def script(ctx: TrainContext) -> None:
        raise SystemExit(code)

    (last,) = told(spoken, script)
    assert isinstance(last, Broken)
    assert last.kind is FailureKind(kind)


def test_a_torch_out_of_memory_error_is_known_by_its_name(spoken: Job) -> None:
    class OutOfMemoryError(RuntimeError):
        pass

    def script(ctx: TrainContext) -> None:
        raise OutOfMemoryError("no more")

    (last,) = told(spoken, script)
    assert isinstance(last, Broken)
    assert last.kind is FailureKind.OOM


def test_a_users_mistake_is_a_sentence_without_a_traceback(
    spoken: Job, capsys: pytest.CaptureFixture[str]
) -> None:
    job = Job(**{**vars(spoken), "spec": {"data": "missing"}})
    (last,) = told(job, None)
    assert last == Broken(FailureKind.ERROR, "no folder /data/train set dataset.train")
    assert capsys.readouterr().err == ""


def test_a_reason_is_short(spoken: Job, capsys: pytest.CaptureFixture[str]) -> None:
    def script(ctx: TrainContext) -> None:
        raise ValueError("a\nb " * 1000)

    (last,) = told(spoken, script)
    assert isinstance(last, Broken)
    assert last.reason.startswith("ValueError: a b a b")
    assert len(last.reason) <= 400
    assert "Traceback" in capsys.readouterr().err


def test_sigterm_asks_the_trainer_to_end_and_that_is_no_failure(spoken: Job) -> None:
    before = signal.getsignal(signal.SIGTERM)

    def script(ctx: TrainContext) -> None:
        ctx.report(1, {"val_acc": 0.5})
        assert not ctx.should_stop
        os.kill(os.getpid(), signal.SIGTERM)
        assert ctx.should_stop

    assert told(spoken, script)[-1] == Ended(1)
    assert signal.getsignal(signal.SIGTERM) is before


def test_a_checkpoint_belongs_to_the_epoch_that_is_reported_next(spoken: Job) -> None:
    store = MemoryStore()

    def script(ctx: TrainContext) -> None:
        ctx.save(b"first")
        assert store.list("experiment_3/weights") == []
        ctx.report(1, {"val_acc": 0.5})
        ctx.report(2, {"val_acc": 0.6})
        ctx.save(b"third")
        ctx.report(3, {"val_acc": 0.6})

    Spoken.script = script
    run(spoken, store, lambda event: None)
    assert store.read("experiment_3/weights/model_epoch_001.pth") is None
    assert store.read("experiment_3/weights/model_epoch_002.pth") is None
    assert store.read("experiment_3/weights/model_epoch_003.pth") == b"third"


def test_the_log_is_stdout(spoken: Job, capsys: pytest.CaptureFixture[str]) -> None:
    told(spoken, lambda ctx: ctx.log("hello"))
    assert capsys.readouterr().out == "hello\n"


def test_a_context_knows_its_job(spoken: Job) -> None:
    seen: list[tuple[int, int, int, int, int, bytes | None]] = []

    def script(ctx: TrainContext) -> None:
        seen.append(
            (ctx.start_epoch, ctx.stop_epoch, ctx.seed, ctx.threads, ctx.gpus, ctx.resume_from)
        )

    told(spoken, script)
    assert seen == [(0, 3, 7, 1, 0, None)]


@pytest.mark.parametrize(
    ("gone", "said"), [(1, "a better epoch, 2; a run that is resumed"), (2, "")]
)
def test_a_winner_without_weights_says_what_took_their_place(
    make_job: MakeJob, gone: int, said: str
) -> None:
    store = MemoryStore()
    run(make_job({"curve": [0.1, 0.9]}, stop_epoch=2), store, lambda event: None)
    weights = f"experiment_3/weights/model_epoch_00{gone}.pth"
    store.delete(weights)
    events: list[Event] = []
    run(make_job(kind="evaluate", checkpoint=weights), store, events.append)
    (last,) = events
    assert isinstance(last, Broken)
    assert last.reason.startswith(f"no weights file '{weights}' to evaluate")
    assert said in last.reason
    assert bool(said) == ("epoch, 2" in last.reason)
