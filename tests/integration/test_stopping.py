"""Runs on Ray are stopped in every way there is, and gone on with; nothing is lost or left."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections import Counter
from pathlib import Path

import driver
import psutil
import pytest
import terminal

from raytao.runs.events import Finished, Leased, Reported, Resumed, Returned, Stopped
from raytao.runs.state import RunState
from raytao.setup.folder import driver_of, read_state
from raytao.setup.resolve import resolve
from raytao.tao import layout
from raytao.testing.simulator import simulate
from raytao.testing.toy import curve
from raytao.tune.interrupts import AT_ONCE

pytestmark = [pytest.mark.ray, pytest.mark.integration]

RUN = """
network: toy
brain: {name: bayesian, max_recommendations: 6}
set: {train.sleep: 0.4, train.num_epochs: 6}
slots: 1
seed: 3
results_dir: results
"""
WIDE = """
network: toy
brain: {name: random, max_recommendations: 20}
set: {train.sleep: 0.3, train.num_epochs: 5}
resources: {cpus: 0.5}
slots: 3
seed: 3
results_dir: results
"""
LATEST = 20.0
"""Seconds within which a driver that was told to end has ended."""


def reports(folder: Path) -> int:
    return sum(isinstance(r.event, Reported) for r in driver.records(folder / "results"))


def wait_for_epochs(folder: Path, count: int) -> None:
    """Wait for ``count`` further epochs: the run is in full swing then."""
    there = reports(folder)
    driver.wait_until(lambda: reports(folder) >= there + count, f"{count} more epochs")


def begun(folder: Path, *arguments: str) -> subprocess.Popen[bytes]:
    """Raytao as the leader of a group of its own, as batch systems start it."""
    with (folder / "driver.log").open("ab") as log:
        return subprocess.Popen(
            [*driver.RAYTAO, *arguments],
            cwd=folder,
            stdout=log,
            stderr=log,
            start_new_session=True,
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
        )


def ended_in_order(process: subprocess.Popen[bytes], code: int, folder: Path) -> None:
    """The driver has ended in time, its processes have, and its folder is free."""
    family = driver.family(process.pid)
    began = time.monotonic()
    assert process.wait(LATEST) == code
    left = LATEST - (time.monotonic() - began)
    driver.wait_for_the_end_of(family, max(5.0, left))
    owner = driver_of(folder / "results")
    assert owner is None or not owner.seems_alive()


def signal_all(process: subprocess.Popen[bytes], number: signal.Signals) -> None:
    """To every process, Ray's too: Slurm and systemd do not look at groups."""
    for one in driver.family(process.pid):
        try:
            one.send_signal(number)
        except psutil.NoSuchProcess:
            continue


def said(folder: Path) -> str:
    return (folder / "driver.log").read_text()


