"""One training in several processes, by torch's DistributedDataParallel.

A network that trains this way says ``distributed = True``. Every process trains its share of each
batch; gradients are averaged, so that all keep the same weights. The batch of the spec is that of
all processes together: neither it nor the learning rate changes with their number.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from raytao.networks.base import TrainContext
from raytao.networks.rendezvous import LOOPBACK, Rendezvous

MEETING: Final = timedelta(minutes=5)
"""Longest wait for all processes to be there: a first import of torch may take a minute or two."""

WAITING: Final = timedelta(minutes=30)
"""Longest wait of one process for another; one that died is noticed long before by its parent."""


@dataclass(frozen=True)
class Share:
    """What one process trains of a batch.

    Args:
        rows: its part of the batch.
        of: size of the whole batch.
        weight: what the mean over ``rows`` counts for, such that the mean over all processes of
            weight times mean is the mean over the batch.
    """

    rows: slice
    of: int
    weight: float


def share_of(size: int, rank: int, world: int) -> Share:
    """Cut a batch into parts that differ by one at most, the larger ones first.

    A batch with fewer examples than there are processes, which the end of a data set may be, is
    trained whole by each of them.

    >>> [share_of(5, rank, 2).rows for rank in (0, 1)]
    [slice(0, 3, None), slice(3, 5, None)]
    """
    if size < world:
        return Share(slice(0, size), size, 1.0)
    begin, end = (part * (size // world) + min(part, size % world) for part in (rank, rank + 1))
    return Share(slice(begin, end), size, (end - begin) * world / size)


class Group:
    """The processes of a training, as one of them sees them; one alone is a group, too.

    Args:
        rank: this process, from 0.
        world: processes in all.
        connected: whether torch's process group is there; nothing is sent without it.
    """

    def __init__(self, rank: int = 0, world: int = 1, *, connected: bool = False) -> None:
        self.rank = rank
        self.world = world
        self._connected = connected

    def share(self, size: int) -> Share:
        """This process's share of a batch."""
        return share_of(size, self.rank, self.world)

    def part(self, size: int) -> slice:
        """This process's part of what is only counted; it may be empty."""
        rows = (rank * size // self.world for rank in (self.rank, self.rank + 1))
        return slice(*rows)

    def wrapped(self, module: nn.Module) -> nn.Module:
        """What to call in training, so that all processes step alike; ``module`` keeps its names.

        On GPUs, batch norm looks at the batches of all processes. Torch cannot do that on CPUs:
        there each process normalises by its own part, and the running averages are rank 0's.
        """
        if not self._connected:
            return module
        device = next(module.parameters()).device
        if device.type != "cuda":
            return DistributedDataParallel(module)
        nn.SyncBatchNorm.convert_sync_batchnorm(module)  # type: ignore[no-untyped-call] # torch's
        return DistributedDataParallel(module, device_ids=[device])

    def total(self, numbers: Tensor) -> Tensor:
        """The sum over all processes; ``numbers`` itself is changed."""
        if self._connected:
            dist.all_reduce(numbers)
        return numbers

    def share_buffers(self, module: nn.Module) -> None:
        """Give every process rank 0's buffers, such as batch norm's running averages."""
        if self._connected:
            for buffer in module.buffers():
                dist.broadcast(buffer, src=0)


@contextmanager
def process_group(ctx: TrainContext, device: torch.device) -> Iterator[Group]:
    """Meet the other processes of a training, at the same place in each of them.

    It ends when all have come to its end. After an exception nobody is waited for: the process is
    about to end, and its connections with it. A process group that is there already, where
    something else than raytao started the processes, is used and left as it is.

    On CPUs the connections outlive it, until the process ends or `end_process_group`. A model that
    is wrapped for torch owns them, too, and would be the last to let go of them: it then waits for
    gloo's threads without giving up Python's lock, which one of these may need to drop a tensor.

    Args:
        ctx: says how many there are.
        device: this process's own.

    Raises:
        RuntimeError: if they do not meet, or lose each other.
    """
    meeting = Rendezvous.found()
    if meeting is None and ctx.world == 1:
        yield Group()
        return
    if meeting is not None:
        _meet(meeting, device)
    yield Group(ctx.rank, ctx.world, connected=True)
    dist.barrier()
    if meeting is not None and device.type == "cuda":
        dist.destroy_process_group()


def _meet(meeting: Rendezvous, device: torch.device) -> None:
    # The store closes its socket in the end, and rank 0 keeps its own.
    listener = None if meeting.listener is None else os.dup(meeting.listener)
    store = dist.TCPStore(  # type: ignore[attr-defined] # it is public, but not in __all__
        LOOPBACK,
        meeting.port,
        meeting.world,
        is_master=listener is not None,
        timeout=MEETING,
        wait_for_workers=False,
        master_listen_fd=listener,
    )
    dist.init_process_group(
        "nccl" if device.type == "cuda" else "gloo",
        store=store,
        rank=meeting.rank,
        world_size=meeting.world,
        timeout=WAITING,
        device_id=device if device.type == "cuda" else None,
    )
