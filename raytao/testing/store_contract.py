"""The laws of a store, as a pytest class to subclass.

::

    class TestMine(StoreContract):
        def make_store(self, folder: Path) -> Store:
            return Mine(folder)

``folder`` does not exist yet and is the store's own; a store that needs none leaves it alone.
Needs pytest and hypothesis.
"""

# ruff: noqa: D102 - the name of a law is its description

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier, Event
from typing import Final, TypeAlias

import pytest
from hypothesis import given
from hypothesis import strategies as st

from raytao.runs.store import Store, StoreError
from raytao.testing.append_contract import AppendContract, law
from raytao.testing.append_contract import content as content

Operation: TypeAlias = tuple[str, str, bytes]
"""(method, key, data)."""

FILES: Final = ("a.txt", "b.json", "d/x", "d/y", "d/e/z")
FOLDERS: Final = ("d", "d/e", "nothing")
OUTSIDE: Final = ("../x", "d/../../x", "d/..", "/x", "..", "d/\0x")
ROOT: Final = ("", ".")
CROWD: Final = 8
"""Threads that race."""


def operations() -> st.SearchStrategy[list[Operation]]:
    """Any writes to a few files and folders, in any order."""
    data = st.sampled_from([b"", b"one", b"two\n", bytes(range(256))])
    writes = st.tuples(
        st.sampled_from(["replace", "append_batch", "create_exclusive"]),
        st.sampled_from(FILES),
        data,
    )
    others = st.tuples(
        st.sampled_from(["delete", "settle"]), st.sampled_from(FILES + FOLDERS), st.just(b"")
    )
    return st.lists(writes | others, max_size=15)


def attempts(store: Store, key: str) -> list[Callable[[], object]]:
    """Every way to touch ``key``."""
    return [
        lambda: store.read(key),
        lambda: store.size(key),
        lambda: store.list(key),
        lambda: store.settle(key),
        *writing_attempts(store, key),
    ]


def writing_attempts(store: Store, key: str) -> list[Callable[[], object]]:
    """Every way to change ``key``."""
    return [
        lambda: store.replace(key, b"x"),
        lambda: store.append_batch(key, b"x"),
        lambda: store.delete(key),
        lambda: store.create_exclusive(key, b"x"),
        lambda: store.copy("d/x", key),
        lambda: store.copy(key, "d/x"),
        lambda: store.replace_folder("d", key),
        lambda: store.replace_folder(key, "d"),
    ]


