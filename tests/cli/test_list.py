"""``raytao list``: every run below a folder in a line, TAO's and damaged ones too."""

from __future__ import annotations

import json
import shutil
import time
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from tao_folders import bayesian_of_dino

from raytao.cli.listing import _lines, list_runs
from raytao.cli.main import main
from raytao.runs.events import Opened
from raytao.runs.log import Record, seal
from raytao.runs.place import ObjectPlace, store_at
from raytao.setup import glance
from raytao.setup.glance import Glance, runs_below
from raytao.tao import layout
from tests.at_once import at_once

GOLDEN = Path(__file__).parents[1] / "golden" / "format_2"


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("COLUMNS", raising=False)  # workers of the test run have it, from readline
    return tmp_path


def runs(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["list", *arguments])


def told(*arguments: str) -> dict[str, dict[str, Any]]:
    """What is told of each run, by its folder."""
    result = runs(*arguments, "--json")
    assert result.exit_code == 0, result.stderr
    return {run["folder"]: run for run in json.loads(result.stdout)}


def copy(name: str, to: Path) -> Path:
    """A finished run's log and drawings."""
    to.mkdir(parents=True)
    for path in (GOLDEN / name / "run").iterdir():
        if path.is_file():
            shutil.copy(path, to)
    return to


def test_a_run_is_told_as_its_log_has_it() -> None:
    copy("hyperband_done", Path("results/a"))
    assert told()["results/a"] == {
        "folder": "results/a",
        "status": "Done",
        "network": "toy",
        "brain": "hyperband",
        "metric": "value",
        "best": 0.6806333320134428,
        "trials": 12,
        "epochs": 36,
        "last_news": told()["results/a"]["last_news"],
        "by_tao": False,
        "problem": None,
    }
    assert told("results/a").keys() == {"results/a"}
    header, line = runs().stdout.splitlines()
    assert header.split()[:6] == ["status", "best", "metric", "trials", "epochs", "last"]
    assert line.split()[:5] == ["Done", "0.6806", "value", "12", "36"]
    assert line.endswith("  toy, hyperband  results/a")


def test_the_run_that_was_heard_of_last_comes_first() -> None:
    for name in ("hyperband_done", "digits_done", "loop"):
        copy(name, Path("results") / name)
    heard = [run["last_news"] for run in told().values()]
    assert heard == sorted(heard, reverse=True)
    assert told()["results/loop"]["network"] == "your own loop"
    assert told()["results/loop"]["status"] == "Interrupted"


