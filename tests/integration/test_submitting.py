"""``raytao submit``, ``raytao jobs`` and ``raytao doctor`` against real job servers."""

from __future__ import annotations

import json
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import uuid
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import driver
import psutil
import pytest
from test_job_server import MARK, committed, free_ports, reports, stop

from raytao.runs.events import Resumed
from raytao.runs.state import RunState
from raytao.tao import layout

pytestmark = [pytest.mark.ray, pytest.mark.integration]

RUN = """
network: toy
brain: {name: random, max_recommendations: 4}
set: {train.sleep: 0.02, train.num_epochs: 5}
seed: 3
"""

SLOW = "train.sleep=5"
"""A run of which much is left when its log has been found, its job stopped, on a busy machine."""

FUNCTION = """
import sys
import raytao
from own_part import squared

def train(params, ctx):
    for epoch in ctx.epochs:
        ctx.report(epoch, {"loss": squared(params["x"]) / epoch})

automl = raytao.AutoML(
    train=train, space={"x": (0.5, 1.0)}, epochs=2, metric="loss", address=sys.argv[1],
    brain={"name": "random", "max_recommendations": 2}, results_dir=sys.argv[2],
)
submitted = automl.submit()
print("ended", submitted.follow(), submitted.run.best.number, submitted.status())
"""


@dataclass(frozen=True)
class Head:
    """A head with a job server, and a user's terminal that knows its token."""

    folder: Path
    env: dict[str, str]
    gcs: str
    address: str

    def raytao(self, *words: str, **env: str) -> subprocess.CompletedProcess[str]:
        """A command of raytao's, with its talk."""
        return subprocess.run(
            [*driver.RAYTAO, *words],
            cwd=self.folder,
            env={**self.env, **env},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )

    def jobs(self) -> dict[str, str]:
        listed = json.loads(self.raytao("jobs", "--json").stdout)
        return {one["id"]: one["status"] for one in listed}

    def submit(self, results: Path, *words: str) -> subprocess.CompletedProcess[str]:
        return self.raytao("submit", "run.yaml", f"results_dir={results}", *words)


@contextmanager
def head(folder: Path, host: str, cpus: int, *, mode: str) -> Iterator[Head]:
    """Ray's head as a process of its own, with a home and a scratch folder of its own."""
    gcs, dashboard, agent, client = free_ports(4)
    scratch = Path(f"/tmp/raytao-{uuid.uuid4().hex[:8]}")  # short: sockets' paths must be
    address = f"http://{host}:{dashboard}"
    env = {
        "PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin",
        "HOME": str(folder),
        "RAY_AUTH_MODE": mode,
        "RAY_API_SERVER_ADDRESS": address,
        "RAY_USAGE_STATS_ENABLED": "0",
        "OMP_NUM_THREADS": "1",
        MARK: scratch.name,
    }
    (folder / ".ray").mkdir()
    if mode == "token":
        (folder / ".ray/auth_token").write_text(secrets.token_hex(32))
        (folder / ".ray/auth_token").chmod(0o600)
    (folder / "run.yaml").write_text(RUN)
    made = Head(folder, env, f"127.0.0.1:{gcs}", address)
    try:
        ray(
            made,
            *("--head", f"--num-cpus={cpus}", f"--temp-dir={scratch}", f"--port={gcs}"),
            *(f"--dashboard-host={host}", f"--dashboard-port={dashboard}"),
            *(f"--dashboard-agent-listen-port={agent}", f"--ray-client-server-port={client}"),
        )
        yield made
    finally:
        stop(scratch.name)
        shutil.rmtree(scratch, ignore_errors=True)


def ray(head: Head, *flags: str, **env: str) -> None:
    command = [str(Path(sys.executable).with_name("ray")), "start", *flags]
    done = subprocess.run(
        command,
        cwd=head.folder,
        env={**head.env, **env},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Head]:
    with head(tmp_path_factory.mktemp("user"), "127.0.0.1", 2, mode="token") as made:
        yield made


