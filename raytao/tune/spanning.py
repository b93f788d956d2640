"""Runs jobs that are larger than one machine, one at a time, by Ray Train's TorchTrainer.

    actor (SpanningSupervisor)   takes next to nothing of the cluster; reads notes
      └─ a task                  TorchTrainer.fit; Ctrl-C there ends all that is below
           └─ Train's controller     has the placement group with everything the trial asks for
                ├─ rank 0            has the trial's folder; see spanning_rank.py
                └─ rank 1 …

Train makes a placement group of its own and knows no other way. So the trial's own group in Tune
is a token (`placement.py`), nothing is booked twice, and slots are counted for the whole.
"""

from __future__ import annotations

import signal
import time
import uuid
from collections.abc import Mapping
from tempfile import TemporaryDirectory
from typing import Any, Final

import ray
from ray._raylet import PlacementGroupID
from ray.exceptions import RayActorError, RayError
from ray.util.placement_group import (
    PlacementGroup,
    placement_group_table,
    remove_placement_group,
)

from raytao.cluster.capacity import bundle
from raytao.runs.place import place_of, store_at
from raytao.runs.resources import ResourceRequest
from raytao.runs.store import Store
from raytao.tao.layout import LOG
from raytao.trials.folder import record_failure
from raytao.trials.messages import (
    Broken,
    Ended,
    Event,
    FailureKind,
    Job,
    event_from_json,
)
from raytao.trials.running import deadlines
from raytao.tune.notes import PAUSE, STOP, Notes
from raytao.tune.spanning_rank import train
from raytao.types import Json

LOOK_SECONDS: Final = 0.5
"""Between two looks for notes."""

ABORT_SECONDS: Final = 30.0
"""Longest wait for Train to end its workers and its placement group by itself."""

BURIAL_SECONDS: Final = 5.0
"""Longest wait for the placement group to be gone after the end."""

_TRAINS_OWN: Final = {
    "RAY_TRAIN_WORKER_GROUP_START_TIMEOUT_S": "20",  # it asks again; an abort waits for it
    "RAY_TRAIN_ENABLE_PREEMPTION_WATCHER": "0",  # a notice is the driver's business
    "RAY_TRAIN_ENABLE_CONTROLLER_STRUCTURED_LOGGING": "0",
    "RAY_TRAIN_ENABLE_WORKER_STRUCTURED_LOGGING": "0",
}


class SpanningSupervisor:
    """Starts, watches and ends jobs; the small part of `Supervisor` that an actor needs."""

    def __init__(self) -> None:
        self._running: _Running | None = None

    @property
    def pid(self) -> int | None:
        """The process of rank 0, on its machine; None before it exists and without a job."""
        return None if self._running is None else self._running.pid

    def start(self, job: Job) -> None:
        """Start a job and return at once.

        Raises:
            RuntimeError: if a job is running; stop it first.
        """
        if self._running is not None:
            raise RuntimeError(f"{self._running.job.folder} is still running: stop it first")
        self._running = _Running(job)

    def events(self, timeout: float) -> list[Event]:
        """Wait for events, at most ``timeout`` seconds, and enforce the job's limits meanwhile.

        The terminal event comes once, last, and when nothing of the job is left.
        """
        until = time.monotonic() + timeout
        events: list[Event] = []
        while self._running is not None and not events and time.monotonic() < until:
            events = self._running.look()
            if self._running.gone:
                events.append(self._running.verdict())
                self._running = None
        return events

    def pause(self) -> None:
        """Ask the job to leave with its next epoch that has a checkpoint; return at once."""
        if self._running is not None:
            self._running.ask(PAUSE)

    def stop(self, grace: float) -> None:
        """Ask the job to end, and kill it after ``grace`` seconds; nothing is left of it."""
        if self._running is None:
            return
        running, self._running = self._running, None
        running.ask(STOP)
        until = time.monotonic() + grace
        while not running.gone and time.monotonic() < until:
            running.look()
        if not running.gone:
            running.kill()

    def close(self) -> None:
        """End the job."""
        self.stop(grace=0.0)


