"""``raytao logs``: any trial's output, safe to look at, whole or as it comes."""

from __future__ import annotations

import json
import os
import shutil
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from raytao.cli import logs
from raytao.cli.main import main
from raytao.runs.events import Event, Finished, Judged, Leased, Opened, Reported, Started
from raytao.runs.log import EventLog, read_log
from raytao.runs.place import Place, store_at
from raytao.runs.store import LocalStore
from raytao.setup.folder import claim
from raytao.setup.resolve import resolve
from raytao.setup.setup import Setup
from raytao.tao import layout
from raytao.testing.folder_run import run_in_folder
from raytao.testing.places import local
from raytao.types import ParamValue

RUN = "network: toy\nbrain: {name: random, max_recommendations: 3}\nset: {train.num_epochs: 2}\n"
TWO = {"epochs": 2}
METRICS = {"value": 0.5, "loss": 0.5, "score": 0.5}


def prepared(folder: Path) -> Setup:
    (folder / "run.yaml").write_text(RUN)
    (folder / "results").mkdir()
    return resolve(str(folder / "run.yaml"), [f"results_dir={folder / 'results'}"])


@pytest.fixture
def setup(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Setup:
    monkeypatch.setattr(logs, "LOOK_SECONDS", 0.02)
    return prepared(tmp_path)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    setup = prepared(tmp_path_factory.mktemp("run"))
    run_in_folder(setup, store_at(setup.results))
    return local(setup.results)


@pytest.fixture
def whole(finished: Path, tmp_path: Path) -> Path:
    """The folder of a run that is over."""
    return shutil.copytree(finished, tmp_path / "whole")


def told(folder: Place, *arguments: str) -> Result:
    return CliRunner().invoke(main, ["logs", str(folder), *arguments])


def log_of(folder: Place, trial: int) -> Path:
    path = local(folder / layout.experiment(trial) / layout.LOG)
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


def record(setup: Setup, *events: Event) -> None:
    """Append to the run's log; it is opened first."""
    store = store_at(setup.results)
    known = read_log(store, layout.EVENTS)
    size = store.size(layout.EVENTS) or 0
    log = EventLog(store, layout.EVENTS, next_seq=len(known), size=size)
    for event in (*([] if known else [setup.opened()]), *events):
        log.add(event)
    log.commit()


def begun(trial: int) -> list[Event]:
    params: dict[str, ParamValue] = {"model.x": 0.5, "model.y": 5, "model.fruit": "fig"}
    return [Started(trial, params, TWO, TWO, "one more", f"job-{trial}"), Leased(trial, trial + 1)]


def reported(trial: int, epoch: int) -> Event:
    return Reported(trial, trial + 1, epoch, METRICS, 1.0)


def test_a_trial_is_asked_for_by_its_number(whole: Path) -> None:
    log_of(whole, 1).write_text("of number one\n")
    result = told(whole, "-n", "1")
    assert (result.exit_code, result.stdout, result.stderr) == (0, "of number one\n", "")


def test_without_a_number_it_is_the_one_that_was_launched_last(whole: Path) -> None:
    last = int((whole / layout.CURRENT).read_text())
    assert told(whole).stdout == log_of(whole, last).read_text()


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        (b"plain\n", "plain\n"),
        (b"no end", "no end"),
        (b"", ""),
        (b"\xff\xfe caf\xc3\xa9\n", "\\xff\\xfe café\n"),
        (b"cut off \xc3", "cut off \\xc3"),
        (b"\x1b[2J\x1b]0;title\x07\n", "\\x1b[2J\\x1b]0;title\\x07\n"),
        (b"a\tb\n", "a       b\n"),
        (b" 10%\r 20%\r\n30%\n", " 10%\n 20%\n30%\n"),
        (b"\x00" * 3 + b"\n", "\\x00\\x00\\x00\n"),
        ("right \u202e to left\n".encode(), "right \\u202e to left\n"),
    ],
)
def test_what_is_in_a_log_is_shown_as_text(whole: Path, raw: bytes, shown: str) -> None:
    log_of(whole, 0).write_bytes(raw)
    result = told(whole, "-n", "0")
    assert (result.exit_code, result.stdout) == (0, shown)


