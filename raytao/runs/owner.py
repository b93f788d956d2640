"""Owning a run: one process at a time may write to it, on any machine that reaches its store.

The owner renews its file (see `raytao.runs.owner_file`) every ``BEAT_SECONDS``. Whether an owner
is dead is judged exactly on its own machine, however old its last beat is. From elsewhere its file
is watched for ``STALE_SECONDS`` of the watcher's own: times that another machine wrote are for
people only, so a clock that jumps takes no run away from anybody, and keeps none.
"""

from __future__ import annotations

import logging
import os
import select
import threading
import time
import uuid
import weakref
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from types import TracebackType
from typing import Final, Self, TypeAlias

from raytao.errors import RaytaoError
from raytao.runs.owner_file import (
    BEAT_SECONDS,
    HELD,
    STALE_SECONDS,
    Owner,
    Seen,
    generations,
    look,
    newest_generation,
)
from raytao.runs.process import Life, Process
from raytao.runs.store import Store, StoreError

log = logging.getLogger(__name__)

Say: TypeAlias = Callable[[str], None]

LOOKS: Final = 45
"""How often an owner elsewhere is looked at before it is taken for dead."""

UNSURE_BEATS: Final = 2
"""An owner whose last renewal is older looks before it writes; far sooner than it is stale."""

RELEASE_SECONDS: Final = 10.0
"""Longest that storage which hangs may keep a program from ending."""

_CLOCK: Final = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
"""An owner's clock: it goes on while the machine sleeps, when others may take over."""


class Owned(RaytaoError):
    """Somebody owns the run already.

    Args:
        owner: who; None if that cannot be read, but is being written.
    """

    def __init__(self, owner: Owner | None) -> None:
        self.owner = owner
        super().__init__(f"another raytao owns this run: {owner or 'its owner file is torn'}")


class OwnershipLost(RaytaoError):
    """This process owned the run, and does not any more: it must not write to it."""


def claim(
    store: Store,
    key: str,
    *,
    say: Say = log.warning,
    beat: float = BEAT_SECONDS,
    stale: float = STALE_SECONDS,
    wall: Callable[[], float] = time.time,
    here: Process | None = None,
) -> Ownership:
    """Become the owner of a run, in the place of one that has released it or is dead.

    Args:
        store: the run's files.
        key: the folder of its owner files.
        say: is told, in one line, that an owner elsewhere is being watched.
        beat: seconds from one renewal to the next.
        stale: seconds of silence after which an owner elsewhere is dead; all must agree on it.
        wall: the clock that is shown to people; nothing is decided by it.
        here: this process.

    Raises:
        Owned: if another process owns the run, or this one already.
        StoreError: if storage refuses.
    """
    here = here or Process.this()
    while True:
        last = _vacancy(store, key, here, stale, say)
        began = datetime.fromtimestamp(wall()).astimezone()
        owner = Owner(uuid.uuid4().hex, here, began.isoformat(timespec="seconds"), 0, wall())
        seat = _Seat(store, key, last.generation + 1, owner, wall)
        ownership = None
        HELD.add(owner.token)
        try:
            if seat.take():
                dead = None if last.is_free else last.owner
                ownership = Ownership(seat, beat, took_over=dead)
                return ownership
        finally:
            if ownership is None:  # somebody was faster, storage refused, Ctrl-C
                HELD.discard(owner.token)


class Ownership:
    """Being the owner of a run, until it is released; a context manager, made by `claim`.

    It is released as well when the object is dropped, and when the program ends in order.

    Attributes:
        owner: this process, as others read it.
        took_over: the dead owner whose place it took; None if the run was free.
    """

    def __init__(self, seat: _Seat, beat: float, took_over: Owner | None) -> None:
        self.owner = seat.owner
        self.took_over = took_over
        self._heart = _Heart(seat, beat)
        self._end = weakref.finalize(self, self._heart.stop)

    def check(self) -> None:
        """Refuse to go on if another process has taken over; to be called before every write.

        Storage is asked only if this process has not renewed its ownership for a while: because
        it was stopped, its machine slept, or storage refused.

        Raises:
            OwnershipLost: if so; also in a fork of the owner.
            StoreError: if storage must be asked, and refuses.
        """
        self._heart.check()

    def release(self) -> None:
        """Let others own the run; done once, and only by the process that claimed it."""
        self._end()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.release()


