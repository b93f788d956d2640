"""Short notes that all processes of a cluster can read: a corner of Ray's own key-value store.

They live in the cluster's control service, need no process of their own, and are gone with the
cluster. Everything here is one round trip of well under a millisecond.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any, Final

NAMESPACE: Final = b"raytao"


def write(key: str, value: bytes) -> None:
    """Put a note, or replace it."""
    _store()._internal_kv_put(key, value, namespace=NAMESPACE)


def read(key: str) -> bytes | None:
    """A note; None if there is none."""
    found: bytes | None = _store()._internal_kv_get(key, namespace=NAMESPACE)
    return found


def keys(beginning: str) -> list[str]:
    """The names of all notes that begin so, sorted."""
    found: list[bytes] = _store()._internal_kv_list(beginning, namespace=NAMESPACE)
    return sorted(key.decode() for key in found)


def wipe(key: str) -> None:
    """Remove a note, if it is there."""
    _store()._internal_kv_del(key, namespace=NAMESPACE)


def _store() -> Any:
    return import_module("ray.experimental.internal_kv")
