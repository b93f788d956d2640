"""The driver is killed in the middle of a run, with real signals; ``raytao resume`` goes on."""

from __future__ import annotations

import signal
import subprocess
from collections import Counter
from pathlib import Path

import driver
import psutil
import pytest

from raytao.runs.events import Reported, Started
from raytao.runs.state import RunState
from raytao.runs.store import LocalStore
from raytao.setup.resolve import resolve
from raytao.tao import layout
from raytao.testing.simulator import simulate
from raytao.testing.toy import curve
from raytao.trials.provenance import read_provenance

pytestmark = [pytest.mark.ray, pytest.mark.integration]

HYPERBAND = """
network: toy
brain: {name: hyperband, R: 9, nu: 3, epoch_multiplier: 1, mode: sync}
set: {train.sleep: 0.3}
seed: 3
results_dir: results
"""
BAYESIAN = """
network: toy
brain: {name: bayesian, max_recommendations: 6}
set: {train.sleep: 0.3, train.num_epochs: 4}
slots: 1
seed: 3
results_dir: results
"""


def reports(results: Path) -> list[Reported]:
    return [r.event for r in driver.records(results) if isinstance(r.event, Reported)]


def kill_after(
    count: int, process: subprocess.Popen[bytes], results: Path
) -> list[psutil.Process]:
    """kill -9 once ``count`` epochs are in the log; return Ray's agents, which die later."""
    driver.wait_until(lambda: len(reports(results)) >= count, f"{count} epochs")
    processes = driver.family(process.pid)
    agents = [p for p in processes if driver.is_rays_agent(p)]
    process.kill()
    process.wait()
    driver.wait_for_the_end_of([p for p in processes if p not in agents], 30)
    return agents


def told(results: Path, trial: int) -> Counter[int]:
    """How often the trial said of each epoch that it trains it."""
    lines = (results / layout.experiment(trial) / layout.LOG).read_text().splitlines()
    said = "training epoch "
    return Counter(int(line.removeprefix(said)) for line in lines if line.startswith(said))


def committed(results: Path) -> dict[int, dict[int, int]]:
    """By trial, the epochs durable in its own folder, and how often it told of each so far."""
    store = LocalStore(results)
    trials = RunState.fold(driver.records(results)).trials
    found = {n: read_provenance(store, layout.experiment(n)) for n in trials}
    return {
        n: {epoch: told(results, n)[epoch] for epoch in range(1, own.epochs_trained + 1)}
        for n, own in found.items()
        if own is not None
    }


@pytest.mark.parametrize(
    ("run", "kills"),
    [
        pytest.param(HYPERBAND, (4, 20), id="hyperband"),
        pytest.param(BAYESIAN, (6, 15), id="bayesian at one slot"),
    ],
)
def test_a_killed_run_ends_as_if_it_had_not_been_killed(
    run: str, kills: tuple[int, ...], tmp_path: Path
) -> None:
    (tmp_path / "run.yaml").write_text(run)
    results = tmp_path / "results"
    arguments: tuple[str | Path, ...] = ("run", "run.yaml")
    durable: list[dict[int, dict[int, int]]] = []
    before: list[Started] = []
    agents: list[psutil.Process] = []
    for count in kills:
        agents += kill_after(count, driver.start(*arguments, cwd=tmp_path), results)
        durable.append(committed(results))
        before = [r.event for r in driver.records(results) if isinstance(r.event, Started)]
        arguments = ("resume", results)
    done = driver.command("resume", results, cwd=tmp_path)
    assert done.returncode == 0, done.stderr

    log = driver.records(results)
    after = [r.event for r in log if isinstance(r.event, Started)]
    assert after[: len(before)] == before
    times = Counter((e.trial, e.epoch) for e in reports(results))
    assert set(times.values()) == {1}
    for known in durable:
        for trial, epochs in known.items():
            assert all(epochs.values()), f"trial {trial} kept epochs that its log lacks: {epochs}"
            later = told(results, trial)
            again = [epoch for epoch, count in epochs.items() if later[epoch] > count]
            assert not again, f"trial {trial} had {epochs} and trained {again} again"
    state = RunState.fold(log)
    assert all(t.epochs <= t.budget for t in state.trials.values())
    brain = resolve(str(tmp_path / "run.yaml")).new_brain()
    expected = simulate(brain, curve).configurations()
    trained = [(tuple(sorted(t.params.items())), t.epochs) for t in state.trials.values()]
    assert sorted(trained, key=repr) == expected
    driver.wait_for_the_end_of(agents, 100)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interrupted_run_says_how_to_go_on(
    number: signal.Signals, code: int, tmp_path: Path
) -> None:
    # Long enough that it has not ended when a second raytao has started, looked and gone.
    (tmp_path / "run.yaml").write_text(BAYESIAN.replace("train.sleep: 0.3", "train.sleep: 1.5"))
    process = driver.start("run", "run.yaml", cwd=tmp_path)
    driver.wait_until((tmp_path / "results" / layout.EVENTS).exists, "the run's log")
    second = driver.command("resume", "results", cwd=tmp_path)
    assert second.returncode == 2
    assert "another raytao is running" in second.stderr
    driver.wait_until(lambda: len(reports(tmp_path / "results")) >= 2, "two epochs")
    processes = driver.family(process.pid)
    process.send_signal(number)
    assert process.wait(30) == code
    driver.wait_for_the_end_of(processes, 100)
    assert "raytao resume results" in (tmp_path / "driver.log").read_text()
    assert driver.command("run", "run.yaml", cwd=tmp_path).returncode == 2
    auto = driver.command("run", "run.yaml", "--resume", "auto", cwd=tmp_path)
    assert auto.returncode == 0, auto.stderr
    again = driver.command("run", "run.yaml", "--resume", "auto", cwd=tmp_path)
    assert again.returncode == 0, again.stderr
