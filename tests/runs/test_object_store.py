"""Object storage keeps a store's promises; on an S3 server it is tried in tests/integration."""

from __future__ import annotations

import errno
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import Any, TypeAlias

import pytest

from raytao.runs.durable import temporary
from raytao.runs.object_store import ObjectStore
from raytao.runs.patience import PatientStore
from raytao.runs.store import Store, StoreError
from raytao.testing.faults import Moment, Refusal
from raytao.testing.store_contract import StoreContract
from tests.runs.folder_objects import TRANSIENT, folder_store


@pytest.fixture(autouse=True)
def _memory_creates_exclusively(monkeypatch: pytest.MonkeyPatch) -> None:
    """fsspec's looks and then writes, which is not exclusive among threads."""
    system: Any = import_module("fsspec.implementations.memory").MemoryFileSystem
    lock, pipe = threading.Lock(), system.pipe_file

    def locked(self: object, path: str, value: bytes, **more: Any) -> None:
        with lock:
            pipe(self, path, value, **more)

    monkeypatch.setattr(system, "pipe_file", locked)


class TestObjectStoreInMemoryIsAStore(StoreContract):
    def make_store(self, folder: Path) -> Store:
        return ObjectStore(f"memory:/{folder}")


class TestObjectStoreInAFolderIsAStore(StoreContract):
    def make_store(self, folder: Path) -> Store:
        return folder_store(folder)[0]


class TestPatientObjectStoreIsAStore(StoreContract):
    def make_store(self, folder: Path) -> Store:
        return PatientStore(ObjectStore(f"memory:/{folder}"), sleep=lambda seconds: None)


Act: TypeAlias = Callable[[Store], object]

BEFORE: Mapping[str, bytes] = {"d/x": b"old x", "d/y": b"old y", "best/x": b"x", "best/y": b"y"}
LOG = [b"line %d\n" % n for n in range(15)]

CHANGES: Mapping[str, Act] = {
    "replace": lambda store: store.replace("d/x", b"new x"),
    "replace a log": lambda store: store.replace("log", b"new"),
    "replace a log by its beginning": lambda store: store.replace("log", LOG[0]),
    "replace a settled log": lambda store: store.replace("settled", b"new"),
    "append": lambda store: store.append_batch("log", b"next"),
    "append to a settled log": lambda store: store.append_batch("settled", b"next"),
    "append to a file": lambda store: store.append_batch("d/x", b"next"),
    "append nothing to a new file": lambda store: store.append_batch("new", b""),
    "delete a file": lambda store: store.delete("d/x"),
    "delete a log": lambda store: store.delete("log"),
    "delete a settled log": lambda store: store.delete("settled"),
    "settle": lambda store: store.settle(),
    "settle a log": lambda store: store.settle("log"),
    "copy": lambda store: store.copy("d/x", "d/y"),
    "copy a log": lambda store: store.copy("log", "d/y"),
    "copy to a log": lambda store: store.copy("d/x", "log"),
    "create": lambda store: store.create_exclusive("owner", b"me"),
    "sweep": lambda store: store.sweep(),
}


def filled(folder: Path) -> ObjectStore:
    """Files, a log in pieces, and a settled one that was appended to again."""
    store, _ = folder_store(folder)
    for key, data in BEFORE.items():
        store.replace(key, data)
    for line in LOG:
        store.append_batch("log", line)
        store.append_batch("settled", line)
    store.settle("settled")
    store.append_batch("settled", b"one more")
    return store


def everything(store: Store) -> dict[str, bytes | None]:
    return {key: store.read(key) for key in store.list()}


@pytest.mark.parametrize("act", [pytest.param(act, id=name) for name, act in CHANGES.items()])
def test_who_is_stopped_between_two_requests_has_done_it_or_not(act: Act, tmp_path: Path) -> None:
    """Also what a reader sees meanwhile; and whoever goes on finds nothing in the way."""
    before = everything(filled(tmp_path / "whole"))
    counted, objects = folder_store(tmp_path / "whole")
    act(counted)
    after = everything(counted)
    assert objects.requests or act is CHANGES["sweep"]
    is_done = False
    for k in range(len(objects.requests)):
        filled(tmp_path / str(k))
        stopped, _ = folder_store(tmp_path / str(k), Refusal(k, errno.EACCES, for_ever=True))
        with suppress(StoreError):  # what is only tidied up is no error
            act(stopped)
        found = everything(folder_store(tmp_path / str(k))[0])
        assert found == after or (found == before and not is_done), objects.requests[k]
        is_done = found == after
        again, _ = folder_store(tmp_path / str(k))
        again.sweep()
        assert everything(again) == found
        if found == before:
            act(again)
        assert everything(again) == after


@pytest.mark.parametrize("moment", [Moment.BEFORE, Moment.AFTER])
@pytest.mark.parametrize("act", [pytest.param(act, id=name) for name, act in CHANGES.items()])
def test_a_request_that_was_refused_once_changes_nothing_in_the_end(
    act: Act, moment: Moment, tmp_path: Path, no_pauses: None
) -> None:
    filled(tmp_path / "whole")
    counted, objects = folder_store(tmp_path / "whole")
    answer = act(counted)
    after = everything(counted)
    for k in range(len(objects.requests)):
        filled(tmp_path / str(k))
        store, _ = folder_store(tmp_path / str(k), Refusal(k, TRANSIENT, moment))
        assert act(PatientStore(store, sleep=lambda seconds: None)) == answer
        assert everything(folder_store(tmp_path / str(k))[0]) == after


@pytest.fixture
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("raytao.runs.object_requests.uneven_sleep", lambda seconds: None)


def test_a_settled_run_is_plain_objects(tmp_path: Path) -> None:
    store = filled(tmp_path)
    store.settle()
    there = sorted(
        p.relative_to(tmp_path / "run").as_posix() for p in tmp_path.rglob("*") if p.is_file()
    )
    assert there == store.list() == [*sorted(BEFORE), "log", "settled"]
    assert (tmp_path / "run" / "log").read_bytes() == b"".join(LOG)


def test_a_file_that_is_in_one_piece_is_replaced_by_one_request(tmp_path: Path) -> None:
    store, objects = folder_store(tmp_path)
    for n in range(5):
        store.replace("controller.json", b"%d" % n)
    assert objects.requests == ["overwrite run/controller.json"] * 5


def test_what_a_killed_writer_left_on_a_disk_is_not_listed_and_can_be_swept(
    tmp_path: Path,
) -> None:
    store = ObjectStore(f"memory:/{tmp_path}")
    store.replace("d/x", b"whole")
    left = [temporary(Path("d/y")).as_posix(), temporary(Path("d/z")).as_posix()]
    store.replace(left[0], b"half")
    store.append_batch(left[1], b"half")
    assert store.list() == ["d/x"]
    store.sweep()
    assert [store.read(key) for key in left] == [None, None]


WRITES = ["replace", "append", "append nothing to a new file", "copy", "create"]


@pytest.mark.parametrize("act", [pytest.param(CHANGES[name], id=name) for name in WRITES])
def test_a_run_that_was_removed_is_not_begun_anew(act: Act, tmp_path: Path) -> None:
    opened, objects = folder_store(tmp_path)
    late = ObjectStore("folder://run", must_exist=True, filesystem=lambda: objects)
    with pytest.raises(StoreError, match="the results folder folder://run is gone") as no:
        act(late)
    assert not no.value.may_pass
    assert objects.requests == []
    opened.replace("d/x", b"1")
    act(late)
    assert len(objects.requests) > 1
