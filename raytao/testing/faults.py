"""Plant a fault at the k-th operation of a store: a kill, or an error of the operating system.

Everything a run keeps goes through a store, so a run that survives a fault at every k survives
whatever can happen to it between, before, in and after its file operations. A `Kill` ends the
process by SIGKILL, so it is for a child::

    def child(fault: Fault | None) -> None:
        run_in_folder(setup, FaultyStore(LocalStore(folder), fault))

    counted = FaultyStore(LocalStore(elsewhere))
    run_in_folder(setup, counted)
    for k in range(len(counted.operations)):
        ...  # fork a child with Kill(k), then one with None; look at what is in the folder

`FaultyStore` knows what an interrupted operation of `LocalStore` leaves behind. To break another
store, or to doubt that knowledge, let `KillInside` end the child within the real operation,
between two calls of the operating system.
"""

from __future__ import annotations

import errno
import io
import os
import signal
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from types import FrameType
from typing import Final, NoReturn, TypeAlias, TypeVar

from raytao.runs.durable import temporary
from raytao.runs.store import Store, StoreError

READS: Final = frozenset({"read", "size", "list"})
"""Operations that change nothing."""

HARMLESS: Final = {
    errno.ENOSPC: READS | {"delete", "sweep"},
    errno.EDQUOT: READS | {"delete", "sweep"},
    errno.EROFS: READS,
}
"""Operations that a full or a read-only storage still does; other errors strike all of them."""

SYSTEM_CALLS: Final = frozenset(
    {"open", "write", "truncate", "ftruncate", "mkdir", "rmdir", "unlink", "remove"}
    | {"rename", "replace", "link", "symlink"}
)
"""Functions of Python's ``os`` and ``io`` between which a `KillInside` can strike."""

FILE_CALLS: Final = frozenset({"write", "flush", "truncate"})
"""Methods of files, likewise; what is written to a buffer changes the disk when it is flushed."""

Answer = TypeVar("Answer")


class Moment(Enum):
    """When a fault strikes, seen from the operation's effect."""

    BEFORE = "before"
    MIDDLE = "middle"
    """Half of a batch appended; a temporary file, half written; half of a folder deleted; a folder
    replaced, and half of the old one left over."""
    AFTER = "after"


@dataclass
class Operation:
    """One call of a store: the method's name and the (first) key.

    ``calls`` counts the calls of the operating system in it, if the store was asked to.
    """

    name: str
    key: str
    calls: int = 0

    @property
    def changes(self) -> bool:
        """Whether it may change a file."""
        return self.name not in READS

    def count(self) -> None:
        """One more call."""
        self.calls += 1


@dataclass(frozen=True)
class Kill:
    """SIGKILL to this process at operation ``at``, counted from 0."""

    at: int
    moment: Moment = Moment.BEFORE


@dataclass(frozen=True)
class KillInside:
    """SIGKILL to this process within operation ``at``, just before its call number ``call``.

    Calls are counted from 0; how many there are says `Operation.calls` of a run that counted.
    """

    at: int
    call: int


@dataclass(frozen=True)
class Refusal:
    """A StoreError, as storage causes it.

    Args:
        at: the first operation that may be refused, counted from 0.
        code: the error's number, such as ``errno.ENOSPC``.
        moment: AFTER and MIDDLE are what a network disk does: refused, and yet done or half done.
        for_ever: every operation from there on is refused, not only the next.
    """

    at: int
    code: int = errno.EIO
    moment: Moment = Moment.BEFORE
    for_ever: bool = False


Fault: TypeAlias = Kill | KillInside | Refusal


