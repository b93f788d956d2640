"""What is asked of a running run from outside: a file in its folder, which its driver looks for.

A request is meant for one driver, by the token of its ownership: one that came too late for its
driver is not done by the next. No port is opened, so whoever may write to the folder may ask.
"""

from __future__ import annotations

import json
import os
import socket
import time
import uuid
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import datetime
from enum import Enum
from typing import Final

from raytao.runs.store import Store, StoreError
from raytao.tao import layout

LOOK_SECONDS: Final = 1.0
"""How often a driver looks."""


class Ask(Enum):
    """How a run is to end."""

    STOP = "stop"
    """Well: trials end with the epoch they are in, the winner is measured, status Done."""
    PAUSE = "pause"
    """As after Ctrl-C: it can be gone on with, status Interrupted."""
    CANCEL = "cancel"
    """At once, and without a winner that is measured: status Canceled."""

    @property
    def reason(self) -> str:
        """Why the run ended, in its log."""
        return "canceled by request" if self is Ask.CANCEL else "stopped by request"


@dataclass(frozen=True)
class Request:
    """One request.

    Attributes:
        ask: what is wanted.
        id: its own name.
        to: token of the ownership of the driver that is meant.
        at: when, wall clock, ISO 8601; for people.
        host: who asks, for people.
        pid: the process that asks.
    """

    ask: Ask
    id: str
    to: str
    at: str
    host: str
    pid: int

    def to_bytes(self) -> bytes:
        """Its file."""
        return json.dumps({**asdict(self), "ask": self.ask.value}).encode()

    @classmethod
    def from_bytes(cls, data: bytes) -> Request | None:
        """Read its file; None if that is torn, or asks for what is not known here."""
        try:
            raw = json.loads(data)
            texts = {name: str(raw[name]) for name in ("id", "to", "at", "host")}
            return cls(ask=Ask(raw["ask"]), pid=int(raw["pid"]), **texts)
        except (ValueError, LookupError, TypeError, RecursionError):
            return None


def post(store: Store, ask: Ask, to: str) -> Request:
    """Ask the driver whose ownership has the token ``to``; a request before it is replaced.

    Raises:
        StoreError: if the folder cannot be written.
    """
    now = datetime.now().astimezone().isoformat(timespec="seconds")
    request = Request(ask, uuid.uuid4().hex, to, now, socket.gethostname(), os.getpid())
    store.replace(layout.REQUEST, request.to_bytes())
    return request


def withdraw(store: Store, request: Request) -> None:
    """Take back a request that nobody is left to answer."""
    content = store.read(layout.REQUEST)
    if content is not None and Request.from_bytes(content) == request:
        store.delete(layout.REQUEST)


def waiting(store: Store, token: str) -> Ask | None:
    """What the driver with ``token`` has been asked and has not taken up yet; looks only.

    Raises:
        StoreError: if that may not be read.
    """
    content = store.read(layout.REQUEST)
    request = None if content is None else Request.from_bytes(content)
    return None if request is None or request.to != token else request.ask


class Inbox:
    """A driver's view of requests: each is seen once.

    Args:
        store: the run's files.
        token: of the driver's ownership.
        clock: seconds that never jump.
    """

    def __init__(
        self, store: Store, token: str, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._store = store
        self._token = token
        self._clock = clock
        self._next = clock()
        self._seen = ""

    def take(self) -> Ask | None:
        """What is asked now, if anything; looks once a second, and deletes what it found.

        A newer request that has taken its place meanwhile stays for the next look.

        Storage that refuses is asked again a second later.
        """
        if self._clock() < self._next:
            return None
        self._next = self._clock() + LOOK_SECONDS
        with suppress(StoreError):
            content = self._store.read(layout.REQUEST)
            if content is not None:
                return self._open(content)
        return None

    def _open(self, content: bytes) -> Ask | None:
        request = Request.from_bytes(content)
        with suppress(StoreError):  # then it is found again, and known
            if self._store.read(layout.REQUEST) == content:
                self._store.delete(layout.REQUEST)
        if request is None or request.to != self._token or request.id == self._seen:
            return None
        self._seen = request.id
        return request.ask
