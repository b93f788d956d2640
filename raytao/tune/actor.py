"""The trial actor: a Tune trainable that supervises one lease after another.

The actor trains nothing itself. It hands each job to its supervisor, whose child process does
the work (ADR 0001), and passes on what the child tells. Actors are reused, so a new lease costs
a fork and not a start of Python.
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Any

import ray
from ray import tune

from raytao.cluster.preemption import is_asked_to_move
from raytao.cluster.shared import why_unusable
from raytao.networks.function import OwnFunction
from raytao.runs.place import libraries_at, place_of
from raytao.runs.resources import ResourceRequest
from raytao.trials.messages import Broken, Ended, EpochDone, Event, FailureKind, Job, event_to_json
from raytao.trials.runner import network_of
from raytao.trials.supervisor import Supervisor
from raytao.tune.spanning import SpanningSupervisor

POLL_SECONDS = 1.0
GRACE_SECONDS = 5.0

LOOK_SECONDS = 2.0
"""Between two looks whether the job is to move; each asks the cluster's control service."""


class TrialActor(tune.Trainable):
    """One step answers with everything that happened since the last one.

    That is at least one event; only the first step of a lease may answer without one, as soon as
    the trainer exists: so the driver knows where it runs, and that it has warmed up.
    """

    _placed: bool
    _ended: bool

    def setup(self, config: dict[str, Any], function: OwnFunction | None = None) -> None:
        """Start the first job; the supervisor outlives it."""
        self._function = function
        self._job = self._job_of(config)
        self._supervisor = self._new_supervisor()
        self._begin()

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Take over the next lease; the same actor serves any trial of the run."""
        self._supervisor.stop(GRACE_SECONDS)
        before, self._job = self._job.threads, self._job_of(new_config)
        if self._job.threads != before:  # libraries are loaded with it
            self._supervisor.close()
            self._supervisor = self._new_supervisor()
        self._begin()
        return True

    def step(self) -> dict[str, Any]:
        """Wait for news of the job; the last epoch is told together with the job's end."""
        if self._ended:
            raise RuntimeError("this lease is over")
        events = self._refused()
        while not self._can_tell(events):
            events += self._supervisor.events(POLL_SECONDS)
            self._heed()
        self._ended = bool(events) and isinstance(events[-1], Ended | Broken)
        told: dict[str, Any] = {"events": [event_to_json(event) for event in events]}
        if not self._placed:
            told["placed"] = [self._place()]  # in a list: Tune flattens dictionaries
            if ray.is_initialized():
                told["node_id"] = ray.get_runtime_context().get_node_id()
            self._placed = True
        return told

    def cleanup(self) -> None:
        """End the job and the supervisor; nothing is left behind."""
        self._supervisor.stop(GRACE_SECONDS)
        self._supervisor.close()

    def save_checkpoint(self, checkpoint_dir: str) -> None:
        """Nothing: the trial's own folder holds its checkpoints."""
        del checkpoint_dir

    def load_checkpoint(self, checkpoint: Mapping[str, Any] | None) -> None:
        """Nothing: see ``save_checkpoint``."""
        del checkpoint

    def _job_of(self, config: Mapping[str, Any]) -> Job:
        """The job of a lease. A function comes apart from it: Tune writes its configurations."""
        job = Job.from_json(config["job"])
        return job if self._function is None else replace(job, function=self._function.text())

    def _new_supervisor(self) -> Supervisor | SpanningSupervisor:
        """The same for all leases of this actor, whose resources are the same."""
        if self._spans:
            return SpanningSupervisor()
        return Supervisor(self._preload(), self._job.threads, devices_here())

    @property
    def _spans(self) -> bool:
        """Whether the job is larger than one machine."""
        return self._job.kind == "train" and self._asked.nodes > 1

    @property
    def _asked(self) -> ResourceRequest:
        return ResourceRequest.from_json(self._job.resources)

    def _preload(self) -> tuple[str, ...]:
        """What every trial needs; a network that is not here breaks its job, not the worker."""
        storage = libraries_at(place_of(self._job.root))
        if self._function is not None:
            return (*storage, *self._function.modules)
        with suppress(Exception, SystemExit):  # the job will say the same in its own log
            return (*storage, *network_of(self._job).preload)
        return storage

    def _begin(self) -> None:
        self._placed = self._ended = False
        self._next_look: float | None = time.monotonic() + LOOK_SECONDS
        self._unusable = why_unusable(self._job.root)
        if not self._unusable:
            self._supervisor.start(self._job)

    def _can_tell(self, events: list[Event]) -> bool:
        if events:
            return not self._end_is_near(events)
        return not self._placed and self._supervisor.pid is not None

    def _heed(self) -> None:
        """Have the job leave with its next epoch, if the driver asks for it."""
        if self._next_look is None or time.monotonic() < self._next_look:
            return
        self._next_look = time.monotonic() + LOOK_SECONDS
        with suppress(Exception):  # whatever keeps Ray from answering, the job goes on
            if is_asked_to_move(self.trial_id):
                self._supervisor.pause()
                self._next_look = None

    def _refused(self) -> list[Event]:
        return [Broken(FailureKind.STORAGE, self._unusable)] if self._unusable else []

    def _end_is_near(self, events: list[Event]) -> bool:
        """The rung is reached, but the child has not yet closed its files."""
        if any(isinstance(event, Ended | Broken) for event in events):
            return False
        last = max((e.epoch for e in events if isinstance(e, EpochDone)), default=0)
        return self._job.kind == "evaluate" or last >= self._job.stop_epoch

    def _place(self) -> dict[str, Any]:
        resources = self.trial_resources
        required = resources.required_resources if resources else {}
        if self._spans:
            asked = self._asked
            required = {"CPU": asked.cpus * asked.nodes, "GPU": asked.gpus * asked.nodes}
        return {
            "node": socket.gethostname(),
            "pid": os.getpid(),
            "cpus": float(required.get("CPU", 0)),
            "gpus": float(required.get("GPU", 0)),
            "devices": devices_here() or [],
        }


def devices_here() -> list[str] | None:
    """The GPUs that Ray gave this actor, by their names in CUDA; None where there is no Ray.

    Ray hides GPUs from the actors that it gives some, and none from the others.
    """
    if not ray.is_initialized():
        return None
    given = ray.get_runtime_context().get_accelerator_ids()["GPU"]
    return sorted(given, key=lambda name: (len(name), name))
