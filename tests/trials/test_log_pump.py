"""A trial's output reaches its log soon, whole and without secrets, however it is cut."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from trials_testing import wait_until

from raytao.redact import MARK, Redactor
from raytao.runs.store import MemoryStore
from raytao.trials import log_pump
from raytao.trials.log_pump import FLUSHED, LogPump, RedactedStream, wait_until_taken

SECRET = "hünter2-hünter2"
REDACT = Redactor({"API_KEY": SECRET, "OTHER_TOKEN": "abababab"})
KEY = "experiment_0/log.txt"

pieces = st.lists(
    st.sampled_from([SECRET, "abababab", "abab", "h", "loss 0.5", "\n", "\r", " ", "50%", "é"])
    | st.just("https://ann:pw@host/?token=abc "),
    max_size=12,
)


def cut(data: bytes, places: list[int]) -> Iterator[bytes]:
    bounds = sorted({0, len(data), *(place % (len(data) + 1) for place in places)})
    for start, end in pairwise(bounds):
        yield data[start:end]


@given(pieces, st.lists(st.integers(min_value=0), max_size=8))
def test_however_output_is_cut_the_same_comes_out(said: list[str], places: list[int]) -> None:
    text = "".join(said) + "\n"
    stream = RedactedStream(REDACT)
    got = b"".join([*map(stream.feed, cut(text.encode(), places)), stream.end()])
    assert got.decode() == REDACT(text)


@given(pieces, st.lists(st.integers(min_value=0), max_size=8))
def test_no_pause_within_a_secret_lets_it_through(said: list[str], places: list[int]) -> None:
    text = "".join(said)
    stream = RedactedStream(REDACT)
    got = b""
    for piece in cut(text.encode(), places):
        got += stream.feed(piece) + stream.flush()
    got += stream.end()
    assert SECRET not in got.decode(errors="surrogateescape")
    assert "abababab" not in got.decode(errors="surrogateescape")


@given(st.binary(max_size=200))
def test_bytes_that_are_no_text_pass_unchanged(data: bytes) -> None:
    stream = RedactedStream(Redactor({}))
    assert stream.feed(data) + stream.flush() + stream.end() == data


def test_a_secret_that_is_cut_off_at_the_end_is_hidden() -> None:
    stream = RedactedStream(REDACT)
    got = stream.feed(f"login {SECRET[:-1]}".encode()) + stream.end()
    assert got.decode() == f"login {MARK}"


def test_a_line_without_an_end_does_not_pile_up() -> None:
    stream = RedactedStream(REDACT)
    got = stream.feed(b"." * (FLUSHED + 1))
    assert len(got) == FLUSHED + 1


@pytest.fixture
def pumped() -> Iterator[tuple[int, MemoryStore]]:
    """The writing end of a pump, and the store in which its log is."""
    reader, writer = os.pipe()
    store = MemoryStore()
    pump = LogPump(reader, store, KEY, REDACT)
    yield writer, store
    os.close(writer)
    pump.finish()


def test_a_line_is_in_the_log_at_once(pumped: tuple[int, MemoryStore]) -> None:
    writer, store = pumped
    os.write(writer, f"with {SECRET}\nnext".encode())
    assert wait_until(lambda: store.read(KEY) == f"with {MARK}\n".encode(), seconds=0.4)


def test_a_line_that_does_not_end_is_shown_within_a_second(
    pumped: tuple[int, MemoryStore],
) -> None:
    writer, store = pumped
    began = time.monotonic()
    os.write(writer, b"loading the data ...")
    assert wait_until(lambda: store.read(KEY) == b"loading the data ...", seconds=2.0)
    assert time.monotonic() - began < 1.0


def test_dots_that_come_slowly_are_shown_as_they_come(pumped: tuple[int, MemoryStore]) -> None:
    writer, store = pumped
    for _ in range(8):
        os.write(writer, b".")
        time.sleep(0.1)
    assert b"." in (store.read(KEY) or b"")


def test_a_progress_bar_is_shown_as_it_moves(pumped: tuple[int, MemoryStore]) -> None:
    writer, store = pumped
    os.write(writer, b"10%\r20%\r")
    assert wait_until(lambda: store.read(KEY) == b"10%\r20%\r", seconds=0.4)


def test_a_secret_that_comes_in_two_halves_is_hidden(pumped: tuple[int, MemoryStore]) -> None:
    writer, store = pumped
    whole = f"the key is {SECRET} and more ".encode()
    os.write(writer, whole[:16])
    time.sleep(0.8)
    assert store.read(KEY) == b"the key is "
    os.write(writer, whole[16:])
    assert wait_until(lambda: store.read(KEY) == f"the key is {MARK} and more ".encode())


def test_who_waits_for_its_output_to_be_taken_finds_it_in_the_log(
    pumped: tuple[int, MemoryStore],
) -> None:
    writer, store = pumped
    lines = b"".join(b"line %d\n" % n for n in range(2000))
    os.write(writer, lines)
    wait_until_taken(writer)
    assert wait_until(lambda: store.read(KEY) == lines, seconds=0.2)


def test_who_waits_for_a_pump_that_is_gone_or_hangs_goes_on_in_the_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(log_pump, "TAKEN_SECONDS", 0.3)
    reader, writer = os.pipe()
    try:
        os.write(writer, b"nobody reads this\n")
        began = time.monotonic()
        wait_until_taken(writer)
        assert time.monotonic() - began >= 0.3
    finally:
        os.close(reader)
        os.close(writer)
    wait_until_taken(writer)  # closed: nothing to wait for
