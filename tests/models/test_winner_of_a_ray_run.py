"""From ``raytao run`` on Ray to the measured and exported winner, each in a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from raytao.runs.log import read_log
from raytao.runs.state import RunState
from raytao.runs.store import LocalStore
from raytao.tao import layout

pytestmark = [pytest.mark.ray, pytest.mark.integration]

RUN = """\
network: image_classification
set: {dataset.name: digits, train.num_epochs: 2, train.optim.lr: 0.01}
brain: {name: random, max_recommendations: 2}
slots: 2
results_dir: results
"""


def raytao(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "raytao", *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


def test_the_winner_is_measured_as_the_run_did_and_exported(tmp_path: Path) -> None:
    (tmp_path / "run.yaml").write_text(RUN)
    done = raytao(tmp_path, "run", "run.yaml")
    assert done.returncode == 0, done.stderr
    state = RunState.fold(read_log(LocalStore(tmp_path / "results"), layout.EVENTS))
    assert state.tested is not None
    assert state.tested.metrics
    found = raytao(tmp_path, "evaluate", "results", "--json")
    assert found.returncode == 0, found.stderr
    assert json.loads(found.stdout)["metrics"] == state.tested.metrics
    written = raytao(tmp_path, "export-model", "results", "--format", "torchscript")
    assert written.stdout == "results/exported/model.torchscript.pt\n", written.stderr
    assert (tmp_path / written.stdout.strip()).is_file()
    again = raytao(tmp_path, "run", "run.yaml", "--resume", "auto")
    assert again.returncode == 0, again.stderr
    assert (tmp_path / written.stdout.strip()).is_file()