class _Running:
    """A job that was handed to Train, until nothing of it is left."""

    def __init__(self, job: Job) -> None:
        self.job = job
        self.pid: int | None = None
        self.gone = False
        self._stopping = False
        self._group = ""
        self._said: Ended | Broken | None = None
        self._of_others: list[Mapping[str, Json]] = []
        self._overdue: Broken | None = None
        self._failed: dict[int, str] = {}
        self._since = self._progress = time.monotonic()
        name = uuid.uuid4().hex
        self._notes = Notes(name)
        self._name = f"raytao-{job.trial}-{job.attempt}"
        self._scratch = TemporaryDirectory(prefix="raytao_train_", ignore_cleanup_errors=True)
        config = {"job": job.to_json(), "name": name}
        self._fit = _fit.remote(config, self._name, self._scratch.name)

    def look(self) -> list[Event]:
        """Take what has arrived, after a short wait."""
        ended, _ = ray.wait([self._fit], timeout=LOOK_SECONDS)
        events = self._read()
        if ended:
            self._failed = _failures(self._fit)
            self._bury()
        elif self.pid is not None and not self._stopping:
            limits = deadlines(self.job.limits, self._since, self._progress)
            self._overdue = next((over for when, over in limits if when <= time.monotonic()), None)
            if self._overdue is not None:
                self.kill()
        return events

    def ask(self, wish: str) -> None:
        """Ask rank 0 to leave."""
        self._stopping = self._stopping or wish == STOP
        self._notes.ask(wish)

    def kill(self) -> None:
        """End all of it, and wait until its placement group is gone.

        Train's handler of Ctrl-C does that. A placement group outlives whoever made it as long as
        the driver lives, so killing comes last.
        """
        ray.cancel(self._fit)
        ended, _ = ray.wait([self._fit], timeout=ABORT_SECONDS)
        if not ended:
            ray.cancel(self._fit, force=True)
        self._bury()

    def verdict(self) -> Ended | Broken:
        """The one terminal event, once ``gone``."""
        if isinstance(self._said, Ended):
            return self._said
        verdict = self._blamed(self._said)
        if verdict is not self._said and not self._stopping:
            record_failure(self._store, self.job, verdict.reason)
        return verdict

    def _blamed(self, said: Broken | None) -> Broken:
        """Whose fault it was. A rank that is lost takes rank 0 with it, never the reverse."""
        if self._stopping:
            return Broken(FailureKind.KILLED, "stopped on request")
        if self._overdue is not None:
            return self._overdue
        for rank, why in self._failed.items():
            if rank > 0:
                return Broken(FailureKind.KILLED, f"rank {rank} was lost: {why}")
        for note in self._of_others:
            return Broken(FailureKind(note["kind"]), note["reason"])
        if said is not None:
            return said
        for why in self._failed.values():
            return Broken(FailureKind.KILLED, f"the trial's processes were lost: {why}")
        return Broken(FailureKind.SILENT, "the trial's processes ended without a word")

    def _read(self) -> list[Event]:
        events: list[Event] = []
        for note in self._notes.take():
            if "born" in note:
                self.pid, self._group = note["born"], note["group"]
                self._since = self._progress = time.monotonic()
            elif "rank" in note:
                self._of_others.append(note)
                self._log(note)
            else:
                event = event_from_json(note)
                if isinstance(event, Ended | Broken):
                    self._said = self._said or event
                else:
                    self._progress = time.monotonic()
                    events.append(event)
        return events

    def _log(self, note: Mapping[str, Json]) -> None:
        lines = (f"[rank {note['rank']}] {line}\n" for line in note["traceback"].splitlines())
        key = f"{self.job.folder}/{LOG}"
        self._store.append_batch(key, "".join(lines).encode(), durable=False)

    def _bury(self) -> None:
        """Wait until the placement group is gone, and remove one that is not."""
        until = time.monotonic() + BURIAL_SECONDS
        while self._group and _is_there(self._group) and time.monotonic() < until:
            time.sleep(LOOK_SECONDS / 5)
        if self._group and _is_there(self._group):
            remove_placement_group(_group_of(self._group))
        self._notes.wipe()
        self._scratch.cleanup()
        self.gone = True

    @property
    def _store(self) -> Store:
        return store_at(place_of(self.job.root), must_exist=True)


def _failures(fit: Any) -> dict[int, str]:
    """What the task came back with; rank -1 stands for Train itself."""
    try:
        found: dict[int, str] = ray.get(fit)
    except RayError as error:
        return {-1: _first_line(error)}
    return found


def _lost(failure: Exception) -> str:
    """How a worker was lost; empty for one that raised, and has told why in a note."""
    cause = getattr(failure, "health_check_failure", failure)
    return _first_line(cause) if isinstance(cause, RayActorError) else ""


def _first_line(error: BaseException) -> str:
    return str(error).strip().split("\n", 1)[0]


def _group_of(group_id: str) -> PlacementGroup:
    return PlacementGroup(PlacementGroupID.from_hex(group_id))


def _is_there(group_id: str) -> bool:
    state = placement_group_table(_group_of(group_id)).get("state", "REMOVED")
    return bool(state != "REMOVED")


@ray.remote(num_cpus=0, max_retries=0, runtime_env={"env_vars": _TRAINS_OWN})
def _fit(config: dict[str, Json], name: str, scratch: str) -> dict[int, str]:
    """Run TorchTrainer; return what its ranks failed of that could not say so themselves."""
    from ray.train import FailureConfig, RunConfig, ScalingConfig
    from ray.train.torch import TorchConfig, TorchTrainer
    from ray.train.v2.api.exceptions import TrainingFailedError, WorkerGroupError

    request = ResourceRequest.from_json(config["job"]["resources"])
    each = {name: amount / request.processes for name, amount in bundle(request).items()}
    labels: dict[str, Any] = {"label_selector": dict(request.labels)} if request.labels else {}
    trainer = TorchTrainer(
        train,
        train_loop_config=config,
        torch_config=TorchConfig(backend="nccl" if request.gpus else "gloo"),
        scaling_config=ScalingConfig(
            num_workers=request.nodes * request.processes,
            use_gpu=request.gpus > 0,
            resources_per_worker=each,
            placement_strategy="STRICT_SPREAD" if request.processes == 1 else "PACK",
            **labels,
        ),
        run_config=RunConfig(
            name=name, storage_path=scratch, failure_config=FailureConfig(max_failures=0)
        ),
    )
    before = signal.getsignal(signal.SIGINT)
    try:
        trainer.fit()
    except WorkerGroupError as error:
        found = {rank: _lost(why) for rank, why in error.worker_failures.items()}
        return {rank: why for rank, why in found.items() if why}
    except TrainingFailedError as error:
        return {-1: _first_line(error)}
    finally:
        signal.signal(signal.SIGINT, before)  # Train's own would keep its controller alive
    return {}
