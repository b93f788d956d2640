"""How many trials at once, on a cluster whose nodes come and go; what an autoscaler may add."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import ray
import yaml

import raytao
from raytao.brains.base import Task
from raytao.brains.random import Random
from raytao.cluster import elastic
from raytao.cluster.autoscaler import HEAD, Autoscaler, NodeType, read_config
from raytao.cluster.connect import Cluster
from raytao.cluster.elastic import LOOK_SECONDS, Elastic, Room, most_at_once
from raytao.errors import SettingsError
from raytao.runs.controller import Controller, Lease
from raytao.runs.events import Opened
from raytao.runs.opening import open_run
from raytao.runs.resources import ResourceRequest
from raytao.runs.store import MemoryStore
from raytao.space import Float, Space
from raytao.types import Wait

CPU = ResourceRequest(cpus=1)
GPU = ResourceRequest(cpus=1, gpus=1)
GPUS = Autoscaler((NodeType("gpu", {"CPU": 4.0, "GPU": 1.0}, {}, 4),), most=4)


class Nodes:
    """A cluster whose nodes are as a test says, seen by an `Elastic`."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.there: dict[str, Mapping[str, float]] = {"head": {"CPU": 1.0, HEAD: 1.0}}
        self.gone: frozenset[str] = frozenset()
        self.said: list[str] = []
        self.time = 0.0
        monkeypatch.setattr(ray, "nodes", self._nodes)
        monkeypatch.setattr(elastic, "leaving", lambda: self.gone)

    def _nodes(self) -> list[dict[str, Any]]:
        return [
            {"NodeID": name, "Alive": True, "Resources": has, "Labels": {}}
            for name, has in self.there.items()
        ]

    @property
    def cluster(self) -> Cluster:
        return Cluster(tuple((has, {}) for has in self.there.values()))

    def watched(
        self,
        request: ResourceRequest = CPU,
        limit: int | None = None,
        scaler: Autoscaler | None = None,
    ) -> Elastic:
        return Elastic([request], limit, scaler, self.said.append, clock=lambda: self.time)

    def looks(self, watched: Elastic, controller: Controller) -> int:
        self.time += LOOK_SECONDS
        watched.look(controller)
        return controller.slots


@pytest.fixture
def nodes(monkeypatch: pytest.MonkeyPatch) -> Nodes:
    return Nodes(monkeypatch)


@pytest.fixture
def controller() -> Controller:
    brain = Random(Task(Space([Float("x", 0.0, 1.0)]), 3), Random.Settings(max_recommendations=9))
    return open_run(
        MemoryStore(), "events.jsonl", brain, Opened({}, "value", "maximize", "1.0"), slots=1
    )


@pytest.mark.parametrize(
    ("room", "limit", "slots"),
    [
        (Room(3, 3), None, 3),
        (Room(3, 3), 2, 2),
        (Room(3, 3), 9, 3),
        (Room(1, 8), None, 8),
        (Room(9, 8), None, 9),
        (Room(0, 8), 3, 3),
        (Room(0, 0), None, 1),
        (Room(3, None), None, 6),
        (Room(0, None), None, 1),
        (Room(0, None), 5, 5),
    ],
)
def test_slots_are_what_is_there_or_may_come_up_to_the_limit_and_never_none(
    room: Room, limit: int | None, slots: int
) -> None:
    assert room.slots(limit) == slots


def test_slots_follow_the_nodes(nodes: Nodes, controller: Controller) -> None:
    watched = nodes.watched()
    assert watched.begin(nodes.cluster) == 1
    nodes.there["a"] = {"CPU": 2.0}
    assert nodes.looks(watched, controller) == 3
    nodes.gone = frozenset({"a"})
    assert nodes.looks(watched, controller) == 1
    del nodes.there["a"]
    nodes.gone = frozenset()
    assert nodes.looks(watched, controller) == 1
    assert nodes.said == []


def test_the_cluster_is_asked_only_now_and_then(nodes: Nodes, controller: Controller) -> None:
    watched = nodes.watched()
    nodes.looks(watched, controller)
    nodes.there["a"] = {"CPU": 2.0}
    nodes.time += LOOK_SECONDS - 0.1
    watched.look(controller)
    assert controller.slots == 1
    nodes.time += 0.1
    watched.look(controller)
    assert controller.slots == 3


def test_a_run_whose_leases_are_all_out_gets_the_slots_of_a_node_that_joins(
    nodes: Nodes, controller: Controller
) -> None:
    watched = nodes.watched()
    nodes.looks(watched, controller)
    assert isinstance(controller.suggest(), Lease)
    assert isinstance(controller.suggest(), Wait)
    nodes.there["a"] = {"CPU": 1.0}
    nodes.looks(watched, controller)
    assert isinstance(controller.suggest(), Lease)


