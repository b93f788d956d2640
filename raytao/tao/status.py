"""status.json: one JSON object a line, as TAO's own tools write and read it (TAO facts, 4.6).

TAO's reader takes the last ``status`` it sees, skips lines it cannot parse and drops values that
are not finite numbers. Ours does the same, so that runs of TAO can be read as well.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum
from typing import Final

from raytao.networks.command.values import json_object, numbers
from raytao.types import Json

_SPAN: Final = re.compile(r"(?:(\d+) days?, )?(\d+):(\d{1,2}):(\d{1,2}(?:\.\d+)?)")


class Status(Enum):
    """State of a training, by TAO's names. Ended well is SUCCESS, also at a rung."""

    STARTED = "STARTED"
    RUNNING = "RUNNING"
    SUCCESS = "SUCCESS"
    FAILURE = "FAILURE"
    SKIPPED = "SKIPPED"


@dataclass(frozen=True)
class StatusLine:
    """One line. Epochs are completed epochs, counted from 1; times are in seconds.

    ``when`` has whole seconds (TAO writes no more) and no time zone: it is the clock on the wall
    of the machine that trained. ``training`` marks a line whose kpi are of the training phase.
    """

    status: Status
    when: datetime
    message: str = ""
    epoch: int | None = None
    max_epoch: int | None = None
    time_per_epoch: float | None = None
    eta: float | None = None
    kpi: Mapping[str, float] = field(default_factory=dict)
    graphical: Mapping[str, float] = field(default_factory=dict)
    training: bool = False


def status_line(line: StatusLine) -> str:
    """Render a line, with its line end and in TAO's order of keys."""
    plain: dict[str, Json] = {
        "epoch": line.epoch,
        "max_epoch": line.max_epoch,
        "time_per_epoch": span_text(line.time_per_epoch),
        "eta": span_text(line.eta),
        "mode": "train" if line.training else None,
        **date_and_time(line.when),
        "status": line.status.value,
        "verbosity": "ERROR" if line.status is Status.FAILURE else "INFO",
        "message": line.message or None,
        "graphical": dict(line.graphical) or None,
        "kpi": dict(line.kpi) or None,
    }
    kept = {key: value for key, value in plain.items() if value is not None}
    return json.dumps(kept, allow_nan=False) + "\n"


def date_and_time(when: datetime) -> dict[str, str]:
    """The keys ``date`` and ``time``, unpadded as TAO has them.

    >>> date_and_time(datetime(2024, 8, 28, 9, 5, 7))
    {'date': '8/28/2024', 'time': '9:5:7'}
    """
    return {
        "date": f"{when.month}/{when.day}/{when.year}",
        "time": f"{when.hour}:{when.minute}:{when.second}",
    }


def read_status(data: bytes) -> list[StatusLine]:
    """Read what can be read: torn and foreign lines are skipped, as are values not finite."""
    found = map(_parsed, data.split(b"\n"))
    return [line for line in found if line is not None]


def _parsed(raw: bytes) -> StatusLine | None:
    plain = json_object(raw)
    if plain is None:
        return None
    try:
        status = Status(plain["status"])
        when = _when(plain.get("date", ""), plain.get("time", ""))
    except (ValueError, KeyError, TypeError, AttributeError):
        return None
    return StatusLine(
        status=status,
        when=when,
        message=str(plain.get("message") or ""),
        epoch=_count(plain.get("epoch")),
        max_epoch=_count(plain.get("max_epoch")),
        time_per_epoch=_span(plain.get("time_per_epoch")),
        eta=_span(plain.get("eta")),
        kpi=_finite(plain.get("kpi")),
        graphical=_finite(plain.get("graphical")),
        training=plain.get("mode") == "train",
    )


def _when(date: str, time: str) -> datetime:
    month, day, year = (int(part) for part in date.split("/"))
    hour, minute, second = (int(part) for part in time.split(":"))
    return datetime(year, month, day, hour, minute, second)  # noqa: DTZ001 - TAO writes no zone


def _count(value: Json) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _finite(values: Json) -> dict[str, float]:
    return {name: value for name, value in numbers(values).items() if math.isfinite(value)}


def span_text(seconds: float | None) -> str | None:
    """``H:MM:SS.ffffff``, hours not padded and not folded into days."""
    if seconds is None:
        return None
    whole, micro = divmod(round(seconds * 1_000_000), 1_000_000)
    return f"{whole // 3600}:{whole // 60 % 60:02d}:{whole % 60:02d}.{micro:06d}"


def _span(text: Json) -> float | None:
    match = _SPAN.fullmatch(text) if isinstance(text, str) else None
    if match is None:
        return None
    days, hours, minutes, seconds = match.groups(default="0")
    whole = int(days) * 86_400 + int(hours) * 3_600 + int(minutes) * 60
    return (whole * 1_000_000 + round(float(seconds) * 1_000_000)) / 1_000_000
