"""A cluster that begins with no workers: it grows to what a run needs, and shrinks after it.

On the cluster of cluster/fake-multi-node.yaml, whose nodes are processes, and whose autoscaler is
the second version of Ray's own.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import uuid
from collections.abc import Iterator, Mapping
from pathlib import Path

import driver
import pytest
import yaml
from ray.autoscaler._private.fake_multi_node.node_provider import FAKE_HEAD_NODE_ID
from test_job_server import MARK, free_ports, processes, stop

import raytao
from raytao.runs.events import Leased, Placed
from raytao.runs.state import Phase, RunState

pytestmark = [pytest.mark.ray, pytest.mark.integration]

CLUSTER_FILE = Path(raytao.__file__).parents[1] / "cluster/fake-multi-node.yaml"
MOST = 3
RUN = """
network: toy
brain: {{name: random, max_recommendations: 6}}
set: {{train.sleep: 0.5, train.num_epochs: 12}}
resources: {{gpus: {gpus}}}
results_dir: {results}
address: {address}
"""


class Growing:
    """A running head without CPUs, and as many raylets as its autoscaler has added."""

    def __init__(self, folder: Path, address: str, env: Mapping[str, str]) -> None:
        self.folder = folder
        self.address = address
        self.env = dict(env)

    @property
    def workers(self) -> int:
        raylets = [p for p in processes(self.env[MARK]) if p.name() == "raylet"]
        return len(raylets) - 1

    def run(self, results: str, *, gpus: int = 0) -> subprocess.Popen[bytes]:
        file = self.folder / f"{results}.yaml"
        text = RUN.format(results=self.folder / results, gpus=gpus, address=self.address)
        file.write_text(text)
        with self.log(results).open("wb") as log:
            return subprocess.Popen(
                [*driver.RAYTAO, "run", str(file)],
                cwd=self.folder,
                env={**self.env, "PYTHONUNBUFFERED": "1"},
                stdout=log,
                stderr=log,
            )

    def log(self, results: str) -> Path:
        return self.folder / f"{results}.log"


@pytest.fixture(scope="module")
def growing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Growing]:
    folder = tmp_path_factory.mktemp("growing")
    gcs, dashboard, agent, client = free_ports(4)
    scratch = Path(f"/tmp/raytao-{uuid.uuid4().hex[:8]}")  # short: sockets' paths must be
    config = yaml.safe_load(CLUSTER_FILE.read_text())
    config |= {"max_workers": MOST, "upscaling_speed": 100.0, "idle_timeout_minutes": 0.1}
    config["provider"] |= {"gcs_address": f"127.0.0.1:{gcs}", "head_node_id": FAKE_HEAD_NODE_ID}
    config["provider"]["launch_multiple"] = True
    config["available_node_types"]["worker"]["max_workers"] = MOST
    file = folder / "cluster.yaml"
    file.write_text(yaml.safe_dump(config))
    env = {
        "PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin",
        "HOME": str(folder),
        "RAY_FAKE_CLUSTER": "1",
        "RAY_enable_autoscaler_v2": "1",
        "RAY_CLOUD_INSTANCE_ID": FAKE_HEAD_NODE_ID,
        "RAY_OVERRIDE_NODE_ID_FOR_TESTING": FAKE_HEAD_NODE_ID,
        "AUTOSCALER_UPDATE_INTERVAL_S": "1",
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN": uuid.uuid4().hex * 2,
        "OMP_NUM_THREADS": "1",
        MARK: scratch.name,
    }
    start = (
        *("ray", "start", "--head", "--num-cpus=0", f"--autoscaling-config={file}"),
        *(f"--temp-dir={scratch}", f"--port={gcs}", f"--dashboard-port={dashboard}"),
        *(f"--dashboard-agent-listen-port={agent}", f"--ray-client-server-port={client}"),
    )
    try:
        done = subprocess.run(start, env=env, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        drivers = {key: value for key, value in env.items() if "NODE_ID" not in key}
        yield Growing(folder, f"127.0.0.1:{gcs}", drivers)
    finally:
        stop(scratch.name)
        shutil.rmtree(scratch, ignore_errors=True)


def test_what_no_node_type_has_is_refused_before_anything_is_written(growing: Growing) -> None:
    assert growing.run("never", gpus=1).wait(120) == 2
    said = growing.log("never").read_text()
    assert "a trial asks for 1 CPU, 1 GPU, but no node has 1 CPU (there is none)" in said
    may_add = f"its autoscaler may add up to {MOST} nodes (worker with 1 CPU)"
    assert f"{may_add}: no node has 1 GPU (there is none)" in said
    assert not (growing.folder / "never").exists()


def test_a_cluster_without_workers_grows_to_what_a_run_needs_and_shrinks_after_it(
    growing: Growing,
) -> None:
    assert growing.workers == 0
    process = growing.run("results")
    results = growing.folder / "results"
    driver.wait_until(lambda: growing.workers == MOST or process.poll() is not None, "nodes")
    assert process.wait(150) == 0, growing.log("results").read_text()

    said = growing.log("results").read_text()
    assert "waiting for a worker: a trial asks for 1 CPU; no node has room" in said
    events = [record.event for record in driver.records(results)]
    began = [type(event) for event in events if isinstance(event, Leased | Placed)]
    assert began[: MOST + 1] == [Leased] * MOST + [Placed]  # asked for together
    state = RunState.fold(driver.records(results))
    assert [t.phase for t in state.trials.values()] == [Phase.FINISHED] * 6
    driver.wait_until(lambda: growing.workers == 0, "the idle nodes' end")
