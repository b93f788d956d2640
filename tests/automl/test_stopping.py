"""A search is stopped, paused or cancelled from outside; here a loop of the user's own."""

from __future__ import annotations

import errno
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

import raytao
from raytao.automl import stopping
from raytao.automl.stopping import NotHeard, ask_run
from raytao.cli.main import main
from raytao.runs.events import Finished, Reported, Returned, Stopped
from raytao.runs.log import read_log
from raytao.runs.store import LocalStore, StoreError
from raytao.setup.folder import read_state
from raytao.setup.request import Ask
from raytao.tao import layout

LOOP = """
import sys, time
import raytao

tuner = raytao.AutoML(
    space={"x": (0.0, 1.0)}, metric="value", epochs=5, seed=4, results_dir="r",
    brain={"name": "random", "max_recommendations": 50},
)
while (trial := tuner.ask()) is not None:
    for epoch in trial.epochs:
        time.sleep(0.1)
        if not tuner.tell(trial, trial.params["x"] * epoch):
            break
print("over")
"""


@pytest.fixture
def loop(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """A search in a process of its own, with an epoch in its log."""
    with subprocess.Popen(
        [sys.executable, "-c", LOOP],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        log, deadline = tmp_path / "r" / layout.EVENTS, time.monotonic() + 8
        while not (log.is_file() and b'"reported"' in log.read_bytes()):
            assert time.monotonic() < deadline
            time.sleep(0.02)
        yield process
        process.kill()


def silent(line: str) -> None:
    """Say nothing."""


def test_stop_lets_the_trial_end_its_epoch_and_the_run_end_well(
    loop: subprocess.Popen[str], tmp_path: Path
) -> None:
    answer = CliRunner().invoke(main, ["stop", str(tmp_path / "r")])
    assert answer.exit_code == 0, answer.output
    assert "Done (stopped by request)" in answer.stdout
    assert "waiting until" in answer.stderr
    state = read_state(tmp_path / "r")
    assert state.finished == Finished("Done", "stopped by request")
    events = [r.event for r in read_log(LocalStore(tmp_path / "r"), layout.EVENTS)]
    stopped = events.index(Stopped("stopped by request"))
    after = [type(event).__name__ for event in events[stopped + 1 :]]
    assert after in (["Returned", "Finished"], ["Finished"])  # what was told is in before
    assert loop.communicate(timeout=5)[0].endswith("over\n")
    assert not (tmp_path / "r" / layout.REQUEST).exists()


def test_pause_leaves_it_to_be_gone_on_with(loop: subprocess.Popen[str], tmp_path: Path) -> None:
    answer = CliRunner().invoke(main, ["pause", str(tmp_path / "r")])
    assert answer.exit_code == 0, answer.output
    assert f"paused; go on with: raytao resume {tmp_path / 'r'}" in answer.stderr
    said = loop.communicate(timeout=5)[0]
    assert "paused by request; go on with .ask(resume=True)" in said
    assert loop.returncode == 143
    assert read_state(tmp_path / "r").finished is None


def test_cancel_ends_it_at_once(loop: subprocess.Popen[str], tmp_path: Path) -> None:
    run = raytao.open(tmp_path / "r")
    assert run.cancel() is run
    assert run.status == "Canceled"
    events = [r.event for r in read_log(LocalStore(tmp_path / "r"), layout.EVENTS)]
    canceled = events.index(Stopped("canceled by request", cancel=True))
    assert {type(event) for event in events[canceled + 1 :]} <= {Returned, Finished}
    assert read_state(tmp_path / "r").running() == []
    assert loop.communicate(timeout=5)[0].endswith("over\n")


class Flickering(LocalStore):
    """A folder that cannot be listed, every other time."""

    refuses = True

    def list(self, prefix: str = "") -> list[str]:
        Flickering.refuses = not Flickering.refuses
        if Flickering.refuses:
            raise StoreError(f"cannot read {prefix}", errno.EIO)
        return super().list(prefix)


def test_a_driver_that_cannot_be_seen_for_a_moment_is_not_gone(
    loop: subprocess.Popen[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stopping, "store_at", Flickering)
    said: list[str] = []
    ask_run(Ask.PAUSE, tmp_path / "r", said.append)
    assert said[-1].startswith("paused; ")
    assert loop.wait(5) == 143


def test_nobody_is_said_to_be_gone_from_a_folder_that_cannot_be_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    search(tmp_path / "r").ask()
    monkeypatch.setattr(Flickering, "refuses", False)
    monkeypatch.setattr(stopping, "store_at", Flickering)
    with pytest.raises(StoreError, match="cannot read"):
        ask_run(Ask.PAUSE, tmp_path / "r", silent)


def test_who_does_not_answer_in_time_is_named(loop: subprocess.Popen[str], tmp_path: Path) -> None:
    with pytest.raises(NotHeard, match=f"pid {loop.pid}.*has not answered"):
        ask_run(Ask.STOP, tmp_path / "r", silent, patience=0)
    assert loop.wait(5) == 0  # it was asked all the same
    assert read_state(tmp_path / "r").finished == Finished("Done", "stopped by request")


def test_a_driver_that_dies_meanwhile_is_replaced(
    loop: subprocess.Popen[str], tmp_path: Path
) -> None:
    said: list[str] = []

    def kill(line: str) -> None:
        said.append(line)
        loop.kill()
        loop.wait()

    state = ask_run(Ask.STOP, tmp_path / "r", kill)
    assert state.finished == Finished("Done", "stopped by request")
    assert state.incumbent is not None
    assert "without a driver" in said[-1]


def search(folder: Path, **settings: Any) -> raytao.AutoML:
    return raytao.AutoML(
        space={"x": (0.0, 1.0)},
        metric="value",
        epochs=3,
        brain={"name": "random", "max_recommendations": 4},
        results_dir=folder,
        **settings,
    )


def drive(tuner: raytao.AutoML, *, resume: bool = False) -> int:
    told = 0
    while (trial := tuner.ask(resume=resume)) is not None:
        for _ in trial.epochs:
            told += 1
            if not tuner.tell(trial, 0.5):
                break
    return told


def test_within_one_process_nobody_waits_for_himself(tmp_path: Path) -> None:
    tuner = search(tmp_path / "r")
    trial = tuner.ask()
    assert trial is not None
    time.sleep(1.1)  # a driver looks once a second
    tuner.run.stop()
    assert tuner.tell(trial, 0.5) is False
    assert tuner.ask() is None
    assert tuner.done
    assert tuner.run.status == "Done"


def told_in(folder: Path) -> list[Reported]:
    records = read_log(LocalStore(folder), layout.EVENTS)
    return [record.event for record in records if isinstance(record.event, Reported)]


@pytest.mark.parametrize("ask", Ask)
def test_what_is_told_when_the_end_is_asked_for_is_in_the_log(ask: Ask, tmp_path: Path) -> None:
    tuner = search(tmp_path / "r")
    trial = tuner.ask()
    assert trial is not None
    time.sleep(1.1)  # a driver looks once a second
    ask_run(ask, tmp_path / "r", silent)
    if ask is Ask.PAUSE:
        with pytest.raises(SystemExit):
            tuner.tell(trial, 0.25)
        with pytest.raises(SystemExit):
            tuner.tell(trial, 0.75)  # the folder may be another driver's by now
    else:
        assert tuner.tell(trial, 0.25) is False
    assert [event.metrics["value"] for event in told_in(tmp_path / "r")] == [0.25]


def test_a_loop_that_was_stopped_goes_on_with_the_rest_of_its_plan(tmp_path: Path) -> None:
    tuner = search(tmp_path / "r")
    trial = tuner.ask()
    assert trial is not None
    tuner.close()
    raytao.open(tmp_path / "r").stop()
    assert drive(search(tmp_path / "r"), resume=True) == 12
    assert read_state(tmp_path / "r").finished == Finished("Done")


def test_the_budget_of_a_loop_is_kept_over_resumptions(tmp_path: Path) -> None:
    tuner = search(tmp_path / "r", budget={"epochs": 5})
    assert drive(tuner) == 5
    assert read_state(tmp_path / "r").finished == Finished("Done", "budget spent: 5 epochs")
    assert drive(search(tmp_path / "r", budget={"epochs": 5}), resume=True) == 0
    assert drive(search(tmp_path / "r", budget={"epochs": 9}), resume=True) == 4
    assert drive(search(tmp_path / "r"), resume=True) == 3
    assert read_state(tmp_path / "r").finished == Finished("Done")
