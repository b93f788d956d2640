"""A network of several processes that misbehaves in one of them; needs no torch."""

from __future__ import annotations

import ctypes
import json
import os
import select
import signal
import socket
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import ClassVar, NoReturn

from fake_networks import DEEDS

from raytao.networks.base import Network, TrainContext
from raytao.networks.rendezvous import LOOPBACK, Rendezvous
from raytao.types import Json

SEEN = ("RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT", "CUDA_VISIBLE_DEVICES")


def _out_of_order(ctx: TrainContext) -> None:
    ctx.report(9, {})


def _kill_rank_1_below(ctx: TrainContext) -> None:
    """Rank 0 hangs where no exception reaches it, as in a GPU's driver; rank 1 is killed."""
    if ctx.rank == 1:
        time.sleep(0.3)
        os.kill(os.getpid(), signal.SIGKILL)
    signal.pthread_sigmask(signal.SIG_BLOCK, set(signal.Signals) - {signal.SIGKILL})
    ctypes.CDLL(None).sleep(3600)


class _Wires:
    """Connections between rank 0 and the others, as torch has them for its collectives."""

    def __init__(self, ctx: TrainContext) -> None:
        meeting = Rendezvous.found()
        assert meeting is not None
        if meeting.listener is None:
            self._ends = [socket.create_connection((LOOPBACK, meeting.port))]
        else:
            with socket.socket(fileno=os.dup(meeting.listener)) as listener:
                self._ends = [listener.accept()[0] for _ in range(1, ctx.world)]

    def wait(self) -> NoReturn:
        """For the others, who never come."""
        ready, _, _ = select.select(self._ends, [], [])
        raise RuntimeError(f"connection closed by peer: {ready[0].recv(1)!r}")


RANK_DEEDS: Mapping[str, Callable[[TrainContext], None]] = {
    **DEEDS,
    "out_of_order": _out_of_order,
    "kill_rank_1_below": _kill_rank_1_below,
}


class Team(Network):
    """Trains epochs of three "batches"; ``spec["by"]`` does ``spec["do"]`` before ``spec["at"]``.

    Every rank notes in ``spec["diary"]``, a line each, what it sees and after which question it
    was told to stop. Where a rank fails, the others wait, as in a collective.
    """

    name = "team"
    distributed: ClassVar[bool] = True

    def check(self, spec: Mapping[str, Json]) -> None:
        del spec

    def train(self, spec: Mapping[str, Json], ctx: TrainContext) -> None:
        seen = {name: os.environ.get(name) for name in SEEN}
        self._note(spec, ctx, began=ctx.start_epoch, resume=str(ctx.resume_from), **seen)
        wires = _Wires(ctx) if "at" in spec else None
        asked = 0
        for epoch in ctx.epochs:
            if wires is not None and epoch == spec["at"]:
                if spec["by"] in (ctx.rank, "all"):
                    RANK_DEEDS[spec["do"]](ctx)
                wires.wait()
            for _ in range(3):
                asked += 1
                if ctx.should_stop:
                    self._note(spec, ctx, stopped_after=asked)
                    return
                time.sleep(spec.get("batch_seconds", 0.0) * (1 + ctx.rank))
            ctx.save(b"weights of epoch %d" % epoch)
            ctx.log(f"epoch {epoch} of rank {ctx.rank}")
            ctx.report(epoch, {"val_acc": 0.5})
        self._note(spec, ctx, gpus=ctx.gpus, best=ctx.is_best({"val_acc": 0.9}))

    def _note(self, spec: Mapping[str, Json], ctx: TrainContext, **facts: Json) -> None:
        with Path(spec["diary"]).open("a") as diary:
            diary.write(json.dumps({"rank": ctx.rank, "world": ctx.world, **facts}) + "\n")

    def evaluate(
        self, spec: Mapping[str, Json], checkpoint: bytes, *, threads: int, gpus: int
    ) -> Mapping[str, float]:
        return {"test_acc": 0.5}
