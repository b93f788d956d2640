"""Where a run's files live: a few operations and their guarantees.

Every byte that raytao writes goes through a store, so that a fault can be planted at the k-th
operation and another kind of storage is one more class. Keys are relative POSIX paths such as
``experiment_3/status.json``.
"""

from __future__ import annotations

import errno
import os
import shutil
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path, PurePosixPath
from threading import Lock

from raytao.runs.durable import (
    append_whole,
    exchange,
    foreign,
    forget,
    free_bytes,
    is_temporary,
    link,
    sync_folder,
    temporary,
    write_durably,
)
from raytao.runs.store_error import StoreError as StoreError
from raytao.runs.store_error import check_rest


class Store(ABC):
    """One run's files.

    A reader sees the old file or the new one, never a part (``replace``); an appended batch is
    durable when the call returns; ``create_exclusive`` succeeds for one caller only.

    Attributes:
        pauses: seconds between tries of what it refuses and may do in a moment.
        collect_seconds: how long those who append a little, often, do well to collect it.
    """

    pauses: Sequence[float] = (0.2, 1.0, 4.0)
    collect_seconds: float = 0.0

    @abstractmethod
    def read(self, key: str) -> bytes | None:
        """Return the file's bytes, or None if there is none."""

    @abstractmethod
    def size(self, key: str) -> int | None:
        """Return the file's size in bytes, or None if there is none."""

    @abstractmethod
    def replace(self, key: str, data: bytes) -> None:
        """Make ``data`` the whole content of ``key``, in one step, durably."""

    @abstractmethod
    def append_batch(
        self, key: str, data: bytes, *, durable: bool = True, at: int | None = None
    ) -> None:
        """Add all of ``data`` at the end of ``key``, or nothing; see ``Store``.

        Args:
            key: the file.
            data: what is added.
            durable: it survives a power cut.
            at: the size that the file must have. A part of ``data`` that an attempt before this
                one left there is replaced, so that a batch can be tried again.

        Raises:
            StoreError: if storage refuses; if the file is shorter than ``at`` (somebody removed
                it) or somebody else has written to it.
        """

    @abstractmethod
    def list(self, prefix: str = "") -> list[str]:
        """Return the keys below the folder ``prefix``, sorted."""

    @abstractmethod
    def delete(self, key: str) -> None:
        """Remove a file, or a folder with all below it; absent is fine."""

    @abstractmethod
    def create_exclusive(self, key: str, data: bytes) -> bool:
        """Create ``key`` if nobody has; return whether this call did."""

    @abstractmethod
    def sweep(self, prefix: str = "") -> None:
        """Remove what interrupted writes left below ``prefix``; nobody may be writing there."""

    @abstractmethod
    def replace_folder(self, staged: str, target: str) -> None:
        """Make the folder ``staged`` appear as ``target`` as a whole; the old one goes.

        Raises:
            StoreError: if it does not appear. What is left of the old one is no error.
        """

    def copy(self, source: str, target: str) -> bool:
        """Make ``target`` a copy of the file ``source``; return whether there is one."""
        data = self.read(source)
        if data is not None:
            self.replace(target, data)
        return data is not None

    def settle(self, key: str = "") -> None:
        """Make one plain file of ``key``, or of each below it, that was appended to in pieces.

        Nothing is read differently afterwards; it is for those who look without raytao. Others
        may append meanwhile.
        """
        _folder(key)


def checked(key: str) -> str:
    """Return ``key`` if it names something below the store's root.

    >>> checked("experiment_0/log.txt")
    'experiment_0/log.txt'
    """
    path = PurePosixPath(key)
    if path.is_absolute() or ".." in path.parts or "\0" in key:
        raise StoreError(f"key {key!r} leaves the run folder")
    if not path.parts:
        raise StoreError(f"key {key!r} is the run folder itself, not a file or folder in it")
    return key


def _folder(prefix: str) -> str:
    """The same for a folder; an empty prefix is the root."""
    return checked(prefix) if prefix else ""


