"""A job's output on its way to the log: as it comes, but without secrets."""

from __future__ import annotations

import codecs
import logging
import os
import select
import threading
import time
from typing import Final

from raytao.redact import MARK, SHORTEST, Redactor
from raytao.runs.store import Store, StoreError

HELD_SECONDS: Final = 0.5
"""Longest that a line which has not ended is held back."""

FLUSHED: Final = 1 << 16
"""Characters without a line end after which nobody waits for one."""

_CHUNK: Final = 1 << 16


class RedactedStream:
    """Takes output in pieces, however they are cut, and gives it back redacted.

    Whole lines come back at once; a carriage return ends a line, too. What may be the beginning
    of a secret is kept until the rest is there.

    Args:
        redact: hides what is secret.
    """

    def __init__(self, redact: Redactor) -> None:
        self._redact = redact
        self._decoder = codecs.getincrementaldecoder("utf-8")("surrogateescape")
        self._held = ""

    @property
    def held(self) -> bool:
        """Whether there is something for ``flush`` to give."""
        return bool(self._held)

    def feed(self, data: bytes) -> bytes:
        """Take a piece; return the lines that have ended."""
        self._held += self._decoder.decode(data)
        ended = max(self._held.rfind("\n"), self._held.rfind("\r")) + 1
        if len(self._held) - ended > FLUSHED:
            return self.flush()
        return self._shown(ended)

    def flush(self) -> bytes:
        """Return the line that has not ended, as far as no secret may begin in it."""
        return self._shown(self._redact.open_at(self._held))

    def end(self) -> bytes:
        """Return the rest. What was cut off within a secret is hidden as well."""
        self._held += self._decoder.decode(b"", final=True)
        begun = self._redact.begun_at(self._held)
        if len(self._held) - begun < SHORTEST:
            return self._shown(len(self._held))
        rest, self._held = self._shown(begun), ""
        return rest + MARK.encode()

    def _shown(self, length: int) -> bytes:
        shown, self._held = self._held[:length], self._held[length:]
        return self._redact(shown).encode(errors="surrogateescape")


class LogPump:
    """Carries a job's output to its log, line by line as it comes, until all writers are gone.

    Args:
        descriptor: read end of the pipe to which the job writes; closed at its end.
        store: where the log is.
        key: the log's key.
        redact: hides what is secret.
    """

    def __init__(self, descriptor: int, store: Store, key: str, redact: Redactor) -> None:
        self._descriptor = descriptor
        self._store = store
        self._key = key
        self._stream = RedactedStream(redact)
        self._refused = False
        self._thread = threading.Thread(target=self._carry, name="trial-log", daemon=True)
        self._thread.start()

    def finish(self) -> None:
        """Wait for the end of the output; not for ever, as an unkillable process may hold it."""
        self._thread.join(timeout=1.0)

    def _carry(self) -> None:
        self._append(b"")  # the log is there from the start, also if nothing is said
        poll = select.poll()
        poll.register(self._descriptor, select.POLLIN)
        due: float | None = None  # when to show a line that has not ended
        while True:
            if not poll.poll(due and max(0.0, due - time.monotonic()) * 1000):
                self._append(self._stream.flush())
                due = None
                continue
            if not (data := os.read(self._descriptor, _CHUNK)):
                break
            self._append(self._stream.feed(data))
            waits = self._stream.held
            due = (due or time.monotonic() + HELD_SECONDS) if waits else None
        self._append(self._stream.end())
        os.close(self._descriptor)

    def _append(self, data: bytes) -> None:
        try:
            self._store.append_batch(self._key, data, durable=False)
        except StoreError as error:  # go on reading, or the trainer would block on print
            if not self._refused:
                logging.getLogger(__name__).warning("output of a trial is lost: %s", error)
            self._refused = True
