"""Patience with storage: tried again what may pass, nothing done twice, one warning a trouble."""

from __future__ import annotations

import errno
import itertools
import logging
import os
from collections.abc import Callable, Iterator
from io import FileIO
from pathlib import Path
from typing import Any, ClassVar, TypeAlias

import pytest

from raytao.runs.durable import append_whole
from raytao.runs.patience import PAUSES, Patience, PatientStore
from raytao.runs.store import LocalStore, MemoryStore, Store, StoreError
from raytao.testing.faults import FaultyStore, Moment, Refusal
from raytao.testing.store_contract import StoreContract, content

Act: TypeAlias = Callable[[Store], object]

PASSES = Refusal(0, errno.EIO)
FULL = Refusal(0, errno.ENOSPC, for_ever=True)


def slept(waited: list[float]) -> Callable[[float], None]:
    return waited.append


def patient(store: Store) -> PatientStore:
    return PatientStore(store, sleep=lambda seconds: None)


class TestPatientStoreIsAStore(StoreContract):
    def make_store(self, folder: Path) -> Store:
        return patient(LocalStore(folder))


class TestPatientStoreOverMemoryIsAStore(StoreContract):
    def make_store(self, folder: Path) -> Store:
        return patient(self._made.setdefault(folder, MemoryStore()))

    _made: ClassVar[dict[Path, Store]] = {}


BEFORE = {"d/x": b"old x", "log": b"one\n", ".staged/new": b"new"}

CHANGES: dict[str, Act] = {
    "replace": lambda store: store.replace("d/x", b"new x"),
    "append": lambda store: store.append_batch("log", b"two\n"),
    "append at": lambda store: store.append_batch("log", b"two\n", at=4),
    "append to a new file": lambda store: store.append_batch("d/log", b"one\n", at=0),
    "delete a file": lambda store: store.delete("d/x"),
    "delete a folder": lambda store: store.delete("d"),
    "create": lambda store: store.create_exclusive("owner", b"me"),
    "create what is there": lambda store: store.create_exclusive("d/x", b"me"),
    "sweep": lambda store: store.sweep(),
    "put a folder": lambda store: store.replace_folder(".staged", "best"),
    "replace a folder": lambda store: store.replace_folder(".staged", "d"),
}
LOOKS: dict[str, Act] = {
    "read": lambda store: store.read("d/x"),
    "size": lambda store: store.size("log"),
    "list": lambda store: store.list(),
}


def filled(store: Store) -> Store:
    for key, data in BEFORE.items():
        store.replace(key, data)
    return store


REFUSALS = [
    pytest.param(act, moment, id=f"{name}, {moment.value}")
    for name, act in CHANGES.items()
    for moment in Moment
    if (name, moment) != ("replace a folder", Moment.MIDDLE)  # no store refuses what it has done
]


@pytest.mark.parametrize(("act", "moment"), REFUSALS)
def test_what_was_refused_once_is_done_once(act: Act, moment: Moment, tmp_path: Path) -> None:
    undisturbed, store = filled(MemoryStore()), filled(LocalStore(tmp_path))
    expected = act(undisturbed)
    assert act(patient(FaultyStore(store, Refusal(0, errno.EIO, moment)))) == expected
    assert content(store) == content(undisturbed)


@pytest.mark.parametrize("act", [pytest.param(act, id=name) for name, act in LOOKS.items()])
def test_a_look_that_was_refused_is_repeated(act: Act) -> None:
    store = filled(MemoryStore())
    assert act(patient(FaultyStore(store, PASSES))) == act(store)


def test_the_pauses_grow_and_have_an_end() -> None:
    waited: list[float] = []
    store = FaultyStore(MemoryStore(), FULL)
    with pytest.raises(
        StoreError, match=r"No space left on device; tried 4 times in 5\.2 s"
    ) as no:
        PatientStore(store, sleep=slept(waited)).replace("d/x", b"new")
    assert waited == list(PAUSES)
    assert no.value.code == errno.ENOSPC
    assert [operation.name for operation in store.operations] == ["replace"] * 4


