"""The append-only event log: one record a line, numbered and checksummed.

A line reads ``{"seq":7,"at":…,"up":…,"kind":"reported",…,"crc":"1c2d3e4f"}``; the checksum covers
the line without its crc field. A torn last line is what a crash leaves and is dropped with a
notice; a damaged line elsewhere stops the reader: nothing is guessed and nothing is overwritten.
"""

from __future__ import annotations

import json
import logging
import sys
import time
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from raytao.errors import DamagedRun, NewerRun
from raytao.runs.events import FORMAT, Event, Opened, Resumed, from_json, to_json
from raytao.runs.store import Store
from raytao.types import Json

log = logging.getLogger(__name__)

_LONGEST = sys.float_info.max

GROUP_SECONDS = 1.0
"""Plain epoch reports wait at most this long for company before they are committed."""


@dataclass(frozen=True)
class Record:
    """One committed event: its number, the wall-clock time it was written, for people, and ``up``.

    ``up`` is how long its driver had been at work, in seconds of a clock that never jumps.
    """

    seq: int
    at: float
    event: Event
    up: float = 0.0


class EventLog:
    """Appends events to a store. ``commit`` makes them durable; ``add`` may wait for company.

    Args:
        store: where the log is.
        key: its name there.
        next_seq: number of the next record.
        size: bytes of the log so far; what else is found there at a commit is refused.
        fence: called before every commit; raises if another driver owns the log by now.
        clock: the wall clock, for people.
    """

    def __init__(
        self,
        store: Store,
        key: str,
        *,
        next_seq: int = 0,
        size: int = 0,
        fence: Callable[[], None] = lambda: None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._store = store
        self._key = key
        self._seq = next_seq
        self._size = size
        self._fence = fence
        self._clock = clock
        self._began = time.monotonic()
        self._pending: list[bytes] = []
        self._oldest = 0.0

    def add(self, event: Event) -> Record:
        """Queue an event; it is committed with the next decision, or by ``tick``."""
        if not self._pending:
            self._oldest = time.monotonic()
        up = round(time.monotonic() - self._began, 3)
        record = Record(self._seq, round(self._clock(), 3), event, up)
        self._pending.append(seal(record))
        self._seq += 1
        return record

    def commit(self) -> None:
        """Make everything queued durable in one append; what storage refuses stays queued."""
        if self._pending:
            self._fence()
            batch = b"".join(self._pending)
            self._store.append_batch(self._key, batch, at=self._size)
            self._size += len(batch)
            self._pending.clear()

    def tick(self) -> None:
        """Commit what has waited for ``GROUP_SECONDS``."""
        if self._pending and time.monotonic() - self._oldest >= GROUP_SECONDS:
            self.commit()


@dataclass(frozen=True)
class Damage:
    """Where a log stops to be trustworthy: ``line`` counts from 1, ``size`` bytes before it."""

    line: int
    size: int
    reason: str


def read_log(store: Store, key: str) -> list[Record]:
    """Read a log back; a missing one is empty.

    Raises:
        DamagedRun: if a line other than the last is torn or out of order.
        NewerRun: if the log is of a newer format.
    """
    records, damage = examine_log(store, key)
    if damage is not None:
        raise DamagedRun(
            f"{key}:{damage.line}: {damage.reason}. Nothing was changed; the log can be trusted "
            f"up to record {len(records) - 1}."
        )
    return records


def examine_log(store: Store, key: str) -> tuple[list[Record], Damage | None]:
    """Read as far as the log can be trusted; see where, and why, it stops to be.

    Raises:
        NewerRun: if the log is of a newer format.
    """
    *lines, tail = (store.read(key) or b"").split(b"\n")
    records: list[Record] = []
    size = 0
    for number, line in enumerate(lines, start=1):
        try:
            record = _parse(key, line, expected=len(records))
            if not records and not isinstance(record.event, Opened):
                raise ValueError("the log does not begin with an 'opened' record")
        except ValueError as error:
            return records, Damage(number, size, str(error))
        records.append(record)
        size += len(line) + 1
    if tail:
        log.warning("%s: dropped the torn last line %d", key, len(lines) + 1)
    return records, None


class LogFollower:
    """Reads what a log has got since it was read last; only that is parsed.

    Args:
        store: where the log is.
        key: its name there.
        known: records that the reader has already.
    """

    def __init__(self, store: Store, key: str, known: int = 0) -> None:
        self._store = store
        self._key = key
        self._known = known
        self._size = self._seen = 0
        self._last = b""

    def news(self) -> tuple[list[Record], bool]:
        """The records that are new, and whether they are the whole of another log, or a cut one.

        A last line that is not whole yet is left for the next time.

        Raises:
            DamagedRun: if a line is torn or out of order.
            NewerRun: if the log is of a newer format.
        """
        size = self._store.size(self._key) or 0
        if size == self._size:
            return [], False
        data = self._store.read(self._key) or b""
        self._size = size
        anew = data[: self._seen][-len(self._last) :] != self._last if self._seen else False
        if anew:
            self._known = self._seen = 0
        skipped = self._known if not self._seen else 0
        *lines, _ = data[self._seen :].split(b"\n")
        self._seen += sum(len(line) + 1 for line in lines)
        self._last = lines[-1] + b"\n" if lines else self._last
        return [self._parsed(line) for line in lines[skipped:]], anew

    def _parsed(self, line: bytes) -> Record:
        try:
            record = _parse(self._key, line, expected=self._known)
        except ValueError as error:
            raise DamagedRun(f"{self._key}:{self._known + 1}: {error}") from error
        self._known += 1
        return record


def mend_tail(store: Store, key: str) -> int:
    """Remove a torn last line, so that the next append starts on a line of its own.

    Returns:
        The size of the log in bytes.
    """
    data = store.read(key) or b""
    whole, newline, tail = data.rpartition(b"\n")
    if tail:
        store.replace(key, whole + newline)
    return len(whole + newline)


def seal(record: Record) -> bytes:
    """A record as its line of the log, with its checksum."""
    plain = {"seq": record.seq, "at": record.at, "up": record.up, **to_json(record.event)}
    text = json.dumps(plain, separators=(",", ":"), allow_nan=False, ensure_ascii=False)
    body = text.encode(errors="replace")  # half a character, as from a strange file name, is "?"
    return body[:-1] + f',"crc":"{zlib.crc32(body):08x}"}}\n'.encode()


def _parse(key: str, line: bytes, *, expected: int) -> Record:
    head, mark, tail = line.rpartition(b',"crc":"')
    if not mark or len(tail) != len(b'00000000"}') or not tail.endswith(b'"}'):
        raise ValueError("a torn line")
    body = head + b"}"
    if f"{zlib.crc32(body):08x}".encode() != tail[:8]:
        raise ValueError("the checksum does not match")
    try:
        plain = json.loads(body, parse_constant=_refuse_constant)
    except RecursionError as error:
        raise ValueError("nested too deep") from error
    if not isinstance(plain, dict):
        raise ValueError("no record")
    _refuse_newer(key, plain)
    if plain.get("seq") != expected:
        raise ValueError(f"record {plain.get('seq')!r} where {expected} was expected")
    return Record(
        seq=expected,
        at=_seconds(plain, "at"),
        event=from_json(plain),
        up=_seconds(plain, "up", default=0.0),  # format 1 has none
    )


def _refuse_constant(name: str) -> Json:
    """NaN and infinity are no JSON, and no metric."""
    raise ValueError(f"{name} is not a number")


def _seconds(plain: Mapping[str, Json], name: str, default: float | None = None) -> float:
    value = plain.get(name, default)
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) <= _LONGEST:
        raise ValueError(f"{name!r} is {value!r}, no number of seconds")
    return float(value)


def _refuse_newer(key: str, plain: Mapping[str, Json]) -> None:
    """Before the record is read: a newer one may have other fields."""
    written = plain.get("format")
    if plain.get("kind") in (Opened.kind, Resumed.kind) and isinstance(written, int):
        if written <= FORMAT:
            return
        version = plain.get("version")
        raise NewerRun(
            f"{key}: written in format {written} by raytao {version}; this version reads up to "
            f"format {FORMAT}: install raytao >= {version}"
        )
