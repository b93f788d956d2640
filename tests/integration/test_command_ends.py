"""Runs of trainers of other people's come to every end there is, and leave no process behind."""

from __future__ import annotations

import json
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeAlias

import driver
import pytest
import trainer_runs
from trainer_files import WRITERS
from trainer_runs import Run

from raytao.runs.events import Finished, Reported
from raytao.runs.state import Phase, TrialState
from raytao.runs.store import LocalStore
from raytao.tao import layout
from raytao.trials.provenance import read_provenance

pytestmark = [pytest.mark.ray, pytest.mark.integration]

RANDOM = {"name": "random", "max_recommendations": 2}
EPOCHS = 20
"""Ten seconds of training: the driver learns of epochs late where the machine is busy, and whoever
is interrupted after the first ones still has some to train when it is killed."""
LATEST = 20.0
"""Seconds within which all of a trainer's processes have ended."""


Drive: TypeAlias = Callable[..., subprocess.Popen[bytes]]


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    with trainer_runs.cluster() as address:
        yield address


DATA = {"awk_sgd": "iris.csv", "torchrun": "digits.npz"}


def slow(folder: Path, network: str, **settings: Any) -> Run:
    """A trainer that pauses after every epoch."""
    data = folder / DATA[network]
    WRITERS[data.name](data)
    spec = {"train.epochs": EPOCHS, "train.pause": 0.5, "data.file": str(data)}
    return Run.of(folder, network, RANDOM, set=spec, **settings)


def reports(run: Run) -> int:
    return sum(isinstance(r.event, Reported) for r in driver.records(run.results))


@pytest.fixture
def under_way() -> Iterator[Drive]:
    """Starts raytao in a process of its own, and waits until its trials are in full swing."""
    started: list[subprocess.Popen[bytes]] = []

    def drive(run: Run, *arguments: str) -> subprocess.Popen[bytes]:
        before = reports(run) if run.results.exists() else 0
        process = driver.start(*arguments, cwd=run.folder)
        started.append(process)
        driver.wait_until(lambda: reports(run) >= before + 2, "two more epochs")
        driver.wait_until(lambda: bool(run.trainers()), "a trainer")
        return process

    yield drive
    for process in started:
        process.kill()
        process.wait()


def begun(run: Run, trial: int) -> Counter[int]:
    """How often the program told of each epoch, in its own words."""
    found: Counter[int] = Counter()
    for line in run.log_of(trial).splitlines():
        if line.startswith("epoch "):
            found[int(line.split()[1].partition("/")[0])] += 1
        elif line.startswith("{"):
            found[json.loads(line)["epoch"]] += 1
    return found


Kept: TypeAlias = dict[int, tuple[int, Counter[int]]]
"""By trial, the epochs that nothing can take back, and how often each was trained so far."""


def kept_by(run: Run) -> Kept:
    store = LocalStore(run.results)
    found = {n: read_provenance(store, layout.experiment(n)) for n in run.state.trials}
    return {n: (own.epochs_trained, begun(run, n)) for n, own in found.items() if own is not None}


@pytest.mark.parametrize("network", ["awk_sgd", "torchrun"])
def test_nothing_is_left_of_a_run_that_is_interrupted_and_then_killed(
    network: str, address: str, under_way: Drive, tmp_path: Path
) -> None:
    run = slow(tmp_path, network, address=address)
    known: list[Kept] = []

    interrupted = under_way(run, "run", "run.yaml")
    interrupted.send_signal(signal.SIGINT)
    assert interrupted.wait(LATEST) == 130
    driver.wait_for_the_end_of(run.trainers(), 2)
    known.append(kept_by(run))

    killed = under_way(run, "resume", "results")
    killed.kill()
    killed.wait()
    driver.wait_until(lambda: not run.trainers(), "the trainers' end", LATEST)
    known.append(kept_by(run))

    result = run("resume", "results")
    assert result.exit_code == 0, result.output
    assert not run.trainers()
    state = run.state
    assert state.finished == Finished("Done")
    assert [trial.epochs for trial in state.trials.values()] == [EPOCHS] * 2
    for trial in state.trials:
        told = begun(run, trial)
        assert set(told) == set(range(1, EPOCHS + 1))  # no epoch is kept whose output is lost
        for kept in known:
            epochs, before = kept.get(trial, (0, told))
            again = [epoch for epoch in range(1, epochs + 1) if told[epoch] > before[epoch]]
            assert not again, f"trial {trial} had {epochs} epochs and trained {again} again"


