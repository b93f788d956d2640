"""What the supervisor tells a job's process, and what it hears back.

All messages are frozen values that survive JSON: a job goes one way, events come the other way as
JSON lines, and every job ends with exactly one terminal event (`Ended` or `Broken`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from enum import Enum
from typing import Any, Literal, TypeAlias

from raytao.types import Json


class FailureKind(Enum):
    """Why a job broke."""

    ERROR = "error"
    """The trainer raised an exception, or its process exited with a code that is not 0."""

    OOM = "oom"
    """Out of memory, on the GPU or in the process."""

    TIMEOUT = "timeout"
    """The segment took longer than it may."""

    STALLED = "stalled"
    """No epoch was reported for longer than allowed."""

    KILLED = "killed"
    """A signal ended the process."""

    STORAGE = "storage"
    """The results folder cannot be written, or is not there: no fault of the trial's."""

    DIVERGED = "diverged"
    """The watched metric is NaN or infinite."""

    METRIC = "metric"
    """The watched metric is missing or not a number."""

    SILENT = "silent"
    """The trainer returned early, without reporting the epochs it was asked for."""


@dataclass(frozen=True)
class Limits:
    """Longest a job may take, in seconds; None: as long as it likes.

    ``seconds`` bounds the whole segment, ``idle_seconds`` the time without a finished epoch. Both
    count from the moment the job's process exists: warming up is not the trial's fault.
    """

    seconds: float | None = None
    idle_seconds: float | None = None


@dataclass(frozen=True)
class Job:
    """One segment of one trial (``train``), or a measurement of its weights (``evaluate``).

    Args:
        kind: what to do.
        network: a registered name, or ``package.module:attribute``.
        spec: the full train spec.
        root: the results folder.
        folder: the trial's folder, as a key below ``root``.
        trial: the trial's number.
        attempt: how often this trial was leased; an older attempt may not write any more.
        reported_epoch: the last epoch the driver knows; what was trained beyond is told again.
        stop_epoch: the rung: train until this epoch is completed.
        metric: the watched metric, by the trainer's name for it.
        direction: ``maximize`` or ``minimize``.
        seed: seed of everything random in the training.
        threads: CPU threads that each of its processes may use.
        gpus: GPUs the job may use, on each of its machines.
        limits: how long it may take.
        checkpoint: ``evaluate`` only: the key of the weights file.
        function: a user's own function in place of a named network, as text.
        cwd: the driver's current folder, where relative paths of the spec begin; empty: ours.
        command: an external trainer's settings and the text of its spec; see `Command`.
        resources: what was asked of the cluster, a `ResourceRequest` as JSON, which threads and
            gpus follow from; empty where no cluster was asked.
    """

    kind: Literal["train", "evaluate"]
    network: str
    spec: Mapping[str, Json]
    root: str
    folder: str
    trial: int
    attempt: int
    reported_epoch: int
    stop_epoch: int
    metric: str
    direction: str
    seed: int
    threads: int
    gpus: int
    limits: Limits = field(default_factory=Limits)
    checkpoint: str | None = None
    function: str | None = None
    cwd: str = ""
    command: Mapping[str, Json] | None = None
    resources: Mapping[str, Json] = field(default_factory=dict)

    def to_json(self) -> dict[str, Json]:
        """The job as plain JSON."""
        return {**asdict(self), "spec": dict(self.spec)}

    @staticmethod
    def from_json(plain: Mapping[str, Json]) -> Job:
        """The inverse of ``to_json``."""
        return Job(**{**plain, "limits": Limits(**plain["limits"])})


@dataclass(frozen=True)
class EpochDone:
    """An epoch is trained and durable. ``seconds`` is its wall time.

    ``use`` is what it used of its machine, where that is known; see `raytao.trials.use`.
    """

    epoch: int
    metrics: Mapping[str, float]
    seconds: float
    use: Mapping[str, float] | None = None


@dataclass(frozen=True)
class Measured:
    """What ``evaluate`` found."""

    metrics: Mapping[str, float]


@dataclass(frozen=True)
class Ended:
    """Terminal: the job did what it was asked.

    ``epoch`` is the last completed one: ``stop_epoch``, or less if the job was asked to stop.
    """

    epoch: int


@dataclass(frozen=True)
class Broken:
    """Terminal: the job failed. ``reason`` is one sentence; the traceback is in the log."""

    kind: FailureKind
    reason: str


Event: TypeAlias = EpochDone | Measured | Ended | Broken

_EVENTS: Mapping[str, type[EpochDone | Measured | Ended]] = {
    kind.__name__: kind for kind in (EpochDone, Measured, Ended)
}


def event_to_json(event: Event) -> dict[str, Json]:
    """The event as plain JSON, tagged with its name.

    >>> event_to_json(Ended(epoch=3))
    {'event': 'Ended', 'epoch': 3}
    """
    plain: dict[str, Any] = {"event": type(event).__name__, **vars(event)}
    match event:
        case Broken(kind=kind):
            plain["kind"] = kind.value
        case EpochDone(metrics=metrics) | Measured(metrics=metrics):
            plain["metrics"] = dict(metrics)
        case Ended():
            pass
    return plain


def event_from_json(plain: Mapping[str, Json]) -> Event:
    """The inverse of ``event_to_json``.

    Raises:
        ValueError: if this is no event.
    """
    fields = {key: value for key, value in plain.items() if key != "event"}
    name = plain.get("event")
    try:
        if name == Broken.__name__:
            return Broken(FailureKind(fields["kind"]), fields["reason"])
        return _EVENTS[str(name)](**fields)
    except (KeyError, TypeError) as error:
        raise ValueError(f"not an event: {plain!r}") from error
