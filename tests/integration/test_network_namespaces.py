"""A run on three machines, as far as Linux can tell: each with its own address, name and memory.

Network namespaces on a bridge. All of them see the results folder, as they would on shared
storage, and nothing else of each other but what comes over the network.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import driver
import pytest

from raytao.runs.events import Placed
from raytao.runs.state import Phase, RunState

pytestmark = [pytest.mark.ray, pytest.mark.integration]

NAMES = ("alpha", "beta", "gamma")
PORT = 6379
ENV = {
    **os.environ,
    "OMP_NUM_THREADS": "1",
    "RAY_AUTH_MODE": "token",
    "RAY_AUTH_TOKEN": uuid.uuid4().hex * 2,
}
RUN = """
network: toy
brain: {{name: random, max_recommendations: 6}}
set: {{train.sleep: 0.5, train.num_epochs: 8}}
results_dir: {results}
address: {address}
"""


def sh(command: str) -> None:
    done = subprocess.run(command, shell=True, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{command}\n{done.stderr}"


@dataclass(frozen=True)
class Machine:
    """Namespaces that a sleeping process keeps alive."""

    name: str
    ip: str
    holder: int

    def command(self, *words: str) -> list[str]:
        enter = ("nsenter", f"--target={self.holder}", "--mount", "--uts", "--net", "--")
        return [*enter, *words]

    def sh(self, command: str) -> None:
        done = subprocess.run(
            self.command("sh", "-c", command), capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, f"{self.name}: {command}\n{done.stderr}"


def refusal() -> str:
    """Why there can be no namespaces here; empty if there can."""
    if os.geteuid() != 0:
        return "they need root"
    for tool in ("ip", "unshare", "nsenter"):
        if shutil.which(tool) is None:
            return f"there is no {tool}"
    tried = "unshare --mount --uts --net sh -c 'ip link add name br0 type bridge'"
    done = subprocess.run(tried, shell=True, capture_output=True, text=True, check=False)
    return done.stderr.strip().splitlines()[-1] if done.returncode != 0 else ""


@contextmanager
def network(scratch: Path) -> Iterator[list[Machine]]:
    """Three machines on one bridge, each with ``scratch`` and shared memory of its own."""
    tag = uuid.uuid4().hex[:8]
    bridge = f"br{tag}"
    with ExitStack() as undo:
        sh(f"ip link add name {bridge} type bridge && ip link set {bridge} up")
        undo.callback(sh, f"ip link del {bridge}")
        machines = []
        for number, name in enumerate(NAMES, 1):
            namespaces = ("unshare", "--mount", "--uts", "--net", "--propagation=private")
            holder = subprocess.Popen([*namespaces, "sleep", "600"])
            undo.callback(holder.wait)
            undo.callback(holder.kill)
            machine = Machine(name, f"10.231.77.{number}", holder.pid)
            driver.wait_until(partial(_is_apart, holder.pid), "namespaces")
            sh(f"ip link add v{number}{tag} type veth peer name eth0 netns {holder.pid}")
            sh(f"ip link set v{number}{tag} master {bridge} up")
            machine.sh(f"ip addr add {machine.ip}/24 dev eth0")
            machine.sh("ip link set eth0 up && ip link set lo up")
            machine.sh(f"hostname {name} && mount -t tmpfs none /dev/shm")
            machine.sh(f"mount -t tmpfs none {scratch}")
            machines.append(machine)
        yield machines


def _is_apart(pid: int) -> bool:
    """Whether a process has left this process's network; it enters the others before."""
    return Path(f"/proc/{pid}/ns/net").readlink() != Path("/proc/self/ns/net").readlink()


@contextmanager
def ray_on(machines: list[Machine], scratch: Path) -> Iterator[None]:
    """One node of a cluster on each; the first is its head."""
    ray = str(Path(sys.executable).with_name("ray"))
    head, *others = machines
    shape = ("--num-cpus=1", "--block", "--disable-usage-stats")
    first = (f"--port={PORT}", "--include-dashboard=false", f"--temp-dir={scratch}", "--head")
    join = (f"--address={head.ip}:{PORT}",)
    with ExitStack() as undo:
        for machine, words in ((head, first), *((other, join) for other in others)):
            where = f"--node-ip-address={machine.ip}"
            node = subprocess.Popen(
                machine.command(ray, "start", where, *words, *shape),
                env={**ENV, "RAY_GRACEFUL_SHUTDOWN_DRAIN_TIMEOUT_S": "0"},
                stdout=subprocess.DEVNULL,
            )
            undo.callback(node.wait)
            undo.callback(node.terminate)  # ends its node in order
            if machine is head:
                driver.wait_until(lambda: _listens(head), "the head")
        yield


def _listens(machine: Machine) -> bool:
    probe = f"import socket; socket.create_connection(('{machine.ip}', {PORT}), 1)"
    words = machine.command(sys.executable, "-c", probe)
    return subprocess.run(words, stderr=subprocess.DEVNULL, check=False).returncode == 0


@pytest.fixture
def machines(tmp_path: Path) -> Iterator[list[Machine]]:
    refused = refusal()
    if refused:
        pytest.skip(f"netns: {refused}")
    scratch = Path(f"/tmp/raytao-{uuid.uuid4().hex[:8]}")  # short: sockets' paths must be
    scratch.mkdir()
    try:
        with network(scratch) as found, ray_on(found, scratch):
            yield found
    finally:
        scratch.rmdir()


def test_a_run_trains_on_three_machines_with_addresses_of_their_own(
    machines: list[Machine], tmp_path: Path
) -> None:
    head, results = machines[0], tmp_path / "results"
    file = tmp_path / "run.yaml"
    file.write_text(RUN.format(results=results, address=f"{head.ip}:{PORT}"))
    status = head.command(str(Path(sys.executable).with_name("ray")), "status")
    env = {**ENV, "RAY_ADDRESS": f"{head.ip}:{PORT}"}

    def nodes() -> int:
        done = subprocess.run(status, env=env, capture_output=True, text=True, check=False)
        return done.stdout.count("node_")

    driver.wait_until(lambda: nodes() == len(NAMES), "all nodes")
    done = subprocess.run(
        head.command(*driver.RAYTAO, "run", str(file)),
        env=ENV,
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    assert "Ray: 3 nodes, 3 CPUs" in done.stdout
    records = driver.records(results)
    placed = {r.event.node for r in records if isinstance(r.event, Placed)}
    assert placed == set(NAMES)
    state = RunState.fold(records)
    assert [t.phase for t in state.trials.values()] == [Phase.FINISHED] * 6