@pytest.mark.parametrize("code", [errno.EACCES, errno.ENOENT, errno.EFBIG])
def test_what_will_not_pass_is_told_at_once(code: int) -> None:
    waited: list[float] = []
    store = FaultyStore(MemoryStore(), Refusal(0, code, for_ever=True))
    with pytest.raises(StoreError) as no:
        PatientStore(store, sleep=slept(waited)).append_batch("log", b"one", at=0)
    assert waited == []
    assert "tried" not in str(no.value)


def test_a_trouble_is_told_once_and_the_next_one_again(caplog: pytest.LogCaptureFixture) -> None:
    def warnings() -> int:
        return sum(record.levelno == logging.WARNING for record in caplog.records)

    troubles: Iterator[int | None] = iter([1, 2, None, None, 3, None])
    patience = Patience(sleep=lambda seconds: None)

    def attempt(again: bool) -> None:
        trouble = next(troubles)
        if trouble:
            raise StoreError(f"trouble {trouble}", errno.EIO)

    patience(attempt)
    assert warnings() == 1
    patience(attempt)
    patience(attempt)
    assert warnings() == 2


def test_a_competitor_who_was_faster_has_won_also_after_a_refusal() -> None:
    class Lossy(MemoryStore):
        refused = False

        def create_exclusive(self, key: str, data: bytes) -> bool:
            if not self.refused:
                self.refused = True
                super().create_exclusive(key, b"somebody else")
                raise StoreError("the answer is lost", errno.ETIMEDOUT)
            return super().create_exclusive(key, data)

    assert not patient(Lossy()).create_exclusive("owner", b"me")


def test_a_batch_is_in_its_file_once_though_nothing_could_be_taken_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A failing disk: half a batch is written, then all of it, and it cannot be cut off again."""
    written = iter([7, 100])

    def failing(file: FileIO, data: bytes, *, durable: bool) -> None:
        part = next(written, None)
        if part is None:
            append_whole(file, data, durable=durable)
            return
        file.write(data[:part])
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr("raytao.runs.store.append_whole", failing)
    store = LocalStore(tmp_path)
    patient(store).append_batch("log", b"two halves\n")
    assert store.read("log") == b"two halves\n"


CALLS = ("fsync", "rename", "replace", "link", "unlink", "rmdir", "mkdir", "open", "scandir")


class Flaky:
    """Python's system calls of files, of which one fails, before or after it is done."""

    def __init__(self, patch: pytest.MonkeyPatch, at: int, *, done: bool) -> None:
        self.seen = 0
        self._at = at
        self._done = done
        for name in CALLS:
            patch.setattr(os, name, self._counted(getattr(os, name)))

    def _counted(self, call: Callable[..., Any]) -> Callable[..., Any]:
        def counted(*arguments: Any, **more: Any) -> Any:
            self.seen += 1
            if self.seen != self._at:
                return call(*arguments, **more)
            if self._done:
                left = call(*arguments, **more)
                os.close(left) if isinstance(left, int) else getattr(left, "close", tuple)()
            raise OSError(errno.EIO, "Input/output error", *map(str, arguments[:1]))

        return counted


LEFT_OVER = (".d.old/", ".staged/")
"""Where a folder that was replaced goes, and may stay if it cannot be removed."""


def content_after(store: Store) -> dict[str, bytes | None]:
    return {key: data for key, data in content(store).items() if not key.startswith(LEFT_OVER)}


@pytest.mark.parametrize("act", [pytest.param(act, id=name) for name, act in CHANGES.items()])
@pytest.mark.parametrize("done", [False, True])
@pytest.mark.parametrize("swaps", [False, True])
def test_whichever_system_call_fails_an_operation_is_done_once(
    act: Act, done: bool, swaps: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not swaps:
        monkeypatch.setattr("raytao.runs.store.exchange", lambda first, second: False)
    undisturbed = filled(MemoryStore())
    expected = act(undisturbed)
    for at in itertools.count(1):
        store = filled(LocalStore(tmp_path / str(at)))
        with monkeypatch.context() as patch:
            flaky = Flaky(patch, at, done=done)
            assert act(patient(store)) == expected
        store.sweep()
        assert content_after(store) == content_after(undisturbed)
        if flaky.seen < at:
            break
    assert at > 1
