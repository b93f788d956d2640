"""The append-only event log: one record a line, numbered and checksummed.

A line reads ``{"seq":7,"at":…,"kind":"reported",…,"crc":"1c2d3e4f"}``; the checksum covers the
line without its crc field. A torn last line is what a crash leaves and is dropped with a notice;
a damaged line elsewhere stops the reader: nothing is guessed and nothing is overwritten.
"""

from __future__ import annotations

import json
import logging
import time
import zlib
from collections.abc import Callable
from dataclasses import dataclass

from raytao.errors import DamagedRun
from raytao.runs.events import FORMAT, Event, Opened, from_json, to_json
from raytao.runs.store import Store

log = logging.getLogger(__name__)

GROUP_SECONDS = 1.0
"""Plain epoch reports wait at most this long for company before they are committed."""


@dataclass(frozen=True)
class Record:
    """One committed event: its number and the wall-clock time it was written, for people."""

    seq: int
    at: float
    event: Event


class EventLog:
    """Appends events to a store. ``commit`` makes them durable; ``add`` may wait for company."""

    def __init__(
        self, store: Store, key: str, *, next_seq: int = 0, clock: Callable[[], float] = time.time
    ) -> None:
        self._store = store
        self._key = key
        self._seq = next_seq
        self._clock = clock
        self._pending: list[bytes] = []
        self._oldest = 0.0

    def add(self, event: Event) -> None:
        """Queue an event; it is committed with the next decision, or by ``tick``."""
        if not self._pending:
            self._oldest = time.monotonic()
        self._pending.append(_line(self._seq, self._clock(), event))
        self._seq += 1

    def commit(self) -> None:
        """Make everything queued durable in one append."""
        if self._pending:
            batch = b"".join(self._pending)
            self._store.append_batch(self._key, batch)
            self._pending.clear()

    def tick(self) -> None:
        """Commit what has waited for ``GROUP_SECONDS``."""
        if self._pending and time.monotonic() - self._oldest >= GROUP_SECONDS:
            self.commit()


def read_log(store: Store, key: str) -> list[Record]:
    """Read a log back; a missing one is empty.

    Raises:
        DamagedRun: if a line other than the last is torn, out of order or of a newer format.
    """
    *lines, tail = (store.read(key) or b"").split(b"\n")
    records: list[Record] = []
    for number, line in enumerate(lines, start=1):
        try:
            records.append(_parse(line, expected=len(records)))
        except ValueError as error:
            raise DamagedRun(
                f"{key}:{number}: {error}. Nothing was changed; the log cannot be trusted "
                f"beyond record {len(records) - 1}."
            ) from error
        _check_format(key, records[0])
    if tail:
        log.warning("%s: dropped the torn last line %d", key, len(lines) + 1)
    return records


def mend_tail(store: Store, key: str) -> None:
    """Remove a torn last line, so that the next append starts on a line of its own."""
    data = store.read(key) or b""
    whole, newline, tail = data.rpartition(b"\n")
    if tail:
        store.replace(key, whole + newline)


def _line(seq: int, at: float, event: Event) -> bytes:
    record = {"seq": seq, "at": round(at, 3), **to_json(event)}
    body = json.dumps(record, separators=(",", ":"), allow_nan=False)
    crc = zlib.crc32(body.encode())
    return f'{body[:-1]},"crc":"{crc:08x}"}}\n'.encode()


def _parse(line: bytes, *, expected: int) -> Record:
    head, mark, tail = line.rpartition(b',"crc":"')
    if not mark or len(tail) != len(b'00000000"}') or not tail.endswith(b'"}'):
        raise ValueError("a torn line")
    body = head + b"}"
    if f"{zlib.crc32(body):08x}".encode() != tail[:8]:
        raise ValueError("the checksum does not match")
    record = json.loads(body)
    if record["seq"] != expected:
        raise ValueError(f"record {record['seq']} where {expected} was expected")
    return Record(record["seq"], record["at"], from_json(record))


def _check_format(key: str, first: Record) -> None:
    opened = first.event
    if not isinstance(opened, Opened):
        raise DamagedRun(f"{key}: the log does not begin with an 'opened' record")
    if opened.format > FORMAT:
        raise DamagedRun(
            f"{key}: written in format {opened.format} by raytao {opened.version}; "
            f"this version reads up to format {FORMAT}: install raytao >= {opened.version}"
        )
