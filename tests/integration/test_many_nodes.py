"""One run on several raylets: all of them train; one is killed, one joins, one is drained."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import driver
import psutil
import pytest
from ray.cluster_utils import Cluster

from raytao.cluster.connect import QUIET
from raytao.runs.events import Lost, Placed, Reported, Returned
from raytao.runs.state import Phase, RunState
from raytao.runs.store import LocalStore
from raytao.tao import layout
from raytao.trials.provenance import read_provenance

pytestmark = [pytest.mark.ray, pytest.mark.integration]

RUN = """
network: toy
brain: {{name: random, max_recommendations: {trials}}}
set: {{train.sleep: 0.5, train.num_epochs: {epochs}}}
results_dir: {results}
address: {address}
"""

FAST_DEATH = {
    "health_check_initial_delay_ms": 1000,
    "health_check_period_ms": 500,
    "health_check_timeout_ms": 2000,
    "health_check_failure_threshold": 3,
}
"""A dead node is noticed within seconds; Ray's own patience is fifteen."""


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    """A head without CPUs and three nodes with one: trials run on those."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in QUIET.items():
            patch.setenv(name, value)
        head = {
            "num_cpus": 0,
            "include_dashboard": False,
            "dashboard_port": None,  # else one that is tried may be taken, and stays open
            "_system_config": FAST_DEATH,
        }
        made = Cluster(initialize_head=True, head_node_args=head)
        try:
            for _ in range(3):
                made.add_node(num_cpus=1)
            yield made
        finally:
            made.shutdown()  # type: ignore[no-untyped-call]  # Ray's own


class Run:
    """A driver of its own on the cluster."""

    def __init__(self, folder: Path, address: str, *, trials: int, epochs: int) -> None:
        self.results = folder / "results"
        self.folder = folder
        file = folder / "run.yaml"
        text = RUN.format(trials=trials, epochs=epochs, results=self.results, address=address)
        file.write_text(text)
        self.process = driver.start("run", file, cwd=folder)

    @property
    def said(self) -> str:
        return (self.folder / "driver.log").read_text()

    def events(self, kind: type[Any]) -> list[Any]:
        if not (self.results / layout.EVENTS).exists():
            return []
        return [r.event for r in driver.records(self.results) if isinstance(r.event, kind)]

    def wait(self, condition: Callable[[], bool], what: str) -> None:
        def met() -> bool:
            assert self.process.poll() is None, self.said
            return condition()

        driver.wait_until(met, what)

    def finish(self) -> RunState:
        assert self.process.wait(180) == 0, self.said
        return RunState.fold(driver.records(self.results))

    def committed(self, trial: int) -> int:
        known = read_provenance(LocalStore(self.results), layout.experiment(trial))
        return 0 if known is None else known.epochs_trained

    def times_trained(self, trial: int) -> dict[int, int]:
        """How often each epoch was begun."""
        lines = (self.results / layout.experiment(trial) / layout.LOG).read_text().splitlines()
        return dict(Counter(int(x.split()[-1]) for x in lines if x.startswith("training epoch")))


def raylet(node: Any) -> int:
    """The process that is a node."""
    return int(node.all_processes["raylet"][0].process.pid)


def raylets_of(run: Run) -> dict[int, int]:
    """The raylet on which each trial's actor was last: the parent of its process."""
    found = {}
    for placed in run.events(Placed):
        with suppress(psutil.NoSuchProcess):
            found[placed.trial] = psutil.Process(placed.pid).ppid()
    return found


def give_notice(cluster: Cluster, node_id: str, seconds: int) -> None:
    """What a cloud's agent calls before a machine is taken back."""
    words = ("--reason=DRAIN_NODE_REASON_PREEMPTION", "--reason-message=taken back")
    when = f"--deadline-remaining-seconds={seconds}"
    ray = str(Path(sys.executable).with_name("ray"))
    command = (ray, "drain-node", f"--address={cluster.address}", f"--node-id={node_id}")
    done = subprocess.run([*command, *words, when], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_a_killed_node_costs_no_finished_epoch_and_a_new_one_gets_work(
    cluster: Cluster, tmp_path: Path
) -> None:
    run = Run(tmp_path, cluster.address, trials=5, epochs=24)
    nodes = {raylet(node): node for node in cluster.worker_nodes}
    run.wait(lambda: set(raylets_of(run).values()) == set(nodes), "trials on all three nodes")
    run.wait(lambda: all(run.committed(trial) >= 2 for trial in range(3)), "two epochs each")

    lost, victim = next(iter(raylets_of(run).items()))
    known = run.committed(lost)
    os.kill(victim, signal.SIGKILL)
    joined = raylet(cluster.add_node(num_cpus=1))
    run.wait(lambda: joined in raylets_of(run).values(), "work for the node that joined")
    cluster.remove_node(nodes[victim], allow_graceful=False)

    state = run.finish()
    assert [t.phase for t in state.trials.values()] == [Phase.FINISHED] * 5
    (loss,) = run.events(Lost)
    assert (loss.trial, loss.node) == (lost, True)
    reports = Counter((e.trial, e.epoch) for e in run.events(Reported))
    assert set(reports.values()) == {1}
    for trial in state.trials:
        trained = run.times_trained(trial)
        assert set(trained) == set(range(1, 25))
        assert sum(trained.values()) - 24 <= (trial == lost)
    assert all(run.times_trained(lost)[epoch] == 1 for epoch in range(1, known + 1))


def test_a_trial_leaves_a_node_that_has_got_notice_and_repeats_nothing(
    cluster: Cluster, tmp_path: Path
) -> None:
    run = Run(tmp_path, cluster.address, trials=2, epochs=24)
    nodes = {raylet(node): node for node in cluster.worker_nodes}
    run.wait(lambda: run.committed(1) >= 2 and 1 in raylets_of(run), "two epochs")

    left = raylets_of(run)[1]
    node = psutil.Process(left)
    noticed = time.time()
    give_notice(cluster, nodes[left].node_id, seconds=60)
    run.wait(lambda: bool(run.events(Returned)), "the trial's return")
    (returned,) = run.events(Returned)
    assert returned.trial == 1
    kept = read_provenance(LocalStore(run.results), layout.experiment(1))
    assert kept is not None
    assert kept.latest is not None
    assert kept.latest.epoch == kept.epochs_trained
    weights = run.results / layout.experiment(1) / kept.latest.file
    assert weights.stat().st_mtime > noticed
    run.wait(lambda: raylets_of(run).get(1, left) != left, "the trial on another node")

    run.finish()
    assert run.events(Lost) == []
    assert run.times_trained(1) == dict.fromkeys(range(1, 25), 1)
    assert "nodes are about to leave the cluster: asked a trial there to move" in run.said
    driver.wait_for_the_end_of([node], 30)  # Ray ends a node that has got notice and is idle
