"""A log on object storage costs the same at any length, and takes the batches of one writer."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from threading import Barrier

import pytest
from hypothesis import given
from hypothesis import strategies as st

from raytao.runs import object_append
from raytao.runs.object_append import MERGED, UNSURE_SECONDS
from raytao.runs.object_pieces import files_among, pieces_of, segment_name
from raytao.runs.object_store import ObjectStore
from raytao.runs.store import StoreError
from raytao.testing.append_contract import law
from tests.runs.folder_objects import FolderObjects, folder_store

LINE = b"x" * 200
CROWD = 8


class Shelf(FolderObjects):
    """Objects in a dictionary; every request is counted.

    Attributes:
        after_a_look: what happens once between the next list and what follows on it.
        amid_a_look: what happens once while the next list is made: where it makes objects the
            list has been, and where it removes some the list has not.
    """

    def __init__(self) -> None:
        super().__init__(Path("unused"))
        self.objects: dict[str, bytes] = {}
        self.asked: Counter[str] = Counter()
        self.after_a_look: Callable[[], None] | None = None
        self.amid_a_look: Callable[[], None] | None = None

    def find(self, path: str, *, detail: bool, prefix: str) -> dict[str, dict[str, object]]:
        self.asked["list"] += 1
        found = self.listed(f"{path}/{prefix}")
        act, self.amid_a_look = self.amid_a_look, None
        if act is not None:
            act()
            after = self.listed(f"{path}/{prefix}")
            found = {name: about for name, about in found.items() if name in after}
        act, self.after_a_look = self.after_a_look, None
        if act is not None:
            act()
        return found

    def listed(self, full: str) -> dict[str, dict[str, object]]:
        return {n: {"size": len(d)} for n, d in self.objects.items() if n.startswith(full)}

    def cat_file(self, path: str) -> bytes:
        self.asked["get"] += 1
        if path not in self.objects:
            raise FileNotFoundError(path)
        return self.objects[path]

    def pipe_file(self, path: str, value: bytes, *, mode: str, **more: object) -> None:
        self.asked["put"] += 1
        self.asked["bytes"] += len(value)
        if mode == "create" and path in self.objects:
            raise FileExistsError(path)
        self.objects[path] = value

    def rm_file(self, path: str) -> None:
        self.asked["delete"] += 1
        self.objects.pop(path, None)

    def store(self) -> ObjectStore:
        return ObjectStore("shelf://run", filesystem=lambda: self)


class Clock:
    """The clock by which a writer knows how long ago it has looked."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 0.0
        monkeypatch.setattr(object_append, "_now", lambda: self.now)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


@pytest.mark.parametrize("batches", [100, 1_000, 10_000])
def test_an_append_costs_the_same_at_any_length(batches: int, clock: Clock) -> None:
    shelf = Shelf()
    store = shelf.store()
    for n in range(batches):
        store.append_batch("log", LINE, at=n * len(LINE))
    assert shelf.asked["put"] <= 1.1 * batches + 1
    assert shelf.asked["delete"] <= 1.1 * batches
    assert shelf.asked["get"] + shelf.asked["list"] <= 0.1 * batches + 1
    assert shelf.asked["bytes"] <= 5 * batches * len(LINE)  # each is written once a merge, log16
    assert len(shelf.objects) <= 4 * MERGED
    assert shelf.store().read("log") == LINE * batches
    store.settle()
    assert shelf.objects == {"run/log": LINE * batches}


def test_a_batch_is_one_request(clock: Clock) -> None:
    shelf = Shelf()
    store = shelf.store()
    store.append_batch("log", LINE, at=0)
    shelf.asked.clear()
    store.append_batch("log", LINE, at=len(LINE))
    assert shelf.asked == {"put": 1, "bytes": len(LINE)}


@law(60)
@given(
    batches=st.lists(st.integers(1, 3), max_size=60),
    settled=st.sets(st.integers(0, 59), max_size=4),
    reopened=st.sets(st.integers(0, 59), max_size=4),
)
def test_whoever_opens_a_log_reads_all_that_was_appended(
    batches: list[int], settled: set[int], reopened: set[int]
) -> None:
    shelf = Shelf()
    store, expected = shelf.store(), b""
    for n, size in enumerate(batches):
        if n in reopened:
            store = shelf.store()
        batch = bytes([n]) * size
        store.append_batch("log", batch, at=len(expected))
        expected += batch
        if n in settled:
            store.settle("log")
        assert shelf.store().size("log") == len(expected)
    assert (shelf.store().read("log") or b"") == expected


