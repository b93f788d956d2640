"""How many trials fit on nodes, and how nodes are chosen by their labels."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from functools import cache
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from raytao.cluster.capacity import Node, bundle, capacity, fits, lacking, matches
from raytao.runs.resources import ResourceRequest as Ask

FOUR_GPUS: Node = ({"CPU": 16.0, "GPU": 4.0, "memory": 64e9}, {"gpu": "large"})
NO_GPU: Node = ({"CPU": 8.0}, {})


@pytest.mark.parametrize(
    ("asked", "most"),
    [
        (Ask(), 16),
        (Ask(cpus=5), 3),
        (Ask(cpus=0.1), 160),  # 16 / 0.1 is 160, in floats too
        (Ask(gpus=1), 4),
        (Ask(gpus=0.5), 8),
        (Ask(gpus=0.6), 4),  # a share is of one GPU: two of 0.4 left over are no 0.6
        (Ask(gpus=0.3), 12),
        (Ask(gpus=3), 1),
        (Ask(gpus=5), 0),
        (Ask(memory_gb=20), 3),
        (Ask(cpus=4, gpus=1, memory_gb=10), 4),
        (Ask(custom={"fast_disk": 1}), 0),
        (Ask(labels={"gpu": "large"}), 16),
        (Ask(labels={"gpu": "small"}), 0),
        (Ask(gpu_memory_gb=30, gpus=0.5), 8),  # a cap takes no room
    ],
)
def test_a_node_has_room_for_as_many_as_its_scarcest_resource_allows(
    asked: Ask, most: int
) -> None:
    assert fits(*FOUR_GPUS, asked) == most
    assert capacity([FOUR_GPUS], asked) == most


@pytest.mark.parametrize(
    ("rule", "large", "none"),
    [
        ("large", True, False),
        ("small", False, False),
        ("!small", True, True),
        ("!large", False, True),
        ("in(small, large)", True, False),
        ("in(small,huge)", False, False),
        ("!in(small,large)", False, True),
        ("!in(small)", True, True),
    ],
)
def test_a_label_that_is_not_there_is_as_one_with_another_value(
    rule: str, large: bool, none: bool
) -> None:
    assert matches({"gpu": "large"}, {"gpu": rule}) is large
    assert matches({}, {"gpu": rule}) is none


def test_every_label_must_be_as_selected() -> None:
    labels = {"gpu": "large", "zone": "a"}
    assert matches(labels, {"gpu": "large", "zone": "!b"})
    assert not matches(labels, {"gpu": "large", "zone": "b"})
    assert matches(labels, {})


def test_what_ray_is_asked_for_is_in_its_own_units_and_names_no_zeros() -> None:
    asked = Ask(cpus=2, gpus=0, memory_gb=1.5, custom={"fast_disk": 1})
    assert bundle(asked) == {"CPU": 2.0, "memory": 1.5e9, "fast_disk": 1.0}


def test_the_machines_of_one_trial_are_different_ones() -> None:
    two = Ask(gpus=4, nodes=2)
    assert capacity([FOUR_GPUS], two) == 0
    assert capacity([FOUR_GPUS] * 2, two) == 1
    assert capacity([FOUR_GPUS] * 3, two) == 1
    assert capacity([FOUR_GPUS, NO_GPU], two) == 0
    assert capacity([FOUR_GPUS] * 3, Ask(gpus=2, nodes=2)) == 3


@given(rooms=st.lists(st.integers(0, 3), min_size=1, max_size=4), nodes=st.integers(1, 3))
def test_trials_on_several_nodes_are_as_many_as_can_be_placed_by_trying_all_ways(
    rooms: list[int], nodes: int
) -> None:
    cluster: list[Node] = [({"CPU": float(room)}, {}) for room in rooms]
    found = capacity(cluster, Ask(nodes=nodes))
    assert found == _most(tuple(rooms), nodes)


@cache
def _most(rooms: tuple[int, ...], nodes: int) -> int:
    """The most trials, each on ``nodes`` different nodes, by trying every way."""
    best = 0
    for chosen in itertools.combinations(range(len(rooms)), nodes):
        if all(rooms[node] for node in chosen):
            left = tuple(room - (node in chosen) for node, room in enumerate(rooms))
            best = max(best, 1 + _most(left, nodes))
    return best


@given(
    gpus=st.integers(0, 8),
    share=st.sampled_from([0.1, 0.2, 0.25, 0.3, 0.4, 0.5, 0.6, 0.75, 1.0, 2.0]),
)
def test_shares_that_fit_can_be_laid_onto_gpus_one_by_one(gpus: int, share: float) -> None:
    found = fits({"CPU": 1000.0, "GPU": float(gpus)}, {}, Ask(gpus=share))
    free = [10_000] * gpus
    part = round(share * 10_000)
    placed = 0
    while True:
        spots = [n for n, room in enumerate(free) if room >= min(part, 10_000)]
        if len(spots) < max(1, part // 10_000):
            break
        for spot in spots[: max(1, part // 10_000)]:
            free[spot] -= min(part, 10_000)
        placed += 1
    assert found == placed


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        (Ask(gpus=2), ""),
        (Ask(gpus=8), "no node has 8 GPU (the most on one is 4)"),
        (Ask(cpus=64), "no node has 64 CPU (the most on one is 16)"),
        (Ask(memory_gb=100), "no node has 100 GB of memory (the most on one is 64)"),
        (Ask(custom={"fast_disk": 1}), "no node has 1 fast_disk (there is none)"),
        (Ask(labels={"gpu": "small"}), "no node has a label gpu: small (nodes have gpu: large)"),
        (Ask(labels={"zone": "a"}), "no node has a label zone: a (none has a label zone)"),
        (Ask(labels={"gpu": "!large"}, gpus=1), "no node has 1 GPU (there is none)"),
        (Ask(gpus=2, nodes=2), "1 nodes have room for its part, and it asks for 2"),
    ],
)
def test_what_no_node_has_is_named(asked: Ask, told: str) -> None:
    assert lacking([FOUR_GPUS, NO_GPU], asked) == told


def test_what_is_there_but_not_on_one_node_is_told_so() -> None:
    nodes: list[Node] = [({"CPU": 1.0, "GPU": 4.0}, {}), ({"CPU": 32.0, "GPU": 1.0}, {})]
    assert lacking(nodes, Ask(cpus=8, gpus=2)) == "no node has all of it together"
    labelled: list[Node] = [({"CPU": 1.0}, {"a": "1"}), ({"CPU": 1.0}, {"b": "1"})]
    both = Ask(labels={"a": "1", "b": "1"})
    assert lacking(labelled, both) == "no node has all of its labels together"


RESOURCES = st.dictionaries(
    st.sampled_from(["CPU", "GPU", "memory", "fast_disk"]), st.floats(0, 1e4), max_size=4
)
REQUESTS: st.SearchStrategy[Ask] = st.builds(
    Ask,
    cpus=st.floats(0.01, 100),
    gpus=st.one_of(st.floats(0, 1), st.integers(0, 8).map(float)),
    custom=st.dictionaries(st.just("fast_disk"), st.floats(0.01, 10)),
    labels=st.dictionaries(st.just("gpu"), st.sampled_from(["a", "!a", "in(a, b)"])),
    nodes=st.integers(1, 3),
)


@given(has=RESOURCES, labels=st.dictionaries(st.just("gpu"), st.just("a")), asked=REQUESTS)
def test_a_reason_is_given_exactly_where_nothing_fits(
    has: Mapping[str, float], labels: Mapping[str, str], asked: Ask
) -> None:
    nodes: list[Node] = [(has, labels)] * 2
    assert bool(lacking(nodes, asked)) is (capacity(nodes, asked) == 0)


@given(asked=REQUESTS)
def test_a_request_survives_json(asked: Ask) -> None:
    plain: dict[str, Any] = asked.to_json()
    assert Ask.from_json(plain) == asked
    assert hash(Ask.from_json(plain)) == hash(asked)
