"""Connecting to a Ray cluster, and what it has room for."""

from __future__ import annotations

import logging
import math
import os
from dataclasses import dataclass

import ray

from raytao.errors import SettingsError
from raytao.setup.settings import Resources

QUIET = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_AIR_NEW_OUTPUT": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    "TUNE_DISABLE_SIGINT_HANDLER": "1",
    "TUNE_WARN_EXCESSIVE_EXPERIMENT_CHECKPOINT_SYNC_THRESHOLD_S": "0",
}
"""What Ray reads from the environment: its own progress, loggers and Ctrl-C handler are off."""


@dataclass(frozen=True)
class Cluster:
    """What Ray found: living nodes and their resources."""

    nodes: tuple[dict[str, float], ...]

    @property
    def cpus(self) -> float:
        """CPUs of all nodes."""
        return sum(node.get("CPU", 0.0) for node in self.nodes)

    @property
    def gpus(self) -> float:
        """GPUs of all nodes."""
        return sum(node.get("GPU", 0.0) for node in self.nodes)

    def __str__(self) -> str:
        nodes, cpus, gpus = len(self.nodes), self.cpus, self.gpus
        return f"Ray: {counted(nodes, 'node')}, {counted(cpus, 'CPU')}, {counted(gpus, 'GPU')}"

    def capacity(self, resources: Resources) -> int:
        """Trials that fit at once; a trial does not span nodes."""
        return sum(_fit(node, resources) for node in self.nodes)


def counted(number: float, word: str) -> str:
    """``1 CPU``, ``2 CPUs``, ``0.5 CPUs``."""
    return f"{number:g} {word}" if number == 1 else f"{number:g} {word}s"


def connect(address: str | None) -> Cluster:
    """Join the cluster at ``address`` (or the one in RAY_ADDRESS), else start one here.

    Raises:
        SettingsError: if there is no cluster at that address.
    """
    for name, value in QUIET.items():
        os.environ.setdefault(name, value)
    logging.getLogger("ray.tune").setLevel(logging.ERROR)
    where = address or os.environ.get("RAY_ADDRESS") or "local"
    try:
        if where == "local":
            ray.init(
                address="local",
                include_dashboard=False,
                log_to_driver=False,
                logging_level=logging.ERROR,
            )
        else:
            ray.init(address=where, log_to_driver=False, logging_level=logging.ERROR)
    except (ConnectionError, ValueError) as error:
        raise SettingsError(
            f"no Ray cluster answers at {where!r}: {error}",
            remedy="start one (ray start --head), mend the address, or leave it out to run here",
        ) from error
    return Cluster(tuple(n["Resources"] for n in ray.nodes() if n["Alive"]))


def slots(cluster: Cluster, resources: Resources, limit: int | None) -> int:
    """Trials at once: the user's limit, or what the cluster has room for.

    Raises:
        SettingsError: if not even one trial fits on any node.
    """
    room = cluster.capacity(resources)
    if room == 0:
        raise SettingsError(
            f"a trial asks for {resources.cpus:g} CPUs and {resources.gpus:g} GPUs, but no node "
            f"has that (cluster: {len(cluster.nodes)} nodes, {cluster.cpus:g} CPUs, "
            f"{cluster.gpus:g} GPUs)",
            remedy="lower resources.cpus or resources.gpus, or use a larger cluster",
        )
    return room if limit is None else min(limit, room)


def _fit(node: dict[str, float], resources: Resources) -> int:
    # A tenth-thousandth of slack: 1 / 0.1 is 10 trials, in floats too.
    by_cpu = math.floor(node.get("CPU", 0.0) / resources.cpus + 1e-4)
    if not resources.gpus:
        return by_cpu
    return min(by_cpu, math.floor(node.get("GPU", 0.0) / resources.gpus + 1e-4))