def test_one_of_many_writers_appends_at_a_place(tmp_path: Path) -> None:
    for begin in (b"", b"plain"):
        key = f"log_{len(begin)}"
        if begin:
            folder_store(tmp_path)[0].replace(key, begin)
        line = Barrier(CROWD)

        def append(who: int, key: str = key, at: int = len(begin), line: Barrier = line) -> str:
            store, _ = folder_store(tmp_path)
            line.wait()
            try:
                store.append_batch(key, bytes([who]) * 100, at=at)
            except StoreError as error:
                return str(error)
            return ""

        with ThreadPoolExecutor(CROWD) as pool:
            won = list(pool.map(append, range(CROWD)))
        assert won.count("") == 1
        assert all("somebody else has written to it" in told for told in won if told)
        assert folder_store(tmp_path)[0].read(key) == begin + bytes([won.index("")]) * 100


def test_many_who_append_anywhere_lose_nothing(tmp_path: Path) -> None:
    def append(who: int) -> None:
        store, _ = folder_store(tmp_path)
        for _ in range(12):
            store.append_batch("log", bytes([who]) * 3)

    with ThreadPoolExecutor(3) as pool:
        list(pool.map(append, range(3)))
    found = folder_store(tmp_path)[0].read("log") or b""
    assert sorted(found) == sorted(bytes(range(3)) * 36)
    assert all(len(set(found[n : n + 3])) == 1 for n in range(0, len(found), 3))


@pytest.mark.parametrize("by_itself", [True, False])
def test_a_log_that_was_replaced_by_one_as_long_is_merged_anew(
    by_itself: bool, clock: Clock
) -> None:
    shelf = Shelf()
    store = shelf.store()
    for n in range(MERGED - 1):
        store.append_batch("log", b"old", at=3 * n)
    (store if by_itself else shelf.store()).replace("log", b"new" * (MERGED - 1))
    clock.now += 0 if by_itself else 2 * UNSURE_SECONDS
    for n in range(MERGED - 1, 3 * MERGED):
        store.append_batch("log", b"new", at=3 * n)
    assert shelf.store().read("log") == b"new" * (3 * MERGED)


def test_a_log_does_not_begin_with_what_is_left_of_one_that_was_deleted() -> None:
    shelf = Shelf()
    for _ in range(3):
        shelf.store().append_batch("log", b"old")
    del shelf.objects[segment_name("run/log", 1, 0)]  # as a killed `delete` leaves it
    assert shelf.store().read("log") is None
    shelf.store().append_batch("log", b"new", at=0)
    assert shelf.store().read("log") == b"new"


@pytest.mark.parametrize(
    "sizes",
    [
        {"log": 3},
        {segment_name("log", 1, 0): 3, segment_name("log", 1, 3): 3},
        {"log": 3, segment_name("log", 1, 3): 3, segment_name("log", 1, 6): 3},
        {"log": 6, segment_name("log", 1, 3): 3, segment_name("log", 1, 6): 3},
        {"log": 2, segment_name("log", 1, 0): 9, segment_name("log", 2, 0): 3},
        {
            segment_name("log", 1, 0): 1,
            segment_name("log", 1, 0, 9): 9,
            segment_name("log", 1, 9): 1,
            segment_name("log", 1, 99): 1,
        },
    ],
)
def test_a_file_is_whole_until_it_is_gone_whatever_goes_first(sizes: dict[str, int]) -> None:
    left, seen = dict(sizes), [pieces_of("log", sizes).size]
    for step in pieces_of("log", sizes).farewell:
        for names in (step, step[::-1]):  # in any order, as requests side by side
            trial = dict(left)
            for name in names:
                del trial[name]
                seen.append(pieces_of("log", trial).size)
        left = trial
    assert left == {}
    assert set(seen) == {seen[0], None}
    assert seen[-1] is None


