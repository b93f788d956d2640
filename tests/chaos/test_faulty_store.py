"""The planted faults themselves: each strikes where it says, and leaves what it says."""

from __future__ import annotations

import errno
import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from raytao.runs.store import LocalStore, Store, StoreError
from raytao.testing.faults import (
    Fault,
    FaultyStore,
    Kill,
    KillInside,
    Moment,
    Operation,
    Refusal,
)
from raytao.testing.store_contract import StoreContract

Act = Callable[[Store], object]

CHANGES: dict[str, Act] = {
    "append_batch": lambda store: store.append_batch("log", b"12345678"),
    "replace": lambda store: store.replace("file", b"12345678"),
    "create_exclusive": lambda store: store.create_exclusive("new", b"12345678"),
    "delete": lambda store: store.delete("folder"),
    "replace_folder": lambda store: store.replace_folder("staged", "folder"),
}


class TestAStoreWithoutFaultsIsAStore(StoreContract):
    def make_store(self, folder: Path) -> Store:
        return FaultyStore(LocalStore(folder))


def filled(folder: Path) -> LocalStore:
    store = LocalStore(folder)
    store.replace("log", b"abc")
    store.replace("file", b"abc")
    for name in ("a", "b", "c", "d"):
        store.replace(f"folder/{name}", b"old")
    store.replace("staged/e", b"new")
    return store


def contents(folder: Path) -> dict[str, bytes]:
    """All that lies in a folder; a temporary file as ``tmp``."""
    return {
        "tmp" if path.suffix == ".tmp" else path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def in_a_child(act: Callable[[], object]) -> int:
    """Act in a forked child; return how it ended."""
    child = os.fork()
    if child == 0:
        try:
            act()
        finally:
            os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


@pytest.mark.parametrize("name", CHANGES)
def test_a_kill_before_or_after_leaves_all_or_nothing(name: str, tmp_path: Path) -> None:
    act = CHANGES[name]
    for moment in (Moment.BEFORE, Moment.AFTER):
        store = filled(tmp_path / moment.value)
        ended = in_a_child(lambda: act(FaultyStore(store, Kill(0, moment))))  # noqa: B023 - called at once
        assert ended == -signal.SIGKILL
    whole = filled(tmp_path / "whole")
    assert contents(tmp_path / "before") == contents(tmp_path / "whole")
    act(whole)
    assert contents(tmp_path / "after") == contents(tmp_path / "whole")


@pytest.mark.parametrize(
    ("name", "left", "gone"),
    [
        ("append_batch", {"log": b"abc1234"}, set()),
        ("replace", {"tmp": b"1234"}, set()),
        ("create_exclusive", {"tmp": b"1234"}, set()),
        ("delete", {}, {"folder/a", "folder/c"}),
        (
            "replace_folder",
            {"folder/e": b"new", "staged/a": b"old", "staged/c": b"old"},
            {"folder/a", "folder/b", "folder/c", "folder/d", "staged/e"},
        ),
    ],
)
def test_a_kill_in_the_middle_leaves_half(
    name: str, left: dict[str, bytes], gone: set[str], tmp_path: Path
) -> None:
    before = contents(filled(tmp_path / "run").root)
    store = FaultyStore(LocalStore(tmp_path / "run"), Kill(0, Moment.MIDDLE))
    assert in_a_child(lambda: CHANGES[name](store)) == -signal.SIGKILL
    kept = {key: data for key, data in before.items() if key not in gone}
    assert contents(tmp_path / "run") == kept | left


def test_a_fault_strikes_the_operation_that_was_asked_for(tmp_path: Path) -> None:
    store = FaultyStore(LocalStore(tmp_path), Refusal(2, errno.ENOSPC))
    store.replace("a", b"1")
    store.read("a")
    with pytest.raises(StoreError, match=r"replace b: No space left on device") as refused:
        store.replace("b", b"2")
    assert isinstance(refused.value.__cause__, OSError)
    assert refused.value.code == refused.value.__cause__.errno == errno.ENOSPC
    store.replace("c", b"3")
    assert contents(tmp_path) == {"a": b"1", "c": b"3"}
    names = [(operation.name, operation.key) for operation in store.operations]
    assert names == [("replace", "a"), ("read", "a"), ("replace", "b"), ("replace", "c")]
    assert [operation.changes for operation in store.operations] == [True, False, True, True]


def test_an_error_for_ever_refuses_everything_from_there_on(tmp_path: Path) -> None:
    store = FaultyStore(LocalStore(tmp_path), Refusal(1, errno.EIO, for_ever=True))
    store.replace("a", b"1")
    for act in (store.read, store.list, store.delete):
        with pytest.raises(StoreError, match="Input/output error"):
            act("a")
    assert contents(tmp_path) == {"a": b"1"}


@pytest.mark.parametrize("for_ever", [True, False])
def test_a_full_disk_still_reads_and_deletes_and_waits_for_a_write(
    for_ever: bool, tmp_path: Path
) -> None:
    fault: Fault = Refusal(0, errno.ENOSPC, Moment.AFTER, for_ever=for_ever)
    store = FaultyStore(filled(tmp_path), fault)
    assert store.read("file") == b"abc"
    store.delete("folder")
    with pytest.raises(StoreError):
        store.append_batch("log", b"d")
    assert store.read("log") == b"abcd"  # refused, and yet done
    assert store.operations[-1] == Operation("read", "log")


def test_a_kill_inside_strikes_between_the_steps_of_the_real_operation(tmp_path: Path) -> None:
    def replace(folder: Path, fault: Fault | None) -> FaultyStore:
        LocalStore(folder).replace("file", b"old")
        store = FaultyStore(LocalStore(folder), fault, count_calls=fault is None)
        store.replace("file", b"new")
        return store

    (operation,) = replace(tmp_path / "whole", None).operations
    assert operation.calls > 3
    left = []
    for call in range(operation.calls):
        folder = tmp_path / str(call)
        fault = KillInside(0, call)
        assert in_a_child(lambda: replace(folder, fault)) == -signal.SIGKILL  # noqa: B023 - at once
        left.append(contents(folder))
    assert left[0] == {"file": b"old"}
    assert {"file": b"old", "tmp": b""} in left
    assert {"file": b"old", "tmp": b"new"} in left
    assert left[-1] == {"file": b"new"}
    assert all(state["file"] in (b"old", b"new") for state in left)


def test_a_kill_inside_finds_the_middle_of_folders_and_appends(tmp_path: Path) -> None:
    found: dict[str, list[dict[str, bytes]]] = {}
    for name, act in CHANGES.items():
        counting = FaultyStore(filled(tmp_path / name / "whole"), count_calls=True)
        act(counting)
        for call in range(counting.operations[0].calls):
            run = filled(tmp_path / name / str(call))
            store = FaultyStore(run, KillInside(0, call))
            assert in_a_child(lambda: act(store)) == -signal.SIGKILL  # noqa: B023 - at once
            found.setdefault(name, []).append(contents(run.root))
    assert any(state.get("log") == b"abc" for state in found["append_batch"])
    assert any(0 < _old(state, "folder/") < 4 for state in found["delete"])
    swapped = [state for state in found["replace_folder"] if state.get("folder/e") == b"new"]
    assert any(0 < _old(state, "staged/") < 4 for state in swapped)


def _old(state: dict[str, bytes], folder: str) -> int:
    return sum(key.startswith(folder) and data == b"old" for key, data in state.items())