def test_a_run_that_only_an_autoscaler_can_serve_waits_and_says_so_once(
    nodes: Nodes, controller: Controller
) -> None:
    watched = nodes.watched(GPU, scaler=GPUS)
    assert watched.begin(nodes.cluster) == 4
    assert nodes.looks(watched, controller) == 4
    assert nodes.looks(watched, controller) == 4
    assert nodes.said == [
        "waiting for a worker: a trial asks for 1 CPU, 1 GPU; no node has room, its autoscaler "
        "may add up to 4 nodes (gpu with 4 CPUs, 1 GPU)"
    ]
    nodes.there["a"] = {"CPU": 4.0, "GPU": 1.0}
    nodes.looks(watched, controller)
    del nodes.there["a"]
    nodes.looks(watched, controller)
    assert len(nodes.said) == 2


@pytest.mark.parametrize("scaler", [None, GPUS])
def test_a_request_that_can_never_be_met_is_refused(
    nodes: Nodes, scaler: Autoscaler | None
) -> None:
    request = ResourceRequest(cpus=1, gpus=2)
    with pytest.raises(
        SettingsError, match=r"asks for 1 CPU, 2 GPUs, but no node has 2 GPU"
    ) as no:
        nodes.watched(request, scaler=scaler).begin(nodes.cluster)
    if scaler is not None:
        assert "may add up to 4 nodes" in str(no.value)
        assert "the most on one is 1" in str(no.value)


LARGE = ResourceRequest(cpus=40)


def test_a_trial_too_large_for_every_node_that_was_not_foreseen_is_told(nodes: Nodes) -> None:
    watched = nodes.watched()
    watched.asked(1, CPU)
    watched.asked(7, LARGE)
    assert nodes.said == [
        "recommendation 7 waits for a larger node: it asks for 40 CPUs, but no node has 40 CPU "
        "(the most on one is 1), and nothing will add one; add one, or stop the run and "
        "resume it with less under resources"
    ]


def test_a_trial_that_was_not_foreseen_and_may_get_its_node_is_not_told_of(nodes: Nodes) -> None:
    nodes.there["a"] = {"CPU": 64.0}
    nodes.watched().asked(7, LARGE)
    del nodes.there["a"]
    large = Autoscaler((NodeType("large", {"CPU": 64.0}, {}, 1),), most=1)
    nodes.watched(scaler=large).asked(7, LARGE)
    nodes.watched(scaler=Autoscaler()).asked(7, LARGE)
    assert nodes.said == []
    nodes.watched(scaler=GPUS).asked(7, LARGE)
    assert len(nodes.said) == 1


def test_an_autoscaler_that_does_not_say_how_far_it_goes_is_asked_for_twice_what_is_there(
    nodes: Nodes, controller: Controller
) -> None:
    watched = nodes.watched(scaler=Autoscaler())
    assert watched.begin(nodes.cluster) == 2
    nodes.there["a"] = {"CPU": 3.0}
    assert nodes.looks(watched, controller) == 8
    assert nodes.watched(GPU, limit=5, scaler=Autoscaler()).begin(nodes.cluster) == 5


def test_trials_that_differ_have_the_nodes_of_all_of_them() -> None:
    small = ResourceRequest(gpus=1, labels={"gpu": "small"})
    large = ResourceRequest(gpus=1, labels={"gpu": "large"})
    has = {"CPU": 4.0, "GPU": 1.0}
    there = [(has, {"gpu": size}) for size in ("small", "small", "large")]
    assert most_at_once(there, [small, large]) == 3
    assert most_at_once(there, [large]) == 1


def test_the_autoscaler_of_a_cluster_file_adds_its_workers() -> None:
    file = Path(raytao.__file__).parents[1] / "cluster/local.yaml"
    found = read_config(yaml.safe_load(file.read_text()))
    assert found == Autoscaler((NodeType("worker", {"CPU": 1.0}, {}, 2),), most=2)


def test_types_share_the_limit_of_the_whole_cluster_and_the_roomiest_come_first() -> None:
    config = {
        "max_workers": 3,
        "available_node_types": {
            "head": {"resources": {"CPU": 8}, "max_workers": 3},
            "small": {"resources": {"CPU": 1}},
            "large": {"resources": {"CPU": 4}, "max_workers": 2, "labels": {"gpu": "large"}},
            "none": {"resources": {"CPU": 9}, "max_workers": 0},
        },
        "head_node_type": "head",
    }
    found = read_config(config)
    assert found is not None
    added = found.nodes([CPU])
    assert added == [({"CPU": 4.0}, {"gpu": "large"})] * 2 + [({"CPU": 1.0}, {})]
    assert found.lacks(ResourceRequest(cpus=5))
    assert not found.lacks(ResourceRequest(cpus=4, labels={"gpu": "large"}))


@pytest.mark.parametrize(
    "config",
    [{}, {"max_workers": 0, "available_node_types": {"a": {"resources": {"CPU": 1}}}}],
)
def test_a_monitor_that_only_looks_on_adds_nothing(config: dict[str, Any]) -> None:
    assert read_config(config) is None
