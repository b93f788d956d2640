"""A job's output on its way to the log: as it comes, but without secrets."""

from __future__ import annotations

import codecs
import fcntl
import logging
import os
import select
import sys
import termios
import threading
import time
from contextlib import suppress
from typing import Final

from raytao.redact import MARK, SHORTEST, Redactor
from raytao.runs.patience import PatientStore
from raytao.runs.store import Store, StoreError

HELD_SECONDS: Final = 0.5
"""Longest that a line which has not ended is held back."""

FLUSHED: Final = 1 << 16
"""Characters without a line end after which nobody waits for one."""

COLLECTED_BYTES: Final = 1 << 18
"""Output that is collected, at most, where appending costs."""

KEPT_BYTES: Final = 1 << 20
"""Output that waits, at most, for storage that refuses it."""

ENDING_SECONDS: Final = 1.0
"""Longest wait for all writers to be gone, once the job is."""

WRITING_SECONDS: Final = 30.0
"""Longest wait for the last of the output to be written, by storage that refuses it."""

TAKEN_SECONDS: Final = 2.0
"""Longest that a job waits for its output to be taken: it trains on beside a pump that hangs."""

_CHUNK: Final = 1 << 16
_FIRST_LOOK: Final = 1e-4
_LOOKS: Final = 0.02
"""Seconds between looks at a pipe: the first ones, and then at most."""


def wait_until_taken(descriptor: int) -> None:
    """Wait until a pump has taken all that was printed; ``TAKEN_SECONDS`` at most.

    For a job, before an epoch becomes durable: the pump may end with its actor, a moment before
    the job does, and an epoch that is never trained again would be missing in the log.

    Args:
        descriptor: write end of the pump's pipe, to which this process prints.
    """
    deadline, pause = time.monotonic() + TAKEN_SECONDS, _FIRST_LOOK
    with suppress(OSError, ValueError):  # the job has closed what it printed to
        sys.stdout.flush()
        sys.stderr.flush()
        while _unread(descriptor) and time.monotonic() < deadline:
            time.sleep(pause)
            pause = min(2 * pause, _LOOKS)


def _unread(descriptor: int) -> int:
    """Bytes in a pipe."""
    answer = fcntl.ioctl(descriptor, termios.FIONREAD, bytes(4))
    return int.from_bytes(answer, sys.byteorder)


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

    Where each append costs, lines are collected for as long as the store asks for; what storage
    refuses for a moment is kept, up to ``KEPT_BYTES``, and written with what comes next.

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
        self._waiting = b""
        self._due = 0.0
        self._most = COLLECTED_BYTES
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._carry, name="trial-log", daemon=True)
        self._thread.start()

    def finish(self) -> None:
        """Wait for the end of the output; not for ever, as an unkillable process may hold it."""
        if self._ended.wait(ENDING_SECONDS):
            self._thread.join(WRITING_SECONDS)

    def _carry(self) -> None:
        self._write()  # the log is there from the start, also if nothing is said
        poll = select.poll()
        poll.register(self._descriptor, select.POLLIN)
        due: float | None = None  # when to show a line that has not ended
        while True:
            moments = [due, self._due if self._waiting else None]
            times = [moment for moment in moments if moment is not None]
            if poll.poll(_until(min(times)) if times else None):
                if not (data := os.read(self._descriptor, _CHUNK)):
                    break
                self._waiting += self._stream.feed(data)
                waits = self._stream.held
                due = (due or time.monotonic() + HELD_SECONDS) if waits else None
            elif due is not None and time.monotonic() >= due:
                self._waiting += self._stream.flush()
                due = None
            if self._waiting and (
                time.monotonic() >= self._due or len(self._waiting) >= self._most
            ):
                self._write()
        self._ended.set()
        os.close(self._descriptor)
        self._waiting += self._stream.end()
        self._write_the_rest()

    def _write(self) -> None:
        """Append what waits; what is refused for longer is lost, or the trainer would block."""
        try:
            self._store.append_batch(self._key, self._waiting, durable=False)
            self._waiting, self._most = b"", COLLECTED_BYTES
        except StoreError as error:
            if not error.may_pass or len(self._waiting) >= KEPT_BYTES:
                self._lose(error)
            self._most = KEPT_BYTES
        self._due = time.monotonic() + self._store.collect_seconds

    def _write_the_rest(self) -> None:
        """The last append; nothing follows it that could take along what is refused."""
        try:
            if self._waiting:
                last = PatientStore(self._store)
                last.append_batch(self._key, self._waiting, durable=False)
            self._store.settle(self._key)
        except StoreError as error:
            if self._waiting:
                self._lose(error)

    def _lose(self, error: StoreError) -> None:
        self._waiting = b""
        if not self._refused:
            logging.getLogger(__name__).warning("output of a trial is lost: %s", error)
        self._refused = True


def _until(due: float) -> float:
    """Milliseconds until ``due``, of the monotonic clock."""
    return max(0.0, due - time.monotonic()) * 1000