class LocalStore(Store):
    """A folder on a local or shared file system.

    Args:
        root: the folder; made at the first write.
        must_exist: refuse to make it: whoever opened the run has, and it must not be made anew
            where it was unmounted or removed.
    """

    def __init__(self, root: Path, *, must_exist: bool = False) -> None:
        self.root = root
        self._must_exist = must_exist

    def path(self, key: str) -> Path:
        """The file behind a key; it lies below the root, also if somebody has put links there.

        Raises:
            StoreError: if the key, or a link on its way, leaves the root.
        """
        return self._below_root(key, PurePosixPath(checked(key)).parts)

    def _below_root(self, key: str, own: tuple[str, ...]) -> Path:
        """The file behind ``key``, whose parts ``own`` are no links."""
        path = self.root
        for part in own:
            path = path / part
            try:
                if what := foreign(path):
                    raise StoreError(f"{path} is {what}: raytao writes to files of its own only")
            except OSError as error:
                raise _refused("reach", path, error) from error
        return self.root / key

    def read(self, key: str) -> bytes | None:
        """See Store."""
        try:
            return self.path(key).read_bytes()
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise _refused("read", self.path(key), error) from error

    def size(self, key: str) -> int | None:
        """See Store."""
        path = self.path(key)
        try:
            return None if path.is_dir() else path.stat().st_size
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise _refused("read", path, error) from error

    def replace(self, key: str, data: bytes) -> None:
        """See Store; a temporary file beside the target, fsync, rename, fsync of the folder."""
        path = self.path(key)
        draft = temporary(path)
        try:
            self._make_room(path)
            write_durably(draft, data)
            draft.replace(path)
            sync_folder(path.parent)
        except OSError as error:
            forget(draft)
            raise _refused("write", path, error, len(data)) from error

    def append_batch(
        self, key: str, data: bytes, *, durable: bool = True, at: int | None = None
    ) -> None:
        """See Store."""
        path = self.path(key)
        try:
            new = at == 0 or not path.exists()
            if at is not None:
                _check_size(path, data, at)
            if not at:
                self._make_room(path)
            with path.open("ab", buffering=0) as file:
                if at is not None:
                    file.truncate(at)
                append_whole(file, data, durable=durable)
            if new and durable:
                sync_folder(path.parent)
        except OSError as error:
            raise _refused("append to", path, error, len(data)) from error

    def _make_room(self, path: Path) -> None:
        """Make the folder that ``path`` lies in."""
        if self._must_exist and not self.root.is_dir():
            raise StoreError(f"the results folder {self.root} is gone", errno.ENOENT)
        path.parent.mkdir(parents=True, exist_ok=True)
        self._must_exist = True

    def list(self, prefix: str = "") -> list[str]:
        """See Store; temporary files of unfinished writes are not listed."""
        top = self.root / _folder(prefix)
        found = (
            (Path(folder) / name).relative_to(self.root).as_posix()
            for folder, _, names in os.walk(top, onerror=_unless_gone)
            for name in names
            if not is_temporary(name)
        )
        return sorted(found)

    def delete(self, key: str) -> None:
        """See Store; a link goes, and what it points to stays."""
        path = self._below_root(key, PurePosixPath(checked(key)).parts[:-1])
        try:
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)
        except FileNotFoundError:
            return
        except OSError as error:
            raise _refused("delete", path, error) from error

    def create_exclusive(self, key: str, data: bytes) -> bool:
        """See Store; a hard link of a complete file is the one step that can win."""
        path = self.path(key)
        draft = temporary(path)
        try:
            self._make_room(path)
            write_durably(draft, data)
            if not link(draft, path):
                return False
            sync_folder(path.parent)
            return True
        except OSError as error:
            raise _refused("create", path, error, len(data)) from error
        finally:
            forget(draft)

    def sweep(self, prefix: str = "") -> None:
        """See Store."""
        for folder, _, names in os.walk(self.root / _folder(prefix)):
            for name in names:
                if is_temporary(name):
                    self.delete((Path(folder) / name).relative_to(self.root).as_posix())

    def replace_folder(self, staged: str, target: str) -> None:
        """See Store; Linux swaps two folders in one system call, elsewhere two renames."""
        new, old = self.path(staged), self.path(target)
        if not new.is_dir():
            raise StoreError(f"no folder {new} to put in the place of {old}")
        doomed = old.with_name(f".{old.name}.old")
        try:
            if old.exists() and exchange(new, old):
                doomed = new
            else:
                if old.exists():
                    shutil.rmtree(doomed, ignore_errors=True)
                    old.rename(doomed)
                new.rename(old)
        except OSError as error:
            raise _refused("replace", old, error) from error
        with suppress(OSError):  # an error from here on would have the caller swap them back
            sync_folder(old.parent)
            shutil.rmtree(doomed)


