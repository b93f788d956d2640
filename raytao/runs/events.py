"""What can happen in a run: one frozen dataclass a kind, written to the log as one JSON object.

The log is the truth. ``RunState`` is its fold; TAO's files are drawings of that state.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, fields
from typing import Any, ClassVar, TypeAlias

from raytao.types import Budget, Json, Params

FORMAT = 1
"""Version of the log's records; a reader refuses what is newer."""


@dataclass(frozen=True)
class Opened:
    """First record of every log: what this run is. ``setup`` fixes the search for life."""

    kind: ClassVar[str] = "opened"
    setup: Json
    metric: str
    direction: str
    version: str
    format: int = FORMAT


@dataclass(frozen=True)
class Resumed:
    """A driver took over: every lease that was out is offered again."""

    kind: ClassVar[str] = "resumed"
    host: str
    pid: int
    version: str


@dataclass(frozen=True)
class Started:
    """The brain proposed trial ``trial``; see ``types.Start``."""

    kind: ClassVar[str] = "started"
    trial: int
    params: Params
    budget: Budget
    horizon: Budget
    why: str
    job_id: str
    parent: int | None = None


@dataclass(frozen=True)
class Leased:
    """The trial's next segment was handed out; older attempts are void from here on."""

    kind: ClassVar[str] = "leased"
    trial: int
    attempt: int


@dataclass(frozen=True)
class Placed:
    """Where an attempt runs, as the cluster told."""

    kind: ClassVar[str] = "placed"
    trial: int
    attempt: int
    node: str
    pid: int
    cpus: float
    gpus: float


@dataclass(frozen=True)
class Reported:
    """Metrics after ``epoch`` epochs; ``seconds`` is what that epoch took."""

    kind: ClassVar[str] = "reported"
    trial: int
    attempt: int
    epoch: int
    metrics: dict[str, float]
    seconds: float


@dataclass(frozen=True)
class Judged:
    """The brain's verdict where it is more than CONTINUE; logged with what caused it."""

    kind: ClassVar[str] = "judged"
    trial: int
    decision: str
    promote: list[dict[str, Any]] = field(default_factory=list)
    retire: list[int] = field(default_factory=list)


@dataclass(frozen=True)
class Lost:
    """An attempt vanished without a word (node or process lost); it is offered again."""

    kind: ClassVar[str] = "lost"
    trial: int
    attempt: int
    reason: str


@dataclass(frozen=True)
class Broke:
    """The trial failed for good: it has no value and never will."""

    kind: ClassVar[str] = "broke"
    trial: int
    attempt: int
    cause: str
    reason: str


@dataclass(frozen=True)
class Tested:
    """The winner was measured on the test set, once; empty metrics carry a reason."""

    kind: ClassVar[str] = "tested"
    trial: int
    epoch: int
    metrics: dict[str, float]
    reason: str = ""


@dataclass(frozen=True)
class Finished:
    """Nothing is left to do: ``status`` is TAO's Done or Error."""

    kind: ClassVar[str] = "finished"
    status: str
    reason: str = ""


Event: TypeAlias = (
    Opened
    | Resumed
    | Started
    | Leased
    | Placed
    | Reported
    | Judged
    | Lost
    | Broke
    | Tested
    | Finished
)

KINDS: dict[str, type[Event]] = {
    cls.kind: cls
    for cls in (
        Opened,
        Resumed,
        Started,
        Leased,
        Placed,
        Reported,
        Judged,
        Lost,
        Broke,
        Tested,
        Finished,
    )
}


def to_json(event: Event) -> dict[str, Json]:
    """The event as one JSON object, its kind first."""
    return {"kind": event.kind, **asdict(event)}


def from_json(record: dict[str, Json]) -> Event:
    """Read what ``to_json`` wrote.

    Raises:
        ValueError: if the kind is unknown or a field is missing.
    """
    cls = KINDS.get(record.get("kind", ""))
    if cls is None:
        raise ValueError(f"unknown kind of record {record.get('kind')!r}")
    names = {f.name for f in fields(cls)}
    try:
        return cls(**{k: v for k, v in record.items() if k in names})
    except TypeError as error:
        raise ValueError(f"a {cls.kind!r} record is incomplete: {error}") from error
