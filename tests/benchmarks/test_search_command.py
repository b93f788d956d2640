"""The command line of the search benchmark."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.search.__main__ import main
from benchmarks.search.runs import read_runs

RUN = ["run", "--family", "toy", "--budget", "5", "--method"]


def test_runs_are_made_and_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = str(tmp_path / "folder" / "runs.jsonl")
    for method, extra in (("random", []), ("hyperband", ["--set", "nu=2"])):
        command = [*RUN, method, "--label", f"my-{method}", "--out", out, "--seeds", "0-1", *extra]
        assert main(command) == 0
        assert main([*command, "--workers", "2"]) == 0
    assert "6/6 in" in capsys.readouterr().err
    assert main(["table", "--family", "toy", "--target", "my-random", out]) == 0
    told = capsys.readouterr().out
    for part in ("1 worker, 5 full", "my-hyperband - my-random", "2 workers", ", 1 worker  "):
        assert part in told
    assert "in shares of its time with 1 worker" in told


def test_missing_data_are_an_error_that_names_the_option(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["run", "--method", "random", "--label", "x", "--out", str(tmp_path / "x.jsonl")]
    assert main([*command, "--data", str(tmp_path)]) == 2
    told = capsys.readouterr().err
    assert f"no model.onnx in {tmp_path}" in told
    assert "--data" in told
    assert not (tmp_path / "x.jsonl").exists()


def test_held_out_tasks_are_for_fresh_seeds(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = [*RUN, "random", "--label", "x", "--out", str(tmp_path / "x.jsonl")]
    assert main([*command, "--split", "held_out", "--seeds", "99-101"]) == 2
    assert "begin at 100" in capsys.readouterr().err
    assert main([*command, "--split", "held_out", "--seeds", "100"]) == 0
    assert {run.seed for run in read_runs(tmp_path / "x.jsonl")} == {100}


def test_a_portfolio_outside_the_space_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    portfolio = tmp_path / "portfolio.json"
    command = [*RUN, "random", "--label", "x", "--out", str(tmp_path / "x.jsonl")]
    for text, told in (('[{"lr": 7}]', "is not of the space of toy"), ("{", "no list of")):
        portfolio.write_text(text)
        assert main([*command, "--initial", str(portfolio)]) == 2
        assert told in capsys.readouterr().err


def test_a_task_of_another_split_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = [*RUN, "random", "--label", "x", "--out", str(tmp_path / "x.jsonl")]
    assert main([*command, "--tasks", "1,4"]) == 2
    assert "no task '4' in this split" in capsys.readouterr().err


def test_a_table_of_nothing_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["table", "--family", "toy"]) == 2
    assert "no run of toy on dev tasks" in capsys.readouterr().err
