"""Appending on object storage: one small object a batch, merged as they grow many.

A batch costs one request as long as nobody else writes: its place is known, and creating the
segment there fails if anybody was faster. Sixteen neighbours that this writer has made become one,
sixteen of those one more, and so on: a log of any length has a few dozen objects, and each of its
bytes was written a few times. See `raytao.runs.object_pieces` for what a file is made of.
"""

from __future__ import annotations

import errno
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final

from raytao.runs.object_pieces import Pieces, pieces_of, segment_name
from raytao.runs.object_requests import Bucket
from raytao.runs.store_error import StoreError, check_rest

MERGED: Final = 16
"""Neighbours of one size that are merged."""

LARGEST_BYTES: Final = 1 << 25
"""What would become larger is left in pieces: nobody waits long for a single append."""

KEPT_BYTES: Final = 1 << 16
"""A batch up to this size is remembered until it is merged, and not read back."""

UNSURE_SECONDS: Final = 10.0
"""Who has not looked for so long looks once more when a batch is written.

A writer that was stopped meanwhile may have been given up, and what another one wrote in its
place may be merged already, so that creating the segment succeeds and it joins on to nothing. This
is far sooner than anybody is given up.
"""

_TRIES: Final = 20
"""How often the end of a file is looked for that others append to at the same time."""

_CLOCK: Final = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
"""A clock that goes on while the machine sleeps."""


@dataclass
class _Own:
    """A segment that this writer has made; ``level`` counts how often it was merged."""

    start: int
    end: int
    level: int
    name: str
    data: bytes | None


@dataclass
class _Tail:
    """The end of a file, as this writer knows it.

    Attributes:
        generation: of its segments.
        end: its size.
        is_there: whether there is a file.
        seen: when that was looked at.
        own: this writer's segments, as far as they are its last ones.
        first: the first object that this writer has made; it stays where it is until the file is
            settled, so that whoever was given up at this place finds that it is taken.
    """

    generation: int
    end: int
    is_there: bool
    seen: float
    own: list[_Own] = field(default_factory=list)
    first: str = ""


