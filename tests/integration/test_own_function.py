"""A function of the user's own on Ray: tuned by both brains, killed, and brought again."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from driver import command, records, wait_until

import raytao
from raytao.runs.events import Reported, Resumed
from raytao.runs.state import RunState
from raytao.setup.folder import read_state

pytestmark = [pytest.mark.ray, pytest.mark.integration]

SCRIPT = Path(__file__).with_name("own_function.py")


def script(folder: Path, brain: str, *flags: str) -> subprocess.Popen[str]:
    """Start the user's script in a session of its own."""
    return subprocess.Popen(
        [sys.executable, str(SCRIPT), str(folder), brain, *flags],
        cwd=folder.parent,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def finished(process: subprocess.Popen[str]) -> str:
    said, _ = process.communicate()
    assert process.returncode == 0, said
    return said


def trained(state: RunState) -> list[tuple[object, ...]]:
    """Every trial: its values, how long it was trained, and every epoch's metric."""
    return [
        (n, tuple(t.params.items()), [m["loss"] for _, m in sorted(t.history.items())])
        for n, t in state.trials.items()
    ]


@pytest.mark.parametrize("brain", ["bayesian", "hyperband"])
def test_an_own_function_is_tuned_killed_and_brought_again(brain: str, tmp_path: Path) -> None:
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    said = finished(script(whole, brain))
    assert "loss" in said
    first = script(parts, brain)
    wait_until(
        lambda: sum(isinstance(r.event, Reported) for r in records(parts)) > 12,
        "a dozen epochs",
    )
    os.killpg(first.pid, signal.SIGKILL)
    first.communicate()
    assert read_state(parts).finished is None

    refused = command("resume", parts, cwd=tmp_path)  # no file holds the function
    assert refused.returncode == 2
    assert "a function of yours" in refused.stderr
    assert "fit(resume=True)" in refused.stderr

    unasked = script(parts, brain)
    out, _ = unasked.communicate()
    assert unasked.returncode != 0
    assert "already holds this run" in out

    finished(script(parts, brain, "--resume"))
    assert any(isinstance(r.event, Resumed) for r in records(parts))
    assert trained(read_state(parts)) == trained(read_state(whole))
    epochs = [
        (r.event.trial, r.event.epoch) for r in records(parts) if isinstance(r.event, Reported)
    ]
    assert len(epochs) == len(set(epochs))


def test_an_opened_run_of_an_own_function_can_be_looked_at(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    finished(script(folder, "bayesian"))
    run = raytao.open(folder)
    best = run.best
    assert best is not None
    assert best.checkpoint is not None
    assert best.value == run.table()["loss"].min()
    assert run.status == "Done"
    assert command("status", folder, cwd=tmp_path).returncode == 0
    assert command("report", folder, cwd=tmp_path).returncode == 0
