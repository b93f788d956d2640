"""``tracking: mlflow`` on a real run: read back, killed, resumed, absent, and told afterwards."""

from __future__ import annotations

import json
import os
import random
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

import driver
import pytest
from mlflow.entities import Run
from mlflow.tracking import MlflowClient

from raytao.runs.events import Reported
from raytao.runs.state import TrialState
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
LOADING = """
import sys
from pathlib import Path
import mlflow, torch
from raytao.models.find import find
from raytao.models.model import example, load
mlflow.set_tracking_uri(sys.argv[1])
theirs = mlflow.pyfunc.load_model("models:/digits/1")
model = find(Path(sys.argv[2]))
shape = example(model).shape[1:]
pixels = torch.rand(7, *shape) * 16
answer = torch.from_numpy(theirs.predict(pixels.numpy()))
with torch.no_grad():
    same = torch.equal(answer, load(model)(pixels))
print(same, theirs.metadata.signature.inputs.inputs[0].shape)
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
    driver.wait_until(lambda: epochs(results) >= 15, "fifteen epochs")
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


def values(client: MlflowClient, child: Run) -> list[tuple[int, float]]:
    """What MLflow holds of the watched metric, by epoch."""
    told = client.get_metric_history(child.info.run_id, "val_acc")
    return sorted((m.step, m.value) for m in told)


def val_acc(trial: TrialState) -> list[tuple[int, float]]:
    """The same by the log."""
    return sorted((epoch, metrics["val_acc"]) for epoch, metrics in trial.history.items())


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
        assert values(client, child) == val_acc(trial)


def test_the_best_models_files_are_artefacts_of_the_parent(
    results: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)  # to download, MLflow makes an empty database where one stands
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


def _port_of_nobody() -> int:
    """A port that stays free while its server is dead: the kernel gives out those above 32767."""
    for port in random.sample(range(20_000, 32_000), 100):
        with socket.socket() as free, suppress(OSError):
            free.bind(("127.0.0.1", port))
            return port
    raise AssertionError("of a hundred ports none is free")


class Server:
    """A tracking server as a process of its own, which can be killed and started again."""

    def __init__(self, folder: Path) -> None:
        port = _port_of_nobody()
        self.uri = f"http://127.0.0.1:{port}"
        store = f"sqlite:///{folder}/server.db"
        self._command = [
            *(sys.executable, "-m", "mlflow", "server", "--port", str(port), "--workers", "1"),
            *("--backend-store-uri", store, "--artifacts-destination", str(folder / "files")),
        ]
        self._folder, self._log = folder, folder / "server.log"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                self._command, cwd=self._folder, stdout=log, stderr=log, start_new_session=True
            )
        driver.wait_until(self._answers, "MLflow's server")

    def kill(self) -> None:
        assert self._process is not None
        family = driver.family(self._process.pid)
        os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        driver.wait_for_the_end_of(family, 30)

    def _answers(self) -> bool:
        try:
            with urlopen(f"{self.uri}/health", timeout=1) as answer:
                return bool(answer.status == 200)
        except (URLError, OSError):
            return False


def test_a_server_that_is_killed_in_the_middle_is_told_afterwards_what_it_missed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server, results = Server(tmp_path), tmp_path / "results"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", server.uri)
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
    (tmp_path / "run.yaml").write_text(RUN)
    server.start()
    process = driver.start("run", "run.yaml", cwd=tmp_path)
    driver.wait_until(lambda: epochs(results) >= 8, "eight epochs")
    server.kill()
    assert process.wait(200) == 0
    state = read_state(results)
    assert state.finished is not None
    assert state.epochs > 20
    said = (tmp_path / "driver.log").read_text()
    assert said.count("tracking is off") == 1
    assert "what MLflow missed is told by: raytao sync results\n" in said

    server.start()
    try:
        done = driver.command("sync", "results", "--register", "digits", cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        again = driver.command("sync", "results", "--register", "digits", "--json", cwd=tmp_path)
        assert json.loads(again.stdout)[0]["told"] == {}
        client = MlflowClient(server.uri)
        _check_whole(client, results)
        loaded = subprocess.run(
            [sys.executable, "-W", "ignore", "-c", LOADING, server.uri, str(results)],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )
        assert loaded.stdout.strip() == "True (-1, 1, 8, 8)", loaded.stderr
    finally:
        server.kill()


def _check_whole(client: MlflowClient, results: Path) -> None:
    """The server holds all of the run, once."""
    state = read_state(results)
    experiment = client.get_experiment_by_name("digits")
    assert experiment is not None
    found = client.search_runs([experiment.experiment_id])
    named = {run.data.tags["mlflow.runName"]: run for run in found}
    assert len(named) == len(found) == 1 + len(state.trials)
    for number, trial in state.trials.items():
        child = named[f"recommendation_{number}"]
        assert child.info.status == "FINISHED"
        assert child.data.params == {name: str(value) for name, value in trial.params.items()}
        assert values(client, child) == val_acc(trial)
    search = named[results.name]
    assert search.info.status == "FINISHED"
    assert search.data.tags["raytao.model"] == "models:/digits/1"
    assert "test_acc" in search.data.metrics
    files = {one.path for one in client.list_artifacts(search.info.run_id, layout.BEST_MODEL)}
    assert f"{layout.BEST_MODEL}/raytao.json" in files