class MemoryStore(Store):
    """A store in memory: for tests, the simulator and plans; ``files`` are there already."""

    def __init__(self, files: Mapping[str, bytes] | None = None) -> None:
        self._files = dict(files or {})
        self._growing: dict[str, bytearray] = {}  # else each append would copy the whole file
        self._turn = Lock()

    @property
    def files(self) -> dict[str, bytes]:
        """What is there, by key."""
        with self._turn:
            self._files.update((key, bytes(data)) for key, data in self._growing.items())
            self._growing.clear()
        return self._files

    def read(self, key: str) -> bytes | None:
        """See Store."""
        return self.files.get(checked(key))

    def size(self, key: str) -> int | None:
        """See Store."""
        data = self.read(key)
        return None if data is None else len(data)

    def replace(self, key: str, data: bytes) -> None:
        """See Store."""
        self.files[checked(key)] = data

    def append_batch(
        self, key: str, data: bytes, *, durable: bool = True, at: int | None = None
    ) -> None:
        """See Store."""
        del durable
        with self._turn:
            file = self._growing.get(checked(key))
            file = bytearray(self._files.get(key, b"")) if file is None else file
            if at is not None:
                check_rest(key, len(file), bytes(file[at:]), data, at)
                del file[at:]
            file += data
            self._growing[key] = file

    def list(self, prefix: str = "") -> list[str]:
        """See Store."""
        return sorted(_below(self.files, _folder(prefix)))

    def delete(self, key: str) -> None:
        """See Store."""
        for name in [checked(key), *_below(self.files, key)]:
            self.files.pop(name, None)

    def create_exclusive(self, key: str, data: bytes) -> bool:
        """See Store."""
        if checked(key) in self.files:
            return False
        self.files[key] = data
        return True

    def sweep(self, prefix: str = "") -> None:
        """See Store; a write to memory is never interrupted."""
        _folder(prefix)

    def replace_folder(self, staged: str, target: str) -> None:
        """See Store."""
        moved = {k: self.files[k] for k in _below(self.files, checked(staged))}
        if not moved:
            raise StoreError(f"no folder {staged!r} to put in the place of {target!r}")
        self.delete(target)
        self.delete(staged)
        for key, data in moved.items():
            self.files[target + key.removeprefix(staged)] = data


def _check_size(path: Path, data: bytes, at: int) -> None:
    """Refuse to append ``data`` at ``at`` bytes where the file has fewer, or foreign ones."""
    try:
        with path.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(min(at, size))
            check_rest(str(path), size, file.read(len(data) + 1), data, at)
    except FileNotFoundError:
        check_rest(str(path), 0, b"", data, at)


def _below(keys: Iterable[str], prefix: str) -> list[str]:
    folder = f"{prefix.rstrip('/')}/" if prefix else ""
    return [key for key in keys if key.startswith(folder)]


def _unless_gone(error: OSError) -> None:
    """Pass over what vanished or is not for us; what a failing disk hides is there."""
    if not isinstance(error, FileNotFoundError | NotADirectoryError | PermissionError):
        raise _refused("list", Path(error.filename), error) from error


def _refused(verb: str, path: Path, error: OSError, needed: int | None = None) -> StoreError:
    told = f"cannot {verb} {path}: {error.strerror or error}"
    free = free_bytes(path) if error.errno == errno.ENOSPC and needed is not None else None
    if free is not None:
        told += f" ({needed} bytes needed, {free} free)"
    return StoreError(told, error.errno)
