"""A bucket, as `ObjectStore` asks for it: eight requests, made through fsspec.

Each of them happens wholly or not at all, as seen by everybody who asks afterwards: S3, Google
Cloud Storage and Azure are strongly consistent, and nothing is remembered here. Only a list made
while somebody writes may show some of what was there before and some of what is there after.
"""

from __future__ import annotations

import errno
import logging
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from importlib import import_module
from typing import Any, Final, Protocol, TypeVar

from raytao.runs.object_errors import REMEDIES, refused, unless_absent
from raytao.runs.patience import uneven_sleep
from raytao.runs.store import StoreError

PAUSES: Final = (0.1, 0.5)
"""Seconds between the tries of a request that changes nothing, or can be made twice."""

SIDE_BY_SIDE: Final = 8
"""Requests at a time, where many are needed."""

_OPTIONS: Final[Mapping[str, Mapping[str, Any]]] = {
    "s3": {
        # Whoever asks decides what is tried again: a creation that was tried twice does not know
        # whether it was its own. One reader at a time gets a large object in one piece.
        "config_kwargs": {
            "retries": {"total_max_attempts": 1},
            "read_timeout": 60,
        },
        "max_concurrency": 1,
    },
    "az": {"anon": False},  # else an identity of the machine is not looked for
}
_UPLOAD: Final[Mapping[str, Mapping[str, Any]]] = {"s3": {"max_concurrency": SIDE_BY_SIDE}}

_CHATTY: Final = ("s3fs", "gcsfs", "adlfs", "azure", "google", "fsspec")
"""Loggers of libraries that log, with tracebacks, what they raise as well."""

_SAY_WHO: Final = ("AWS_", "GOOGLE_", "STORAGE_EMULATOR_", "AZURE_")
"""How variables begin that say who one is, and where."""

Answer = TypeVar("Answer")


class FileSystem(Protocol):
    """What is used of an fsspec file system."""

    def find(self, path: str, *, detail: bool, prefix: str) -> Mapping[str, Mapping[str, Any]]:
        """Files below ``path`` whose rest begins with ``prefix``; it may be ignored."""

    def info(self, path: str) -> Mapping[str, Any]:
        """What is known of a file or a folder."""

    def cat_file(self, path: str) -> bytes:
        """The content of a file."""

    def pipe_file(self, path: str, value: bytes, *, mode: str, **more: Any) -> object:
        """Write a file; with mode ``create`` only where there is none."""

    def cp_file(self, path1: str, path2: str) -> object:
        """Copy a file, where it lies."""

    def rm_file(self, path: str) -> object:
        """Remove a file."""


_connected: Final[dict[str, tuple[object, FileSystem]]] = {}


def connect(scheme: str) -> FileSystem:
    """Return this process's file system: it remembers nothing, and none survives a fork.

    It is made anew where the environment says by now that one is somebody else.

    Raises:
        StoreError: if its library is not installed, or nobody said who one is.
    """
    said = tuple(sorted(item for item in os.environ.items() if item[0].startswith(_SAY_WHO)))
    made_for = (os.getpid(), said)
    known = _connected.get(scheme)
    if known is None or known[0] != made_for:
        known = _connected[scheme] = (made_for, _connect(scheme))
    return known[1]


def _connect(scheme: str) -> FileSystem:
    for name in _CHATTY:
        logging.getLogger(name).setLevel(logging.CRITICAL + 1)
    try:
        made: Any = import_module("fsspec").filesystem(
            scheme,
            skip_instance_cache=True,
            use_listings_cache=False,
            **_OPTIONS.get(scheme, {}),
        )
    except ImportError as error:
        raise StoreError(
            f"results at {scheme}:// need a package that is not installed: {error}\n"
            f"  pip install 'raytao[{scheme}]', on every node"
        ) from error
    except ValueError as error:  # adlfs, of settings that do not say who one is
        remedy = REMEDIES.get(scheme, "")
        raise StoreError(f"{scheme}://: no credentials were found\n  {remedy}") from error
    except Exception as error:
        raise refused("reach", f"{scheme}://", error) from error
    if scheme == "s3":
        made.retries = 1  # its own, about those of its library
    found: FileSystem = made
    return found