def test_a_mistake_is_found_before_anything_is_sent(cluster: Head) -> None:
    for words in (["brain.max_recomendations=3"], ["train.num_epochs=many"]):
        assert cluster.submit(cluster.folder / "never", *words).returncode == 2
    refused = cluster.raytao("submit", "run.yaml")
    assert refused.returncode == 2
    assert "s3://" in refused.stdout
    elsewhere = "http://127.0.0.1:1"  # Ray lets its variables overrule an address; raytao does not
    named = cluster.raytao(
        *("jobs", "--json", "--address", cluster.address),
        **{"RAY_API_SERVER_ADDRESS": elsewhere, "RAY_ADDRESS": elsewhere},
    )
    assert json.loads(named.stdout) == []


def test_a_run_is_followed_to_its_end_and_its_exit_code_is_the_runs(cluster: Head) -> None:
    results = cluster.folder / "done"
    done = cluster.submit(results, "--env", "HOME")
    assert done.returncode == 0, done.stdout
    state = RunState.fold(driver.records(results))
    assert len([line for line in done.stdout.splitlines() if ": value" in line]) == state.epochs
    assert (results / layout.BEST_MODEL).is_dir()
    assert f"{state.epochs} epochs trained" in done.stdout
    other = cluster.submit(results, "seed=4")
    assert other.returncode == 2
    assert "holds another run" in other.stdout
    token = (cluster.folder / ".ray/auth_token").read_text()
    assert token not in done.stdout + other.stdout


def test_the_same_submission_is_one_job_and_goes_on_after_a_stop(cluster: Head) -> None:
    results = cluster.folder / "slow"
    slow = (SLOW, "--no-wait", "--json")
    first, second = (cluster.submit(results, *slow) for _ in range(2))
    begun, joined = (json.loads(one.stdout[one.stdout.index("{") :]) for one in (first, second))
    assert joined["id"] == begun["id"]
    assert "attached to" in second.stdout
    job = str(begun["id"])
    driver.wait_until(lambda: len(reports(results)) >= 3, "three epochs")
    look_away(cluster, job)
    stopped = cluster.raytao("jobs", "stop", job)
    assert stopped.returncode == 0, stopped.stdout
    assert cluster.jobs()[job] == "STOPPED"
    assert f"go on with: raytao resume {results}" in cluster.raytao("jobs", "logs", job).stdout
    assert RunState.fold(driver.records(results)).finished is None
    durable = committed(results)

    resumed = cluster.submit(results, SLOW)
    assert resumed.returncode == 0, resumed.stdout
    assert f"job {job[:-1]}2 is done" in resumed.stdout
    log = driver.records(results)
    assert sum(isinstance(record.event, Resumed) for record in log) == 1
    assert set(Counter((e.trial, e.epoch) for e in reports(results)).values()) == {1}
    for trial, epochs in durable.items():
        lines = (results / layout.experiment(trial) / layout.LOG).read_text().splitlines()
        assert [lines.count(f"training epoch {e + 1}") for e in range(epochs)] == [1] * epochs
    assert RunState.fold(log).epochs == 20


