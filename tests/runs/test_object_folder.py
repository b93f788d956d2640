"""A folder on object storage is replaced, or says of itself that it is neither old nor new."""

from __future__ import annotations

import errno
from contextlib import suppress
from pathlib import Path

import pytest

from raytao.runs.object_folder import MANIFEST, Manifest, is_torn
from raytao.runs.object_store import ObjectStore
from raytao.runs.patience import PatientStore
from raytao.runs.store import LocalStore, Store, StoreError
from raytao.testing.faults import Moment, Refusal
from tests.runs.folder_objects import TRANSIENT, folder_store

OLD = {"best/a": b"old a", "best/b": b"old b", "best/w/1": b"weights 1"}
NEW = {"best/a": b"new a", "best/c": b"new c", "best/w/1": b"weights one"}


def staged(folder: Path) -> ObjectStore:
    store, _ = folder_store(folder)
    for key, data in {**OLD, "beside": b"stays"}.items():
        store.replace(key, data)
    for key, data in NEW.items():
        store.replace(key.replace("best/", ".staged/"), data)
    return store


def shown(store: Store) -> dict[str, bytes | None]:
    return {key: store.read(key) for key in store.list("best")}


def requests_of_a_replacement(folder: Path) -> list[str]:
    staged(folder)
    store, objects = folder_store(folder)
    store.replace_folder(".staged", "best")
    return objects.requests


def test_whoever_is_killed_leaves_the_old_folder_or_the_new_one_or_one_that_says_it_is_neither(
    tmp_path: Path,
) -> None:
    requests, torn = requests_of_a_replacement(tmp_path / "whole"), 0
    for k in range(len(requests)):
        staged(tmp_path / str(k))
        killed, _ = folder_store(tmp_path / str(k), Refusal(k, errno.EACCES, for_ever=True))
        with suppress(StoreError):  # what is left of the old one is no error
            killed.replace_folder(".staged", "best")
        store, _ = folder_store(tmp_path / str(k))
        if is_torn(store, "best"):
            torn += 1
        else:
            assert shown(store) in (OLD, NEW), requests[k]
        store.sweep()
        assert not is_torn(store, "best")
        assert shown(store) in (OLD, NEW)
        if shown(store) == OLD:
            store.replace_folder(".staged", "best")
        assert shown(store) == NEW
        store.delete(".staged")
        store.sweep()
        assert shown(store) == NEW
        assert store.list() == ["beside", *sorted(NEW)]
    assert torn > len(NEW)


@pytest.mark.parametrize("moment", [Moment.BEFORE, Moment.AFTER])
def test_a_request_that_was_refused_once_is_tried_again(
    moment: Moment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("raytao.runs.object_requests.PAUSES", ())
    for k in range(len(requests_of_a_replacement(tmp_path / "whole"))):
        staged(tmp_path / str(k))
        store, _ = folder_store(tmp_path / str(k), Refusal(k, TRANSIENT, moment))
        patient = PatientStore(store, sleep=lambda seconds: None)
        patient.replace_folder(".staged", "best")
        assert shown(store) == NEW
        assert not is_torn(store, "best")


def test_the_manifest_is_written_last_and_names_the_files(tmp_path: Path) -> None:
    requests = requests_of_a_replacement(tmp_path)
    copies = [n for n, request in enumerate(requests) if request.startswith("copy run/best/")]
    records = [
        n for n, request in enumerate(requests) if request == f"overwrite run/best/{MANIFEST}"
    ]
    assert len(copies) == len(NEW)
    assert records[0] < min(copies) <= max(copies) < records[1]
    found = Manifest.from_bytes(folder_store(tmp_path)[0].read(f"best/{MANIFEST}"))
    assert found is not None
    assert found.files == {"a": 5, "c": 5, "w/1": 11}
    assert found.whole


def test_a_copy_of_a_folder_with_its_manifest_is_left_alone(tmp_path: Path) -> None:
    store = staged(tmp_path)
    store.replace_folder(".staged", "best")
    for name in ("a", "c", "w/1", MANIFEST):
        assert store.copy(f"best/{name}", f"mine/{name}")
    store.sweep()
    assert store.list("mine") == ["mine/a", "mine/c", "mine/w/1"]
    assert shown(store) == NEW


def test_what_is_staged_anew_is_not_mixed_with_what_a_killed_one_has_staged(
    tmp_path: Path,
) -> None:
    staged(tmp_path)
    killed, _ = folder_store(tmp_path, Refusal(3, errno.EACCES, for_ever=True))
    with pytest.raises(StoreError):
        killed.replace_folder(".staged", "best")
    store, _ = folder_store(tmp_path)
    assert is_torn(store, "best")
    store.delete(".staged")
    store.replace(".staged/z", b"newer")
    store.replace_folder(".staged", "best")
    assert shown(store) == {"best/z": b"newer"}
    assert not is_torn(store, "best")


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b"{}", b'{"name": 1, "files": []}'])
def test_somebody_elses_manifest_is_none_of_ours(data: bytes, tmp_path: Path) -> None:
    store = staged(tmp_path)
    store.replace(f"best/{MANIFEST}", data)
    assert not is_torn(store, "best")
    store.sweep()
    assert shown(store) == OLD


def test_a_folder_on_a_disk_is_never_torn(tmp_path: Path) -> None:
    store = LocalStore(tmp_path)
    store.replace("best/a", b"1")
    assert not is_torn(store, "best")
    assert not is_torn(store, "nothing")
