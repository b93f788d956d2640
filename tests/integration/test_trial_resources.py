"""What trials get of real raylets with logical GPUs: devices of their own, shares, labels."""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from ray.cluster_utils import Cluster

from raytao.errors import SettingsError
from raytao.runs.eta import Remaining
from raytao.runs.events import Event
from raytao.runs.resources import ResourceRequest
from raytao.runs.state import RunState
from raytao.setup.changes import Entry
from raytao.setup.resolve import resolve
from raytao.tao import layout
from raytao.tune.launch import launch

pytestmark = [pytest.mark.ray, pytest.mark.integration]

TOGETHER = 7
"""Trials that begin together: the user's own, and the ones below."""

NETWORK = f'''\
"""A training that tells, epoch by epoch, on which node and devices it was, and when."""

import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

from raytao.networks.base import TrainContext
from raytao.testing.toy import Toy

HERE = Path(__file__).parent / "here"


def wait_for_the_others(trial: Path) -> None:
    """However slowly they start, the first trials train at one time."""
    HERE.mkdir(exist_ok=True)
    (HERE / trial.name).touch()
    until = time.monotonic() + 60
    while len(list(HERE.iterdir())) < {TOGETHER} and time.monotonic() < until:
        time.sleep(0.02)


class Witness(Toy):
    name: ClassVar[str] = "toy"

    def train(self, spec: Mapping[str, Any], ctx: TrainContext) -> None:
        wait_for_the_others(ctx.workspace.parent)
        for epoch in ctx.epochs:
            began = time.time()
            time.sleep(0.2)
            seen = (os.environ["RAY_RAYLET_PID"], os.environ["CUDA_VISIBLE_DEVICES"],
                    os.environ["OMP_NUM_THREADS"], began, time.time())
            ctx.log("SEEN " + " ".join(map(repr, seen)))
            ctx.save(b"{{}}")
            ctx.report(epoch, {{"value": spec["model"]["x"], "loss": 0.0}})
'''

RUN = """
network: witness:Witness
seed: 7
evaluate: false
slots: 7
initial:
- {model.fruit: fig, model.x: 0.9}
- {model.fruit: fig, model.x: 0.8}
- {model.y: 9, model.x: 0.99}
- {model.y: 8, model.x: 0.98}
- {model.y: 1}
- {model.fruit: plum, model.x: 0.1}
resources:
  cpus: 1
  gpus: 1 if model.y > 5 else 0.5
  labels: {gpu: large}
  when:
  - if: model.fruit == 'fig'
    gpus: 0.5
    labels: {gpu: small}
  - if: model.fruit == 'plum'
    cpus: 2
    gpus: 0
    labels: {}
"""

BRAIN = "{name: hyperband, R: 9, nu: 3, epoch_multiplier: 1, mode: sync}"


class Silent:
    """Watches without a word."""

    def connected(self, found: str) -> None: ...

    def event(self, event: Event, state: RunState) -> None: ...

    def step(self, state: RunState, left: Remaining) -> None: ...


@dataclass(frozen=True)
class Epoch:
    """An epoch as its training saw it; ``node`` is the process id of that node's raylet."""

    trial: int
    node: str
    devices: str
    threads: int
    began: float
    ended: float
    request: ResourceRequest

    def overlaps(self, other: Epoch) -> bool:
        return self.began < other.ended and other.began < self.ended

    def beside(self, other: Epoch) -> bool:
        """Whether both were on one device at one time."""
        here = (self.node, self.devices) == (other.node, other.devices)
        return here and self.trial != other.trial and self.overlaps(other)


@pytest.fixture(scope="module")
def epochs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Epoch]]:
    """A Hyperband whose trials ask for this and that, on two nodes with GPUs that are counted.

    None of them exists. The head has one, and the other node four.
    """
    folder = tmp_path_factory.mktemp("run")
    (folder / "witness.py").write_text(NETWORK)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(folder))
        patch.setenv("PYTHONPATH", str(folder))  # of the raylets, whose workers import it
        small = {"num_cpus": 4, "num_gpus": 1, "labels": {"gpu": "small"}}
        head = {**small, "include_dashboard": False, "dashboard_port": None}
        cluster: Any = Cluster(initialize_head=True, head_node_args=head)
        try:
            cluster.add_node(num_cpus=8, num_gpus=4, labels={"gpu": "large"})
            cluster.wait_for_nodes()
            patch.setenv("RAY_ADDRESS", cluster.address)
            yield _seen(folder)
        finally:
            cluster.shutdown()


