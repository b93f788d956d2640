"""TAO's checklist, what an external trainer tells: rows 47, 60, 61, 70 and 71."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from command_runs import Bench, Segment

from raytao.networks.command.readers import Told
from raytao.networks.command.settings import Status as Source
from raytao.runs.store import MemoryStore
from raytao.setup.resolve import resolve
from raytao.tao.status import Status, read_status
from raytao.testing.folder_run import Conditions, run_in_folder
from raytao.trials.messages import Broken, Ended, FailureKind

TAO = {"file": "{results_dir}/train/status.json", "format": "tao_jsonl"}
LINE = (
    '{"epoch": %d, "max_epoch": 9, "time_per_epoch": "0:01:12.482000", "date": "8/28/2024", '
    '"time": "9:5:7", "status": "RUNNING", "verbosity": "INFO", "kpi": {"val_acc": %s}}'
)


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def trained(bench: Bench, *values: str, then: str = "true") -> Segment:
    """A trainer with TAO's habits, one value an epoch."""
    lines = "".join(f"{LINE % (n, value)}\n" for n, value in enumerate(values, start=1))
    script = f"mkdir train; cat > train/status.json <<'END'\n{lines}END\n{then}"
    return bench.run(script, status=TAO)


def test_row_047_a_trial_gets_the_epochs_of_its_rung_and_is_stopped_at_it(bench: Bench) -> None:
    """The spec keeps the epochs of the whole ladder: they fix the learning-rate schedule."""
    tell = 'echo "{\\"epoch\\": $i, \\"val_acc\\": 0.$i}" >> status.jsonl'
    obedient = bench.run(
        f"cp $2 spec; i=0; while [ $i -lt $1 ]; do i=$((i+1)); {tell}; done", "{epochs} {spec}"
    )
    assert obedient.last == Ended(3)
    assert json.loads((obedient.results / "spec").read_text())["train"]["epochs"] == 9
    endless = Bench(bench.root / "endless")
    endless.root.mkdir()
    stopped = endless.run(f"for i in 1 2 3 4 5 6 7 8 9; do {tell}; sleep 0.1; done", "{spec}")
    assert stopped.last == Ended(3)
    assert list(stopped.epochs) == [1, 2, 3]
    assert "9" not in (stopped.results / "status.jsonl").read_text()


def test_row_060_a_broken_line_is_skipped_and_no_number_is_made_of_nan() -> None:
    text = "\n".join(
        [LINE % (1, "0.5"), LINE % (2, "NaN"), (LINE % (2, "0.7"))[:40], "", LINE % (3, "0.6")]
    ).encode()
    assert [dict(line.kpi) for line in read_status(text)] == [
        {"val_acc": 0.5},
        {},
        {"val_acc": 0.6},
    ]
    told = Told(Source(format="tao_jsonl"))
    told.feed(text + b"\n")
    assert told.epochs == [1, 2, 3]
    assert math.isnan(told.metrics(2)["val_acc"])  # a divergence, which is no missing value


def test_row_061_epoch_and_time_per_epoch_are_read() -> None:
    (line,) = read_status((LINE % (3, "0.5")).encode())
    assert (line.epoch, line.max_epoch, line.time_per_epoch) == (3, 9, 72.482)
    told = Told(Source(format="tao_jsonl"))
    told.feed((LINE % (3, "0.5")).encode() + b"\n")
    assert told.epochs == [3]


def test_row_070_a_failing_trial_has_no_value(bench: Bench) -> None:
    failed = trained(bench, "0.5", then="exit 1")
    assert failed.last == Broken(FailureKind.ERROR, "sh exited with code 1 after epoch 1")
    assert failed.epochs == {1: {"val_acc": 0.5}}
    lines = read_status((failed.folder / "status.json").read_bytes())
    assert [line.status for line in lines] == [Status.STARTED, Status.RUNNING, Status.FAILURE]
    assert lines[-1].kpi == {}


def test_row_070_a_failing_trial_is_never_best_and_tells_the_model_nothing(tmp_path: Path) -> None:
    file = tmp_path / "run.yaml"
    file.write_text("network: toy\nbrain: {name: random, max_recommendations: 4}\n")
    setup, store = resolve(str(file)), MemoryStore()
    values = iter([9.0, *[1.0] * 1000])  # the first epoch of the first trial beats all others

    def objective(_spec: Mapping[str, Any], _epoch: int) -> float:
        return next(values) if setup.direction.value == "maximize" else -next(values)

    how = Conditions(objective=objective, fails=lambda trial, epoch: (trial, epoch) == (0, 2))
    state = run_in_folder(setup, store, how)
    assert state.incumbent is not None
    assert state.incumbent.trial != 0
    drawn = json.loads(store.read("controller.json") or b"")
    assert [entry["status"] for entry in drawn] == ["failure", *["success"] * 3]
    assert drawn[0]["result"] is None


@pytest.mark.parametrize("value", ["NaN", "Infinity", "-Infinity"])
def test_row_071_a_trial_whose_metric_is_not_finite_fails(bench: Bench, value: str) -> None:
    failed = trained(bench, "0.5", value, "0.9")
    assert isinstance(failed.last, Broken)
    assert failed.last.kind is FailureKind.DIVERGED
    assert failed.epochs == {1: {"val_acc": 0.5}}


def test_row_071_a_trial_whose_metric_is_missing_fails(bench: Bench) -> None:
    script = (
        f"mkdir train; echo '{(LINE % (1, '1')).replace('val_acc', 'loss')}' > train/status.json"
    )
    failed = bench.run(script, status=TAO)
    assert failed.epochs == {}
    assert "without the metric 'val_acc' (it tells loss)" in failed.reason
