"""Connecting to a Ray cluster, and what it has room for."""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any, Final

import ray
from ray.exceptions import AuthenticationError
from ray.util import get_node_ip_address

from raytao.cluster.capacity import Node, capacity, lacking
from raytao.cluster.knocking import nobody_at
from raytao.cluster.local_ray import forget_local_ray, out_of_reach
from raytao.cluster.nodes import check_nodes
from raytao.errors import SettingsError
from raytao.runs.resources import ResourceRequest

LOCAL: Final = "local"
"""Ray's word for a cluster that is started here."""

QUIET = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_AIR_NEW_OUTPUT": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    "TUNE_DISABLE_SIGINT_HANDLER": "1",
    "TUNE_PRINT_ALL_TRIAL_ERRORS": "0",
    "TUNE_WARN_EXCESSIVE_EXPERIMENT_CHECKPOINT_SYNC_THRESHOLD_S": "0",
}
"""What Ray reads from the environment: its own progress, loggers and Ctrl-C handler are off."""


@dataclass(frozen=True)
class Cluster:
    """What Ray found: living nodes, their resources and their labels."""

    nodes: tuple[Node, ...]

    @property
    def cpus(self) -> float:
        """CPUs of all nodes."""
        return sum(has.get("CPU", 0.0) for has, _ in self.nodes)

    @property
    def gpus(self) -> float:
        """GPUs of all nodes."""
        return sum(has.get("GPU", 0.0) for has, _ in self.nodes)

    def __str__(self) -> str:
        nodes, cpus, gpus = len(self.nodes), self.cpus, self.gpus
        return f"Ray: {counted(nodes, 'node')}, {counted(cpus, 'CPU')}, {counted(gpus, 'GPU')}"


def counted(number: float, word: str) -> str:
    """``1 CPU``, ``2 CPUs``, ``0.5 CPUs``."""
    return f"{number:g} {word}" if number == 1 else f"{number:g} {word}s"


@contextmanager
def connected(address: str | None) -> Iterator[Cluster]:
    """Be in a Ray cluster, and leave it as it was found.

    A Ray to which this process is connected already is used as it is, and stays connected. Else
    the cluster at ``address`` (or the one in RAY_ADDRESS) is joined, or one is started here that
    ends with the block. Every node of a cluster that was not started here is asked for its
    versions first.

    Raises:
        SettingsError: if there is no cluster at that address, if Ray is connected to another one,
            or if a node has another raytao.
    """
    for name, value in QUIET.items():
        os.environ.setdefault(name, value)
    logging.getLogger("ray.tune").setLevel(logging.ERROR)
    if ray.is_initialized():
        _refuse_other(address)
        check_nodes()
        yield _found()
        return
    where = address or os.environ.get("RAY_ADDRESS") or LOCAL
    _init(where)
    try:
        if where != LOCAL:
            check_nodes()
        yield _found()
    finally:
        ray.shutdown()
        forget_local_ray()


def _init(where: str) -> None:
    options: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR}
    if where == LOCAL:
        options["include_dashboard"] = False
    silent = nobody_at(where)
    if silent is not None:
        raise _no_cluster(where, silent)
    try:
        with out_of_reach():
            ray.init(address=where, **options)
    except (ConnectionError, ValueError) as error:
        raise _no_cluster(where, error) from error
    except (AuthenticationError, RuntimeError) as error:
        raise SettingsError(
            f"the Ray cluster at {where!r} refuses this driver: {error}",
            remedy="its token and the cluster's must be one, and so must the versions of both",
        ) from error


def _no_cluster(where: str, why: object) -> SettingsError:
    return SettingsError(
        f"no Ray cluster answers at {where!r}: {why}",
        remedy="start one (ray start --head), mend the address, or leave it out to run here",
    )


def _found() -> Cluster:
    return Cluster(tuple((n["Resources"], n["Labels"]) for n in ray.nodes() if n["Alive"]))


def _refuse_other(address: str | None) -> None:
    """A process can be in one cluster only; an address that is given must be that one's."""
    current = ray.get_runtime_context().gcs_address
    if address not in (None, "auto") and _endpoint(str(address)) != _endpoint(current):
        raise SettingsError(
            f"address is {address!r}, but this process is connected to the Ray at {current!r}",
            remedy="leave address out to run there, or call ray.shutdown() first",
        )


def _endpoint(address: str) -> tuple[str, str]:
    """Host and port, where a name and its IP are one, and so are the ways to say "here"."""
    host, _, port = address.rpartition(":")
    with suppress(OSError):
        host = socket.gethostbyname(host)
    return get_node_ip_address() if host.startswith("127.") else host, port


def slots(cluster: Cluster, requests: Sequence[ResourceRequest], limit: int | None) -> int:
    """Trials at once: the user's limit, or what the cluster has room for.

    Where trials differ in what they ask for, this is the room for the smallest of them: more
    could never run at once, and Ray lets the larger ones wait for theirs.

    Args:
        cluster: what there is.
        requests: all that trials of the run may ask for.
        limit: the user's.

    Raises:
        SettingsError: if not even one trial fits on any node, for any of the requests.
    """
    for request in requests:
        missing = lacking(cluster.nodes, request)
        if missing:
            raise SettingsError(
                f"a trial asks for {request}, but {missing}; the cluster has "
                f"{counted(len(cluster.nodes), 'node')}, {counted(cluster.cpus, 'CPU')} and "
                f"{counted(cluster.gpus, 'GPU')}",
                remedy="ask for less under resources, or use a larger cluster",
            )
    room = max(capacity(cluster.nodes, request) for request in requests)
    return room if limit is None else min(limit, room)
