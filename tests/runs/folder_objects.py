"""Object storage in a local folder, which many processes can share and which can be broken.

A file is an object: written beside its place and moved there in one step, created by a link, so
everybody sees all of it or nothing. A fault strikes at the k-th request that changes anything.
"""

from __future__ import annotations

import errno
import os
import signal
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NoReturn

from raytao.runs.durable import is_temporary, temporary
from raytao.runs.object_store import ObjectStore
from raytao.testing.faults import Fault, Kill, Moment, Refusal


class FolderObjects:
    """What `ObjectStore` uses of an fsspec file system.

    Args:
        top: where the objects are.
        fault: what happens, and at which request that changes something; None only counts.
    """

    def __init__(self, top: Path, fault: Fault | None = None) -> None:
        self.requests: list[str] = []
        self._top = top
        self._fault = fault
        self._struck = False
        self._turn = threading.Lock()

    def find(self, path: str, *, detail: bool, prefix: str) -> Mapping[str, Mapping[str, Any]]:
        return {
            name: {"name": name, "size": size}
            for file in self._top.rglob("*")
            if not is_temporary(file.name) and (size := _size(file)) is not None
            if (name := file.relative_to(self._top).as_posix()).startswith(f"{path}/{prefix}")
        }

    def info(self, path: str) -> Mapping[str, Any]:
        if not self.find(path, detail=True, prefix=""):
            raise FileNotFoundError(path)
        return {"name": path}

    def cat_file(self, path: str) -> bytes:
        return (self._top / path).read_bytes()

    def pipe_file(self, path: str, value: bytes, *, mode: str, **more: Any) -> None:
        self._change(f"{mode} {path}", lambda: _write(self._top / path, value, mode))

    def cp_file(self, path1: str, path2: str) -> None:
        value = self.cat_file(path1)
        self._change(f"copy {path2}", lambda: _write(self._top / path2, value, "overwrite"))

    def rm_file(self, path: str) -> None:
        self._change(f"delete {path}", lambda: (self._top / path).unlink())

    def _change(self, request: str, act: Callable[[], None]) -> None:
        with self._turn:
            number = len(self.requests)
            self.requests.append(request)
            match self._fault:
                case Kill(at) if number == at:
                    _die()
                case Refusal(at, code, moment, for_ever) if number >= at:
                    if for_ever or not self._struck:
                        self._struck = True
                        if moment is not Moment.BEFORE:
                            act()
                        raise OSError(code, os.strerror(code), request)
            act()


def folder_store(top: Path, fault: Fault | None = None) -> tuple[ObjectStore, FolderObjects]:
    """A store whose objects lie below ``top``/run, and its requests."""
    objects = FolderObjects(top, fault)
    return ObjectStore("folder://run", filesystem=lambda: objects), objects


def _size(file: Path) -> int | None:
    try:
        return file.stat().st_size if file.is_file() else None
    except FileNotFoundError:
        return None


def _write(file: Path, value: bytes, mode: str) -> None:
    draft = temporary(file)
    file.parent.mkdir(parents=True, exist_ok=True)
    draft.write_bytes(value)
    if mode == "overwrite":
        draft.replace(file)
        return
    try:
        file.hardlink_to(draft)
    finally:
        draft.unlink()


def _die() -> NoReturn:
    os.kill(os.getpid(), signal.SIGKILL)
    while True:
        signal.pause()


TRANSIENT = errno.EAGAIN
"""What storage says that is busy."""