def test_a_run_that_was_stopped_in_every_way_ends_as_if_it_had_not_been(tmp_path: Path) -> None:
    (tmp_path / "run.yaml").write_text(RUN)
    results = tmp_path / "results"

    with terminal.Terminal("run", "run.yaml", cwd=tmp_path) as window:
        wait_for_epochs(tmp_path, 2)
        window.press(terminal.CTRL_C)
        ended_in_order(window.process, 130, tmp_path)
        assert "stopping: no new work" in window.shown
        assert "stopped; go on with: raytao resume results" in window.shown

    group = begun(tmp_path, "resume", "results")
    wait_for_epochs(tmp_path, 2)
    family = driver.family(group.pid)
    os.killpg(group.pid, signal.SIGTERM)
    began = time.monotonic()
    assert group.wait(LATEST) == 143
    assert time.monotonic() - began < 10, "Ray's own processes were hit"
    driver.wait_for_the_end_of(family, LATEST)
    assert "stopped; go on with: raytao resume results" in said(tmp_path)

    everywhere = begun(tmp_path, "resume", "results")
    wait_for_epochs(tmp_path, 2)
    signal_all(everywhere, signal.SIGTERM)
    ended_in_order(everywhere, 143, tmp_path)
    assert said(tmp_path).count("raytao resume results") >= 2

    paused = begun(tmp_path, "resume", "results")
    wait_for_epochs(tmp_path, 2)
    told = driver.command("pause", "results", cwd=tmp_path)
    assert told.returncode == 0, told.stderr
    assert "paused; go on with: raytao resume results" in told.stderr
    assert paused.wait(LATEST) == 143

    stopped = begun(tmp_path, "resume", "results")
    wait_for_epochs(tmp_path, 2)
    told = driver.command("stop", "results", cwd=tmp_path)
    assert told.returncode == 0, told.stderr
    assert stopped.wait(LATEST) == 0
    state = read_state(results)
    assert state.finished == Finished("Done", "stopped by request")
    assert state.tested is not None
    assert state.incumbent is not None
    assert (results / layout.BEST_MODEL / layout.checkpoint(state.incumbent.epoch)).is_file()
    assert "Done (stopped by request)" in told.stdout
    assert "test_value" in told.stdout
    events = [r.event for r in driver.records(results)]
    after = events[max(i for i, e in enumerate(events) if isinstance(e, Stopped)) :]
    assert not any(isinstance(e, Leased) for e in after)
    assert sum(isinstance(e, Reported) for e in after) <= 1
    auto = driver.command("run", "run.yaml", "--resume", "auto", cwd=tmp_path)
    assert auto.returncode == 0, auto.stderr
    assert len(driver.records(results)) == len(events)

    done = driver.command("resume", "results", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    log = driver.records(results)
    state = RunState.fold(log)
    assert state.finished == Finished("Done")
    assert sum(isinstance(r.event, Resumed) for r in log) == 5
    times = Counter((r.event.trial, r.event.epoch) for r in log if isinstance(r.event, Reported))
    assert set(times.values()) == {1}
    trained = [(tuple(sorted(t.params.items())), t.epochs) for t in state.trials.values()]
    whole = simulate(resolve(str(tmp_path / "run.yaml")).new_brain(), curve)
    assert sorted(trained, key=repr) == whole.configurations()


def test_twice_is_now_and_a_closed_window_is_once(tmp_path: Path) -> None:
    (tmp_path / "run.yaml").write_text(RUN)
    with terminal.Terminal("run", "run.yaml", cwd=tmp_path) as window:
        wait_for_epochs(tmp_path, 2)
        family = driver.family(window.process.pid)
        window.press(terminal.CTRL_C)
        driver.wait_until(lambda: "stopping" in window.shown, "an answer", 5)
        window.press(terminal.CTRL_C)
        began = time.monotonic()
        assert window.process.wait(5) == 130
        assert time.monotonic() - began < 3
        driver.wait_for_the_end_of(family, LATEST)
        assert window.shown.rindex("\x1b[?25h") > window.shown.rindex("\x1b[?25l")
        last = window.shown.splitlines()[-1]
        assert last == f"{AT_ONCE}; go on with: raytao resume results"
    known = reports(tmp_path)

    with terminal.Terminal("resume", "results", cwd=tmp_path) as window:
        wait_for_epochs(tmp_path, 2)
        family = driver.family(window.process.pid)
        window.close()
        assert window.process.wait(LATEST) == 129
        driver.wait_for_the_end_of(family, LATEST)
    assert reports(tmp_path) >= known + 2
    assert read_state(tmp_path / "results").finished is None


def test_a_canceled_run_ends_at_once(tmp_path: Path) -> None:
    (tmp_path / "run.yaml").write_text(WIDE)
    process = begun(tmp_path, "run", "run.yaml")
    wait_for_epochs(tmp_path, 4)
    family = driver.family(process.pid)
    told = driver.command("cancel", "results", cwd=tmp_path)
    assert told.returncode == 0, told.stderr
    assert "Canceled (canceled by request)" in told.stdout
    assert process.wait(LATEST) == 1
    driver.wait_for_the_end_of(family, LATEST)
    events = [r.event for r in driver.records(tmp_path / "results")]
    stop = events.index(Stopped("canceled by request", cancel=True))
    assert {type(event) for event in events[stop + 1 :]} <= {Returned, Finished}
    state = read_state(tmp_path / "results")
    assert state.finished == Finished("Canceled", "canceled by request")
    assert state.running() == []
    assert state.tested is None
    metadata = json.loads((tmp_path / "results" / layout.METADATA).read_text())
    assert metadata["status"] == "Canceled"


def test_a_budget_is_passed_by_no_more_than_the_trials_that_run_when_it_is_spent(
    tmp_path: Path,
) -> None:
    (tmp_path / "run.yaml").write_text(WIDE + "budget: {epochs: 7}\n")
    done = driver.command("run", "run.yaml", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    state = read_state(tmp_path / "results")
    assert state.finished == Finished("Done", "budget spent: 7 epochs")
    assert 7 <= state.epochs <= 7 + 3


def test_budgets_end_a_run_well_and_can_be_raised(tmp_path: Path) -> None:
    # Epochs that are longer than the way of an order to end, on a busy machine too; and one slot:
    # trials in step may all pass into their next epoch while the order is on its way.
    slow = WIDE.replace("train.sleep: 0.3", "train.sleep: 2").replace("slots: 3", "slots: 1")
    (tmp_path / "run.yaml").write_text(slow + "budget: {epochs: 7}\n")
    results = tmp_path / "results"
    first = driver.command("run", "run.yaml", cwd=tmp_path)
    assert first.returncode == 0, first.stderr
    state = read_state(results)
    assert state.epochs == 7
    assert state.finished == Finished("Done", "budget spent: 7 epochs")
    assert state.tested is not None
    assert "Done (budget spent: 7 epochs)" in first.stdout

    size = len(driver.records(results))
    again = driver.command("resume", "results", cwd=tmp_path)
    assert again.returncode == 0, again.stderr
    assert "raytao resume results budget.epochs=14" in again.stderr
    assert len(driver.records(results)) == size

    hours = state.driven / 3600 + 0.006  # the budget is of all resumptions: 21.6 s more
    raised = driver.command(
        "resume", "results", "budget.epochs=90", f"budget.hours={hours}", cwd=tmp_path
    )
    assert raised.returncode == 0, raised.stderr
    after = read_state(results)
    assert after.finished is not None
    assert "hours" in after.finished.reason
    assert 7 < after.epochs < 90
    refused = driver.command("resume", "results", "budget.gpu_hours=1", cwd=tmp_path)
    assert refused.returncode == 2
    assert "could never be spent" in refused.stderr
