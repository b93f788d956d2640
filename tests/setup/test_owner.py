"""One driver a results folder, and who it is."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner

from raytao.automl.run import Run
from raytao.cli.main import main
from raytao.errors import FolderError
from raytao.runs.log import EventLog
from raytao.runs.owner_file import Owner
from raytao.runs.place import Place, store_at
from raytao.runs.process import Process
from raytao.setup.folder import Found, claim, driver_of, inspect_folder, is_driven
from raytao.setup.resolve import resolve
from raytao.setup.setup import Setup
from raytao.tao import layout
from raytao.testing.places import local

HERE = Process.this()
ELSEWHERE = Process("far-away", 7, "another boot", "pid:[1]", 12)
SINCE = "2031-02-03T04:05:06+00:00"

HOLD = """
import sys
from pathlib import Path
from raytao.setup.folder import claim
with claim(Path(sys.argv[1])):
    print("mine", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def hold() -> Iterator[Callable[[Place], subprocess.Popen[str]]]:
    started: list[subprocess.Popen[str]] = []

    def start(folder: Place) -> subprocess.Popen[str]:
        command = [sys.executable, "-c", HOLD, str(folder)]
        pipe = subprocess.PIPE
        started.append(subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True))
        assert started[-1].stdout is not None
        assert started[-1].stdout.readline() == "mine\n"
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.communicate()


@pytest.fixture
def setup(tmp_path: Path) -> Setup:
    """A run of which the first record was written."""
    path = tmp_path / "run.yaml"
    path.write_text(f"network: toy\nbrain: random\nresults_dir: {tmp_path / 'results'}\n")
    made = resolve(str(path), ())
    log = EventLog(store_at(made.results), layout.EVENTS)
    log.add(made.opened())
    log.commit()
    return made


def left(folder: Place, process: Process, *, ago: float = 0.0) -> Owner:
    """An owner that was killed."""
    owner = Owner("token", process, SINCE, 3, time.time() - ago)
    store_at(folder).replace(f"{layout.OWNER}/1", owner.to_bytes())
    return owner


def contents(folder: Place) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in local(folder).rglob("*") if path.is_file()}


def status(folder: Place, *options: str) -> str:
    """What ``raytao status`` prints; it writes nothing."""
    before = contents(folder)
    result = CliRunner().invoke(main, ["status", str(folder), *options])
    assert result.exit_code == 0, result.output
    assert contents(folder) == before
    return " ".join(result.stdout.split())


def test_a_second_driver_is_refused_until_the_first_is_gone_however_it_went(
    tmp_path: Path, hold: Callable[[Place], subprocess.Popen[str]]
) -> None:
    first, said = hold(tmp_path), list[str]()
    with pytest.raises(FolderError) as refused:
        claim(tmp_path)
    message = refused.value.message
    started = f"another raytao is running in {tmp_path}: {HERE.host}, pid {first.pid}, since 2"
    assert message.startswith(started)
    assert f"raytao status {tmp_path} --watch" in refused.value.remedy
    assert "at once on its own machine, 45 s later on another" in refused.value.remedy
    first.kill()
    first.wait()
    with claim(tmp_path, say=said.append):
        assert is_driven(tmp_path)
    assert not is_driven(tmp_path)
    assert len(said) == 1
    assert said[0].startswith(f"took over from {HERE.host}, pid {first.pid}, since 2")


def test_the_same_process_is_told_that_it_is_itself(tmp_path: Path) -> None:
    with (
        claim(tmp_path),
        pytest.raises(FolderError, match="it is this very process"),
    ):
        claim(tmp_path)


def test_a_folder_that_is_not_there_is_driven_by_nobody(tmp_path: Path) -> None:
    assert driver_of(tmp_path / "nowhere") is None
    assert not is_driven(tmp_path / "nowhere")
    assert list(tmp_path.iterdir()) == []


class TestBeforeARun:
    def test_a_driver_on_this_machine_is_refused_whatever_is_asked(
        self, setup: Setup, hold: Callable[[Place], subprocess.Popen[str]]
    ) -> None:
        hold(setup.results)
        for resume in (True, False):
            with pytest.raises(FolderError, match="another raytao is running"):
                inspect_folder(setup, resume=resume)

    def test_one_that_was_killed_here_is_no_obstacle(self, setup: Setup) -> None:
        left(setup.results, replace(HERE, ticks=0))
        assert inspect_folder(setup, resume=True) is Found.SAME

    def test_one_elsewhere_may_be_dead_and_is_left_to_the_claim(self, setup: Setup) -> None:
        left(setup.results, ELSEWHERE)
        assert inspect_folder(setup, resume=True) is Found.SAME
        with pytest.raises(FolderError, match="another raytao is running"):
            inspect_folder(setup, resume=False)

    def test_a_driver_that_was_killed_before_its_first_record_leaves_a_fresh_folder(
        self, setup: Setup
    ) -> None:
        local(setup.results / layout.EVENTS).unlink()
        left(setup.results, replace(HERE, ticks=0))
        assert inspect_folder(setup, resume=False) is Found.FRESH


class TestStatus:
    def test_tells_who_drives_a_run(
        self, setup: Setup, hold: Callable[[Place], subprocess.Popen[str]]
    ) -> None:
        driver = hold(setup.results)
        assert f"status Running: {HERE.host}, pid {driver.pid}, since 2" in status(setup.results)
        told = json.loads(status(setup.results, "--json"))
        assert told["status"] == "Running"
        assert told["owner"]["host"] == HERE.host
        assert told["owner"]["pid"] == driver.pid
        assert told["owner"]["life"] == "alive"

    def test_tells_who_was_killed_at_it(self, setup: Setup) -> None:
        left(setup.results, replace(HERE, ticks=0))
        said = status(setup.results)
        assert f"status Interrupted: no raytao drives it ({HERE.host}, pid {HERE.pid}," in said
        assert f"go on with: raytao resume {setup.results}" in said
        assert Run(setup.results).status == "Interrupted"

    def test_tells_when_one_elsewhere_was_heard_of(self, setup: Setup) -> None:
        left(setup.results, ELSEWHERE, ago=12)
        said = status(setup.results)
        assert "status Running: far-away, pid 7, since 2031-02-03 04:05:06+00:00" in said
        assert "last heard of 0:00:1" in said
        left(setup.results, ELSEWHERE, ago=3600)
        said = status(setup.results)
        assert "status Interrupted: far-away, pid 7" in said
        assert "last heard of 1:00:0" in said

    def test_of_a_run_that_nobody_claimed_tells_no_owner(self, setup: Setup) -> None:
        assert "status Interrupted: no raytao drives it go on with" in status(setup.results)
        assert json.loads(status(setup.results, "--json"))["owner"] is None