def test_nothing_is_left_of_a_run_that_is_stopped_with_its_best_model(
    address: str, under_way: Drive, tmp_path: Path
) -> None:
    # Longer than the way of the order to stop: an epoch that is trained meanwhile is of the next
    # resumption, and its weights take the place of those that the log knows.
    command = {"env": {"TAO_EPOCH_SECONDS": "3"}}
    run = Run.of(tmp_path, "detectnet_v2", RANDOM, command=command, address=address)
    process = under_way(run, "run", "run.yaml")
    told = run("stop", "results")
    assert told.exit_code == 0, told.output
    assert process.wait(LATEST) == 0
    assert not run.trainers()
    state = run.state
    assert state.finished == Finished("Done", "stopped by request")
    assert state.incumbent is not None
    weights = layout.checkpoint(state.incumbent.epoch, ".hdf5")
    assert (run.results / layout.BEST_MODEL / weights).is_file()


HABITS = {
    "crash": ("error", "exited with code 1", "FloatingPointError: the loss exploded in epoch 1"),
    "hang": ("error", "took longer than its limit of 4 s, in epoch 1"),
    "nan": ("diverged", "quality"),
    "no_metric": (
        "error",
        "told epochs 1 to 2 without the metric 'quality' (it tells quality_of_train)",
    ),
}
GOOD_ENOUGH = ("none", "half_lines", "stubborn_children")


def test_bad_trainers_fail_for_a_reason_that_is_told_and_the_run_goes_on(
    address: str, tmp_path: Path
) -> None:
    habits = [*HABITS, *GOOD_ENOUGH[1:]]
    run = Run.of(
        tmp_path,
        "bad",
        {"name": "random", "max_recommendations": len(habits) + 1},
        initial=[{"train.habit": habit} for habit in habits],
        command={"timeout_s": 4.0, "grace_s": 0.5},
    )
    result = run("run", "run.yaml")
    assert result.exit_code == 0, result.output
    assert not run.trainers()
    state = run.state
    assert state.finished == Finished("Done")
    by_habit = {trial.params["train.habit"]: trial for trial in state.trials.values()}
    for habit, (cause, *said) in HABITS.items():
        failed = by_habit.pop(habit)
        assert failed.phase is Phase.FAILED
        assert failed.failure is not None
        assert failed.failure.cause == cause
        assert all(words in failed.failure.reason for words in said), failed.failure.reason
        assert failed.failure.reason in result.output
        assert not failed.history
    assert {habit: qualities(trial) for habit, trial in by_habit.items()} == {
        habit: [0.1, 0.2] for habit in GOOD_ENOUGH
    }
    assert f"{len(HABITS)} of {len(habits) + 1} trials failed" in result.output


def qualities(trial: TrialState) -> list[float]:
    return [trial.history[epoch]["quality"] for epoch in trial.history]


def test_nothing_is_left_of_a_segment_that_takes_longer_than_the_run_allows(
    address: str, tmp_path: Path
) -> None:
    """The trainer ignores SIGTERM, its children as well; the trial's guard ends them all."""
    run = Run.of(
        tmp_path,
        "bad",
        {"name": "random", "max_recommendations": 1},
        set={"train.habit": "hang"},
        command={"timeout_s": None, "grace_s": 60},
        limits={"seconds": 2},
    )
    began = time.monotonic()
    result = run("run", "run.yaml")
    assert result.exit_code == 1
    assert not run.trainers()
    (failed,) = run.state.by_phase(Phase.FAILED)
    assert failed.failure is not None
    assert failed.failure.cause == "timeout"
    assert "its limit of 2 s" in failed.failure.reason
    assert time.monotonic() - began < 60