def test_a_long_log_is_told_by_its_drawings_as_it_is_by_itself(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("hyperband_done", "digits_done", "failures", "loop", "resumed_once"):
        copy(name, Path("results") / name)
    folded = told()
    monkeypatch.setattr(glance, "LONG", 0)
    monkeypatch.setattr(glance, "_folded", lambda *_: pytest.fail("a long log was folded"))
    assert told() == folded


def test_a_long_log_without_drawings_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    run = copy("hyperband_done", Path("results/a"))
    folded = told()
    monkeypatch.setattr(glance, "LONG", 0)
    for torn in (b"", b"[{", b"{}", b"[]", b"[1]", b"[" * 100_000):
        (run / layout.CONTROLLER).write_bytes(torn)
        assert told() == folded


def test_a_damaged_run_is_listed_with_what_is_wrong() -> None:
    run = copy("hyperband_done", Path("results/a"))
    lines = (run / layout.EVENTS).read_bytes().splitlines(keepends=True)
    (run / layout.EVENTS).write_bytes(b"".join([*lines[:3], b"rubbish\n", *lines[4:]]))
    lost = copy("digits_done", Path("results/b"))
    (lost / layout.EVENTS).unlink()
    (lost / layout.CONTROLLER).unlink()
    found = told()
    assert {run["status"] for run in found.values()} == {"damaged"}
    assert found["results/a"]["problem"].startswith("events.jsonl:4: a torn line")
    assert "is gone" in found["results/b"]["problem"]
    assert "\n  events.jsonl:4: a torn line" in runs().stdout


def test_a_run_of_a_later_version_is_told_from_a_damaged_one() -> None:
    run = copy("hyperband_done", Path("results/a"))
    record = Record(0, 1.0, Opened({}, "acc", "maximize", "9.0.0", format=99))
    (run / layout.EVENTS).write_bytes(seal(record))
    found = told()["results/a"]
    assert found["status"] == "newer"
    assert "install raytao >= 9.0.0" in found["problem"]


def test_a_torn_last_line_is_no_damage() -> None:
    run = copy("hyperband_done", Path("results/a"))
    with (run / layout.EVENTS).open("ab") as log:
        log.write(b'{"seq":102,"at":')
    assert told()["results/a"]["status"] == "Done"
    assert runs().stderr == ""


def test_a_run_of_taos_own_is_recognised(here: Path) -> None:
    bayesian_of_dino(here / "results" / "of_tao")
    run = told()["results/of_tao"]
    assert (run["by_tao"], run["network"]) == (True, "")
    assert (run["brain"], run["status"]) == ("Bayesian", "Done")
    assert (run["trials"], run["best"]) == (5, 0.6123)
    assert "  TAO" in runs().stdout


def test_links_hidden_folders_and_what_is_inside_a_run_are_not_looked_into(here: Path) -> None:
    run = copy("hyperband_done", here / "results" / "a")
    copy("digits_done", run / "inside")
    copy("digits_done", here / "elsewhere")
    copy("digits_done", here / "results" / ".hidden" / "b")
    (here / "results" / "linked").symlink_to(here / "elsewhere")
    (here / "results" / "loop").symlink_to(here / "results")
    assert told().keys() == {"results/a"}


def test_runs_lie_at_most_so_deep() -> None:
    copy("digits_done", Path("results/1/2/3/run"))
    copy("digits_done", Path("other/1/2/3/4/run"))
    assert told().keys() == {"results/1/2/3/run"}
    assert told("other") == {}


def test_no_runs_and_no_folder_are_told_in_a_sentence(here: Path) -> None:
    (here / "empty").mkdir()
    (here / "file").write_text("x")
    empty = runs("empty")
    assert (empty.exit_code, empty.stdout, empty.stderr) == (0, "", "no runs below empty\n")
    assert runs("empty", "--json").stdout == "[]\n"
    for place, said in (("file", "file is a file"), ("nowhere", "nowhere is not there")):
        result = runs(place)
        assert result.exit_code == 2
        assert said in result.stderr
    assert "results is not there" in runs().stderr


def test_runs_at_an_address_are_listed() -> None:
    address = "memory://list/team"
    store = store_at(ObjectPlace("memory", "list", ("team",)))
    log = (GOLDEN / "hyperband_done" / "run" / layout.EVENTS).read_bytes()
    for key in ("a", "b/c", "1/2/3/4/5"):
        store.replace(f"{key}/{layout.EVENTS}", log)
    store.replace("notes.txt", b"x")
    found = told(address)
    assert found.keys() == {f"{address}/a", f"{address}/b/c"}
    assert found[f"{address}/a"]["trials"] == 12


def test_a_pipe_is_as_wide_as_columns_says(monkeypatch: pytest.MonkeyPatch) -> None:
    copy("hyperband_done", Path("results/a"))
    monkeypatch.delenv("COLUMNS", raising=False)
    whole = runs().stdout
    assert "  what " in whole
    monkeypatch.setenv("COLUMNS", "50")
    assert "  what " not in runs().stdout
    assert max(map(len, runs().stdout.splitlines())) <= 50
    monkeypatch.setenv("COLUMNS", "200")
    assert runs().stdout == whole


def test_a_narrow_terminal_has_room_for_the_folder() -> None:
    run = Glance(Path("results/my_run"), "Interrupted", "image_classification", "hyperband", "acc")
    widths = ((200, "what", "!"), (79, "metric", "what"), (40, "best", "metric"))
    for width, has, has_not in widths:
        header, line = _lines([run], time.time(), width)
        assert has in header
        assert has_not not in header
        assert line.endswith("results/my_run")
        assert max(len(header), len(line)) <= max(width, 46)


def test_what_others_wrote_cannot_steer_the_terminal() -> None:
    run = Glance(Path("a\x1b[2J"), "damaged", problem="\x1b]0;x\x07", metric="\r")
    assert "\x1b" not in "\n".join(_lines([run], 0, None))


def test_two_hundred_runs_are_listed_in_a_moment(here: Path) -> None:
    log = (GOLDEN / "hyperband_done" / "run" / layout.EVENTS).read_bytes()
    for number in range(200):
        (here / "results" / f"run_{number}").mkdir(parents=True)
        (here / "results" / f"run_{number}" / layout.EVENTS).write_bytes(log)
    with at_once(3):
        assert len(list(runs_below(here / "results"))) == 200


def test_the_command_is_called_list() -> None:
    assert list_runs.name == "list"