def given_up(shelf: Shelf) -> tuple[ObjectStore, ObjectStore, int]:
    """A writer, its successor, which has gone on, and where the former believes the end to be."""
    old, new = shelf.store(), shelf.store()
    for n in range(3):
        old.append_batch("log", LINE, at=n * len(LINE))
    for n in range(3, 3 * MERGED):
        new.append_batch("log", LINE, at=n * len(LINE))
    return old, new, 3 * len(LINE)


def test_who_was_given_up_is_told_although_its_successor_merges(clock: Clock) -> None:
    shelf = Shelf()
    old, _, end = given_up(shelf)
    with pytest.raises(StoreError, match="somebody else has written to it"):
        old.append_batch("log", b"late", at=end)
    assert shelf.store().read("log") == LINE * (3 * MERGED)


def test_who_was_given_up_is_told_although_the_log_was_settled(clock: Clock) -> None:
    shelf = Shelf()
    old, new, end = given_up(shelf)
    new.settle()
    clock.now += UNSURE_SECONDS + 1
    with pytest.raises(StoreError, match="somebody else has written to it"):
        old.append_batch("log", b"late", at=end)
    assert shelf.objects == {"run/log": LINE * (3 * MERGED)}


def test_a_reader_follows_when_pieces_are_merged_under_it() -> None:
    shelf = Shelf()
    writer, reader = shelf.store(), shelf.store()
    for n in range(MERGED - 1):
        writer.append_batch("log", b"%02d" % n)
    shelf.after_a_look = lambda: writer.append_batch("log", b"%02d" % (MERGED - 1))
    assert reader.read("log") == b"".join(b"%02d" % n for n in range(MERGED))
    assert shelf.asked["list"] == 2 + 2  # of a log that is not there, and of one in pieces


@pytest.mark.parametrize("settled", [False, True])
@pytest.mark.parametrize("change", ["append", "settle"])
def test_a_list_torn_by_the_writer_hides_nothing(change: str, settled: bool) -> None:
    for length in range(1, 2 * MERGED):
        shelf = Shelf()
        writer, reader = shelf.store(), shelf.store()
        if settled:
            writer.append_batch("log", b"0")
            writer.settle()
        for _ in range(length):
            writer.append_batch("log", b"1")
        act = partial(writer.append_batch, "log", b"2") if change == "append" else writer.settle
        before = reader.read("log")
        assert before is not None
        shelf.amid_a_look = act
        assert (reader.read("log") or b"").startswith(before), length


def test_a_reader_follows_when_a_log_is_replaced_under_it() -> None:
    shelf = Shelf()
    shelf.store().replace("log", b"old")
    shelf.store().append_batch("log", b"more")

    def replace() -> None:  # as far as the object itself, and no further
        shelf.objects[segment_name("run/log", 2, 0, 3)] = shelf.objects["run/log"] = b"new"

    shelf.after_a_look = replace
    assert shelf.store().read("log") == b"new"


def test_pieces_of_an_older_generation_count_for_nothing() -> None:
    sizes = {
        "log": 3,
        segment_name("log", 1, 3): 5,
        segment_name("log", 2, 0): 4,
        segment_name("log", 2, 4): 1,
        segment_name("log", 2, 9): 1,
        "log2": 7,
    }
    pieces = pieces_of("log", sizes)
    assert (pieces.size, pieces.on_plain) == (5, False)
    assert pieces.spare == (segment_name("log", 1, 3),)
    assert pieces.loose == (segment_name("log", 2, 9),)
    assert sorted(files_among(sizes)) == ["log", "log2"]


@pytest.mark.parametrize(
    ("sizes", "size"),
    [
        ({}, None),
        ({"log": 0}, 0),
        ({segment_name("log", 1, 0): 4}, 4),
        ({segment_name("log", 1, 0, 0): 0}, 0),
        ({segment_name("log", 1, 3): 4}, None),
        ({"log": 2, segment_name("log", 1, 3): 4}, 2),
        ({"log": 3, segment_name("log", 1, 3): 4}, 7),
        ({"log": 5, segment_name("log", 1, 3): 4}, 5),
        ({"log": 7, segment_name("log", 1, 3): 4, segment_name("log", 1, 7): 1}, 8),
        ({segment_name("log", 1, 0): 1, segment_name("log", 1, 0, 9): 9}, 9),
    ],
)
def test_a_file_is_as_long_as_its_pieces_join_on(sizes: dict[str, int], size: int | None) -> None:
    assert pieces_of("log", sizes).size == size
