"""File operations that survive a power cut: what `LocalStore` is made of."""

from __future__ import annotations

import ctypes
import errno
import os
import re
import stat
from contextlib import suppress
from io import FileIO
from pathlib import Path
from typing import Final
from uuid import uuid4

RENAME_EXCHANGE = 2
AT_FDCWD = -100

_TEMPORARY: Final = re.compile(r"\..+\.[0-9a-f]{32}\.tmp", re.DOTALL)


def foreign(path: Path) -> str | None:
    """What ``path`` is, if neither a file nor a folder nor nothing: no write may replace it.

    A rename onto ``/dev/null`` would take it from the whole machine, and to read a pipe is to
    wait for ever.
    """
    try:
        mode = path.lstat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        return None
    if stat.S_ISLNK(mode):
        return "a link"
    return None if stat.S_ISREG(mode) or stat.S_ISDIR(mode) else "a device, a pipe or a socket"


def temporary(path: Path) -> Path:
    """A name beside ``path`` that nobody else uses, on whatever machine."""
    return path.with_name(f".{path.name}.{uuid4().hex}.tmp")


def is_temporary(name: str) -> bool:
    """Whether `temporary` made this file name; others' ``*.tmp`` are none of ours."""
    return _TEMPORARY.fullmatch(name) is not None


def forget(temporary: Path) -> None:
    """Remove what an interrupted write left; where storage refuses that too, so be it."""
    with suppress(OSError):
        temporary.unlink(missing_ok=True)


def write_durably(path: Path, data: bytes) -> None:
    """Write a new file; it survives a power cut once its folder is synced too."""
    with path.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def link(draft: Path, path: Path) -> bool:
    """Make a complete file appear as ``path`` in one step; False if something is there already.

    Storage without hard links (SMB, some of FUSE) creates ``path`` itself, which a kill may tear.
    """
    try:
        path.hardlink_to(draft)
    except FileExistsError:
        return False
    except OSError as error:
        if error.errno not in (errno.EPERM, errno.ENOTSUP, errno.ENOSYS, errno.EMLINK):
            raise
        return _create(path, draft.read_bytes())
    return True


def _create(path: Path, data: bytes) -> bool:
    try:
        with path.open("xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
    except FileExistsError:
        return False
    return True


def append_whole(file: FileIO, data: bytes, *, durable: bool) -> None:
    """Append all of ``data`` or, where storage refuses (a full disk), none of it."""
    before = file.seek(0, os.SEEK_END)
    try:
        rest = memoryview(data)
        while rest:
            rest = rest[file.write(rest) :]
        if durable:
            os.fsync(file.fileno())
    except OSError:
        file.truncate(before)
        raise


def free_bytes(path: Path) -> int | None:
    """What the file system has left where ``path`` is or would be; None if it does not say."""
    for place in (path, *path.absolute().parents):
        try:
            found = os.statvfs(place)
        except FileNotFoundError:
            continue
        except OSError:
            return None
        return found.f_bavail * found.f_frsize
    return None


def sync_folder(path: Path) -> None:
    """Make the names in a folder survive a power cut."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def exchange(first: Path, second: Path) -> bool:
    """Swap two paths in one step; False where the kernel or file system cannot."""
    try:
        rename = ctypes.CDLL(None, use_errno=True).renameat2
    except (OSError, AttributeError):
        return False
    done = rename(AT_FDCWD, bytes(first), AT_FDCWD, bytes(second), RENAME_EXCHANGE)
    return bool(done == 0)
