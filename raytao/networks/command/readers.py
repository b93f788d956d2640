"""What a trainer tells: epochs and their metrics, from a stream of bytes that comes in pieces.

A line counts once it has ended, so that a torn one waits. Lines that say nothing are skipped. For
every epoch the first value of a metric counts, as in TAO 5.x (TAO facts, 1.5); values that are not
finite are kept, for a training that diverges is no training without a metric.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final, Protocol

from raytao.networks.command.settings import Status
from raytao.networks.command.values import json_object, number, numbers, whole
from raytao.types import Json

LONGEST_LINE: Final = 1 << 20
"""Bytes of a line that are kept; of a longer one, nothing is read."""


@dataclass(frozen=True)
class Said:
    """What one line says. ``graphical`` gives way to ``metrics``; an epoch may be left out."""

    epoch: int | None = None
    metrics: Mapping[str, float] = field(default_factory=dict)
    graphical: Mapping[str, float] = field(default_factory=dict)


class Format(Protocol):
    """Reads the lines of one file, in order."""

    def read(self, line: str) -> Said | None:
        """What the line says; None: nothing."""


class Lines:
    """Takes bytes in pieces, however they are cut, and gives the lines that have ended.

    A carriage return ends a line too: progress bars write no other.
    """

    def __init__(self) -> None:
        self._held = b""
        self._too_long = False

    def feed(self, data: bytes) -> Iterator[str]:
        """Take a piece; yield whole lines."""
        *ended, held = (self._held + data).replace(b"\r", b"\n").split(b"\n")
        self._held = held
        for line in ended:
            if not self._too_long and line:
                yield line.decode(errors="replace")
            self._too_long = False
        if len(self._held) > LONGEST_LINE:
            self._held, self._too_long = b"", True

    def rest(self) -> Iterator[str]:
        """Yield the line that has not ended."""
        held, self._held = self._held, b""
        if held and not self._too_long:
            yield held.decode(errors="replace")


class Told:
    """What a trainer has told so far.

    Args:
        status: how it is told.
        epoch_key: what its lines call the epoch.
        first_epoch: what it calls its first epoch, 0 or 1.
    """

    def __init__(self, status: Status, *, epoch_key: str = "epoch", first_epoch: int = 1) -> None:
        self._make = _format_maker(status, epoch_key)
        self._earlier = 1 - first_epoch
        self._by_epoch: dict[int, dict[str, float]] = {}
        self._graphical: dict[int, dict[str, float]] = {}
        self.latest: dict[str, float] = {}
        """The last value of every metric, whatever the epoch."""
        self.lines = 0
        """Whole lines that were read."""
        self.restart()

    def restart(self) -> None:
        """Begin a file anew; what was told of an epoch stays."""
        self._lines = Lines()
        self._format = self._make()
        self._epoch: int | None = None

    def feed(self, data: bytes) -> None:
        """Take a piece of the stream."""
        for line in self._lines.feed(data):
            self._take(line)

    def end(self) -> None:
        """The stream is over as its writer meant it to be: a last line needs no line end."""
        for line in self._lines.rest():
            self._take(line)

    @property
    def epochs(self) -> list[int]:
        """Completed epochs that were named, counted from 1, in order; also without a metric."""
        return sorted(self._by_epoch)

    def metrics(self, epoch: int) -> dict[str, float]:
        """What was told of an epoch; nothing if it was not named."""
        return {**self._graphical.get(epoch, {}), **self._by_epoch.get(epoch, {})}

    def _take(self, line: str) -> None:
        self.lines += 1
        said = self._format.read(line)
        if said is None:
            return
        if said.epoch is not None:
            self._epoch = said.epoch + self._earlier
            self._by_epoch.setdefault(self._epoch, {})
        self.latest |= {**said.graphical, **said.metrics}
        if self._epoch is not None:
            _add(self._by_epoch.setdefault(self._epoch, {}), said.metrics)
            _add(self._graphical.setdefault(self._epoch, {}), said.graphical)


def _add(known: dict[str, float], new: Mapping[str, float]) -> None:
    for name, value in new.items():
        known.setdefault(name, value)


class _TaoLines:
    """TAO's status.json: ``kpi`` of validation, ``graphical`` of any phase (facts, 1.5, 4.6)."""

    def __init__(self, epoch_key: str) -> None:
        self._epoch_key = epoch_key

    def read(self, line: str) -> Said | None:
        plain = json_object(line)
        if plain is None:
            return None
        measured = {} if plain.get("mode") == "train" else numbers(plain.get("kpi"))
        return Said(whole(plain.get(self._epoch_key)), measured, numbers(plain.get("graphical")))


class _JsonLines:
    """A JSON object a line; every number in it is a metric, named by its dotted path."""

    def __init__(self, epoch_key: str) -> None:
        self._epoch_key = epoch_key

    def read(self, line: str) -> Said | None:
        plain = json_object(line)
        if plain is None:
            return None
        leaves = dict(_leaves(plain))
        epoch = whole(leaves.pop(self._epoch_key, None))
        return Said(epoch, numbers(leaves))


def _leaves(plain: Mapping[str, Json]) -> Iterator[tuple[str, Json]]:
    """Values by dotted path, however deep they lie."""
    sections: list[tuple[str, Mapping[str, Json]]] = [("", plain)]
    for above, section in sections:
        for name, value in section.items():
            if isinstance(value, Mapping):
                sections.append((f"{above}{name}.", value))
            else:
                yield f"{above}{name}", value


class _Csv:
    """Comma-separated rows; the first one that names the epoch's column is the header."""

    def __init__(self, epoch_key: str) -> None:
        self._epoch_key = epoch_key
        self._header: list[str] | None = None

    def read(self, line: str) -> Said | None:
        try:
            cells = [cell.strip() for cell in next(csv.reader([line], skipinitialspace=True))]
        except (csv.Error, StopIteration):
            return None
        if self._header is None or cells == self._header:
            self._header = cells if self._epoch_key in cells else None
            return None
        row = dict(zip(self._header, cells, strict=False))
        epoch = whole(row.pop(self._epoch_key, None))
        return Said(epoch, numbers(row))


class _Pattern:
    """Lines in which a pattern is found; its named groups are the epoch and the metrics."""

    def __init__(self, pattern: re.Pattern[str], epoch_key: str) -> None:
        self._pattern = pattern
        self._epoch_key = epoch_key

    def read(self, line: str) -> Said | None:
        found = self._pattern.search(line)
        if found is None:
            return None
        groups = found.groupdict()
        epoch = whole(groups.pop(self._epoch_key, None))
        values = {name: number(_bare(text)) for name, text in groups.items() if text is not None}
        return Said(epoch, {name: v for name, v in values.items() if v is not None})


def _bare(text: str) -> str:
    """A number without the punctuation that a wide pattern takes with it: ``0.5,``, ``(0.5)``."""
    return text.strip("()[]{}<>'\",;: ")


def _format_maker(status: Status, epoch_key: str) -> Callable[[], Format]:
    match status.format:
        case "tao_jsonl":
            return lambda: _TaoLines(epoch_key)
        case "jsonl":
            return lambda: _JsonLines(epoch_key)
        case "csv":
            return lambda: _Csv(epoch_key)
        case "regex":
            pattern = re.compile(status.pattern or "")
            return lambda: _Pattern(pattern, epoch_key)
