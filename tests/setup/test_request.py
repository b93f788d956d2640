"""Requests reach the driver that is meant, once."""

from __future__ import annotations

import pytest

from raytao.runs.store import MemoryStore, StoreError
from raytao.setup.request import LOOK_SECONDS, Ask, Inbox, Request, post, withdraw
from raytao.tao import layout


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.mark.parametrize("ask", Ask)
def test_a_request_is_seen_once_and_its_file_is_gone(ask: Ask) -> None:
    store, clock = MemoryStore(), Clock()
    inbox = Inbox(store, "me", clock)
    post(store, ask, "me")
    assert inbox.take() is ask
    assert store.read(layout.REQUEST) is None
    clock.now += 10
    assert inbox.take() is None


def test_a_request_to_an_earlier_driver_is_dropped() -> None:
    store = MemoryStore()
    post(store, Ask.CANCEL, "the one before")
    assert Inbox(store, "me").take() is None
    assert store.read(layout.REQUEST) is None


def test_one_posted_before_the_driver_first_looks_is_done() -> None:
    store = MemoryStore()
    post(store, Ask.STOP, "me")
    assert Inbox(store, "me").take() is Ask.STOP


def test_storage_is_looked_at_about_once_a_second() -> None:
    store, clock = MemoryStore(), Clock()
    inbox = Inbox(store, "me", clock)
    assert inbox.take() is None
    post(store, Ask.STOP, "me")
    clock.now += 0.9 * LOOK_SECONDS
    assert inbox.take() is None
    clock.now += 0.2 * LOOK_SECONDS
    assert inbox.take() is Ask.STOP


class Stubborn(MemoryStore):
    """Storage that refuses to delete, and at times to be read."""

    refuses_reads = False

    def delete(self, key: str) -> None:
        raise StoreError(f"cannot delete {key}")

    def read(self, key: str) -> bytes | None:
        if self.refuses_reads:
            raise StoreError(f"cannot read {key}")
        return super().read(key)


def test_storage_that_refuses_neither_ends_the_driver_nor_repeats_the_request() -> None:
    store, clock = Stubborn(), Clock()
    inbox = Inbox(store, "me", clock)
    post(store, Ask.STOP, "me")
    store.refuses_reads = True
    assert inbox.take() is None
    store.refuses_reads = False
    clock.now += LOOK_SECONDS
    assert inbox.take() is Ask.STOP
    clock.now += LOOK_SECONDS
    assert inbox.take() is None


def test_a_newer_request_is_not_deleted_with_the_one_that_it_replaces() -> None:
    class Overtaken(MemoryStore):
        """Somebody asks again between a read and what follows."""

        overtaken = False

        def read(self, key: str) -> bytes | None:
            content = super().read(key)
            if not self.overtaken:
                self.overtaken = True
                post(self, Ask.CANCEL, "me")
            return content

    store, clock = Overtaken(), Clock()
    inbox = Inbox(store, "me", clock)
    post(store, Ask.STOP, "me")
    assert inbox.take() is Ask.STOP
    clock.now += LOOK_SECONDS
    assert inbox.take() is Ask.CANCEL


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", b'{"ask": "explode"}', b'"stop"', b'{"ask": "stop"}']
)
def test_what_is_no_request_asks_for_nothing(content: bytes) -> None:
    store = MemoryStore()
    store.replace(layout.REQUEST, content)
    assert Inbox(store, "me").take() is None
    assert store.read(layout.REQUEST) is None


def test_a_request_is_read_back_as_it_was_written() -> None:
    request = post(MemoryStore(), Ask.PAUSE, "me")
    assert Request.from_bytes(request.to_bytes()) == request


def test_only_ones_own_request_is_taken_back() -> None:
    store = MemoryStore()
    first = post(store, Ask.STOP, "me")
    second = post(store, Ask.CANCEL, "me")
    withdraw(store, first)
    assert store.read(layout.REQUEST) == second.to_bytes()
    withdraw(store, second)
    assert store.read(layout.REQUEST) is None