def test_a_character_across_two_reads_is_one(whole: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logs, "_CHUNK", 1)
    log_of(whole, 0).write_bytes("\r\nnaïve €\r\n".encode())
    assert told(whole, "-n", "0").stdout == "\nnaïve €\n"


@pytest.mark.parametrize("follow", [[], ["--follow"]])
def test_a_number_that_never_was_says_which_there_are(whole: Path, follow: list[str]) -> None:
    result = told(whole, "-n", "7", *follow)
    assert result.exit_code == (1 if follow else 2)
    assert "recommendation 7" in result.stderr
    assert ("the run ended (Done)" if follow else "there are 0 to 2") in result.stderr


def test_a_log_that_is_not_there_says_which_are(whole: Path) -> None:
    log_of(whole, 1).unlink()
    result = told(whole, "-n", "1")
    assert (result.exit_code, result.stdout) == (1, "")
    assert "recommendation 1 is finished; there are logs of 0, 2" in result.stderr


@pytest.mark.parametrize("follow", [[], ["--follow"]])
def test_before_the_first_trial_there_is_none(setup: Setup, follow: list[str]) -> None:
    record(setup)
    result = told(setup.results, *follow)
    assert result.exit_code == 1
    assert f"no recommendation started; go on with: raytao resume {setup.results}" in result.stderr


def test_a_trial_that_waits_for_a_worker_has_none_yet(setup: Setup) -> None:
    record(setup, *begun(0), begun(1)[0])
    log_of(setup.results, 0).write_text("training\n")
    result = told(setup.results, "-n", "1")
    assert result.exit_code == 1
    assert "recommendation 1 has not started; there are logs of 0" in result.stderr


def test_a_trial_whose_run_was_killed_before_it_said_anything_is_not_called_running(
    setup: Setup,
) -> None:
    record(setup, *begun(0))
    assert "recommendation 0 is interrupted" in told(setup.results, "-n", "0").stderr
    with claim(setup.results):
        assert "recommendation 0 is running" in told(setup.results, "-n", "0").stderr


def test_a_folder_without_a_run_is_refused(tmp_path: Path) -> None:
    result = told(tmp_path)
    assert result.exit_code == 2
    assert "holds no raytao run" in result.stderr


@pytest.mark.parametrize("what", ["a pipe", "a link", "a folder"])
def test_a_log_that_is_no_file_is_not_waited_for(whole: Path, what: str) -> None:
    path = log_of(whole, 0)
    path.unlink()
    if what == "a pipe":
        os.mkfifo(path)
    elif what == "a link":
        path.symlink_to(whole / layout.EVENTS)
    else:
        path.mkdir()
    result = told(whole, "-n", "0")
    assert result.exit_code == 1
    assert str(path) in result.stderr


def test_tao_s_own_folder_is_read_too(tmp_path: Path) -> None:
    (tmp_path / layout.CONTROLLER).write_text("[]")
    (tmp_path / layout.CURRENT).write_text("4")
    log_of(tmp_path, 4).write_text("of TAO's\n\nEOF\n")
    assert told(tmp_path).stdout == told(tmp_path, "-n", "4").stdout == "of TAO's\n\nEOF\n"
    missing = told(tmp_path, "-n", "2", "--follow")
    assert missing.exit_code == 1
    assert "no log of experiment 2" in missing.stderr
    for torn in ("[", "[1]", "-3", "Infinity", "1.5", "null", ""):
        (tmp_path / layout.CURRENT).write_text(torn)
        assert "give -n" in told(tmp_path).stderr


