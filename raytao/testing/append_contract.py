"""The laws of appending to a store's files, as a pytest class: a part of the store's contract.

Needs pytest and hypothesis.
"""

# ruff: noqa: D102 - the name of a law is its description

from __future__ import annotations

import itertools
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event
from typing import TypeVar

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from raytao.runs.store import Store, StoreError

Law = TypeVar("Law", bound=Callable[..., None])


def law(examples: int) -> Callable[[Law], Law]:
    """Hypothesis settings of a law that many classes inherit: few, repeatable examples."""
    return settings(
        max_examples=examples,
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=[
            HealthCheck.differing_executors,
            HealthCheck.function_scoped_fixture,
        ],
    )


def content(store: Store) -> dict[str, bytes | None]:
    """All files of a store."""
    return {key: store.read(key) for key in store.list()}


class AppendContract:
    """Subclass it and answer `make_store`; see `raytao.testing.store_contract`."""

    _serial = itertools.count()

    def make_store(self, folder: Path) -> Store:
        """Make an empty store; two calls with one folder give stores of the same files."""
        raise NotImplementedError(f"{type(self).__name__} must say which store it tests")

    def fresh(self, folder: Path) -> Store:
        """An empty store of its own, for laws that need many."""
        return self.make_store(folder / f"store_{next(self._serial)}")

    @pytest.mark.parametrize("durable", [True, False])
    def test_appended_batches_follow_each_other(self, durable: bool, tmp_path: Path) -> None:
        store = self.fresh(tmp_path)
        for batch in (b"one\n", b"two\n", b"three\n"):
            store.append_batch("events.jsonl", batch, durable=durable)
        assert store.read("events.jsonl") == b"one\ntwo\nthree\n"

    @law(60)
    @given(
        before=st.binary(max_size=5),
        data=st.binary(max_size=5),
        part=st.integers(0, 5),
        more=st.binary(max_size=5),
    )
    def test_a_batch_that_was_written_in_part_can_be_tried_again_with_more(
        self, before: bytes, data: bytes, part: int, more: bytes, tmp_path: Path
    ) -> None:
        self.try_again(before, data, part, more, tmp_path)

    def try_again(self, before: bytes, data: bytes, part: int, more: bytes, folder: Path) -> None:
        """Append ``data`` after a part of it, twice, and then with more."""
        store = self.fresh(folder)
        if before:
            store.replace("d/log", before)
        if data[:part]:
            store.append_batch("d/log", data[:part])
        store.append_batch("d/log", data, at=len(before))
        store.append_batch("d/log", data, at=len(before))
        store.append_batch("d/log", data + more, at=len(before))
        store.append_batch("d/log", b"next", at=len(before + data + more))
        assert store.read("d/log") == before + data + more + b"next"

    @pytest.mark.parametrize("there", [None, b"", b"on"])
    def test_a_file_shorter_than_what_was_written_is_not_appended_to(
        self, there: bytes | None, tmp_path: Path
    ) -> None:
        store = self.fresh(tmp_path)
        if there is not None:
            store.replace("d/log", there)
        with pytest.raises(StoreError, match=rf"it has {len(there or b'')} bytes, and 3 were"):
            store.append_batch("d/log", b"two", at=3)
        assert store.read("d/log") == there

    @pytest.mark.parametrize("foreign", [b"onex", b"onetwo and more", b"onetxo"])
    def test_what_somebody_else_has_written_is_not_overwritten(
        self, foreign: bytes, tmp_path: Path
    ) -> None:
        store = self.fresh(tmp_path)
        store.replace("d/log", foreign)
        with pytest.raises(StoreError, match="somebody else has written"):
            store.append_batch("d/log", b"two", at=3)
        assert store.read("d/log") == foreign

    def test_who_appends_where_somebody_else_has_is_refused(self, tmp_path: Path) -> None:
        folder = tmp_path / "shared"
        stores = [self.make_store(folder), self.make_store(folder)]
        for n, store in enumerate(stores):
            store.append_batch("d/log", b"%d" % n, at=n)
        for n in range(2, 40):
            stores[1].append_batch("d/log", b"%d" % (n % 10), at=n)
        with pytest.raises(StoreError, match="somebody else has written"):
            stores[0].append_batch("d/log", b"mine", at=1)
        expected = b"".join(b"%d" % (n % 10) for n in range(40))
        assert [store.read("d/log") for store in stores] == [expected] * 2

    def test_a_long_log_is_read_as_it_was_written_and_listed_as_one_file(
        self, tmp_path: Path
    ) -> None:
        folder = tmp_path / "shared"
        writer, reader = self.make_store(folder), self.make_store(folder)
        expected = b""
        for n in range(100):
            writer.append_batch("d/log", b"line %d\n" % n, at=len(expected))
            expected += b"line %d\n" % n
            if n % 9 == 0:
                assert reader.read("d/log") == expected
                assert reader.size("d/log") == len(expected)
        assert reader.list() == ["d/log"]
        assert not reader.create_exclusive("d/log", b"new")
        writer.settle()
        assert reader.read("d/log") == expected
        writer.append_batch("d/log", b"more", at=len(expected))
        assert reader.read("d/log") == expected + b"more"

    def test_a_reader_of_a_growing_log_sees_a_beginning_of_it(self, tmp_path: Path) -> None:
        folder = tmp_path / "shared"
        writer, reader = self.make_store(folder), self.make_store(folder)
        done = Event()

        def read() -> list[bytes]:
            seen = [b""]
            while not done.is_set():
                seen.append(reader.read("d/log") or b"")
            return seen

        expected = b""
        with ThreadPoolExecutor(1) as pool:
            reading = pool.submit(read)
            try:
                for n in range(60):
                    writer.append_batch("d/log", b"line %d\n" % n, at=len(expected))
                    expected += b"line %d\n" % n
                    if n == 40:
                        writer.settle("d/log")
            finally:
                done.set()
            seen = reading.result()
        assert all(expected.startswith(data) for data in seen)
        assert sorted(seen, key=len) == seen

    @pytest.mark.parametrize("new", [b"", b"on", b"one", b"one and a lot more"])
    def test_a_file_that_was_appended_to_can_be_replaced_and_appended_to(
        self, new: bytes, tmp_path: Path
    ) -> None:
        store = self.fresh(tmp_path)
        for begin in (None, b"one"):
            if begin is not None:
                store.replace("d/log", begin)
            for batch in (b"two", b"three"):
                store.append_batch("d/log", batch)
            store.replace("d/log", new)
            assert store.read("d/log") == new
            store.append_batch("d/log", b"next", at=len(new))
            assert content(store) == {"d/log": new + b"next"}
            store.delete("d/log")
            assert content(store) == {}