class FaultyStore(Store):
    """Another store, its operations counted, with a fault planted at one of them.

    Args:
        store: does the work.
        fault: what happens and when; None only counts.
        count_calls: count the calls of the operating system in each operation, too.
    """

    def __init__(
        self, store: Store, fault: Fault | None = None, *, count_calls: bool = False
    ) -> None:
        self.operations: list[Operation] = []
        self._count_calls = count_calls
        self._store = store
        self._fault = fault
        self._struck = False
        self._turn = threading.RLock()

    def read(self, key: str) -> bytes | None:
        """See Store."""
        return self._do("read", key, lambda: self._store.read(key))

    def size(self, key: str) -> int | None:
        """See Store."""
        return self._do("size", key, lambda: self._store.size(key))

    def replace(self, key: str, data: bytes) -> None:
        """See Store."""
        self._do(
            "replace",
            key,
            lambda: self._store.replace(key, data),
            lambda: self._leave_draft(key, data),
        )

    def append_batch(
        self, key: str, data: bytes, *, durable: bool = True, at: int | None = None
    ) -> None:
        """See Store."""
        half = data[: len(data) // 2]
        self._do(
            "append_batch",
            key,
            lambda: self._store.append_batch(key, data, durable=durable, at=at),
            lambda: self._store.append_batch(key, half, durable=False, at=at),
        )

    def list(self, prefix: str = "") -> list[str]:
        """See Store."""
        return self._do("list", prefix, lambda: self._store.list(prefix))

    def delete(self, key: str) -> None:
        """See Store."""
        self._do("delete", key, lambda: self._store.delete(key), lambda: self._delete_half_of(key))

    def create_exclusive(self, key: str, data: bytes) -> bool:
        """See Store."""
        return self._do(
            "create_exclusive",
            key,
            lambda: self._store.create_exclusive(key, data),
            lambda: self._leave_draft(key, data),
        )

    def sweep(self, prefix: str = "") -> None:
        """See Store."""
        self._do("sweep", prefix, lambda: self._store.sweep(prefix))

    def replace_folder(self, staged: str, target: str) -> None:
        """See Store."""
        self._do(
            "replace_folder",
            staged,
            lambda: self._store.replace_folder(staged, target),
            lambda: self._swap_but_leave_half(staged, target),
        )

    def copy(self, source: str, target: str) -> bool:
        """See Store."""
        return self._do("copy", target, lambda: self._store.copy(source, target))

    def settle(self, key: str = "") -> None:
        """See Store."""
        self._do("settle", key, lambda: self._store.settle(key))

    def _do(
        self,
        name: str,
        key: str,
        whole: Callable[[], Answer],
        part: Callable[[], None] = lambda: None,
    ) -> Answer:
        with self._turn:
            number, operation = len(self.operations), Operation(name, key)
            self.operations.append(operation)
            fault = self._fault
            if self._count_calls:
                return _watched(whole, None, operation.count)
            if fault is None or not self._strikes(fault, number, operation):
                return whole()
            self._struck = True
            if isinstance(fault, KillInside):
                return _watched(whole, fault.call, operation.count)
            match fault.moment:
                case Moment.MIDDLE:
                    part()
                case Moment.AFTER:
                    whole()
                case Moment.BEFORE:
                    pass
            if isinstance(fault, Kill):
                _die()
            raise _refused(operation, fault.code)

    def _strikes(self, fault: Fault, number: int, operation: Operation) -> bool:
        if isinstance(fault, Kill | KillInside):
            return number == fault.at
        due = number >= fault.at and (fault.for_ever or not self._struck)
        return due and operation.name not in HARMLESS.get(fault.code, ())

    def _leave_draft(self, key: str, data: bytes) -> None:
        """A temporary file beside ``key``, half written."""
        draft = temporary(Path(key)).as_posix()
        self._store.append_batch(draft, data[: len(data) // 2], durable=False)

    def _delete_half_of(self, folder: str) -> None:
        """Every other file; a single file goes in one step, so it stays."""
        for key in self._store.list(folder)[::2]:
            self._store.delete(key)

    def _swap_but_leave_half(self, staged: str, target: str) -> None:
        """The new folder is in place; what was there before is not wholly deleted."""
        old = {key: self._store.read(key) for key in self._store.list(target)[::2]}
        self._store.replace_folder(staged, target)
        for key, data in old.items():
            self._store.replace(f"{staged}{key.removeprefix(target)}", data or b"")


def _die() -> NoReturn:
    os.kill(os.getpid(), signal.SIGKILL)
    while True:  # other threads may run on until the signal has come
        signal.pause()


def _refused(operation: Operation, code: int) -> StoreError:
    error = OSError(code, os.strerror(code), operation.key)
    told = StoreError(f"cannot {operation.name} {operation.key}: {error.strerror}", code)
    told.__cause__ = error
    return told


def _watched(act: Callable[[], Answer], die_at: int | None, called: Callable[[], None]) -> Answer:
    """Act; count the calls of the operating system that change the disk, or die before one."""
    seen = 0

    def hook(frame: FrameType, event: str, function: object) -> None:
        nonlocal seen
        del frame
        if event == "c_call" and _changes_the_disk(function):
            if seen == die_at:
                _die()
            seen += 1
            called()

    before = sys.getprofile()
    sys.setprofile(hook)
    try:
        return act()
    finally:
        sys.setprofile(before)


def _changes_the_disk(function: object) -> bool:
    """Whether a built-in function, or a method of a file, does; opening to read counts as well."""
    name, owner = getattr(function, "__name__", ""), getattr(function, "__self__", None)
    if isinstance(owner, io.IOBase):
        return name in FILE_CALLS and not (
            name == "write" and isinstance(owner, io.BufferedIOBase)
        )
    return name in SYSTEM_CALLS and getattr(owner, "__name__", "") in ("posix", "_io", "io")
