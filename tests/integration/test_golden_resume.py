"""A run that an old version left is gone on with by this one, and its model still counts."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from pathlib import Path

import driver
import pytest

from raytao.runs.events import FORMAT, Reported, Resumed, Started
from raytao.runs.state import RunState
from raytao.runs.store import LocalStore
from raytao.tao import layout
from raytao.trials.provenance import read_provenance

pytestmark = pytest.mark.integration

GOLDEN = Path(__file__).parents[1] / "golden"
FORMATS = sorted(folder.name for folder in GOLDEN.glob("format_*"))


def copied(format_: str, name: str, folder: Path) -> Path:
    return shutil.copytree(GOLDEN / format_ / name / "run", folder / "run")


def durable(results: Path, trial: int) -> set[int]:
    """Epochs that the trial's own folder has, whether the log knows of them or not."""
    known = read_provenance(LocalStore(results), layout.experiment(trial))
    return set() if known is None else set(known.history)


def trained(results: Path, trial: int) -> Counter[int]:
    """How often each epoch was trained, by the trial's own log."""
    lines = (results / layout.experiment(trial) / layout.LOG).read_text().splitlines()
    return Counter(int(line.split()[-1]) for line in lines if line.startswith("training epoch"))


@pytest.mark.ray
@pytest.mark.timeout(240)
@pytest.mark.parametrize("format_", FORMATS)
def test_a_killed_run_of_every_format_goes_on_to_its_end(format_: str, tmp_path: Path) -> None:
    results = copied(format_, "bayesian_killed", tmp_path)
    whole = (results / layout.EVENTS).read_bytes().rpartition(b"\n")[0]
    before = [record.event for record in driver.records(results)]
    starts = [event for event in before if isinstance(event, Started)]
    kept = {start.trial: durable(results, start.trial) for start in starts}
    assert any(kept.values())

    done = driver.command("resume", results, cwd=tmp_path)
    assert done.returncode == 0, done.stderr

    assert (results / layout.EVENTS).read_bytes().startswith(whole + b"\n")
    after = [record.event for record in driver.records(results)]
    assert after[: len(before)] == before
    assert [event for event in after if isinstance(event, Started)][: len(starts)] == starts
    assert [event.format for event in after if isinstance(event, Resumed)] == [FORMAT]
    state = RunState.fold(driver.records(results))
    assert state.finished is not None
    assert state.finished.status == "Done"
    assert [trial.epochs for trial in state.trials.values()] == [4] * 6
    reports = Counter((e.trial, e.epoch) for e in after if isinstance(e, Reported))
    assert set(reports.values()) == {1}
    for trial, epochs in kept.items():
        times = trained(results, trial)
        assert {epoch: times[epoch] for epoch in epochs} == dict.fromkeys(epochs, 1)


@pytest.mark.parametrize("format_", FORMATS)
def test_a_model_of_every_format_is_as_good_as_it_was(format_: str, tmp_path: Path) -> None:
    results = copied(format_, "digits_done", tmp_path)
    told = json.loads((results / layout.METADATA).read_text())["test"]
    done = driver.command("evaluate", results, "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    measured = json.loads(done.stdout)
    found = {name: measured["metrics"][name] for name in told}
    assert found == pytest.approx(told, abs=1e-6)
