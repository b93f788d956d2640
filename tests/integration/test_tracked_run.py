"""``tracking: mlflow`` on a real run: read back by MLflow's client, killed, resumed, absent."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import driver
import pytest
from mlflow.entities import Run
from mlflow.tracking import MlflowClient

from raytao.runs.events import Reported
from raytao.setup.folder import read_state
from raytao.tao import layout

pytestmark = [
    pytest.mark.ray,
    pytest.mark.integration,
    pytest.mark.filterwarnings(r"ignore::DeprecationWarning:mlflow(\.|$)"),
]

RUN = """
network: image_classification
set: {dataset.name: digits, dataset.train_fraction: 0.3, train.num_epochs: 9}
brain: {name: hyperband, R: 9, nu: 3, epoch_multiplier: 1, mode: sync}
seed: 3
results_dir: results
tracking: {name: mlflow, experiment: digits}
"""
NO_MLFLOW = """
import sys
from importlib.machinery import PathFinder

class Without(PathFinder):
    @classmethod
    def find_spec(cls, name, path=None, target=None):
        if name.split(".")[0] == "mlflow":
            return None
        return super().find_spec(name, path, target)

sys.meta_path[:] = [Without if finder is PathFinder else finder for finder in sys.meta_path]
"""


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A run that was killed in the middle and resumed."""
    folder = tmp_path_factory.mktemp("tracked")
    (folder / "run.yaml").write_text(RUN)
    results = folder / "results"
    process = driver.start("run", "run.yaml", cwd=folder)
    driver.wait_until(lambda: epochs(results) >= 15, 200, "fifteen epochs")
    family = driver.family(process.pid)
    agents = [p for p in family if driver.is_rays_agent(p)]
    process.kill()
    process.wait()
    driver.wait_for_the_end_of([p for p in family if p not in agents], 30)
    resumed = driver.command("resume", "results", cwd=folder)
    assert resumed.returncode == 0, resumed.stderr
    assert "tracking is off" not in resumed.stderr
    yield results
    driver.wait_for_the_end_of(agents, 120)


def epochs(results: Path) -> int:
    return sum(isinstance(r.event, Reported) for r in driver.records(results))


def runs(results: Path) -> tuple[MlflowClient, Run, list[Run]]:
    client = MlflowClient(f"sqlite:///{results}/mlflow.db")
    experiment = client.get_experiment_by_name("digits")
    assert experiment is not None
    found = client.search_runs([experiment.experiment_id])
    (parent,) = [run for run in found if "mlflow.parentRunId" not in run.data.tags]
    return client, parent, [run for run in found if run is not parent]


def test_every_recommendation_is_a_child_that_holds_each_epoch_once(
    results: Path,
) -> None:
    client, parent, children = runs(results)
    state = read_state(results)
    assert parent.info.status == "FINISHED"
    assert {c.data.tags["mlflow.parentRunId"] for c in children} == {parent.info.run_id}
    named = {c.data.tags["mlflow.runName"]: c for c in children}
    assert set(named) == {f"recommendation_{n}" for n in state.trials}
    for number, trial in state.trials.items():
        child = named[f"recommendation_{number}"]
        assert child.data.params == {name: str(value) for name, value in trial.params.items()}
        told = client.get_metric_history(child.info.run_id, "val_acc")
        expected = {epoch: metrics["val_acc"] for epoch, metrics in trial.history.items()}
        assert sorted((m.step, m.value) for m in told) == sorted(expected.items())


def test_the_best_models_files_are_artefacts_of_the_parent(results: Path, tmp_path: Path) -> None:
    client, parent, _ = runs(results)
    best = read_state(results).incumbent
    assert best is not None
    weights = f"{layout.BEST_MODEL}/{layout.checkpoint(best.epoch)}"
    fetched = client.download_artifacts(parent.info.run_id, weights, str(tmp_path))
    assert Path(fetched).read_bytes() == (results / weights).read_bytes()


def test_without_mlflow_the_run_works_and_says_what_is_off(tmp_path: Path) -> None:
    (tmp_path / "run.yaml").write_text(RUN)
    (tmp_path / "sitecustomize.py").write_text(NO_MLFLOW)
    short = "brain={name: random, max_recommendations: 1}"
    done = subprocess.run(
        [*driver.RAYTAO, "run", "run.yaml", short, "train.num_epochs=1"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "tracking is off: MLflow is not installed; pip install mlflow" in done.stderr
    assert not (tmp_path / "results" / "mlflow.db").exists()


def test_a_server_that_is_not_there_does_not_hold_up_the_run(tmp_path: Path) -> None:
    (tmp_path / "run.yaml").write_text(RUN)
    done = subprocess.run(
        [*driver.RAYTAO, "run", "run.yaml", "brain={name: random, max_recommendations: 1}"],
        cwd=tmp_path,
        env={
            **os.environ,
            "MLFLOW_TRACKING_URI": "http://127.0.0.1:9",
            "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0",
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("tracking is off") == 1
    assert read_state(tmp_path / "results").finished is not None