def _seen(folder: Path) -> list[Epoch]:
    run = folder / "run.yaml"
    run.write_text(f"{RUN}brain: {BRAIN}\nresults_dir: {folder / 'results'}\n")
    setup = resolve(str(run))
    done = launch(setup, Entry(setup.opened()), Silent())
    assert done.finished is not None
    assert done.finished.status == "Done"
    return [
        Epoch(trial, node, devices, int(threads), began, ended, setup.request_of(known.params))
        for trial, known in done.trials.items()
        for node, devices, threads, began, ended in _told(folder / "results", trial)
    ]


def _told(results: Path, trial: int) -> Iterator[tuple[str, str, str, float, float]]:
    """What a training told in its log, in the order of its epochs."""
    log = (results / layout.experiment(trial) / layout.LOG).read_text()
    for line in log.splitlines():
        if "SEEN " in line:
            values = [ast.literal_eval(part) for part in line.split("SEEN ")[1].split(" ")]
            node, devices, threads, began, ended = values
            yield node, devices, threads, began, ended


def test_a_trial_sees_the_gpus_that_it_was_given_and_no_others(epochs: list[Epoch]) -> None:
    for epoch in epochs:
        assert len(epoch.devices.split(",")) == 1
        assert bool(epoch.devices) is (epoch.request.gpus > 0)
        assert epoch.threads == epoch.request.threads
    assert {epoch.request.gpus for epoch in epochs} == {0, 0.5, 1}


def test_labels_that_follow_from_the_spec_place_trials_as_written(epochs: list[Epoch]) -> None:
    nodes = {
        label: {e.node for e in epochs if e.request.labels.get("gpu") == label}
        for label in ("small", "large")
    }
    assert [len(found) for found in nodes.values()] == [1, 1]
    assert nodes["small"] != nodes["large"]


def test_two_halves_share_a_gpu_and_a_whole_one_is_shared_by_nobody(epochs: list[Epoch]) -> None:
    shared = {(a.request.gpus, b.request.gpus) for a in epochs for b in epochs if a.beside(b)}
    assert {pair for pair in shared if pair != (0, 0)} == {(0.5, 0.5)}


def test_trials_at_one_time_have_gpus_of_their_own(epochs: list[Epoch]) -> None:
    whole = [epoch for epoch in epochs if epoch.request.gpus == 1]
    both = [(a, b) for a in whole for b in whole if a.trial < b.trial and a.overlaps(b)]
    assert both
    assert all(a.devices != b.devices for a, b in both)


def test_no_gpu_is_given_out_twice_when_trials_are_promoted(epochs: list[Epoch]) -> None:
    trained = Counter(epoch.trial for epoch in epochs)
    assert {1, 3, 9} <= set(trained.values())  # rungs: some trials went on, in other segments
    for now in (epoch for epoch in epochs if epoch.devices):
        there = [e for e in epochs if (e.node, e.devices) == (now.node, now.devices)]
        held = [e for e in there if e.began <= now.began < e.ended]
        assert sum(e.request.gpus for e in held) <= 1


def test_what_no_node_has_is_refused_by_its_name(tmp_path: Path, epochs: list[Epoch]) -> None:
    assert epochs  # on the same cluster
    run = tmp_path / "run.yaml"
    wrong = "{if: model.y > 99, labels: {gpu: huge}}"
    run.write_text(f"network: toy\nresults_dir: {tmp_path}/r\nresources: {{when: [{wrong}]}}\n")
    setup = resolve(str(run))
    with pytest.raises(SettingsError, match=r"label gpu: huge \(nodes have gpu: large, small\)"):
        launch(setup, Entry(setup.opened()), Silent())
    assert not (tmp_path / "r").exists()
