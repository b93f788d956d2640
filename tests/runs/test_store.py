"""Stores: one contract for both, and what only files on a disk can break."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, ClassVar

import pytest

from raytao.runs.durable import temporary
from raytao.runs.store import LocalStore, MemoryStore, Store, StoreError
from raytao.testing.store_contract import StoreContract

PROCESSES = 4

CREATE = """
import sys, time
from pathlib import Path
from raytao.runs.store import LocalStore
store, who, start = LocalStore(Path(sys.argv[1])), sys.argv[2], Path(sys.argv[3])
print("ready", flush=True)
while not start.exists():
    time.sleep(0.001)
print(sum(store.create_exclusive(f"lock_{n}", who.encode() * 500) << n for n in range(20)))
"""


def everything(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*"))


class TestLocalStoreIsAStore(StoreContract):
    def make_store(self, folder: Path) -> Store:
        return LocalStore(folder)


class TestMemoryStoreIsAStore(StoreContract):
    def make_store(self, folder: Path) -> Store:
        return self._made.setdefault(folder, MemoryStore())

    _made: ClassVar[dict[Path, Store]] = {}


class TestLocalStoreWithoutAnExchangeIsAStore(StoreContract):
    """Where kernel or file system cannot swap two folders, they are renamed one by one."""

    def make_store(self, folder: Path) -> Store:
        return LocalStore(folder)

    @pytest.fixture(autouse=True)
    def _no_exchange(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("raytao.runs.store.exchange", lambda first, second: False)


class TestLocalStoreWithoutHardLinksIsAStore(StoreContract):
    """Some network disks have none."""

    def make_store(self, folder: Path) -> Store:
        return LocalStore(folder)

    @pytest.fixture(autouse=True)
    def _no_links(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def refuse(self: Path, target: Path) -> None:
            raise PermissionError(errno.EPERM, "Operation not permitted")

        monkeypatch.setattr(Path, "hardlink_to", refuse)


def test_one_of_many_processes_creates_exclusively(tmp_path: Path) -> None:
    root, start = tmp_path / "store", tmp_path / "start"
    crowd = [
        subprocess.Popen(
            [sys.executable, "-c", CREATE, str(root), str(who), str(start)],
            stdout=subprocess.PIPE,
            text=True,
        )
        for who in range(PROCESSES)
    ]
    for process in crowd:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    start.touch()
    won = [int(process.communicate(timeout=8)[0]) for process in crowd]
    for n in range(20):
        winners = [who for who, bits in enumerate(won) if bits >> n & 1]
        assert len(winners) == 1
        assert LocalStore(root).read(f"lock_{n}") == b"%d" % winners[0] * 500
    assert everything(root) == sorted(f"lock_{n}" for n in range(20))


def test_nothing_but_the_file_is_left_behind(tmp_path: Path) -> None:
    store = LocalStore(tmp_path)
    store.replace("d/x", b"1")
    store.replace("d/x", b"2")
    store.create_exclusive("d/y", b"1")
    store.create_exclusive("d/y", b"2")
    store.append_batch("d/z", b"1")
    assert everything(tmp_path) == ["d", "d/x", "d/y", "d/z"]


def test_what_a_killed_writer_left_is_not_listed_and_can_be_swept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Killed(BaseException):
        pass

    def kill(*paths: object, **more: object) -> None:
        raise Killed

    store = LocalStore(tmp_path)
    store.replace("d/x", b"old")
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", kill)
        with pytest.raises(Killed):
            store.replace("d/x", b"new")
    assert len(everything(tmp_path)) > 2
    assert store.list() == store.list("d") == ["d/x"]
    assert store.read("d/x") == b"old"
    store.sweep("elsewhere")
    assert len(everything(tmp_path)) > 2
    store.sweep("d")
    assert everything(tmp_path) == ["d", "d/x"]


@pytest.mark.parametrize(
    "name",
    [
        "mine.tmp",
        ".tmp",
        ".mine.tmp",
        f".{32 * 'a'}.tmp",
        f"x.{32 * 'a'}.tmp",
        f".x.{32 * 'g'}.tmp",
    ],
)
def test_what_others_call_temporary_is_listed_and_not_swept(tmp_path: Path, name: str) -> None:
    (tmp_path / name).touch()
    LocalStore(tmp_path).sweep()
    assert LocalStore(tmp_path).list() == everything(tmp_path) == [name]


@pytest.mark.parametrize("name", ["x", ".x", "x.tmp", "two\nlines", "model_epoch_001.pth"])
def test_a_temporary_name_is_known_whatever_it_stands_for(tmp_path: Path, name: str) -> None:
    temporary(tmp_path / name).touch()
    assert LocalStore(tmp_path).list() == []
    LocalStore(tmp_path).sweep()
    assert everything(tmp_path) == []


def test_a_sweep_stays_in_the_run_folder(tmp_path: Path) -> None:
    precious = temporary(tmp_path / "precious")
    precious.touch()
    with pytest.raises(StoreError, match="leaves the run folder"):
        LocalStore(tmp_path / "store").sweep("..")
    assert precious.exists()


def test_a_full_disk_leaves_the_old_file_and_no_litter(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    store = LocalStore(tmp_path)
    store.replace("d/x", b"old")
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(StoreError, match=r"cannot write .*d/x: No space left on device"):
            store.replace("d/x", b"new")
        with pytest.raises(StoreError, match=r"cannot create .*d/y: No space left"):
            store.create_exclusive("d/y", b"new")
        with pytest.raises(StoreError, match=r"cannot append to .*d/z: No space left"):
            store.append_batch("d/z", b"new")
    assert store.read("d/x") == b"old"
    assert store.read("d/y") is None
    assert set(everything(tmp_path)) <= {"d", "d/x", "d/z"}


def test_what_must_survive_a_power_cut_is_synced_before_the_call_returns(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, synced = LocalStore(tmp_path), list[str]()
    real = os.fsync

    def fsync(descriptor: int) -> None:
        synced.append(str(Path(f"/proc/self/fd/{descriptor}").readlink()))
        real(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    store.append_batch("events.jsonl", b"1", durable=False)
    assert synced == []
    store.append_batch("events.jsonl", b"2")
    assert synced == [str(tmp_path / "events.jsonl")]
    synced.clear()
    store.replace("x", b"1")
    assert Path(synced[0]).parent == tmp_path
    assert synced[1:] == [str(tmp_path)]


def test_a_kill_while_the_old_folder_goes_leaves_the_new_one_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def kill(*paths: object, **more: object) -> None:
        raise KeyboardInterrupt

    store = LocalStore(tmp_path)
    store.replace("best/old", b"1")
    store.replace(".staged/new", b"2")
    with monkeypatch.context() as patch:
        patch.setattr("shutil.rmtree", kill)
        with pytest.raises(KeyboardInterrupt):
            store.replace_folder(".staged", "best")
    assert store.list("best") == ["best/new"]


def test_a_folder_where_a_file_should_be_is_refused_in_a_sentence(tmp_path: Path) -> None:
    store = LocalStore(tmp_path)
    store.replace("d/x", b"1")
    with pytest.raises(StoreError, match="cannot write"):
        store.replace("d", b"1")
    with pytest.raises(StoreError, match="cannot read"):
        store.read("d")
    assert everything(tmp_path) == ["d", "d/x"]


def test_a_deleted_link_leaves_what_it_points_to(tmp_path: Path) -> None:
    elsewhere, store = tmp_path / "elsewhere", LocalStore(tmp_path / "store")
    LocalStore(elsewhere).replace("data", b"precious")
    store.replace("x", b"1")
    (store.root / "link").symlink_to(elsewhere, target_is_directory=True)
    store.delete("link")
    assert everything(elsewhere) == ["data"]
    assert store.list() == ["x"]


def test_a_store_writes_nothing_before_it_is_asked_to(tmp_path: Path) -> None:
    store = LocalStore(tmp_path / "new")
    store.list()
    store.read("x")
    store.delete("x")
    assert not store.root.exists()


@pytest.mark.parametrize("place", ["link", "d/link", "link/x"])
def test_a_link_in_the_folder_leads_nowhere(place: str, tmp_path: Path) -> None:
    elsewhere, store = tmp_path / "elsewhere", LocalStore(tmp_path / "store")
    LocalStore(elsewhere).replace("x", b"precious")
    store.replace("d/x", b"1")
    link = store.root / place.removesuffix("/x")
    link.symlink_to(elsewhere, target_is_directory=True)
    for attempt in (
        lambda: store.read(place),
        lambda: store.size(place),
        lambda: store.replace(place, b"2"),
        lambda: store.append_batch(place, b"2"),
        lambda: store.append_batch(place, b"2", at=0),
        lambda: store.create_exclusive(place, b"2"),
        lambda: store.replace_folder("d", place),
        lambda: store.replace_folder(place, "e"),
    ):
        with pytest.raises(StoreError, match="is a link"):
            attempt()
    assert LocalStore(elsewhere).read("x") == b"precious"
    assert everything(elsewhere) == ["x"]


def test_a_folder_that_vanished_is_not_made_anew(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    store = LocalStore(tmp_path / "run", must_exist=True)
    store.append_batch("log", b"one\n", at=0)
    (tmp_path / "run").rename(tmp_path / "moved")
    for attempt in (
        lambda: store.replace("x", b"1"),
        lambda: store.append_batch("log", b"two\n", at=4),
        lambda: store.append_batch("log", b"one\n"),
        lambda: store.append_batch("other", b"one\n", at=0),
        lambda: store.create_exclusive("owner", b"1"),
        lambda: LocalStore(tmp_path / "run", must_exist=True).replace("x", b"1"),
    ):
        with pytest.raises(StoreError) as gone:
            attempt()
        assert gone.value.code == errno.ENOENT
    store.delete("log")
    store.sweep()
    assert store.list() == []
    assert [path.name for path in tmp_path.iterdir()] == ["moved"]
    assert (tmp_path / "moved" / "log").read_bytes() == b"one\n"


def test_a_full_disk_is_told_with_what_is_needed_and_what_is_free(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    store = LocalStore(tmp_path)
    found = os.statvfs(tmp_path)
    told = rf"\(12345 bytes needed, \d{{{len(str(found.f_bavail * found.f_frsize))}}} free\)"
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(StoreError, match=told) as no:
            store.replace("d/x", b"w" * 12345)
    assert no.value.code == errno.ENOSPC
    assert no.value.may_pass


def test_a_disk_that_fails_does_not_look_empty(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = LocalStore(tmp_path)
    store.replace("weights/best", b"1")
    real = os.scandir

    def failing(place: str) -> Any:
        if str(place).endswith("weights"):
            raise OSError(errno.EIO, "Input/output error", str(place))
        return real(place)

    monkeypatch.setattr(os, "scandir", failing)
    with pytest.raises(StoreError, match=r"cannot list .*weights: Input/output error"):
        store.list()


def test_a_sweep_that_is_refused_is_told_in_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def read_only(path: object, **more: object) -> None:
        raise OSError(errno.EROFS, "Read-only file system")

    temporary(tmp_path / "x").touch()
    monkeypatch.setattr(os, "unlink", read_only)
    with pytest.raises(StoreError, match=r"cannot delete .*Read-only"):
        LocalStore(tmp_path).sweep()


def test_a_folder_that_took_its_place_is_no_error_whatever_becomes_of_the_old_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else a second try would put the old one back, or what is left of it."""

    def failing(*paths: object, **more: object) -> None:
        raise OSError(errno.EIO, "Input/output error")

    store = LocalStore(tmp_path)
    store.replace("best/old", b"1")
    store.replace(".staged/new", b"2")
    with monkeypatch.context() as patch:
        patch.setattr("shutil.rmtree", failing)
        store.replace_folder(".staged", "best")
    assert store.list("best") == ["best/new"]


def test_a_new_file_s_name_is_synced_also_at_a_second_try(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, synced = LocalStore(tmp_path), list[str]()
    (tmp_path / "log").touch()  # the first try came as far
    real = os.fsync

    def fsync(descriptor: int) -> None:
        synced.append(str(Path(f"/proc/self/fd/{descriptor}").readlink()))
        real(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    store.append_batch("log", b"one", at=0)
    assert synced == [str(tmp_path / "log"), str(tmp_path)]
