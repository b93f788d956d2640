"""``raytao plan``: the schedules of TAO's documentation, exactly, and nothing started."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from raytao.cli.main import main

TABLE_2 = [  # R = 81, nu = 3: bracket by bracket, (n, r) for i = 0, 1, …
    [(81, 1), (27, 3), (9, 9), (3, 27), (1, 81)],
    [(27, 3), (9, 9), (3, 27), (1, 81)],
    [(9, 9), (3, 27), (1, 81)],
    [(6, 27), (2, 81)],
]
TABLE_3 = [  # R = 27, nu = 3
    [(27, 1), (9, 3), (3, 9), (1, 27)],
    [(9, 3), (3, 9), (1, 27)],
    [(6, 9), (2, 27)],
]


def plan(tmp_path: Path, *assignments: str) -> dict[str, Any]:
    run = tmp_path / "run.yaml"
    run.write_text("network: toy\nbrain: {name: hyperband}\n")
    result = CliRunner().invoke(main, ["plan", str(run), *assignments, "--json"])
    assert result.exit_code == 0, result.output
    found: dict[str, Any] = json.loads(result.stdout)
    return found


def schedule(found: dict[str, Any]) -> list[list[tuple[int, int]]]:
    rows = found["rows"]
    brackets = 1 + max(row["bracket"] for row in rows)
    return [
        [(row["trials"], row["epochs"]) for row in rows if row["bracket"] == bracket]
        for bracket in range(brackets)
    ]


@pytest.mark.parametrize(
    ("big_r", "table", "epochs", "trials"), [(81, TABLE_2, 999, 123), (27, TABLE_3, 234, 42)]
)
def test_the_documented_schedules_come_out(
    big_r: int, table: list[list[tuple[int, int]]], epochs: int, trials: int, tmp_path: Path
) -> None:
    found = plan(tmp_path, f"brain.R={big_r}", "brain.nu=3", "brain.epoch_multiplier=1")
    assert schedule(found) == table
    assert found["epochs"] == epochs
    assert found["recommendations"] == trials


@pytest.mark.parametrize(
    ("max_epoch", "multiplier", "big_r"),
    [(100, 4, 27), (80, 4, 27), (50, 3, 27), (27, 3, 27), (24, 3, 24), (10, 3, 10), (6, 3, 6)],
)
def test_the_documented_adjustment_comes_out_and_is_told(
    max_epoch: int, multiplier: int, big_r: int, tmp_path: Path
) -> None:
    found = plan(tmp_path, f"train.num_epochs={max_epoch}")
    first = schedule(found)[0]
    exponent = len(first) - 1
    assert first[-1][1] == big_r // 3**exponent * 3**exponent * multiplier
    assert any(str(found["longest_training"]) in note for note in found["notes"])


def test_the_table_fits_80_columns_and_names_the_epochs(tmp_path: Path) -> None:
    run = tmp_path / "run.yaml"
    run.write_text(
        "network: toy\nbrain: {name: hyperband, R: 27, nu: 3, epoch_multiplier: 1, mode: sync}\n"
    )
    result = CliRunner().invoke(main, ["plan", str(run)])
    assert "27 × 1" in result.stdout
    assert "epochs           234" in result.stdout
    assert max(map(len, result.stdout.splitlines())) <= 80
    assert list(tmp_path.iterdir()) == [run]
