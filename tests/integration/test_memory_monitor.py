"""Ray's memory monitor kills a trial's worker: out of memory, by its name, and the run goes on."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import driver
import pytest
import ray
from click.testing import CliRunner

from raytao.cli.main import main
from raytao.cluster.connect import QUIET
from raytao.runs.state import Phase, RunState

pytestmark = [pytest.mark.ray, pytest.mark.integration]

RUN = """\
network: toy
brain: {name: random, max_recommendations: 2}
set: {train.sleep: 60}
slots: 1
"""


@pytest.fixture
def _short_of_memory(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A Ray to which any use of memory is too much; it looks as soon as a worker is at work."""
    for name, value in QUIET.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("RAY_memory_usage_threshold", "0.001")
    monkeypatch.setenv("RAY_memory_monitor_refresh_ms", "6000")
    ray.init("local", num_cpus=1, include_dashboard=False, log_to_driver=False)
    yield
    ray.shutdown()


@pytest.mark.usefixtures("_short_of_memory")
def test_a_worker_that_the_memory_monitor_killed_ran_out_of_memory(tmp_path: Path) -> None:
    (tmp_path / "run.yaml").write_text(f"{RUN}results_dir: {tmp_path / 'results'}\n")
    result = CliRunner().invoke(main, ["run", str(tmp_path / "run.yaml")])
    assert result.exit_code == 1
    assert result.exception is None or isinstance(result.exception, SystemExit)
    state = RunState.fold(driver.records(tmp_path / "results"))
    assert state.finished is not None
    assert state.finished.status == "Error"
    failures = [trial.failure for trial in state.by_phase(Phase.FAILED)]
    assert [failure.cause for failure in failures if failure] == ["oom", "oom"]
    assert all("its node ran low on memory (IP" in f.reason for f in failures if f)
    assert "lower slots" in result.output
