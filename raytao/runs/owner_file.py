"""Who owns a run, as a file in its store says; read by everybody, written by `raytao.runs.owner`.

Ownership is a *generation*, a file ``.owner/7``: whoever created the highest number owns the run.
Numbers only grow, so creating the next is the one step that can win, and an owner of an older one
can always see that it lost.
"""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from raytao.runs.process import Life, Process
from raytao.runs.store import Store

BEAT_SECONDS: Final = 5.0
"""How often an owner renews its file."""

STALE_SECONDS: Final = 45.0
"""How long an owner elsewhere must be silent to be taken for dead: nine beats."""

HELD: Final[set[str]] = set()
"""Tokens of the ownerships that this process holds."""

_MAX_PID: Final = 2**31
_LATEST: Final = 1e11
"""Far beyond every clock, and still a date."""

_TRIES: Final = 3


@dataclass(frozen=True)
class Owner:
    """What an owner's file says.

    Attributes:
        token: the ownership's own name.
        process: who owns the run.
        started: since when, wall clock of the owner, ISO 8601; for people.
        beat: how often it was renewed.
        at: when last, wall clock of the owner, seconds since 1970; for people.
        released: given up; nobody owns the run.
    """

    token: str
    process: Process
    started: str
    beat: int
    at: float
    released: bool = False

    def __str__(self) -> str:
        since = self.started.replace("T", " ")
        return f"{self.process.host}, pid {self.process.pid}, since {since}"

    def life(self, here: Process | None = None) -> Life:
        """Whether it is still at work, as far as the process ``here`` (this one) can tell.

        An ownership that this very process has lost track of, as a cell of a notebook that was
        interrupted at the wrong moment, is gone.
        """
        here = here or Process.this()
        life = self.process.life(here)
        forgotten = self.process == here and self.token not in HELD
        return Life.GONE if life is Life.ALIVE and forgotten else life

    @property
    def last_seen(self) -> str:
        """When it last showed that it lives: its own clock, in this machine's time zone."""
        return datetime.fromtimestamp(self.at).astimezone().isoformat(" ", "seconds")

    def silent_for(self, now: float | None = None) -> float:
        """Seconds since its last sign of life, if its clock and this machine's are right."""
        return max(0.0, (time.time() if now is None else now) - self.at)

    def seems_alive(self, now: float | None = None) -> bool:
        """For those who only look: exact on its own machine, by two clocks from elsewhere."""
        life = self.life()
        return life is Life.ALIVE or (life is Life.UNSEEN and self.silent_for(now) < STALE_SECONDS)

    def to_bytes(self) -> bytes:
        """Its file."""
        who = {"token": self.token, **vars(self.process), "started": self.started}
        now = {"beat": self.beat, "at": self.at, "released": self.released}
        return json.dumps({**who, **now}).encode()

    @classmethod
    def from_bytes(cls, data: bytes) -> Owner | None:
        """Read its file; None if that is torn, or was never one."""
        try:
            raw = json.loads(data)
            owner = cls(
                token=raw["token"],
                process=Process(
                    raw["host"], raw["pid"], raw["boot"], raw["namespace"], raw["ticks"]
                ),
                started=raw["started"],
                beat=int(raw["beat"]),
                at=float(raw["at"]),
                released=raw["released"] is True,
            )
        except (ValueError, LookupError, TypeError, ArithmeticError, RecursionError):
            return None
        return owner if owner._is_sound() else None

    def _is_sound(self) -> bool:
        """Whether what is printed and asked of the system is of the right kind."""
        texts = (self.token, self.process.host, self.started)
        pid = self.process.pid
        return (
            all(isinstance(text, str) and text.isprintable() for text in texts)
            and type(pid) is int
            and 0 < pid < _MAX_PID
            and 0 <= self.at < _LATEST
        )


@dataclass(frozen=True)
class Seen:
    """The newest generation and its file's content; 0 and None before there is one."""

    generation: int
    content: bytes | None

    @property
    def owner(self) -> Owner | None:
        """Who wrote it; None if nobody has, or it is torn."""
        return None if self.content is None else Owner.from_bytes(self.content)

    @property
    def is_free(self) -> bool:
        """Whether nobody owns the run by it."""
        return self.content is None or (self.owner is not None and self.owner.released)


def owner_of(store: Store, key: str) -> Owner | None:
    """Who owns the run, dead or alive; None if nobody does, or it cannot be told.

    Args:
        store: the run's files.
        key: the folder of its owner files.

    Raises:
        StoreError: if storage refuses to be read.
    """
    seen = look(store, key)
    return None if seen.is_free else seen.owner


def look(store: Store, key: str) -> Seen:
    """Read the newest generation."""
    for _ in range(_TRIES):
        newest = newest_generation(store, key)
        content = store.read(f"{key}/{newest}") if newest else None
        if content is not None or not newest:
            break  # else it made room for a newer one in this moment
    return Seen(newest, content)


def newest_generation(store: Store, key: str) -> int:
    """The highest number; 0 before there is one."""
    return max(generations(store, key), default=0)


def generations(store: Store, key: str) -> list[int]:
    """The numbers of all owner files."""
    names = [name.removeprefix(f"{key}/") for name in store.list(key)]
    numbers = [int(name) for name in names if name.isascii() and name.isdigit()]
    return [number for number in numbers if str(number) in names]