class Followed:
    """``raytao logs --follow`` on a thread, of a run that this process drives."""

    def __init__(self, folder: Place, *arguments: str) -> None:
        self._lines: list[Result] = []
        self._thread = threading.Thread(
            target=lambda: self._lines.append(told(folder, *arguments, "--follow")), daemon=True
        )
        self._thread.start()

    @property
    def goes_on(self) -> bool:
        return self._thread.is_alive()

    def end(self) -> Result:
        self._thread.join(5)
        assert not self.goes_on, "it follows for ever"
        return self._lines[0]


def some_looks() -> None:
    time.sleep(0.15)


def test_what_is_followed_is_printed_as_it_comes_until_the_trial_s_end(setup: Setup) -> None:
    path = log_of(setup.results, 0)
    with claim(setup.results):
        record(setup, *begun(0))
        follow = Followed(setup.results)
        some_looks()
        path.write_bytes(b"one\n")
        some_looks()
        with path.open("ab") as file:
            file.write(b"two \xe2\x82")
            file.flush()
            some_looks()
            file.write(b"\xac\nthree\n")
        record(setup, *begun(1))  # another starts: it is not the one that is followed
        log_of(setup.results, 1).write_text("of another\n")
        some_looks()
        assert follow.goes_on
        record(setup, reported(0, 1), reported(0, 2), Judged(0, "stop"))
        result = follow.end()
    assert (result.exit_code, result.stdout) == (0, "one\ntwo €\nthree\n")
    assert "recommendation 0 is finished" in result.stderr


def test_a_trial_that_is_to_come_is_waited_for(setup: Setup) -> None:
    with claim(setup.results):
        record(setup, *begun(0))
        follow = Followed(setup.results, "-n", "1")
        some_looks()
        assert follow.goes_on
        log_of(setup.results, 1).write_text("here I am\n")
        record(setup, *begun(1), reported(1, 1), reported(1, 2), Judged(1, "stop"))
        result = follow.end()
    assert (result.exit_code, result.stdout) == (0, "here I am\n")


def test_a_trial_that_waits_at_its_rung_may_go_on(setup: Setup) -> None:
    with claim(setup.results):
        log_of(setup.results, 0).write_text("first segment\n")
        record(setup, *begun(0), reported(0, 1), Judged(0, "pause"))
        follow = Followed(setup.results)
        some_looks()
        assert follow.goes_on
        record(setup, Finished("Done"))
        result = follow.end()
    assert result.stdout == "first segment\n"
    assert "the run is over: Done" in result.stderr


def shrink(path: Path) -> None:
    path.write_bytes(b"new\n")


def vanish(path: Path) -> None:
    path.unlink()
    some_looks()
    path.write_bytes(b"new\n")


@pytest.mark.parametrize("change", [shrink, vanish])
def test_a_log_that_is_begun_anew_is_shown_from_its_beginning(
    setup: Setup, change: Callable[[Path], None]
) -> None:
    path = log_of(setup.results, 0)
    path.write_bytes(b"the old and longer one\n")
    with claim(setup.results):
        record(setup, *begun(0))
        follow = Followed(setup.results)
        some_looks()
        change(path)
        some_looks()
        record(setup, reported(0, 1), reported(0, 2), Judged(0, "stop"))
        result = follow.end()
    assert result.stdout == "the old and longer one\nnew\n"
    assert "was begun anew" in result.stderr


def test_who_follows_a_run_that_nobody_drives_is_told_so(setup: Setup) -> None:
    record(setup, *begun(0))
    log_of(setup.results, 0).write_text("so far\n")
    result = told(setup.results, "--follow")
    assert (result.exit_code, result.stdout) == (0, "so far\n")
    assert f"no raytao drives {setup.results}" in result.stderr


def test_numbers_in_a_run_of_an_unknown_network_are_read_all_the_same(tmp_path: Path) -> None:
    log = EventLog(LocalStore(tmp_path), layout.EVENTS)
    for event in (Opened({"settings": {}}, "value", "maximize", "1.0"), *begun(0)):
        log.add(event)
    log.commit()
    log_of(tmp_path, 0).write_text(json.dumps({"a": 1}))
    assert told(tmp_path).stdout == '{"a": 1}'
