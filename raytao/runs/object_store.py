"""A run's files on object storage: S3 and what speaks like it, Google Cloud Storage, Azure.

An object appears whole or not at all, and everybody sees it from then on. What storage of this
kind has not is built of that: see `raytao.runs.object_append` for appending, and
`raytao.runs.object_folder` for replacing a folder. Who may read and write is told by the
environment, as for every other program of the kind.
"""

from __future__ import annotations

import errno
from collections.abc import Callable, Collection
from functools import partial
from pathlib import PurePosixPath
from typing import Final

from raytao.runs.durable import is_temporary
from raytao.runs.object_append import Appender
from raytao.runs.object_errors import unconditional
from raytao.runs.object_folder import MANIFEST, mend, replace_folder
from raytao.runs.object_pieces import Pieces, files_among, segment_name
from raytao.runs.object_requests import Bucket, FileSystem, connect
from raytao.runs.store import Store, checked
from raytao.runs.store_error import StoreError

PAUSES: Final = (0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 30.0)
"""Seconds between tries: storage that is busy asks for a minute's patience, and more of it."""

COLLECT_SECONDS: Final = 5.0
"""How long a trial's output is collected: each append is a request."""


class ObjectStore(Store):
    """A bucket, or what is below a prefix of it. Each of its files has one writer at a time.

    Attributes:
        root: its address.

    Args:
        url: the address, as ``s3://bucket/prefix``.
        must_exist: refuse to write where nothing is: whoever opened the run has written there.
        filesystem: makes the fsspec file system, once in every process; by the scheme if None.
    """

    pauses = PAUSES
    collect_seconds = COLLECT_SECONDS

    def __init__(
        self,
        url: str,
        *,
        must_exist: bool = False,
        filesystem: Callable[[], FileSystem] | None = None,
    ) -> None:
        self.root = url.rstrip("/")
        scheme = url.partition("://")[0]
        self._bucket = Bucket(url, filesystem or partial(connect, scheme))
        self._logs = Appender(self._bucket)
        self._must_exist = must_exist
        self._in_one: set[str] = set()
        self._keeps_conditions = False

    def is_there(self) -> bool:
        """Whether anything is below the address; of a bucket itself, whether there is one.

        Raises:
            StoreError: if storage refuses.
        """
        return self._bucket.is_there()

    def read(self, key: str) -> bytes | None:
        """See Store."""
        return self._logs.read(_name(key))

    def size(self, key: str) -> int | None:
        """See Store."""
        return self._logs.look(_name(key)).size

    def list(self, prefix: str = "") -> list[str]:
        """See Store; what a store keeps for itself is not listed."""
        return [
            pieces.key
            for pieces in self._below(prefix)
            if pieces.size is not None and not _is_internal(pieces.key)
        ]

    def replace(self, key: str, data: bytes) -> None:
        """See Store; one request, once it is known that the file is in one piece."""
        key = self._to_write(key)
        pieces = None if key in self._in_one else self._logs.look(key)
        self._logs.forget(key)
        if pieces is None or not pieces.segments:
            self._bucket.put(key, data)
        else:
            whole = segment_name(key, pieces.generation + 1, 0, len(data))
            self._bucket.put(whole, data)  # from here on the file is the new one
            self._bucket.put(key, data)
            self._bucket.remove(pieces.segments)
            self._bucket.remove([whole])
        self._in_one.add(key)

    def append_batch(
        self, key: str, data: bytes, *, durable: bool = True, at: int | None = None
    ) -> None:
        """See Store; every object is durable."""
        del durable
        key = self._to_write(key)
        self._in_one.discard(key)
        self._logs.append(key, data, at)

    def delete(self, key: str) -> None:
        """See Store; a file is whole until it is gone."""
        doomed = self._at(_name(key))
        for step in zip(*(each.farewell for each in doomed), strict=True):
            self._bucket.remove(name for names in step for name in names)
        for each in doomed:
            self._logs.forget(each.key)

    def create_exclusive(self, key: str, data: bytes) -> bool:
        """See Store.

        Raises:
            StoreError: also if storage would let two callers succeed.
        """
        key = self._to_write(key)
        if self._logs.look(key).size is not None or not self._bucket.create(key, data):
            return False
        if not self._keeps_conditions and self._bucket.create(key, data):
            raise unconditional(self.root)
        self._keeps_conditions = True
        return True

    def sweep(self, prefix: str = "") -> None:
        """See Store; a folder that was half replaced is replaced."""
        for found in self._below(prefix):
            folder, _, name = found.key.rpartition("/")
            if name == MANIFEST:
                mend(self._bucket, folder)
            elif is_temporary(name):
                self.delete(found.key)
            elif found.spare or found.size is None:
                # Segments come and go while a long list is made, so each file is looked at alone.
                now = self._logs.look(found.key)
                self._bucket.remove([*now.spare, *(now.loose if now.size is None else ())])

    def replace_folder(self, staged: str, target: str) -> None:
        """See Store; until it is done, the folder itself says that it is not."""
        staged, target = self._to_write(staged), _name(target)
        self.settle(staged)
        for pieces in self._below(target):
            self._logs.forget(pieces.key)
        replace_folder(self._bucket, staged, target)

    def copy(self, source: str, target: str) -> bool:
        """See Store; storage copies it, unless it is in pieces."""
        source, target = _name(source), self._to_write(target)
        if self._logs.look(source).segments or self._logs.look(target).segments:
            return super().copy(source, target)
        self._logs.forget(target)
        return self._bucket.copy(source, target)

    def settle(self, key: str = "") -> None:
        """See Store."""
        for pieces in self._at(_name(key)) if key else self._below(""):
            self._logs.settle(pieces)

    def _below(self, prefix: str) -> Collection[Pieces]:
        """All files below a folder, by name, and what is left of some."""
        folder = f"{_name(prefix)}/" if prefix else ""
        return files_among(self._bucket.sizes(folder)).values()

    def _at(self, name: str) -> Collection[Pieces]:
        """The file of this name, and all below it if it is a folder's."""
        found = files_among(self._bucket.sizes(name)).values()
        return [each for each in found if each.key == name or each.key.startswith(f"{name}/")]

    def _to_write(self, key: str) -> str:
        """The name of what is written; not where everything else is gone."""
        if self._must_exist and not self._bucket.is_there():
            told = f"cannot write {self._bucket.address(key)}: the results folder {self.root} is"
            raise StoreError(f"{told} gone", errno.ENOENT)
        self._must_exist = False
        return _name(key)


def _name(key: str) -> str:
    return PurePosixPath(checked(key)).as_posix()


def _is_internal(key: str) -> bool:
    name = key.rpartition("/")[2]
    return name == MANIFEST or is_temporary(name)
