"""One process of a trial on several machines: what a worker of Ray Train's does.

Rank 0 does what a trial's own process does elsewhere: it has the trial's folder, and tells. The
process group is Train's. What rank 0 says to the others goes through it: where to begin, and the
answers to ``should_stop``.
"""

from __future__ import annotations

import os
import threading
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, redirect_stderr, redirect_stdout, suppress
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import ray
import ray.train

from raytao.errors import RaytaoError
from raytao.redact import redactor
from raytao.runs.patience import PatientStore
from raytao.runs.place import place_of, store_at
from raytao.runs.resources import ResourceRequest
from raytao.runs.store import Store
from raytao.spec import told_as_written
from raytao.tao.layout import LOG
from raytao.trials.context import StopFlag
from raytao.trials.failures import broken_by, in_short
from raytao.trials.folder import Resumed
from raytao.trials.followers import FollowerContext
from raytao.trials.log_pump import LogPump, wait_until_taken
from raytao.trials.messages import Broken, Event, Job, event_to_json
from raytao.trials.runner import network_of, run
from raytao.tune.notes import PAUSE, STOP, Notes
from raytao.types import Json

if TYPE_CHECKING:
    import torch

LOOK_SECONDS: Final = 0.5
"""Between two looks whether rank 0 is to leave."""


def train(config: Mapping[str, Json]) -> None:
    """The training loop of one worker; see TorchTrainer.

    Args:
        config: ``job``, a `Job` as JSON, and ``name``, that of its `Notes`.

    Raises:
        RankFailed: if it failed, so that Train ends the others.
    """
    job = Job.from_json(config["job"])
    notes = Notes(config["name"])
    with suppress(OSError):  # a node that has no such folder: the network says what it misses
        os.chdir(job.cwd or ".")
    team = TrainTeam(job)
    if team.rank == 0:
        _lead(job, team, notes)
    else:
        _follow(job, team, notes)


class RankFailed(Exception):
    """A rank failed; why is in its note."""


class TrainTeam:
    """The processes of a training, over torch's process group."""

    broken: None = None

    def __init__(self, job: Job) -> None:
        context = ray.train.get_context()
        self.rank: int = context.get_world_rank()
        self.world: int = context.get_world_size()
        request = ResourceRequest.from_json(job.resources)
        self.gpus = request.devices // request.processes
        self._begun = False

    def begin(self, found: Resumed) -> None:
        """See Leader."""
        self._begun = True
        self._broadcast((found.epoch, found.checkpoint))

    def release(self) -> None:
        """Let the others end, if rank 0 had nothing to train."""
        if not self._begun:
            self._broadcast(None)

    def told(self) -> Resumed | None:
        """Where to begin, told by rank 0; None: there is nothing to train."""
        told = self._broadcast(None)
        return None if told is None else Resumed(told[0], told[1], ())

    def agreed(self, *, asked: bool) -> bool:
        """See Team."""
        import torch
        import torch.distributed as dist

        answer = torch.tensor([int(asked)], device=self._device)
        dist.broadcast(answer, src=0)
        return bool(answer.item())

    def _broadcast(self, value: Any) -> Any:
        import torch.distributed as dist

        box = [value]
        dist.broadcast_object_list(box, src=0, device=self._device)
        return box[0]

    @property
    def _device(self) -> torch.device:
        """Where what is sent must lie."""
        import torch

        kind = "cuda" if self.gpus else "cpu"
        return torch.device(kind, torch.cuda.current_device()) if self.gpus else torch.device(kind)


def _lead(job: Job, team: TrainTeam, notes: Notes) -> None:
    store = PatientStore(store_at(place_of(job.root), must_exist=True))
    last: list[Event] = []

    def tell(event: Event) -> None:
        last[:] = [event]
        notes.tell(event_to_json(event))

    group = ray.util.get_current_placement_group()
    notes.tell({"born": os.getpid(), "group": group.id.hex() if group is not None else ""})
    with _logged(job, store) as settle_log, _listening(notes) as stop:
        run(job, store, tell, team=team, stop=stop, settle_log=settle_log)
    if isinstance(last[0], Broken):
        raise RankFailed(last[0].reason)  # the others may be waiting for this one
    team.release()


def _follow(job: Job, team: TrainTeam, notes: Notes) -> None:
    found = team.told()
    if found is None:
        return
    redact = redactor(job.spec)
    try:
        with told_as_written(job.spec) as spec:
            network_of(job).train(spec, FollowerContext(job, found, team))
    except (Exception, SystemExit) as error:  # noqa: BLE001 - a trainer may raise anything
        told = "" if isinstance(error, RaytaoError) else traceback.format_exc()
        broken = broken_by(error, redact, f"[rank {team.rank}]")
        reason = in_short(redact(f"rank {team.rank} of {team.world}: {broken.reason}"))
        note = {"rank": team.rank, "kind": broken.kind.value, "reason": reason}
        notes.tell({**note, "traceback": redact(told)}, rank=team.rank)
        raise RankFailed(reason) from None


@contextmanager
def _logged(job: Job, store: Store) -> Iterator[Callable[[], None]]:
    """Carry what rank 0 prints to the trial's log, as for a process of the trial's own.

    Gives what waits until it is taken.
    """
    read_end, write_end = os.pipe()
    pump = LogPump(read_end, store, f"{job.folder}/{LOG}", redactor(job.spec))
    with (
        os.fdopen(write_end, "w", buffering=1) as log,
        redirect_stdout(log),
        redirect_stderr(log),
    ):
        yield partial(wait_until_taken, write_end)
    pump.finish()


@contextmanager
def _listening(notes: Notes) -> Iterator[StopFlag]:
    """A flag that rises when the actor asks for it."""
    over = threading.Event()
    asked = ""
    flag = StopFlag(after_epoch=lambda: asked == PAUSE)

    def listen() -> None:
        nonlocal asked
        while not over.wait(LOOK_SECONDS):
            with suppress(Exception):  # whatever keeps Ray from answering, the training goes on
                asked = notes.asked()
            flag.is_set = flag.is_set or asked == STOP

    listener = threading.Thread(target=listen, name="notes", daemon=True)
    listener.start()
    try:
        yield flag
    finally:
        over.set()
        listener.join()