class StoreContract(AppendContract):
    """Subclass it and answer `make_store`; see the module."""

    def test_a_new_store_is_empty_and_reading_absence_is_none(self, tmp_path: Path) -> None:
        store = self.fresh(tmp_path)
        assert store.list() == []
        assert store.list("d") == []
        assert store.read("a.txt") is None
        assert store.read("d/x") is None
        assert store.size("d/x") is None

    @law(60)
    @given(todo=operations())
    def test_any_writes_leave_what_a_dictionary_would_hold(
        self, todo: list[Operation], tmp_path: Path
    ) -> None:
        self.follow(todo, tmp_path)

    def follow(self, todo: list[Operation], folder: Path) -> None:
        """Do it to a store and to a dictionary, and compare."""
        store, model = self.fresh(folder), dict[str, bytes]()
        for method, key, data in todo:
            match method:
                case "replace":
                    store.replace(key, data)
                    model[key] = data
                case "append_batch":
                    store.append_batch(key, data)
                    model[key] = model.get(key, b"") + data
                case "create_exclusive":
                    assert store.create_exclusive(key, data) == (key not in model)
                    model.setdefault(key, data)
                case "settle":
                    store.settle(key)
                case _:
                    store.delete(key)
                    model = {
                        k: v for k, v in model.items() if k != key and not k.startswith(f"{key}/")
                    }
        assert content(store) == model
        assert store.list() == sorted(model)
        assert [store.read(key) for key in FILES] == [model.get(key) for key in FILES]
        assert {key: store.size(key) for key in model} == {k: len(v) for k, v in model.items()}
        assert [store.size(key) for key in FOLDERS] == [None] * len(FOLDERS)
        for name in FOLDERS:
            below = sorted(key for key in model if key.startswith(f"{name}/"))
            assert store.list(name) == store.list(f"{name}/") == below

    def test_a_file_beside_a_folder_of_a_similar_name_is_not_below_it(
        self, tmp_path: Path
    ) -> None:
        store = self.fresh(tmp_path)
        store.replace("experiment_1/log.txt", b"one")
        store.replace("experiment_10/log.txt", b"ten")
        store.delete("experiment_1")
        assert store.list() == store.list("experiment_10") == ["experiment_10/log.txt"]
        assert store.list("experiment_1") == []

    @pytest.mark.parametrize("before", [None, b"old"])
    def test_a_copy_is_a_file_of_its_own(self, before: bytes | None, tmp_path: Path) -> None:
        store = self.fresh(tmp_path)
        if before is not None:
            store.append_batch("e/y", before)
        assert not store.copy("d/x", "e/y")
        assert store.read("e/y") == before
        store.append_batch("d/x", b"one")
        store.append_batch("d/x", b"two")
        assert store.copy("d/x", "e/y")
        store.append_batch("d/x", b"three")
        assert content(store) == {"d/x": b"onetwothree", "e/y": b"onetwo"}

    def test_a_reader_sees_the_old_file_or_the_new_one(self, tmp_path: Path) -> None:
        store = self.fresh(tmp_path)
        versions = {bytes([n]) * 200_000 for n in range(4)}
        store.replace("d/x", b"\0" * 200_000)
        done = Event()

        def read() -> set[bytes | None]:
            seen = set()
            while not done.is_set():
                seen.add(store.read("d/x"))
            return seen

        with ThreadPoolExecutor(2) as pool:
            readers = [pool.submit(read) for _ in range(2)]
            try:
                for version in sorted(versions) * 10:
                    store.replace("d/x", version)
            finally:
                done.set()
            assert set().union(*(reader.result() for reader in readers)) <= versions

    def test_one_of_many_creates_exclusively_and_its_data_stays(self, tmp_path: Path) -> None:
        store = self.fresh(tmp_path)
        with ThreadPoolExecutor(CROWD) as pool:
            for key in (f"d/lock_{n}" for n in range(15)):
                line = Barrier(CROWD)

                def create(who: int, key: str = key, line: Barrier = line) -> bool:
                    line.wait()
                    return store.create_exclusive(key, bytes([who]) * 1000)

                won = list(pool.map(create, range(CROWD)))
                assert won.count(True) == 1
                assert store.read(key) == bytes([won.index(True)]) * 1000

    def test_writers_of_one_file_leave_one_of_their_versions(self, tmp_path: Path) -> None:
        store = self.fresh(tmp_path)
        versions = [bytes([n]) * 50_000 for n in range(CROWD)]
        with ThreadPoolExecutor(CROWD) as pool:
            list(pool.map(lambda version: store.replace("d/x", version), versions * 5))
        assert store.read("d/x") in versions
        assert store.list() == ["d/x"]

    def test_a_list_is_answered_while_folders_come_and_go(self, tmp_path: Path) -> None:
        store = self.fresh(tmp_path)
        store.replace("d/x", b"stays")
        done = Event()

        def churn() -> None:
            while not done.is_set():
                for n in range(10):
                    store.append_batch(f"gone_{n}/y/z", b"1", durable=False)
                for n in range(10):
                    store.delete(f"gone_{n}")

        with ThreadPoolExecutor(1) as pool:
            churning = pool.submit(churn)
            try:
                assert all("d/x" in store.list() for _ in range(200))
            finally:
                done.set()
            churning.result()

    def test_a_sweep_takes_no_file_that_was_written(self, tmp_path: Path) -> None:
        store = self.fresh(tmp_path)
        for key in (*FILES, ".hidden", "d/.hidden"):
            store.replace(key, key.encode())
        before = content(store)
        store.sweep()
        store.sweep("d")
        store.sweep("nothing")
        assert content(store) == before

    @pytest.mark.parametrize("key", OUTSIDE)
    def test_a_key_that_leaves_the_root_is_refused(self, key: str, tmp_path: Path) -> None:
        store = self.fresh(tmp_path / "above")
        store.replace("d/x", b"stays")
        for attempt in attempts(store, key):
            with pytest.raises(StoreError, match="leaves the run folder"):
                attempt()
        assert content(store) == {"d/x": b"stays"}
        assert list(tmp_path.iterdir()) in ([], [tmp_path / "above"])

    @pytest.mark.parametrize("key", ROOT)
    def test_the_root_itself_is_no_file_to_write_or_delete(self, key: str, tmp_path: Path) -> None:
        store = self.fresh(tmp_path)
        store.replace("d/x", b"stays")
        for attempt in writing_attempts(store, key):
            with pytest.raises(StoreError):
                attempt()
        assert content(store) == {"d/x": b"stays"}

    @pytest.mark.parametrize("before", [{}, {"best/x": b"old x", "best/old/y": b"old y"}])
    def test_a_replaced_folder_is_the_staged_one_and_no_mixture(
        self, before: dict[str, bytes], tmp_path: Path
    ) -> None:
        store = self.fresh(tmp_path)
        for key, data in {**before, "bester/x": b"another"}.items():
            store.replace(key, data)
        store.replace(".staged/x", b"new x")
        store.replace(".staged/new/z", b"new z")
        store.replace_folder(".staged", "best")
        assert content(store) == {
            "best/new/z": b"new z",
            "best/x": b"new x",
            "bester/x": b"another",
        }

    def test_a_folder_can_be_replaced_again_and_again(self, tmp_path: Path) -> None:
        store = self.fresh(tmp_path)
        for n in range(3):
            store.replace(f".staged/only_{n}", b"%d" % n)
            store.replace_folder(".staged", "best")
            assert content(store) == {f"best/only_{n}": b"%d" % n}

    def test_files_that_were_appended_to_are_replaced_with_their_folder(
        self, tmp_path: Path
    ) -> None:
        store = self.fresh(tmp_path)
        for folder in ("best", ".staged"):
            for _ in range(3):
                store.append_batch(f"{folder}/log", folder.encode())
        store.append_batch("best/old", b"old")
        store.replace_folder(".staged", "best")
        assert content(store) == {"best/log": b".staged" * 3}
        store.append_batch("best/log", b"next")
        assert content(store) == {"best/log": b".staged" * 3 + b"next"}

    def test_replacing_by_nothing_fails_and_leaves_the_old_folder(self, tmp_path: Path) -> None:
        store = self.fresh(tmp_path)
        store.replace("best/x", b"old")
        with pytest.raises(StoreError):
            store.replace_folder(".staged", "best")
        assert content(store) == {"best/x": b"old"}

    def test_another_store_of_the_same_files_sees_every_write(self, tmp_path: Path) -> None:
        folder = tmp_path / "shared"
        writer, reader = self.make_store(folder), self.make_store(folder)
        for key in FILES:
            writer.replace(key, key.encode())
            assert reader.read(key) == key.encode()
        assert reader.list() == writer.list()
        assert not reader.create_exclusive("d/x", b"late")
