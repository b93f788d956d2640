"""A rank above 0: what its trainer sees, and what its process does from its fork to its end."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Final

from raytao.redact import redactor
from raytao.trials.context import JobContext, Team, refuse_no_bytes
from raytao.trials.failures import broken_by, in_short
from raytao.trials.folder import Resumed
from raytao.trials.messages import Job
from raytao.trials.wire import receive_frame, send_frame
from raytao.types import Json

GO_ON: Final = b"\0"
STOP: Final = b"\1"
"""Rank 0's answers to ``should_stop``."""

Follow = Callable[[Resumed, Team], None]
"""Train as a rank above 0, from where rank 0 begins."""


class FollowerContext(JobContext):
    """TrainContext of the ranks above 0: they train, and rank 0 tells."""

    def __init__(
        self, job: Job, resumed: Resumed, team: Team, scratch: Path | None = None
    ) -> None:
        super().__init__(job, resumed, team, scratch)
        self._epoch = resumed.epoch

    @property
    def should_stop(self) -> bool:
        """See TrainContext; waits until rank 0 has asked as often."""
        return self._team.agreed(asked=False)

    def is_best(self, metrics: Mapping[str, float]) -> bool:
        """Never: what is saved is rank 0's."""
        del metrics
        return False

    def save(self, checkpoint: bytes) -> None:
        """Nothing: see ``is_best``."""
        refuse_no_bytes(checkpoint)

    def report(
        self, epoch: int, metrics: Mapping[str, float], *, seconds: float | None = None
    ) -> None:
        """Nothing but to check the order.

        Raises:
            ValueError: as on rank 0.
        """
        del metrics, seconds
        self._refuse_out_of_order(epoch, self._epoch + 1)
        self._epoch = epoch

    def log(self, message: str) -> None:
        """Nothing: rank 0 says the same."""
        del message


class Follower:
    """The team as a forked rank above 0 sees it.

    Args:
        rank: this process.
        world: processes in all.
        gpus: GPUs of each.
        answers: read end of the pipe with rank 0's answers.
    """

    def __init__(self, rank: int, world: int, gpus: int, answers: int) -> None:
        self.rank = rank
        self.world = world
        self.gpus = gpus
        self._answers = answers

    def agreed(self, *, asked: bool) -> bool:
        """See Team; where rank 0 has ended, the answer is to stop."""
        del asked
        return os.read(self._answers, 1) != GO_ON


def send_start(control: socket.socket, found: Resumed) -> None:
    """Tell a rank where to begin.

    Raises:
        OSError: if it is gone.
    """
    weights = found.checkpoint
    send_frame(control, {"epoch": found.epoch, "bytes": None if weights is None else len(weights)})
    control.sendall(weights or b"")


def follow_along(job: Job, team: Follower, follow: Follow, control: socket.socket) -> int:
    """Wait for the start, train, and tell rank 0 how it ended; return the exit code.

    Rank 0 hears ``{"done": True}``, a `Broken` as JSON, or nothing from a process that is killed.
    """
    found = _receive_start(control)
    if found is None:
        return 0
    redact = redactor(job.spec)
    last: dict[str, Json] = {"done": True}
    code = 0
    try:
        follow(found, team)
    except (Exception, SystemExit) as error:  # noqa: BLE001 - a trainer may raise anything
        broken = broken_by(error, redact, f"[rank {team.rank}]")
        reason = in_short(redact(f"rank {team.rank} of {team.world}: {broken.reason}"))
        last, code = {"kind": broken.kind.value, "reason": reason}, 1
    with suppress(OSError):  # rank 0 is gone, and this process is about to be
        send_frame(control, last)
    return code


def _receive_start(control: socket.socket) -> Resumed | None:
    """None: rank 0 has nothing to train, or has failed."""
    frame = receive_frame(control)
    if frame is None:
        return None
    size = frame[0]["bytes"]
    weights = bytearray()
    while size is not None and len(weights) < size:
        part = control.recv(min(size - len(weights), 1 << 20))
        if not part:
            return None
        weights += part
    return Resumed(frame[0]["epoch"], None if size is None else bytes(weights), ())
