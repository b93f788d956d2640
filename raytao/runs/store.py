"""Where a run's files live: a few operations and their guarantees.

Every byte that raytao writes goes through a store, so that a fault can be planted at the k-th
operation and another kind of storage is one more class. Keys are relative POSIX paths such as
``experiment_3/status.json``.
"""

from __future__ import annotations

import ctypes
import os
import shutil
import threading
from abc import ABC, abstractmethod
from collections.abc import Iterable
from contextlib import suppress
from io import FileIO
from pathlib import Path, PurePosixPath

from raytao.errors import RaytaoError

TEMPORARY = ".tmp"
"""Suffix of files that are being written; no key ends so."""

_RENAME_EXCHANGE = 2
_AT_FDCWD = -100


class StoreError(RaytaoError):
    """Storage refused an operation (full, read-only, vanished); the message names the key."""


class Store(ABC):
    """One run's files.

    A reader sees the old file or the new one, never a part (``replace``); an appended batch is
    durable when the call returns; ``create_exclusive`` succeeds for one caller only.
    """

    @abstractmethod
    def read(self, key: str) -> bytes | None:
        """Return the file's bytes, or None if there is none."""

    @abstractmethod
    def replace(self, key: str, data: bytes) -> None:
        """Make ``data`` the whole content of ``key``, in one step, durably."""

    @abstractmethod
    def append_batch(self, key: str, data: bytes, *, durable: bool = True) -> None:
        """Add ``data`` at the end of ``key``; with ``durable`` it survives a power cut."""

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
        """Make the folder ``staged`` appear as ``target`` as a whole; the old one goes."""


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
    """A folder on a local or shared file system."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def path(self, key: str) -> Path:
        """The file behind a key."""
        return self.root / checked(key)

    def read(self, key: str) -> bytes | None:
        """See Store."""
        try:
            return self.path(key).read_bytes()
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise _refused("read", self.path(key), error) from error

    def replace(self, key: str, data: bytes) -> None:
        """See Store; a temporary file beside the target, fsync, rename, fsync of the folder."""
        path = self.path(key)
        temporary = _temporary(path)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            _write_durably(temporary, data)
            temporary.replace(path)
            _sync_folder(path.parent)
        except OSError as error:
            _forget(temporary)
            raise _refused("write", path, error) from error

    def append_batch(self, key: str, data: bytes, *, durable: bool = True) -> None:
        """See Store."""
        path = self.path(key)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("ab", buffering=0) as file:
                _append_whole(file, data)
                if durable:
                    os.fsync(file.fileno())
        except OSError as error:
            raise _refused("append to", path, error) from error

    def list(self, prefix: str = "") -> list[str]:
        """See Store; temporary files of unfinished writes are not listed."""
        top = self.root / _folder(prefix)
        found = (
            (Path(folder) / name).relative_to(self.root).as_posix()
            for folder, _, names in os.walk(top)  # which passes over what vanishes meanwhile
            for name in names
            if not name.endswith(TEMPORARY)
        )
        return sorted(found)

    def delete(self, key: str) -> None:
        """See Store."""
        path = self.path(key)
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
        temporary = _temporary(path)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            _write_durably(temporary, data)
            try:
                path.hardlink_to(temporary)
            except FileExistsError:
                return False
            _sync_folder(path.parent)
            return True
        except OSError as error:
            raise _refused("create", path, error) from error
        finally:
            _forget(temporary)

    def sweep(self, prefix: str = "") -> None:
        """See Store."""
        for folder, _, names in os.walk(self.root / _folder(prefix)):
            for name in names:
                if name.endswith(TEMPORARY):
                    (Path(folder) / name).unlink(missing_ok=True)

    def replace_folder(self, staged: str, target: str) -> None:
        """See Store; Linux swaps two folders in one system call, elsewhere two renames."""
        new, old = self.path(staged), self.path(target)
        if not new.is_dir():
            raise StoreError(f"no folder {new} to put in the place of {old}")
        try:
            if old.exists():
                if not _exchange(new, old):
                    doomed = old.with_name(f".{old.name}.old")
                    shutil.rmtree(doomed, ignore_errors=True)
                    old.rename(doomed)
                    new.rename(old)
                    new = doomed
                shutil.rmtree(new)
            else:
                new.rename(old)
            _sync_folder(old.parent)
        except OSError as error:
            raise _refused("replace", old, error) from error


class MemoryStore(Store):
    """A store in memory: for tests, the simulator and plans."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}

    def read(self, key: str) -> bytes | None:
        """See Store."""
        return self.files.get(checked(key))

    def replace(self, key: str, data: bytes) -> None:
        """See Store."""
        self.files[checked(key)] = data

    def append_batch(self, key: str, data: bytes, *, durable: bool = True) -> None:
        """See Store."""
        del durable
        self.files[key] = self.files.get(checked(key), b"") + data

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


def _below(keys: Iterable[str], prefix: str) -> list[str]:
    folder = f"{prefix.rstrip('/')}/" if prefix else ""
    return [key for key in keys if key.startswith(folder)]


def _temporary(path: Path) -> Path:
    """A name beside ``path`` that no other process or thread uses."""
    return path.with_name(f".{path.name}.{os.getpid()}.{threading.get_ident()}{TEMPORARY}")


def _forget(temporary: Path) -> None:
    """Remove what an interrupted write left; where storage refuses that too, so be it."""
    with suppress(OSError):
        temporary.unlink(missing_ok=True)


def _write_durably(path: Path, data: bytes) -> None:
    with path.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _append_whole(file: FileIO, data: bytes) -> None:
    """Append all of ``data`` or, where storage refuses (a full disk), none of it."""
    before = file.seek(0, os.SEEK_END)
    try:
        rest = memoryview(data)
        while rest:
            rest = rest[file.write(rest) :]
    except OSError:
        file.truncate(before)
        raise


def _sync_folder(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _exchange(first: Path, second: Path) -> bool:
    """Swap two paths in one step; False where the kernel or file system cannot."""
    try:
        rename = ctypes.CDLL(None, use_errno=True).renameat2
    except (OSError, AttributeError):
        return False
    done = rename(_AT_FDCWD, bytes(first), _AT_FDCWD, bytes(second), _RENAME_EXCHANGE)
    return bool(done == 0)


def _refused(verb: str, path: Path, error: OSError) -> StoreError:
    return StoreError(f"cannot {verb} {path}: {error.strerror or error}")