class Appender:
    """Reads and appends to the files of a bucket.

    Args:
        bucket: where they are.
    """

    def __init__(self, bucket: Bucket) -> None:
        self._bucket = bucket
        self._tails: dict[str, _Tail] = {}

    def look(self, key: str) -> Pieces:
        """See what a file is made of; one request, or two while it is in pieces or not there.

        A listing is no snapshot: one made while the writer merges or settles may miss what was
        removed and what took its place. What took its place was there before the listing ended,
        so another one shows it.
        """
        sizes = self._bucket.sizes(key)
        pieces = pieces_of(key, sizes)
        if pieces.plain is not None and not pieces.segments:
            return pieces
        return pieces_of(key, {**sizes, **self._bucket.sizes(key)})

    def forget(self, key: str) -> None:
        """Look again before the next append: the file was replaced."""
        self._tails.pop(key, None)

    def read(self, key: str, begin: int = 0) -> bytes | None:
        """Return a file's bytes from ``begin`` on, or None if there is none.

        Raises:
            StoreError: if it is replaced as fast as it is read.
        """
        for _ in range(_TRIES):
            pieces = self.look(key)
            if pieces.size is None:
                return None
            found = self._content(pieces, begin)
            if found is not None:
                return found
        told = f"cannot read {self._bucket.address(key)}: it is replaced all the time"
        raise StoreError(told, errno.EAGAIN)

    def append(self, key: str, data: bytes, at: int | None) -> None:
        """See `Store.append_batch`."""
        for _ in range(_TRIES):
            tail = self._tails.get(key)
            if tail is None or at not in (None, tail.end):
                tail = self._look_for_end(key)
            rest = data if at in (None, tail.end) else self._missing(key, tail, data, at or 0)
            if not rest:
                if not tail.is_there:
                    self._bucket.create(key, b"")
                    self.forget(key)
                return
            if self._create(key, tail, rest):
                return
            self.forget(key)
        told = f"cannot append to {self._bucket.address(key)}: others do all the time"
        raise StoreError(told, errno.EAGAIN)

    def settle(self, pieces: Pieces) -> None:
        """Make one object of a file; a reader sees no difference, nor does one who appends."""
        if not pieces.segments:
            return
        if pieces.chain:
            whole = self._content(pieces, 0)
            if whole is None:
                return  # somebody else is at it
            self._bucket.put(pieces.key, whole)
        self.forget(pieces.key)
        self.clear(pieces)

    def clear(self, pieces: Pieces) -> None:
        """Remove the segments of a file whose object holds it all."""
        first = [segment.name for segment in pieces.chain[:1]]
        rest = [segment.name for segment in pieces.chain[1:]]
        for names in (pieces.spare, first, rest):
            self._bucket.remove(names)

    def _content(self, pieces: Pieces, begin: int) -> bytes | None:
        """The bytes of a file; None if it has changed meanwhile, more than by an append."""
        names = [segment.name for segment in pieces.chain if segment.end > begin]
        place = min((s.start for s in pieces.chain if s.end > begin), default=pieces.size or 0)
        if pieces.on_plain and begin < (pieces.plain or 0):
            names.insert(0, pieces.key)
            place = 0
        found = [data for data in self._bucket.get_all(names) if data is not None]
        if len(found) < len(names):
            return None
        if pieces.on_plain and pieces.chain:
            first = len(found[0]) if place == 0 else pieces.plain
            if first != pieces.plain or self.look(pieces.key).generation != pieces.generation:
                return None
        return b"".join(found)[begin - place :]

    def _look_for_end(self, key: str) -> _Tail:
        """See where a file ends."""
        pieces = self.look(key)
        generation = max(1, pieces.generation)
        if pieces.size is None and pieces.segments:
            generation += 1  # what is left of a file that was deleted
        tail = _Tail(generation, pieces.size or 0, pieces.size is not None, _now())
        self._tails[key] = tail
        return tail

    def _missing(self, key: str, tail: _Tail, data: bytes, at: int) -> bytes:
        """What of ``data`` an attempt before this one has not written at ``at``.

        Raises:
            StoreError: if the file is shorter, or something else is there.
        """
        there = b"" if tail.end < at else self.read(key, at) or b""
        check_rest(self._bucket.address(key), tail.end, there, data, at)
        return data[len(there) :]

    def _create(self, key: str, tail: _Tail, data: bytes) -> bool:
        """Make a segment at the end; False if something is there by now."""
        name = segment_name(key, tail.generation, tail.end)
        try:
            if not self._bucket.create(name, data):
                return False
            if _now() - tail.seen > UNSURE_SECONDS:
                self._confirm(key, tail, name)
        except StoreError:
            self.forget(key)
            raise
        end = tail.end + len(data)
        tail.own.append(_Own(tail.end, end, 0, name, data if len(data) <= KEPT_BYTES else None))
        tail.end, tail.is_there, tail.first = end, True, tail.first or name
        with suppress(StoreError):  # the batch is written; the next one tries to merge again
            self._merge(key, tail)
        return True

    def _confirm(self, key: str, tail: _Tail, name: str) -> None:
        there = {segment.name for segment in self.look(key).chain}
        if not there.issuperset(each.name for each in tail.own):
            tail.own.clear()  # the file was replaced by one as long
        if name not in there:
            self._bucket.remove([name])
            told = f"cannot append to {self._bucket.address(key)}: somebody else has written to it"
            raise StoreError(told)
        tail.seen = _now()

    def _merge(self, key: str, tail: _Tail) -> None:
        """Merge the last segments while there are enough of one level."""
        while len(group := tail.own[-MERGED:]) == MERGED:
            alike = all(each.level == group[0].level for each in group)
            start, end = group[0].start, group[-1].end
            if not alike or end - start > LARGEST_BYTES:
                return
            data = self._joined(group)
            if data is None:
                return
            name = segment_name(key, tail.generation, start, end)
            self._bucket.put(name, data)
            tail.own[-MERGED:] = [_Own(start, end, group[0].level + 1, name, None)]
            self._bucket.remove(each.name for each in group if each.name != tail.first)

    def _joined(self, group: Sequence[_Own]) -> bytes | None:
        """The bytes of neighbours; None if one of them is gone: the file was replaced."""
        unread = [each.name for each in group if each.data is None]
        read = dict(zip(unread, self._bucket.get_all(unread), strict=True))
        found = [read[each.name] if each.data is None else each.data for each in group]
        whole = [data for data in found if data is not None]
        return b"".join(whole) if len(whole) == len(found) else None


def _now() -> float:
    return time.clock_gettime(_CLOCK)
