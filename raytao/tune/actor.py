"""The trial actor: a Tune trainable that supervises one lease after another.

The actor trains nothing itself. It hands each job to its supervisor, whose child process does
the work (ADR 0001), and passes on what the child tells. Actors are reused, so a new lease costs
a fork and not a start of Python.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from ray import tune

from raytao.networks.function import OwnFunction
from raytao.runs.patience import PatientStore
from raytao.runs.store import LocalStore, StoreError
from raytao.tao import layout
from raytao.trials.messages import Broken, Ended, EpochDone, Event, FailureKind, Job, event_to_json
from raytao.trials.runner import network_of
from raytao.trials.supervisor import Supervisor

POLL_SECONDS = 1.0
GRACE_SECONDS = 5.0


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
        self._supervisor = Supervisor(self._preload(), self._job.threads)
        self._begin()

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Take over the next lease; the same actor serves any trial of the run."""
        self._supervisor.stop(GRACE_SECONDS)
        self._job = self._job_of(new_config)
        self._begin()
        return True

    def step(self) -> dict[str, Any]:
        """Wait for news of the job; the last epoch is told together with the job's end."""
        if self._ended:
            raise RuntimeError("this lease is over")
        events = self._refused()
        while not self._can_tell(events):
            events += self._supervisor.events(POLL_SECONDS)
        self._ended = bool(events) and isinstance(events[-1], Ended | Broken)
        told: dict[str, Any] = {"events": [event_to_json(event) for event in events]}
        if not self._placed:
            told["placed"] = [self._place()]  # in a list: Tune flattens dictionaries
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

    def _preload(self) -> tuple[str, ...]:
        """What every trial needs; a network that is not here breaks its job, not the worker."""
        if self._function is not None:
            return self._function.modules
        with suppress(Exception, SystemExit):  # the job will say the same in its own log
            return network_of(self._job).preload
        return ()

    def _begin(self) -> None:
        self._placed = self._ended = False
        self._unusable = self._why_unusable()
        if not self._unusable:
            self._supervisor.start(self._job)

    def _why_unusable(self) -> str:
        """Why no job may start: one in a folder of its own would lose every model silently."""
        node = socket.gethostname()
        try:
            size = PatientStore(LocalStore(Path(self._job.root))).size(layout.EVENTS)
        except StoreError as error:
            return f"{error}, on node {node}"
        if size is not None:
            return ""
        return (
            f"the results folder {self._job.root} is not to be seen on node {node}: "
            "put results_dir on storage that all nodes share"
        )

    def _can_tell(self, events: list[Event]) -> bool:
        if events:
            return not self._end_is_near(events)
        return not self._placed and self._supervisor.pid is not None

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
        return {
            "node": socket.gethostname(),
            "pid": os.getpid(),
            "cpus": float(required.get("CPU", 0)),
            "gpus": float(required.get("GPU", 0)),
        }