class _Seat:
    """One generation's file, and what its owner does with it.

    Attributes:
        owner: what the file says.
        renewed: when that was last known to stand, by the owner's clock.
    """

    def __init__(
        self, store: Store, key: str, generation: int, owner: Owner, wall: Callable[[], float]
    ) -> None:
        self.owner = owner
        self.renewed = _now()
        self._store = store
        self._key = key
        self._generation = generation
        self._file = f"{key}/{generation}"
        self._wall = wall

    def take(self) -> bool:
        """Create the file; return whether its owner is the run's now."""
        try:
            self._store.create_exclusive(self._file, self.owner.to_bytes())
        except StoreError:
            if newest_generation(self._store, self._key) < self._generation:
                raise  # else somebody was faster
        found = self._read()  # what can be read back counts: storage may lose its answer
        if found is None or found.token != self.owner.token or self._successor():
            return False
        with suppress(StoreError):  # they are in nobody's way
            for old in generations(self._store, self._key):
                if old < self._generation:
                    self._store.delete(f"{self._key}/{old}")
        return True

    def renew(self) -> str:
        """Show that the owner lives; return why it owns the run no more, or nothing."""
        began = _now()
        if self._removed():
            return self.lost()
        now = replace(self.owner, beat=self.owner.beat + 1, at=self._wall())
        self._store.replace(self._file, now.to_bytes())
        lost = self._successor()
        if not lost:
            self.owner, self.renewed = now, began
        return lost

    def lost(self) -> str:
        """Why the owner owns the run no more, or nothing; writes nothing."""
        return self._successor() or self._removed()

    def release(self) -> None:
        """Leave the run to others."""
        if not self.lost():
            self._store.replace(self._file, replace(self.owner, released=True).to_bytes())

    def _read(self) -> Owner | None:
        content = self._store.read(self._file)
        return None if content is None else Owner.from_bytes(content)

    def _successor(self) -> str:
        if newest_generation(self._store, self._key) <= self._generation:
            return ""
        newest = look(self._store, self._key).owner
        return f"this run was taken over by {newest or 'another raytao'}"

    def _removed(self) -> str:
        content = self._store.read(self._file)
        found = None if content is None else Owner.from_bytes(content)
        if content is not None and (found is None or found.token == self.owner.token):
            return ""  # torn is mended by the next beat
        return f"{self._file} is not there any more: the results folder was removed or replaced"


class _Heart:
    """Renews an ownership on a thread of its own, and releases it when it is stopped.

    It holds nothing that keeps the `Ownership` alive. It waits on a pipe: a lock's timeout would,
    where Python was built for an older C library, stretch with a wall clock that is set back.
    """

    def __init__(self, seat: _Seat, beat: float) -> None:
        self._seat = seat
        self._beat = beat
        self._pid = os.getpid()
        self._lost = ""
        self._refused = ""
        self._stopped, self._stop = os.pipe()
        self._thread = threading.Thread(target=self._run, name="raytao-owner", daemon=True)
        self._thread.start()

    def check(self) -> None:
        """See `Ownership.check`."""
        if os.getpid() != self._pid:
            raise OwnershipLost("this process is a fork of the one that owns the run")
        if not self._lost and _now() - self._seat.renewed > UNSURE_BEATS * self._beat:
            self._lost = self._seat.lost()
        if self._lost:
            trouble = f" (it could not be renewed: {self._refused})" if self._refused else ""
            raise OwnershipLost(
                f"{self._lost}{trouble}; this process writes nothing any more\n"
                "  `raytao status` of the results folder tells who owns it and how far it is"
            )

    def stop(self) -> None:
        """Release the ownership and end; a fork of the owner does neither."""
        if os.getpid() != self._pid:
            return
        self._lost = self._lost or "this process has left the run to others"
        HELD.discard(self._seat.owner.token)
        os.write(self._stop, b".")
        if threading.current_thread() is not self._thread:  # which may be collecting garbage
            self._thread.join(RELEASE_SECONDS)

    def _run(self) -> None:
        waiting = select.poll()
        waiting.register(self._stopped, select.POLLIN)
        while not waiting.poll(self._beat * 1000):
            self._renew()
        with suppress(StoreError):  # then it is found to be dead, as after a kill
            self._seat.release()
        os.close(self._stopped)
        os.close(self._stop)

    def _renew(self) -> None:
        if self._lost:
            return
        try:
            self._lost = self._seat.renew()
        except StoreError as error:
            self._refused = str(error)  # tried again at the next beat
        else:
            self._refused = "" if not self._lost else self._refused


def _now() -> float:
    return time.clock_gettime(_CLOCK)


def _vacancy(store: Store, key: str, here: Process, stale: float, say: Say) -> Seen:
    """Return the newest generation once nobody owns the run by it.

    Raises:
        Owned: if somebody does.
    """
    while True:
        seen = look(store, key)
        if seen.is_free:
            return seen
        match seen.owner.life(here) if seen.owner else Life.UNSEEN:
            case Life.ALIVE:
                raise Owned(seen.owner)
            case Life.GONE:
                return seen
            case Life.UNSEEN:
                who = seen.owner or "somebody whose owner file is torn"
                say(f"this run is owned by {who}; waiting up to {stale:g} s for a sign of life")
                later = _watch(store, key, seen, stale)
                if later == seen:
                    return seen
                if later.generation == seen.generation and not later.is_free:
                    raise Owned(later.owner)


def _watch(store: Store, key: str, seen: Seen, stale: float) -> Seen:
    """Look until something has changed, or for ``stale`` seconds; return what is there then.

    Looks are counted, not time: a watcher that was stopped meanwhile has not watched.
    """
    for _ in range(LOOKS):
        time.sleep(stale / LOOKS)
        later = look(store, key)
        if later != seen:
            return later
    return seen
