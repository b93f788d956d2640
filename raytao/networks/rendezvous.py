"""Where the processes of one training meet, in the environment variables that torchrun uses.

Who starts the processes writes it; who trains in them reads it. Nothing here needs torch.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

LOOPBACK: Final = "127.0.0.1"

_LISTENER: Final = "RAYTAO_MASTER_LISTENER"
"""Ours: rank 0's socket, bound before anyone was told its port, so that nobody takes it."""


def end_process_group() -> None:
    """End torch's process group that a training has left in this process.

    Call it before a fork, where its threads would not be and who waits for them would wait for
    ever, and only once the training has let go of its model; see `parallel.process_group`.
    """
    distributed = sys.modules.get("torch.distributed")
    if distributed is not None and distributed.is_initialized():
        distributed.destroy_process_group()


@dataclass(frozen=True)
class Rendezvous:
    """One process's way to the others, all on one machine.

    Args:
        rank: this process, from 0.
        world: processes in all.
        port: where rank 0 listens, on the loopback interface.
        listener: rank 0 only: the descriptor of the socket that is bound to ``port``.
    """

    rank: int
    world: int
    port: int
    listener: int | None = None

    def environment(self) -> dict[str, str]:
        """What to put into the process's environment."""
        rank, world = str(self.rank), str(self.world)
        return {
            "RANK": rank,
            "LOCAL_RANK": rank,
            "WORLD_SIZE": world,
            "LOCAL_WORLD_SIZE": world,
            "MASTER_ADDR": LOOPBACK,
            "MASTER_PORT": str(self.port),
            # Gradients too: a machine's own name may lead to another interface, or nowhere.
            "GLOO_SOCKET_IFNAME": "lo",
            "NCCL_SOCKET_IFNAME": "lo",
            _LISTENER: "" if self.listener is None else str(self.listener),
        }

    @staticmethod
    def found(environment: Mapping[str, str] = os.environ) -> Rendezvous | None:
        """The inverse of ``environment``; None where raytao did not start the processes."""
        if _LISTENER not in environment:
            return None
        listener = environment[_LISTENER]
        return Rendezvous(
            rank=int(environment["RANK"]),
            world=int(environment["WORLD_SIZE"]),
            port=int(environment["MASTER_PORT"]),
            listener=int(listener) if listener else None,
        )
