"""``ray job submit -- raytao run …`` as cluster/README.md says, on the cluster of local.yaml."""

from __future__ import annotations

import re
import shutil
import socket
import subprocess
import sys
import uuid
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path

import driver
import psutil
import pytest
import yaml
from ray.autoscaler._private.util import prepare_config, validate_config

import raytao
from raytao.runs.events import Reported, Resumed
from raytao.runs.state import RunState
from raytao.runs.store import LocalStore
from raytao.setup.resolve import resolve
from raytao.tao import layout
from raytao.testing.simulator import simulate
from raytao.testing.toy import curve
from raytao.trials.provenance import read_provenance

pytestmark = [pytest.mark.ray, pytest.mark.integration]

ROOT = Path(raytao.__file__).parents[1]
CLUSTER_FILE = ROOT / "cluster/local.yaml"
MARK = "RAYTAO_TEST_CLUSTER"
"""In the environment of every process of the cluster: how a test knows its own."""

RUN = """
network: toy
brain: {name: hyperband, R: 9, nu: 3, epoch_multiplier: 1, mode: sync}
set: {train.sleep: 0.3}
seed: 3
"""


@dataclass(frozen=True)
class Cluster:
    """A running head with a job server; its jobs work in ``folder``."""

    folder: Path
    env: dict[str, str]
    gcs: str
    port: int

    def sh(self, command: str) -> subprocess.CompletedProcess[str]:
        """Run one line of a user's terminal; what it prints is in ``stdout``."""
        return subprocess.run(
            ["bash", "-c", command],
            cwd=self.folder,
            env=self.env,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )

    def submit(self, command: str, options: str = "") -> subprocess.CompletedProcess[str]:
        return self.sh(f"ray job submit {options} -- {command}")


def readme(*beginnings: str) -> list[str]:
    """The commands of cluster/README.md that begin so, in order."""
    text = (ROOT / "cluster/README.md").read_text()
    blocks = re.findall(r"```sh\n(.*?)```", text, flags=re.DOTALL)
    lines = [line for block in blocks for line in block.splitlines()]
    return [line for line in lines if line.startswith(beginnings or "")]


def free_ports(count: int) -> list[int]:
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("", 0))
        return [int(one.getsockname()[1]) for one in sockets]


def processes(mark: str) -> list[psutil.Process]:
    """Everything that descends from the cluster's start, whoever its parent is now."""
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            if process.environ().get(MARK) == mark:
                found.append(process)
    return driver.alive(found)


def stop(mark: str) -> None:
    """What ``ray stop`` does, in its order, to this cluster alone: it would end every Ray here."""
    everything = processes(mark)
    raylets = [p for p in everything if p.name() == "raylet"]
    servers = [p for p in everything if p.name() == "gcs_server"]
    others = [p for p in everything if p not in raylets and p not in servers]
    try:
        for group in (raylets, others, servers):
            for process in group:
                with suppress(psutil.NoSuchProcess):
                    process.terminate()
            driver.wait_for_the_end_of(group, 60)
        driver.wait_for_the_end_of(processes(mark), 60)
    finally:
        for process in processes(mark):
            process.kill()


def reports(results: Path) -> list[Reported]:
    return [r.event for r in driver.records(results) if isinstance(r.event, Reported)]


def committed(results: Path) -> dict[int, int]:
    """Epochs durable in every experiment's own folder."""
    store = LocalStore(results)
    trials = RunState.fold(driver.records(results)).trials
    found = {n: read_provenance(store, layout.experiment(n)) for n in trials}
    return {n: p.epochs_trained for n, p in found.items() if p is not None}


@contextmanager
def started(folder: Path, start: str) -> Iterator[Cluster]:
    """The README's start, in a home of its own, on free ports and for as long as the block."""
    gcs, dashboard, agent, client = free_ports(4)
    scratch = Path(f"/tmp/raytao-{uuid.uuid4().hex[:8]}")  # short: sockets' paths must be
    (folder / "cluster").mkdir()
    config = CLUSTER_FILE.read_text().replace(":6379", f":{gcs}")
    (folder / "cluster/local.yaml").write_text(config)
    env = {
        "PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin",
        "HOME": str(folder),
        "RAY_AUTH_MODE": "token",
        "RAY_API_SERVER_ADDRESS": f"http://127.0.0.1:{dashboard}",
        "RAY_USAGE_STATS_ENABLED": "0",
        "OMP_NUM_THREADS": "1",
        MARK: scratch.name,
    }
    made = Cluster(folder, env, f"127.0.0.1:{gcs}", dashboard)
    (token,) = readme("(umask")
    flags = (
        f"--temp-dir={scratch} --port={gcs} --dashboard-port={dashboard} "
        f"--dashboard-agent-listen-port={agent} --ray-client-server-port={client}"
    )
    try:
        for line in (token, f"{start} {flags}"):
            done = made.sh(line)
            assert done.returncode == 0, done.stdout
        yield made
    finally:
        stop(scratch.name)
        shutil.rmtree(scratch, ignore_errors=True)


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """The cluster of local.yaml, with its worker."""
    (start,) = readme("RAY_FAKE_CLUSTER")
    with started(tmp_path_factory.mktemp("user"), start) as made:
        status = f"ray status --address={made.gcs}"
        driver.wait_until(lambda: " 1 worker" in made.sh(status).stdout, "the worker")
        yield made


