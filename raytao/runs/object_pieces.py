"""What a file on object storage is made of: an object, or an object and the batches after it.

Objects cannot be appended to. A file ``log`` is the object ``log``, if there is one, followed by
*segments* ``log.parts/<generation>-<start>`` that join on without a gap. A segment is made by
conditional creation, so two writers cannot append at one place; its content never changes.
Neighbours are merged into ``log.parts/<generation>-<start>-<end>``, and where two segments begin
at one place the longer one counts: what it covers may be there or not.

A file is replaced by a new *generation*, and only the newest counts. One with a segment at 0 is
the whole file, whatever the object ``log`` holds; else the object is what the segments follow.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

PARTS: Final = ".parts/"
"""Between the name of a file and those of its segments."""

_SEGMENT: Final = re.compile(
    r"(?P<key>.+)\.parts/(?P<generation>\d{6})-(?P<start>\d{16})(?:-\d{16})?", re.DOTALL
)


@dataclass(frozen=True, order=True)
class Segment:
    """A batch, or a few that were merged; the bytes from ``start`` to ``end`` of its file."""

    generation: int
    start: int
    end: int
    name: str


@dataclass(frozen=True)
class Pieces:
    """The objects of one file, sorted by what they are for.

    Attributes:
        key: the file's name.
        plain: size of the object of that name; None if there is none.
        generation: the newest; 0 if there are no segments.
        chain: the segments whose bytes count, in order.
        on_plain: whether the object comes before them.
        spare: names of segments that count for nothing: covered, or of an older generation.
        loose: names of segments of the newest generation that join on to nothing.
    """

    key: str
    plain: int | None
    generation: int
    chain: tuple[Segment, ...]
    on_plain: bool
    spare: tuple[str, ...]
    loose: tuple[str, ...]

    @property
    def size(self) -> int | None:
        """Bytes of the file; None if there is no file."""
        if self.chain:
            return self.chain[-1].end
        return self.plain if self.on_plain else 0

    @property
    def segments(self) -> list[str]:
        """Names of all segments."""
        return [segment.name for segment in self.chain] + [*self.spare, *self.loose]

    @property
    def farewell(self) -> tuple[list[str], list[str], list[str]]:
        """All objects, in the order in which they can go: the file is whole until it is gone.

        What counts for nothing, then the one object with which the file ends to be, then the rest.
        """
        plain = [self.key] if self.plain is not None else []
        chain = [segment.name for segment in self.chain]
        if self.on_plain:
            return [*self.spare], plain, [*chain, *self.loose]
        return [*plain, *self.spare], chain[:1], [*chain[1:], *self.loose]


def segment_name(key: str, generation: int, start: int, end: int | None = None) -> str:
    """The object of a batch that begins at ``start``; with ``end``, of merged ones.

    >>> segment_name("events.jsonl", 1, 300)
    'events.jsonl.parts/000001-0000000000000300'
    """
    tail = "" if end is None else f"-{end:016d}"
    return f"{key}{PARTS}{generation:06d}-{start:016d}{tail}"


def pieces_of(key: str, sizes: Mapping[str, int]) -> Pieces:
    """Sort the objects of one file.

    Args:
        key: the file.
        sizes: size of each object by its name; those of other files are passed over.
    """
    return _sorted_out(key, sizes.get(key), _segments(sizes).get(key, ()))


def files_among(sizes: Mapping[str, int]) -> dict[str, Pieces]:
    """Sort the objects of many files; also of those that have segments but no beginning."""
    segments = _segments(sizes)
    plain = {name: size for name, size in sizes.items() if not _SEGMENT.fullmatch(name)}
    return {
        key: _sorted_out(key, plain.get(key), segments.get(key, ()))
        for key in sorted(plain.keys() | segments.keys())
    }


def _segments(sizes: Mapping[str, int]) -> dict[str, list[Segment]]:
    found: dict[str, list[Segment]] = defaultdict(list)
    for name, size in sizes.items():
        match = _SEGMENT.fullmatch(name)
        if match is not None:
            start = int(match["start"])
            found[match["key"]].append(
                Segment(int(match["generation"]), start, start + size, name)
            )
    return found


def _sorted_out(key: str, plain: int | None, segments: Iterable[Segment]) -> Pieces:
    ordered = sorted(segments)
    generation = ordered[-1].generation if ordered else 0
    newest = [segment for segment in ordered if segment.generation == generation]
    longest = {segment.start: segment for segment in newest}  # sorted: the last is the longest
    on_plain = 0 not in longest
    chain = [] if on_plain else [longest[0]]
    place = (plain or 0) if on_plain else longest[0].end
    while plain is not None or chain:
        there = longest.get(place)
        if there is None or there in chain:
            break
        chain.append(there)
        place = there.end
    loose = [segment for segment in newest if segment.end > place]
    kept = {segment.name for segment in [*chain, *loose]}
    spare = tuple(segment.name for segment in ordered if segment.name not in kept)
    return Pieces(
        key, plain, generation, tuple(chain), on_plain, spare, tuple(s.name for s in loose)
    )
