"""A job's output on its way to storage where each append costs: collected, and all of it there."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest

from raytao.redact import Redactor
from raytao.runs.store import MemoryStore, StoreError
from raytao.trials import log_pump
from raytao.trials.log_pump import COLLECTED_BYTES, LogPump

KEY = "experiment_0/log.txt"
EAGAIN, EACCES = 11, 13


@dataclass
class Appends:
    """What is refused, by the number of the append, and how large each was that was not."""

    refused: dict[int, int] = field(default_factory=dict)
    sizes: list[int] = field(default_factory=list)
    count: int = 0


class SlowStore(MemoryStore):
    """Like object storage: it asks for patience."""

    pauses = (0.0, 0.0)

    def __init__(self, appends: Appends, collect_seconds: float) -> None:
        super().__init__()
        self.collect_seconds = collect_seconds
        self.appends = appends

    def append_batch(
        self, key: str, data: bytes, *, durable: bool = True, at: int | None = None
    ) -> None:
        number = self.appends.count
        self.appends.count += 1
        if number in self.appends.refused:
            raise StoreError("no", self.appends.refused[number])
        self.appends.sizes.append(len(data))
        super().append_batch(key, data, durable=durable, at=at)


class Pumped:
    """A pump, the writing end of its pipe, and its store."""

    def __init__(self, refused: dict[int, int] | None = None, collect: float = 60.0) -> None:
        self.appends = Appends(refused or {})
        self.store = SlowStore(self.appends, collect)
        reader, self._writer = os.pipe()
        self._pump = LogPump(reader, self.store, KEY, Redactor({}))

    def say(self, text: bytes) -> None:
        while text:
            text = text[os.write(self._writer, text) :]

    def wait_for(self, appends: int) -> None:
        until = time.monotonic() + 8
        while self.appends.count < appends and time.monotonic() < until:
            time.sleep(0.01)

    def end(self) -> bytes:
        os.close(self._writer)
        self._pump.finish()
        return self.store.read(KEY) or b""


LINES = b"".join(b"line %d\n" % n for n in range(1000))


def pieces(text: bytes, size: int) -> Iterator[bytes]:
    return (text[n : n + size] for n in range(0, len(text), size))


def test_many_lines_are_few_appends_and_none_is_lost() -> None:
    pumped = Pumped()
    for piece in pieces(LINES, 100):
        pumped.say(piece)
    assert pumped.end() == LINES
    assert len(pumped.appends.sizes) <= 2


def test_what_was_said_is_shown_when_it_was_collected_long_enough() -> None:
    pumped = Pumped(collect=0.3)
    pumped.say(b"one\n")
    pumped.wait_for(2)
    assert pumped.store.read(KEY) == b"one\n"
    pumped.say(b"two\nthr")
    pumped.wait_for(3)
    assert (pumped.store.read(KEY) or b"").startswith(b"one\ntwo\n")
    assert pumped.end() == b"one\ntwo\nthr"


def test_much_output_does_not_pile_up() -> None:
    pumped = Pumped()
    much = b"x" * 99 + b"\n"
    for _ in range(3):
        pumped.say(much * (COLLECTED_BYTES // 100 + 1))
    assert pumped.end() == much * (COLLECTED_BYTES // 100 + 1) * 3
    assert len(pumped.appends.sizes) >= 3


def test_what_is_refused_for_a_moment_is_written_with_what_comes_next() -> None:
    pumped = Pumped({1: EAGAIN, 2: EAGAIN}, collect=0.05)
    pumped.say(b"one\n")
    pumped.wait_for(3)
    pumped.say(b"two\n")
    assert pumped.end() == b"one\ntwo\n"


def test_the_last_lines_are_tried_again_before_the_job_is_over() -> None:
    pumped = Pumped({1: EAGAIN, 2: EAGAIN})
    pumped.say(b"the last words\n")
    assert pumped.end() == b"the last words\n"


def test_what_is_refused_for_good_is_told_once_and_the_job_goes_on(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log_pump, "COLLECTED_BYTES", 100)
    pumped = Pumped({n: EACCES for n in range(1000)}, collect=0.0)
    for piece in pieces(LINES, 1000):
        pumped.say(piece)
    assert pumped.end() == b""
    told = [record for record in caplog.records if "output of a trial is lost" in record.message]
    assert len(told) == 1
