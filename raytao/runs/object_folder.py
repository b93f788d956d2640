"""A folder on object storage takes another one's place: object by object, its manifest last.

There is no step in which many objects change at once. So the folder says itself what it is:
``.manifest.json`` in it names its files, and is marked unfinished from before the first of them
changes until after the last. The same manifest lies in the staged folder first, whose objects stay
until the end: whoever finds it goes on where a killed process has left off.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from raytao.runs.object_requests import Bucket
from raytao.runs.store import Store
from raytao.runs.store_error import StoreError

MANIFEST: Final = ".manifest.json"
"""A folder's own record; it is no file of the folder to those who list it."""


@dataclass(frozen=True)
class Manifest:
    """What is in a folder.

    Attributes:
        name: of this very replacement.
        staged: the folder that takes the other's place.
        target: the folder that is replaced.
        files: size of each file by its name in the folder.
        whole: whether all of them are there, and nothing else.
    """

    name: str
    staged: str
    target: str
    files: Mapping[str, int]
    whole: bool

    def to_bytes(self, *, whole: bool) -> bytes:
        """Its object."""
        told = {"name": self.name, "staged": self.staged, "target": self.target}
        text = json.dumps({**told, "files": self.files, "whole": whole}, indent=2)
        return text.encode() + b"\n"

    @classmethod
    def from_bytes(cls, data: bytes | None) -> Manifest | None:
        """Read its object; None if there is none, or it is somebody else's."""
        try:
            raw = json.loads(data or b"")
            files = {str(name): int(size) for name, size in raw["files"].items()}
            name, staged, target = (str(raw[key]) for key in ("name", "staged", "target"))
            return cls(name, staged, target, files, whole=raw["whole"] is True)
        except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
            return None


def is_torn(store: Store, folder: str) -> bool:
    """Whether ``folder`` is half replaced: what is in it belongs to two states of it.

    Folders of stores that replace a whole folder in one step never are.

    Raises:
        StoreError: if storage refuses to be read.
    """
    manifest = Manifest.from_bytes(store.read(f"{folder}/{MANIFEST}"))
    return manifest is not None and not manifest.whole


def replace_folder(bucket: Bucket, staged: str, target: str) -> None:
    """See `Store.replace_folder`; no file in ``staged`` is in pieces.

    Raises:
        StoreError: if storage refuses; it can be tried again, or left to `mend`.
    """
    files = _files(bucket, staged)
    begun = _begun(bucket, staged)
    if begun is not None and begun.target == target and _is_left_over(bucket, begun, files):
        _forget(bucket, staged)
        return
    if not files:
        told = f"no folder {bucket.address(staged)} to put in the place of "
        raise StoreError(told + bucket.address(target))
    manifest = Manifest(uuid.uuid4().hex, staged, target, files, whole=True)
    bucket.put(f"{staged}/{MANIFEST}", manifest.to_bytes(whole=True))
    _put_in_place(bucket, staged, manifest)


def mend(bucket: Bucket, staged: str) -> None:
    """Finish what a killed `replace_folder` has left off, if ``staged`` says so.

    Raises:
        StoreError: if storage refuses.
    """
    manifest = _begun(bucket, staged)
    if manifest is None:
        return
    files = _files(bucket, staged)
    if _is_left_over(bucket, manifest, files):
        _forget(bucket, staged)
    elif files == manifest.files:
        _put_in_place(bucket, staged, manifest)


def _begun(bucket: Bucket, staged: str) -> Manifest | None:
    """What ``staged`` says is to be done; a copy of another folder says nothing of itself."""
    manifest = Manifest.from_bytes(bucket.get(f"{staged}/{MANIFEST}"))
    return manifest if manifest is not None and manifest.staged == staged else None


def _put_in_place(bucket: Bucket, staged: str, manifest: Manifest) -> None:
    target, record = manifest.target, f"{manifest.target}/{MANIFEST}"
    bucket.put(record, manifest.to_bytes(whole=False))
    new = {f"{target}/{name}" for name in manifest.files}
    copied = bucket.copy_all({f"{staged}/{name}": f"{target}/{name}" for name in manifest.files})
    if not copied:
        raise StoreError(f"{bucket.address(staged)} was changed while it was put in its place")
    bucket.remove(name for name in bucket.sizes(f"{target}/") if name not in new | {record})
    bucket.put(record, manifest.to_bytes(whole=True))
    with suppress(StoreError):  # it is in its place, and the rest is swept
        _forget(bucket, staged)


def _is_left_over(bucket: Bucket, manifest: Manifest, files: Mapping[str, int]) -> bool:
    """Whether ``files`` are what is left of a staged folder that is in its place already."""
    there = Manifest.from_bytes(bucket.get(f"{manifest.target}/{MANIFEST}"))
    done = there is not None and there.whole and there.name == manifest.name
    return done and files.items() <= manifest.files.items()


def _forget(bucket: Bucket, staged: str) -> None:
    """Remove a staged folder, its manifest last."""
    record = f"{staged}/{MANIFEST}"
    bucket.remove(name for name in bucket.sizes(f"{staged}/") if name != record)
    bucket.remove([record])


def _files(bucket: Bucket, folder: str) -> dict[str, int]:
    sizes = {name[len(folder) + 1 :]: n for name, n in bucket.sizes(f"{folder}/").items()}
    sizes.pop(MANIFEST, None)
    return sizes