def look_away(cluster: Head, job: str) -> None:
    """Follow a job, and press Ctrl-C: it goes on."""
    with subprocess.Popen(
        [*driver.RAYTAO, "jobs", "logs", job, "--follow"],
        cwd=cluster.folder,
        env={**cluster.env, "PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as following:
        assert following.stdout is not None
        seen = next(line for line in following.stdout if "epoch 1/5" in line)
        following.send_signal(signal.SIGINT)
        rest = following.stdout.read()
    assert following.returncode == 130, seen + rest
    assert f"raytao jobs stop {job}" in rest
    assert cluster.jobs()[job] == "RUNNING"


def test_a_function_of_ones_own_is_submitted_from_python(cluster: Head) -> None:
    (cluster.folder / "own_part.py").write_text("def squared(x):\n    return x * x\n")
    (cluster.folder / "search.py").write_text(FUNCTION)
    results = cluster.folder / "own"
    done = subprocess.run(
        [sys.executable, "search.py", cluster.address, str(results)],
        cwd=cluster.folder,
        env=cluster.env,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1].startswith("ended SUCCEEDED")
    assert "recommendation 1 epoch 2/2" in done.stdout
    assert RunState.fold(driver.records(results)).epochs == 4


def test_who_has_no_token_is_told_so_in_a_sentence(cluster: Head) -> None:
    before = cluster.jobs()
    for env, said in (
        ({"RAY_AUTH_TOKEN": "a-wrong-one"}, "refuses the token of RAY_AUTH_TOKEN"),
        ({"HOME": "/nowhere"}, "wants a token, and none is here"),
        ({"RAY_AUTH_MODE": ""}, "RAY_AUTH_MODE is not 'token' here"),
    ):
        refused = cluster.raytao("submit", "run.yaml", "results_dir=/never", **env)
        assert (refused.returncode, said in refused.stdout) == (2, True), refused.stdout
        assert "Traceback" not in refused.stdout
        assert "a-wrong-one" not in refused.stdout
    assert cluster.jobs() == before


@pytest.fixture(scope="module")
def sick(cluster: Head) -> Head:
    """The same cluster with a second node, on which much is wrong."""
    lib = cluster.folder / "lib"
    (lib / "raytao").mkdir(parents=True)
    (lib / "raytao/__init__.py").write_text("__version__ = '0.0.1'\n")
    (lib / "torchvision.py").write_text(
        "raise RuntimeError('operator torchvision::nms does not exist')\n"
    )
    ray(
        cluster,
        *(f"--address={cluster.gcs}", "--num-cpus=1", "--num-gpus=2"),
        f"--dashboard-agent-listen-port={free_ports(1)[0]}",
        PYTHONPATH=str(lib),
        OMP_NUM_THREADS="4096",
    )
    (cluster.folder / ".ray/auth_token").chmod(0o644)
    (cluster.folder / "file").write_text("")
    return cluster


def test_the_doctor_finds_what_is_wrong_with_a_cluster(sick: Head) -> None:
    done = sick.raytao("doctor", "--results-dir", str(sick.folder / "file/results"), "--json")
    assert done.returncode == 1, done.stdout
    findings = json.loads(done.stdout)["findings"]
    wrong = {one["check"]: one for one in findings if one["severity"] == "problem"}
    for check, what in {
        "versions": "raytao 0.0.1",
        "torchvision": "torchvision::nms does not exist",
        "GPUs": "Ray counts 2 GPUs",
        "threads": "OMP_NUM_THREADS is '4096'",
        "token": "mode 0644",
        "storage": f"{sick.folder}/file",
    }.items():
        assert what in wrong[check]["what"], (check, wrong)
        assert wrong[check]["remedy"]
    on_nodes = [wrong[check]["where"] for check in ("versions", "torchvision", "GPUs", "threads")]
    assert len({*on_nodes}) == 1  # the second node, and it alone


def test_the_doctor_finds_too_little_room_for_the_run(tmp_path: Path) -> None:
    words = [*driver.RAYTAO, "doctor", "--json", "--need-gb", "1e9"]
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, check=False)
    found: list[dict[str, Any]] = json.loads(done.stdout)["findings"]
    assert done.returncode == 1
    (disk,) = (one for one in found if one["check"] == "disk")
    assert "1e+09 GB are needed" in disk["what"]


def test_a_server_that_asks_nobody_for_a_token_is_refused(tmp_path: Path) -> None:
    own = next(
        address.address
        for addresses in psutil.net_if_addrs().values()
        for address in addresses
        if address.family is socket.AF_INET and not address.address.startswith("127.")
    )
    with head(tmp_path, own, 0, mode="disabled") as open_one:
        refused = open_one.submit(tmp_path / "never")
        assert refused.returncode == 2
        assert "answers without a token" in refused.stdout
        assert "CVE-2023-48022" in refused.stdout
        told = open_one.raytao("doctor", "--json")
        assert told.returncode == 1
        found = json.loads(told.stdout)["findings"]
        (door,) = (one for one in found if one["check"] == "job server")
        assert (door["severity"], "127.0.0.1" in door["remedy"]) == ("problem", True)
        assert not (tmp_path / "never").exists()