def test_the_cluster_file_is_valid() -> None:
    config = prepare_config(yaml.safe_load(CLUSTER_FILE.read_text()))
    validate_config(config)
    types = config["available_node_types"]
    assert types["worker"]["min_workers"] == 1
    assert types["worker"]["max_workers"] <= config["max_workers"]


def test_the_cluster_files_own_commands_are_the_readmes() -> None:
    comment = CLUSTER_FILE.read_text()
    shared = readme("RAY_FAKE_CLUSTER", "(umask", "export RAY_AUTH", "ray status", "ray stop")
    assert len(shared) == 5
    assert [line for line in shared if line not in comment] == []


def test_strangers_are_kept_out(cluster: Cluster) -> None:
    stranger = replace(cluster, env={**cluster.env, "RAY_AUTH_MODE": "disabled"})
    refused = stranger.submit("echo let me in")
    assert refused.returncode == 1
    assert "Missing authentication token" in refused.stdout
    listening = {
        c.laddr.ip
        for process in processes(cluster.env[MARK])
        for c in process.net_connections("tcp")
        if c.status == psutil.CONN_LISTEN and c.laddr.port == cluster.port
    }
    assert listening == {"127.0.0.1"}


def test_a_submitted_run_is_followed_to_its_end(cluster: Cluster) -> None:
    results = cluster.folder / "digits"
    done = cluster.submit(
        f"raytao run digits_hyperband results_dir={results} brain.R=3 train.num_epochs=3"
    )
    assert done.returncode == 0, done.stdout
    assert "Ray: 2 nodes, 2 CPUs" in done.stdout
    epochs = re.findall(r"recommendation \d+ epoch \d+/\d+.*: val_acc", done.stdout)
    state = RunState.fold(driver.records(results))
    assert len(epochs) == state.epochs
    assert "best model" in done.stdout


def test_a_users_mistake_fails_the_job_with_raytaos_sentence(cluster: Cluster) -> None:
    done = cluster.submit("raytao run digits_hyperband brian.R=3", "--submission-id mistake")
    assert done.returncode == 1
    assert "unknown key 'brian.R'" in done.stdout
    assert "exit code 2" in done.stdout
    assert "Traceback" not in done.stdout
    assert "Job 'mistake' failed" in cluster.sh("ray job status mistake").stdout


def test_a_stopped_job_goes_on_and_a_finished_one_stays(cluster: Cluster) -> None:
    run = cluster.folder / "run.yaml"
    results = cluster.folder / "toy"
    run.write_text(f"{RUN}results_dir: {results}\n")
    command = f"raytao run {run} --resume auto"
    assert cluster.submit(command, "--no-wait --submission-id first").returncode == 0
    driver.wait_until(lambda: len(reports(results)) >= 6, "six epochs")
    assert cluster.sh("ray job stop first").returncode == 0
    assert "Job 'first' was stopped" in cluster.sh("ray job status first").stdout
    assert f"go on with: raytao resume {results}" in cluster.sh("ray job logs first").stdout
    assert RunState.fold(driver.records(results)).finished is None
    durable = committed(results)

    second = cluster.submit(command)
    assert second.returncode == 0, second.stdout
    log = driver.records(results)
    assert sum(isinstance(r.event, Resumed) for r in log) == 1
    assert set(Counter((e.trial, e.epoch) for e in reports(results)).values()) == {1}
    for trial, epochs in durable.items():
        lines = (results / layout.experiment(trial) / layout.LOG).read_text().splitlines()
        assert [lines.count(f"training epoch {e + 1}") for e in range(epochs)] == [1] * epochs
    state = RunState.fold(log)
    trained = [(tuple(sorted(t.params.items())), t.epochs) for t in state.trials.values()]
    expected = simulate(resolve(str(run)).new_brain(), curve).configurations()
    assert sorted(trained, key=repr) == expected

    third = cluster.submit(command)
    assert third.returncode == 0, third.stdout
    assert "nothing to do" in third.stdout
    assert driver.records(results) == log


def test_the_readmes_other_commands_work_in_order(cluster: Cluster) -> None:
    lines = readme("ray job", "ray status", "raytao ")
    assert len(lines) == 6
    for line in lines:
        if "sent" in line:
            continue  # has a test of its own, below
        # Without an address it asks the Ray that was started last on this machine.
        done = cluster.sh(line.replace("ray status", f"ray status --address={cluster.gcs}"))
        assert done.returncode == 0, f"{line}\n{done.stdout}"


def test_a_raytao_that_is_sent_along_trains_the_trials(tmp_path: Path) -> None:
    """On one node: those of local.yaml share a folder, and unpack into it over each other."""
    pip = (sys.executable, "-m", "pip", "wheel", "-q", "--no-deps")
    subprocess.run([*pip, "-w", str(tmp_path), str(ROOT)], check=True)
    install, submit = readme("pip install", "ray job submit --working-dir")
    with started(tmp_path, "ray start --head --num-cpus=1") as cluster:
        done = cluster.sh(install)
        assert done.returncode == 0, done.stdout
        # The version tells the sent raytao from the installed one.
        (tmp_path / "sent/raytao/__init__.py").write_text('__version__ = "0.1.0+sent"\n')
        small = "'brain={name: random, max_recommendations: 2}' train.num_epochs=1"
        done = cluster.sh(f"{submit} {small}")
        assert done.returncode == 0, done.stdout
    store = LocalStore(tmp_path / "results/sent")
    for trial in (0, 1):
        provenance = read_provenance(store, layout.experiment(trial))
        assert provenance is not None
        assert provenance.versions["raytao"] == "0.1.0+sent"
