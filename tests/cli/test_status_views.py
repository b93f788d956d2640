"""``raytao status`` once, and ``--watch``: of runs that go on, that ended, that are none."""

from __future__ import annotations

import json
import re
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner

from raytao.automl.run import open_run
from raytao.cli.main import main
from raytao.cli.status import show_status
from raytao.runs.events import Leased, Placed
from raytao.runs.log import Record, read_log, seal
from raytao.runs.place import store_at
from raytao.setup.folder import claim, open_folder
from raytao.setup.resolve import resolve
from raytao.setup.setup import Setup
from raytao.tao import layout
from raytao.testing.folder_run import run_in_folder
from raytao.testing.places import local

RUN = """
network: toy
brain: {name: hyperband, R: 3, nu: 3, epoch_multiplier: 1, mode: sync}
set: {train.num_epochs: 3}
"""


@pytest.fixture
def setup(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Setup:
    """A run that has ended, in ``r``."""
    monkeypatch.chdir(tmp_path)
    Path("run.yaml").write_text(RUN)
    made = resolve("run.yaml", ["results_dir=r"])
    local(made.results).mkdir()
    run_in_folder(made, store_at(made.results))
    return made


def shown(*arguments: str) -> str:
    result = CliRunner().invoke(main, ["status", *arguments])
    assert result.exit_code == 0, result.output
    return result.stdout


def test_every_trial_and_every_bracket_is_listed_where_it_is_piped(setup: Setup) -> None:
    lines = shown("r").splitlines()
    trials = [line for line in lines if line[:3].strip().isdigit()]
    assert len(trials) == setup.new_brain().plan().trials
    assert any(line.startswith("bracket 1") and "3/3" in line for line in lines)
    assert any(line.startswith("Best over epochs") for line in lines)


def test_json_tells_what_running_trials_use(setup: Setup) -> None:
    log = local(setup.results / layout.EVENTS)
    lines = log.read_bytes().splitlines(keepends=True)
    placed = next(n for n, line in enumerate(lines) if b'"leased"' in line)
    log.write_bytes(b"".join(lines[: placed + 1]))
    told = json.loads(shown("r", "--json"))
    assert told["running"] == []  # nobody has told where it runs
    assert told["status"] == "Interrupted"


def test_watching_a_run_that_grows_tells_its_events_as_the_run_does(
    setup: Setup, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    log = local(setup.results / layout.EVENTS)
    whole = log.read_bytes()
    lines = whole.splitlines(keepends=True)
    log.write_bytes(b"".join(lines[:6]))
    monkeypatch.setattr("raytao.cli.status.WATCH_SECONDS", 0.05)
    monkeypatch.setattr("raytao.cli.status.is_driven", lambda folder: True)

    def grow() -> None:
        for end in range(7, len(lines) + 1, 5):
            time.sleep(0.03)
            log.write_bytes(b"".join(lines[:end]))
        log.write_bytes(whole)

    driver = threading.Thread(target=grow)
    driver.start()
    watched = shown("r", "--watch")
    driver.join()
    assert "goes on to epoch 3" in watched
    assert watched.splitlines()[-1] == "status Done"
    assert capsys.readouterr().err == ""


def test_watching_a_run_whose_driver_is_gone_ends_with_how_to_go_on(setup: Setup) -> None:
    log = local(setup.results / layout.EVENTS)
    log.write_bytes(b"".join(log.read_bytes().splitlines(keepends=True)[:6]))
    told = shown("r", "--watch")
    assert "status Interrupted: no raytao drives it" in told
    assert told.endswith("go on with: raytao resume r\n")


def test_ctrl_c_leaves_quietly(setup: Setup, monkeypatch: pytest.MonkeyPatch) -> None:
    log = local(setup.results / layout.EVENTS)
    log.write_bytes(b"".join(log.read_bytes().splitlines(keepends=True)[:6]))

    def press(seconds: float) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("raytao.cli.status.is_driven", lambda folder: True)
    monkeypatch.setattr("raytao.cli.status.time.sleep", press)
    left = CliRunner().invoke(main, ["status", "r", "--watch"])
    assert left.exit_code == 130
    assert left.stderr == ""


def test_a_folder_that_is_none_and_one_without_a_run_are_told_apart(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    for name, said, *options in (
        ("none", "a run makes its folder once Ray"),
        ("none", "a run makes its folder once Ray", "--watch", "--json"),
        ("empty", "no raytao run"),
        ("empty", "no raytao run", "--watch"),
    ):
        refused = CliRunner().invoke(main, ["status", str(tmp_path / name), *options])
        assert refused.exit_code == 2
        assert said in refused.stderr


def test_who_watches_before_the_run_is_there_waits_for_it(
    setup: Setup, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = local(setup.results / layout.EVENTS)
    whole = log.read_bytes()
    first = whole.splitlines(keepends=True)[0]
    later = Path("later")
    come: list[Callable[[], object]] = [
        lambda: None,
        later.mkdir,  # a run makes its folder before its log
        lambda: (later / layout.EVENTS).write_bytes(first[:20]),
        lambda: (later / layout.EVENTS).write_bytes(whole),
    ]
    monkeypatch.setattr("raytao.cli.status.time.sleep", lambda seconds: come.pop(0)())
    watched = CliRunner().invoke(main, ["status", "later", "--watch"])
    assert watched.exit_code == 0, watched.output
    assert watched.stderr == "waiting for later …; Ctrl-C ends\n"
    assert watched.stdout.splitlines()[-1] == "status Done"
    assert not come


def test_who_watches_a_folder_that_was_only_just_claimed_waits_for_its_run(
    setup: Setup, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = local(setup.results / layout.EVENTS)
    whole = log.read_bytes()
    log.unlink()
    monkeypatch.setattr("raytao.cli.status.time.sleep", lambda seconds: log.write_bytes(whole))
    refused = CliRunner().invoke(main, ["status", str(setup.results), "--watch"])
    assert refused.exit_code == 3  # nobody drives it: it is damaged
    with claim(setup.results):
        watched = CliRunner().invoke(main, ["status", str(setup.results), "--watch"])
    assert watched.exit_code == 0, watched.output
    assert watched.stderr.startswith("waiting for ")


def test_ctrl_c_ends_the_waiting_quietly(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def press(seconds: float) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("raytao.cli.status.time.sleep", press)
    left = CliRunner().invoke(main, ["status", str(tmp_path / "never"), "--watch"])
    assert left.exit_code == 130
    assert left.stdout == ""
    assert len(left.stderr.splitlines()) == 1


def test_what_trained_when_its_driver_went_is_interrupted_everywhere(
    setup: Setup, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = local(setup.results / layout.EVENTS)
    lines = log.read_bytes().splitlines(keepends=True)
    report = next(n for n, line in enumerate(lines) if b'"reported"' in line)
    log.write_bytes(b"".join(lines[:report]))
    _, state = open_folder(setup.results)
    out = len(state.running())
    assert out
    for view in (shown("r"), open_run("r")._repr_html_()):
        assert "interrupted" in view
        assert "running" not in view
    watched = shown("r", "--watch")
    assert "go on with: raytao resume r" in watched
    told = json.loads(shown("r", "--json"))
    assert [trial["phase"] for trial in told["controller"]].count("running") == out  # as logged
    monkeypatch.setattr("raytao.cli.status.is_driven", lambda folder: True)
    assert "running" in shown("r")


def test_where_trials_run_is_told_while_a_driver_is_at_work_only(setup: Setup) -> None:
    log = local(setup.results / layout.EVENTS)
    records = read_log(store_at(setup.results), layout.EVENTS)
    leased = next(n for n, one in enumerate(records) if isinstance(one.event, Leased))
    placed = Record(leased + 1, 0.0, Placed(0, 1, "gpu-3", 812, 1.0, 0.0, []), 1.0)
    log.write_bytes(b"".join(seal(one) for one in [*records[: leased + 1], placed]))
    assert json.loads(shown("r", "--json"))["running"] == []
    with claim(setup.results):
        told = json.loads(shown("r", "--json"))
    assert told["status"] == "Running"
    assert [place["node"] for place in told["running"]] == ["gpu-3"]


@pytest.mark.parametrize("option", [[], ["--watch"]])
def test_the_header_is_plain_where_the_terminal_has_ascii_only(
    setup: Setup, option: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with (tmp_path / "out").open("w", encoding="ascii") as file:
        monkeypatch.setattr("sys.stdout", file)
        show_status(setup.results, watch=bool(option), as_json=False)
    first = (tmp_path / "out").read_text().splitlines()[0]
    assert first == "raytao toy | hyperband | value (maximize) | 3 parameters"


@pytest.mark.parametrize("epochs", [1, 2])
def test_of_a_run_that_was_stopped_no_trial_waits_and_no_epoch_is_pending(
    epochs: int, setup: Setup
) -> None:
    log = local(setup.results / layout.EVENTS)
    lines = log.read_bytes().splitlines(keepends=True)
    reports = [n for n, line in enumerate(lines) if b'"reported"' in line]
    log.write_bytes(b"".join(lines[: reports[epochs - 1] + 1]))
    before = shown("r")
    assert "paused" in before or "offered" in before or "interrupted" in before
    assert CliRunner().invoke(main, ["stop", "r"]).exit_code == 0
    _, state = open_folder(setup.results)
    plan = setup.new_brain().plan()
    for view in (shown("r"), open_run("r")._repr_html_(), open_run("r").table().to_string()):
        assert "left" in view
        assert not {"paused", "offered", "running", "interrupted"} & set(re.findall(r"\w+", view))
    assert f"0  ({state.epochs} of {plan.epochs} trained)" in shown("r")
