"""``raytao report``: one file, beside the run or where it is asked for."""

from __future__ import annotations

import json
import subprocess
import sys
import webbrowser
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from pages import HYPERBAND, of_a_function, ridge, told

from raytao.cli.main import main
from raytao.runs.log import EventLog, Record, seal
from raytao.runs.place import store_at
from raytao.setup.setup import Setup
from raytao.tao import layout
from raytao.testing.places import local

HEAVY = ("ray", "torch", "pandas", "mlflow", "sklearn", "matplotlib.pyplot")


@pytest.fixture
def folder(make_run: Callable[..., tuple[Setup, list[Record]]]) -> Path:
    """The results folder of a run that was killed halfway."""
    setup, records = make_run()
    log = EventLog(store_at(setup.results), layout.EVENTS)
    for record in records[: len(records) // 2]:
        log.add(record.event)
    log.commit()
    return local(setup.results)


def report(*arguments: object) -> Result:
    return CliRunner().invoke(main, ["report", *map(str, arguments)])


def test_the_page_is_written_beside_the_run_and_its_path_printed(folder: Path) -> None:
    log = (folder / layout.EVENTS).read_bytes()
    result = report(folder)
    assert result.exit_code == 0, result.output
    assert result.stdout == f"{folder / 'report.html'}\n"
    page = (folder / "report.html").read_text()
    assert page.startswith("<!DOCTYPE html>")
    assert f"raytao resume {folder}" in page
    assert (folder / layout.EVENTS).read_bytes() == log


def test_the_page_is_written_where_it_is_asked_for(folder: Path, tmp_path: Path) -> None:
    target = tmp_path / "pages" / "mine.html"
    result = report(folder, "-o", target)
    assert result.stdout == f"{target}\n"
    assert target.is_file()
    assert not (folder / "report.html").exists()


def test_a_new_page_takes_the_place_of_the_old(folder: Path) -> None:
    (folder / "report.html").write_text("old")
    assert report(folder).exit_code == 0
    assert "old" not in (folder / "report.html").read_text().splitlines()


def test_where_there_is_no_run_nothing_is_written(tmp_path: Path) -> None:
    for place in (tmp_path, tmp_path / "none"):
        result = report(place)
        assert result.exit_code == 2
        assert "Traceback" not in result.output
    assert list(tmp_path.iterdir()) == []


def test_with_a_price_the_page_says_what_it_cost(tmp_path: Path) -> None:
    _, records = told(of_a_function(tmp_path, HYPERBAND, epochs=9), ridge, gpus=1.0)
    store_at(tmp_path).replace(layout.EVENTS, b"".join(map(seal, records[:12])))
    page = tmp_path / "report.html"
    assert report(tmp_path).exit_code == 0
    assert "--gpu-price P" in page.read_text()
    assert report(tmp_path, "--gpu-price", "2.5").exit_code == 0
    assert "at 2.5 a GPU hour" in page.read_text()
    assert "--gpu-price P" not in page.read_text()


@pytest.mark.parametrize("price", ["-1", "nan", "inf"])
def test_what_is_no_price_is_refused_and_nothing_is_written(folder: Path, price: str) -> None:
    result = report(folder, "--gpu-price", price)
    assert result.exit_code == 2
    assert "must be 0 or more" in result.stderr
    assert not (folder / "report.html").exists()


@pytest.mark.parametrize("there", [True, False])
def test_the_page_is_opened_in_a_browser_if_there_is_one(
    folder: Path, monkeypatch: pytest.MonkeyPatch, there: bool
) -> None:
    opened: list[str] = []

    def browse(url: str) -> bool:
        opened.append(url)
        return there

    monkeypatch.setattr(webbrowser, "open_new_tab", browse)
    result = report(folder, "--open")
    assert result.stdout == f"{folder / 'report.html'}\n"
    assert opened == [(folder / "report.html").as_uri()]
    assert ("nothing here shows it" in result.stderr) != there


def test_a_report_loads_nothing_that_trains(folder: Path) -> None:
    code = (
        "import json, sys\n"
        "from raytao.cli.main import main\n"
        f"main(['report', {str(folder)!r}], standalone_mode=False)\n"
        f"print(json.dumps([name for name in {HEAVY!r} if name in sys.modules]))\n"
    )
    command = [sys.executable, "-c", code]
    run = subprocess.run(command, capture_output=True, text=True, check=True)
    assert json.loads(run.stdout.splitlines()[-1]) == []
