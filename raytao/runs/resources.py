"""What one trial asks of the cluster: numbers that are settled, as plain JSON."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Final

from raytao.types import Json

GIGABYTE: Final = 10**9


@dataclass(frozen=True)
class ResourceRequest:
    """What a trial gets on each of its machines, and how many machines and processes it has.

    Args:
        cpus: CPUs on each machine.
        gpus: GPUs on each machine; a number below 1 is a share of one.
        memory_gb: memory that is counted on each machine; None counts none. Nothing enforces it.
        gpu_memory_gb: of each GPU, the most that the trial may take; None: its share of the GPU.
        custom: the cluster's own resources, by name, on each machine.
        labels: what a machine's labels must be, as Ray selects: ``value``, ``!value``,
            ``in(a, b)`` or ``!in(a, b)``.
        processes: training processes on each machine.
        nodes: machines of one trial.
    """

    cpus: float = 1.0
    gpus: float = 0.0
    memory_gb: float | None = None
    gpu_memory_gb: float | None = None
    custom: Mapping[str, float] = field(default_factory=dict, hash=False)
    labels: Mapping[str, str] = field(default_factory=dict, hash=False)
    processes: int = 1
    nodes: int = 1

    @property
    def threads(self) -> int:
        """CPU threads of one process.

        >>> ResourceRequest(cpus=8, processes=3).threads
        2
        """
        return max(1, math.floor(self.cpus / self.processes))

    @property
    def devices(self) -> int:
        """GPUs that are seen on one machine; a share of one is one."""
        return math.ceil(self.gpus)

    def gpu_memory_share(self, total: int) -> float:
        """The share of a GPU's memory, ``total`` bytes, that the trial may take: up to 1.

        >>> ResourceRequest(gpus=0.25).gpu_memory_share(80 * GIGABYTE)
        0.25
        >>> ResourceRequest(gpus=0.25, gpu_memory_gb=40).gpu_memory_share(80 * GIGABYTE)
        0.5
        """
        if self.gpu_memory_gb is not None:
            return min(1.0, self.gpu_memory_gb * GIGABYTE / total)
        return min(1.0, self.gpus) if self.gpus else 1.0

    def __str__(self) -> str:
        """For people: ``1 CPU, 0.5 GPUs, fast_disk 1, on nodes with gpu: large``."""
        said = [_counted(self.cpus, "CPU")]
        if self.gpus:
            said.append(_counted(self.gpus, "GPU"))
        if self.gpu_memory_gb is not None:
            said.append(f"{self.gpu_memory_gb:g} GB of each GPU")
        if self.memory_gb is not None:
            said.append(f"{self.memory_gb:g} GB of memory")
        said += [f"{name} {amount:g}" for name, amount in self.custom.items()]
        if self.processes > 1:
            said.append(f"{self.processes} processes")
        if self.nodes > 1:
            said.append(f"on each of {self.nodes} nodes")
        if self.labels:
            wanted = ", ".join(f"{key}: {value}" for key, value in self.labels.items())
            said.append(f"on nodes with {wanted}")
        return ", ".join(said)

    def to_json(self) -> dict[str, Json]:
        """As plain JSON."""
        return asdict(self)

    @staticmethod
    def from_json(plain: Mapping[str, Json]) -> ResourceRequest:
        """The inverse of ``to_json``."""
        return ResourceRequest(**plain)


def _counted(number: float, word: str) -> str:
    return f"{number:g} {word}" if number == 1 else f"{number:g} {word}s"