class Bucket:
    """The objects below an address. Names are relative to it.

    Args:
        url: the address, as ``s3://bucket/prefix``.
        connect: gives the file system to use; asked again after a fork, which none survives.
    """

    def __init__(self, url: str, connect: Callable[[], FileSystem]) -> None:
        self.url = url.rstrip("/")
        self._scheme, _, self._base = self.url.partition("://")
        self._connect = connect
        self._connected: tuple[int, FileSystem] | None = None

    def address(self, name: str) -> str:
        """An object's address, for people."""
        return f"{self.url}/{name}" if name else self.url

    def is_there(self) -> bool:
        """Whether there is anything below the address; where it is a bucket's, the bucket."""

        def look() -> bool:
            self._files().info(self._base)
            return True

        try:
            return self._again("look at", "", lambda: unless_absent(look, False))
        except StoreError as error:
            if error.code != errno.EACCES:
                raise
            return bool(self.sizes())  # which is refused with a reason: a look has none on S3

    def sizes(self, prefix: str = "") -> dict[str, int]:
        """Return the size of every object whose name begins with ``prefix``, by name."""
        full = f"{self._base}/{prefix}"
        folder, _, stem = full.rstrip("/").rpartition("/")
        tail = "/" if full.endswith("/") else ""
        folder, stem = (folder, stem + tail) if folder else (stem, "")

        def find() -> dict[str, int]:
            found = self._files().find(folder, detail=True, prefix=stem)
            names = {path.lstrip("/"): about["size"] for path, about in dict(found).items()}
            return {
                path[len(self._base) + 1 :]: int(size or 0)
                for path, size in names.items()
                if path.startswith(full) and not path.endswith("/")
            }

        return self._again("look at", prefix, find)

    def get(self, name: str) -> bytes | None:
        """Return an object's content, or None if there is none."""

        def read() -> bytes | None:
            return self._files().cat_file(self._path(name))

        return self._again("read", name, lambda: unless_absent(read, None))

    def get_all(self, names: Iterable[str]) -> list[bytes | None]:
        """The same for many, in their order."""
        return self._many(self.get, [*names])

    def put(self, name: str, data: bytes) -> None:
        """Make ``data`` the content of an object, whether there was one or not."""
        more = _UPLOAD.get(self._scheme, {})
        self._again(
            "write",
            name,
            lambda: self._files().pipe_file(self._path(name), data, mode="overwrite", **more),
        )

    def create(self, name: str, data: bytes) -> bool:
        """Make an object where there is none; return whether this call did.

        It is tried once: whoever is refused for a reason that may pass does not know whether it
        was made.
        """
        try:
            return self._once("create", name, lambda: self._create(name, data))
        except FileExistsError:
            return False

    def copy(self, source: str, target: str) -> bool:
        """Copy an object where it lies; return whether there was one."""

        def copy() -> bool:
            self._files().cp_file(self._path(source), self._path(target))
            return True

        return self._again("copy", source, lambda: unless_absent(copy, False))

    def copy_all(self, targets: Mapping[str, str]) -> bool:
        """Copy objects to the names given for them; return whether all were there."""
        return all(self._many(lambda source: self.copy(source, targets[source]), [*targets]))

    def remove(self, names: Iterable[str]) -> None:
        """Remove objects, in any order; absent is fine."""
        self._many(self._remove, [*names])

    def _create(self, name: str, data: bytes) -> bool:
        self._files().pipe_file(self._path(name), data, mode="create")
        return True

    def _remove(self, name: str) -> None:
        def remove() -> None:
            self._files().rm_file(self._path(name))

        self._again("delete", name, lambda: unless_absent(remove, None))

    def _path(self, name: str) -> str:
        return f"{self._base}/{name}"

    def _files(self) -> FileSystem:
        here = os.getpid()
        if self._connected is None or self._connected[0] != here:
            self._connected = (here, self._connect())
        return self._connected[1]

    def _again(self, verb: str, name: str, request: Callable[[], Answer]) -> Answer:
        for pause in PAUSES:
            try:
                return self._once(verb, name, request)
            except StoreError as error:
                if not error.may_pass:
                    raise
            uneven_sleep(pause)
        return self._once(verb, name, request)

    def _once(self, verb: str, name: str, request: Callable[[], Answer]) -> Answer:
        try:
            return request()
        except (StoreError, FileExistsError):
            raise
        except Exception as error:
            told = refused(verb, self.address(name), error)
            if told.code == errno.EACCES:  # who one is may be told anew
                _connected.pop(self._scheme, None)
                self._connected = None
            raise told from error

    @staticmethod
    def _many(act: Callable[[str], Answer], names: Sequence[str]) -> list[Answer]:
        if len(names) < 2:
            return [act(name) for name in names]
        with ThreadPoolExecutor(min(len(names), SIDE_BY_SIDE)) as pool:
            return list(pool.map(act, names))
