"""What can happen in a run: one frozen dataclass a kind, written to the log as one JSON object.

The log is the truth. ``RunState`` is its fold; TAO's files are drawings of that state.
"""

from __future__ import annotations

from dataclasses import MISSING, Field, dataclass, field, fields
from functools import cache
from typing import Any, ClassVar, TypeAlias, get_args, get_type_hints

from pydantic import BaseModel, ConfigDict, ValidationError, create_model
from pydantic.fields import FieldInfo

from raytao.types import Budget, Json, Params

FORMAT = 2
"""Version of the log's records; older ones are read, newer ones are refused.

1: the first. 2: a line says how long its driver has been up; `Resumed` says the format from there
on; `Changed`, `Retried`, `Returned`, `Stopped` and `Repaired` are new. A field that a reader does
not know is passed over: what only tells people more (`Started.saw`, `Reported.use`) is no new
format.
"""


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
    """A driver took over: every lease that was out is offered again.

    ``format`` is that of the records from here on; format 1 did not say it.
    """

    kind: ClassVar[str] = "resumed"
    host: str
    pid: int
    version: str
    format: int = 1


@dataclass(frozen=True)
class Changed:
    """The run goes on under another setup, as `Opened` describes one.

    ``anew``: another search. What was found stays and can still win, but trials that were under
    way are retired, and the brain begins with the next number. Without it the same search goes on:
    longer, wider or elsewhere. ``differences`` are for people: ``key: old -> new``.
    """

    kind: ClassVar[str] = "changed"
    setup: Json
    metric: str
    direction: str
    anew: bool
    differences: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Repaired:
    """A damaged log was cut off here; attempts above ``attempts`` only are new from here on."""

    kind: ClassVar[str] = "repaired"
    lines_cut: int
    attempts: int
    kept: str


@dataclass(frozen=True)
class Started:
    """The brain proposed trial ``trial``; see ``types.Start``.

    ``saw`` is the number of the last event that it knew of, if that was not the one before this:
    proposals are prepared while trials run.
    """

    kind: ClassVar[str] = "started"
    trial: int
    params: Params
    budget: Budget
    horizon: Budget
    why: str
    job_id: str
    parent: int | None = None
    saw: int | None = None


@dataclass(frozen=True)
class Leased:
    """The trial's next segment was handed out; older attempts are void from here on."""

    kind: ClassVar[str] = "leased"
    trial: int
    attempt: int


@dataclass(frozen=True)
class Placed:
    """Where an attempt runs and what it was given, as the cluster told.

    ``devices`` are the GPUs' names on that node, as CUDA_VISIBLE_DEVICES has them.
    """

    kind: ClassVar[str] = "placed"
    trial: int
    attempt: int
    node: str
    pid: int
    cpus: float
    gpus: float
    devices: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Reported:
    """Metrics after ``epoch`` epochs; ``seconds`` is what that epoch took.

    ``use`` tells people what it used of its machine, see `raytao.trials.use`; None: not known.
    """

    kind: ClassVar[str] = "reported"
    trial: int
    attempt: int
    epoch: int
    metrics: dict[str, float]
    seconds: float
    use: dict[str, float] | None = None


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
    """An attempt vanished without a word (node or process lost); it is offered again.

    ``node``: its whole node is gone, so that nothing speaks against the trial.
    """

    kind: ClassVar[str] = "lost"
    trial: int
    attempt: int
    reason: str
    node: bool = False


@dataclass(frozen=True)
class Retried:
    """An attempt broke, and the trial is offered again from its checkpoint.

    ``smaller_batch``: with half the batch that it had.
    """

    kind: ClassVar[str] = "retried"
    trial: int
    attempt: int
    cause: str
    reason: str
    smaller_batch: bool = False


@dataclass(frozen=True)
class Returned:
    """An attempt came back before its end, from its checkpoint; nobody is to blame.

    The run stops, its node is about to leave, or its place on the cluster is another run's turn.
    """

    kind: ClassVar[str] = "returned"
    trial: int
    attempt: int


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
class Stopped:
    """From here on no work is given out: somebody asked for it, or a budget is spent.

    ``cancel``: at once, and without a winner. A run that was stopped can be resumed.
    """

    kind: ClassVar[str] = "stopped"
    reason: str
    cancel: bool = False


@dataclass(frozen=True)
class Finished:
    """Nothing is left to do: ``status`` is TAO's Done, Error or Canceled."""

    kind: ClassVar[str] = "finished"
    status: str
    reason: str = ""


Event: TypeAlias = (
    Opened
    | Resumed
    | Changed
    | Repaired
    | Started
    | Leased
    | Placed
    | Reported
    | Judged
    | Lost
    | Retried
    | Returned
    | Broke
    | Tested
    | Stopped
    | Finished
)

KINDS: dict[str, type[Event]] = {cls.kind: cls for cls in get_args(Event)}


@cache
def _reader(kind: str) -> type[BaseModel]:
    """A model of an event's fields, which checks their types; made for the first of its kind."""
    cls = KINDS[kind]
    hints = get_type_hints(cls)
    wanted: dict[str, Any] = {f.name: (hints[f.name], _default(f)) for f in fields(cls)}
    return create_model(cls.__name__, __config__=ConfigDict(strict=True), **wanted)


def _default(one: Field[Any]) -> Any:
    if one.default_factory is not MISSING:
        return FieldInfo(default_factory=one.default_factory)
    return ... if one.default is MISSING else one.default


def to_json(event: Event) -> dict[str, Json]:
    """The event as one JSON object, its kind first."""
    return {"kind": event.kind, **vars(event)}


def from_json(record: dict[str, Json]) -> Event:
    """Read what ``to_json`` wrote, of this format or an older one.

    Raises:
        ValueError: if the kind is unknown, or a field is missing or of another type.
    """
    kind = record.get("kind")
    cls = KINDS.get(kind) if isinstance(kind, str) else None
    if cls is None:
        raise ValueError(f"unknown kind of record {kind!r}")
    try:
        checked = _reader(cls.kind).model_validate(record)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(str(key) for key in first["loc"])
        raise ValueError(f"a {cls.kind!r} record: {place}: {first['msg']}") from error
    return cls(**vars(checked))
