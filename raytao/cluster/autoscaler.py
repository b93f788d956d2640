"""What a cluster's autoscaler may add: the node types of its configuration.

Ray has one call for it, which managed clusters answer (`get_cluster_config`). Everywhere else the
configuration lies with the autoscaler's process on the head, and a task looks there. An autoscaler
outside of the head, as KubeRay's, says only that it is there.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, Final

import ray
import yaml
from ray.exceptions import RayError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from raytao.cluster.capacity import Node, fits, lacking
from raytao.cluster.connect import counted
from raytao.runs.resources import ResourceRequest

PATIENCE_SECONDS: Final = 30.0
"""How long the head may take to answer."""

HEAD: Final = "node:__internal_head__"
"""The resource that only the head has."""

LOOPBACK: Final = "127.0.0.1"

ENDLESS: Final = 10_000
"""Nodes of a type without a limit that are counted."""

NODES_NAMED: Final = 3

_CWD: Final = "cwd"
"""Beside a monitor's options: the folder that its relative paths begin in."""

_REPORT: Final = "__autoscaling_status"
"""Ray's own note with what an autoscaler last saw."""


@dataclass(frozen=True)
class NodeType:
    """Nodes that an autoscaler may start: what each has, and how many there may be."""

    name: str
    resources: Mapping[str, float]
    labels: Mapping[str, str]
    most: int

    @property
    def node(self) -> Node:
        """One of them."""
        return self.resources, self.labels


@dataclass(frozen=True)
class Autoscaler:
    """What may be added.

    Args:
        types: the kinds of nodes; empty: it does not say.
        most: nodes of all types together.
    """

    types: tuple[NodeType, ...] = ()
    most: int = ENDLESS

    def nodes(self, requests: Sequence[ResourceRequest]) -> list[Node] | None:
        """All nodes that it may have at once, those with most room first; None: it does not say.

        Args:
            requests: what trials may ask for; they decide what is the most room.
        """
        if not self.types:
            return None
        best_first = sorted(
            self.types, key=lambda t: -max(fits(t.resources, t.labels, r) for r in requests)
        )
        nodes = [kind.node for kind in best_first for _ in range(min(kind.most, self.most))]
        return nodes[: self.most]

    def lacks(self, request: ResourceRequest) -> str:
        """Why none of its nodes has room for a trial; blank if one has, or if it does not say."""
        if not self.types:
            return ""
        copies = [kind.node for kind in self.types for _ in range(min(kind.most, request.nodes))]
        return lacking(copies, request)

    def __str__(self) -> str:
        if not self.types:
            return "its autoscaler does not say what it may add"
        kinds = [f"{kind.name} with {_amounts(kind.resources)}" for kind in self.types]
        more = len(kinds) - NODES_NAMED
        kinds[NODES_NAMED:] = [f"{more} other kinds"] if more > 0 else []
        count = min(self.most, sum(kind.most for kind in self.types))
        return f"its autoscaler may add up to {count} nodes ({'; '.join(kinds)})"


def find_autoscaler() -> Autoscaler | None:
    """What the connected cluster may grow by; None: it stays as it is."""
    state: Any = import_module("ray._private.state").state
    config = state.get_cluster_config()
    if config is not None and config.node_group_configs:
        return _told(config)
    here = ray.get_runtime_context().get_node_id()
    head = next((n["NodeID"] for n in ray.nodes() if n["Alive"] and HEAD in n["Resources"]), here)
    gcs = ray.get_runtime_context().gcs_address
    monitor = configured_on(gcs) if head == here else _asked(head, gcs)
    if monitor is None:
        return Autoscaler() if _reports() else None
    return read_config(monitor)


def read_config(config: Mapping[str, Any]) -> Autoscaler | None:
    """An autoscaler's configuration, as ``ray up`` takes it; None if it can add nothing.

    Args:
        config: its content; empty for a monitor that only looks on.
    """
    most = int(config.get("max_workers", ENDLESS if "available_node_types" in config else 0))
    types = [
        NodeType(
            name,
            {key: float(amount) for key, amount in (kind.get("resources") or {}).items()},
            {str(key): str(value) for key, value in (kind.get("labels") or {}).items()},
            int(kind.get("max_workers", most)),
        )
        for name, kind in (config.get("available_node_types") or {}).items()
        if name != config.get("head_node_type")
    ]
    useful = tuple(kind for kind in types if kind.most > 0 and kind.resources)
    return Autoscaler(useful, most) if useful and most > 0 else None


def configured_on(gcs: str) -> dict[str, Any] | None:
    """The configuration of the monitor of a cluster on this machine; None: none can be read here.

    Args:
        gcs: address of the cluster's control service.
    """
    for options in _monitors():
        if _is_one(options.get("--gcs-address", ""), gcs):
            file = options.get("--autoscaling-config")
            if file is None:
                return {}
            try:
                text = Path(options[_CWD], file).expanduser().read_text(encoding="utf-8")
            except OSError:
                return None
            plain = yaml.safe_load(text)
            return plain if isinstance(plain, dict) else {}
    return None


def _is_one(address: str, other: str) -> bool:
    """Whether two addresses are one, where this machine has several."""
    (host, _, port), (name, _, number) = address.rpartition(":"), other.rpartition(":")
    return port == number and (host == name or LOOPBACK in (host, name))


def _monitors() -> Iterator[dict[str, str]]:
    """The options of every monitor of Ray's here that this user may see, and its own folder."""
    for number in filter(str.isdecimal, os.listdir("/proc")):  # noqa: PTH208 - names are enough
        try:
            words = Path("/proc", number, "cmdline").read_bytes().decode().split("\0")
            begun_in = str(Path("/proc", number, "cwd").readlink())
        except (OSError, UnicodeDecodeError):
            continue
        if any(word.endswith("/monitor.py") for word in words):
            yield {_CWD: begun_in, **dict(word.split("=", 1) for word in words if "=" in word)}


def _asked(head: str, gcs: str) -> dict[str, Any] | None:
    """`configured_on`, on the head; None if it does not answer."""
    question: Any = ray.remote(num_cpus=0)(configured_on)
    there = NodeAffinitySchedulingStrategy(head, soft=False)
    try:
        answer: dict[str, Any] | None = ray.get(
            question.options(scheduling_strategy=there).remote(gcs), timeout=PATIENCE_SECONDS
        )
    except RayError:
        return None
    return answer


def _reports() -> bool:
    """Whether an autoscaler looks after this cluster from outside of its head."""
    store: Any = import_module("ray.experimental.internal_kv")
    if store._internal_kv_get(_REPORT):
        return True
    messages: Any = import_module("ray.core.generated.autoscaler_pb2")
    reply = messages.GetClusterStatusReply()
    client: Any = store.internal_kv_get_gcs_client()
    reply.ParseFromString(client.get_cluster_status(timeout_s=10))
    return bool(reply.autoscaling_state.autoscaler_state_version)


def _told(config: Any) -> Autoscaler:
    types = tuple(
        NodeType(
            group.name or "node",
            {key: float(amount) for key, amount in group.resources.items()},
            {},
            ENDLESS if group.max_count < 0 else group.max_count,
        )
        for group in config.node_group_configs
        if group.max_count != 0
    )
    return Autoscaler(types)


def _amounts(resources: Mapping[str, float]) -> str:
    """``4 CPUs, 1 GPU, fast_disk 1``."""
    own = [name for name in resources if name not in ("memory", "object_store_memory")]
    told = [
        counted(resources[name], name) if name in ("CPU", "GPU") else f"{name} {resources[name]:g}"
        for name in own
    ]
    return ", ".join(told) or "no resources"
