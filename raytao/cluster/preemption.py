"""Nodes that are about to leave, nodes that are gone, and trials that are asked to move.

A cloud that takes a spot machine back, Kubernetes that ends a pod, and ``ray drain-node`` all tell
the cluster's control service first, and Ray starts nothing new on such a node. A trial there is
asked to leave with its next epoch: that epoch gets a checkpoint, and from there the trial goes on
elsewhere. An epoch is the least that is kept: one that takes longer than the notice is trained
again, as after the loss of a node without notice.
"""

from __future__ import annotations

import re
from importlib import import_module
from typing import Any, Final

import ray

from raytao.cluster import blackboard

_NODE_DIED: Final = re.compile(r"node has died|Node Id: (?P<id>[0-9a-f]{56})")
"""What Ray says of an actor that was lost with its node."""


def leaving() -> frozenset[str]:
    """Ids of the nodes that have got a notice and are still there."""
    state: Any = import_module("ray._private.state").state
    return frozenset(state.get_draining_nodes())


def living() -> frozenset[str]:
    """Ids of the nodes that are there."""
    return frozenset(node["NodeID"] for node in ray.nodes() if node["Alive"])


def lost_with_its_node(node_id: str | None, said: str) -> bool:
    """Whether an actor's whole node is gone.

    Args:
        node_id: where it was, if that is known.
        said: Ray's words about its end, which come as early as the news itself.
    """
    told = _NODE_DIED.search(said)
    if told is not None and told["id"] is None:
        return True
    where = node_id or (told["id"] if told is not None else None)
    return where is not None and where not in living()


def ask_to_move(lease: str) -> None:
    """Ask whoever works on a lease to leave with the next epoch; ``lease`` is Tune's id."""
    blackboard.write(_key(lease), b"")


def is_asked_to_move(lease: str) -> bool:
    """Whether that was asked; for the lease's worker."""
    return blackboard.read(_key(lease)) is not None


def forget(lease: str) -> None:
    """The lease is over."""
    blackboard.wipe(_key(lease))


def _key(lease: str) -> str:
    return f"move/{lease}"
