"""Where a results folder is: a path, or an address on object storage; and the store behind it.

An address is ``s3://bucket/prefix`` (or ``gs://``, ``az://``): who may read and write there is
told by the environment, as for every other program, and never by the address itself. The rest of
raytao opens results folders by ``store_at`` alone.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Final, TypeAlias

from raytao.errors import SettingsError
from raytao.redact import has_login, redact
from raytao.runs.store import LocalStore, Store

if TYPE_CHECKING:
    from raytao.runs.object_store import ObjectStore

LIBRARIES: Final[Mapping[str, str]] = {
    "s3": "s3fs",
    "gs": "gcsfs",
    "az": "adlfs",
    "memory": "fsspec",
}
"""By scheme: the library that knows it. ``memory`` lives and dies with one process: for tests."""

LONGEST_ADDRESS: Final = 900
"""Bytes of an address: S3's keys have at most 1024, and raytao adds names of its own below."""

_FOR_TESTS: Final = "memory"
_ADDRESS: Final = re.compile(r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*)://(?P<rest>.*)", re.DOTALL)
_COLLAPSED: Final = re.compile(r"(s3|gs|az):/[^/]")
"""What ``Path("s3://bucket")`` makes of an address."""


@dataclass(frozen=True)
class ObjectPlace:
    """A folder, or a file, on object storage, in the words of a `Path`. Looks at nothing.

    Args:
        scheme: one of ``LIBRARIES``.
        bucket: on Azure, the container.
        parts: names on the way from there; none is empty, ``.`` or ``..``.
    """

    scheme: str
    bucket: str
    parts: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{self.scheme}://{'/'.join((self.bucket, *self.parts))}"

    def __truediv__(self, key: str) -> ObjectPlace:
        return ObjectPlace(self.scheme, self.bucket, (*self.parts, *_parts(key)))

    @property
    def name(self) -> str:
        """The last name; empty for a bucket itself."""
        return self.parts[-1] if self.parts else ""

    @property
    def stem(self) -> str:
        """The last name without its ending."""
        return PurePosixPath(self.name).stem

    @property
    def suffix(self) -> str:
        """The ending of the last name, with its dot."""
        return PurePosixPath(self.name).suffix

    @property
    def parent(self) -> ObjectPlace:
        """The folder around; a bucket is its own."""
        return ObjectPlace(self.scheme, self.bucket, self.parts[:-1])

    def resolve(self) -> ObjectPlace:
        """Itself: an address is whole, wherever one looks from."""
        return self


Place: TypeAlias = Path | ObjectPlace
"""A results folder, or something in one."""


def place_of(text: str | Place) -> Place:
    """Read a path or an address; one that was read already stays as it is.

    Raises:
        SettingsError: for an address of a kind that is not known, that names no bucket or holds a
            login, or that cannot be a folder's.
    """
    if isinstance(text, ObjectPlace):
        return text
    written = str(text)
    if _COLLAPSED.match(written):
        raise SettingsError(
            f"{written!r} is an address that was read as a path",
            remedy="give it as text, with both its slashes: s3://bucket/prefix",
        )
    match = _ADDRESS.match(written)
    if match is None:
        return Path(text)
    scheme, rest = match["scheme"].lower(), match["rest"]
    if why := _objection(scheme, rest):
        raise SettingsError(
            f"{_shown(written)} {why}",
            remedy="write s3://bucket/prefix, gs://bucket/prefix, az://container/prefix, or the "
            "path of a folder",
        )
    bucket, *parts = _parts(rest)
    return ObjectPlace(scheme, bucket, tuple(parts))


def is_address(text: str) -> bool:
    """Whether ``text`` is an address, of any kind, and no path."""
    return _ADDRESS.match(text) is not None


def store_at(place: Place, *, must_exist: bool = False) -> Store:
    """Open the store behind a results folder; nothing is read or written yet.

    Args:
        place: the folder.
        must_exist: refuse to make it at the first write: see `LocalStore`.

    Raises:
        SettingsError: if the library for this kind of address is not installed.
    """
    if isinstance(place, Path):
        return LocalStore(place, must_exist=must_exist)
    return _object_store(place, must_exist=must_exist)


def _object_store(place: ObjectPlace, *, must_exist: bool = False) -> ObjectStore:
    library = LIBRARIES[place.scheme]
    if find_spec(library) is None:
        raise SettingsError(
            f"{place} needs the Python package {library}, which is not installed",
            remedy=f"pip install 'raytao[{place.scheme}]', on every node",
        )
    from raytao.runs.object_store import ObjectStore  # fsspec: only where an address is used

    return ObjectStore(str(place), must_exist=must_exist)


def libraries_at(place: Place) -> tuple[str, ...]:
    """Modules that the store behind ``place`` will import; for those who fork many times."""
    return () if isinstance(place, Path) else (LIBRARIES[place.scheme],)


def is_there(place: Place) -> bool:
    """Whether a folder is there; on object storage, whether anything is below it.

    Raises:
        StoreError: if object storage cannot be asked.
    """
    return place.is_dir() if isinstance(place, Path) else _object_store(place).is_there()


def is_file(place: Place) -> bool:
    """Whether a file is there.

    Raises:
        StoreError: if object storage cannot be asked.
    """
    if isinstance(place, Path):
        return place.is_file()
    return bool(place.name) and store_at(place.parent).size(place.name) is not None


def names_in(folder: Place) -> set[str]:
    """Names of the files and folders right below a folder; none if it is not there.

    Raises:
        StoreError: if object storage cannot be asked.
    """
    if isinstance(folder, Path):
        with suppress(FileNotFoundError, NotADirectoryError):
            return {path.name for path in folder.iterdir()}
        return set()
    return {key.partition("/")[0] for key in store_at(folder).list()}


def _objection(scheme: str, rest: str) -> str:
    """Why an address is none of a results folder; empty if it may be one."""
    if scheme not in LIBRARIES:
        known = ", ".join(f"{name}://" for name in LIBRARIES if name != _FOR_TESTS)
        return f"is of a kind that raytao does not know: it knows {known} and paths"
    if has_login(f"{scheme}://{rest}") or "@" in rest:
        return "holds a login, and would be written to the run's log: leave it to the environment"
    if rest.startswith("/") or not _names(rest):
        return "names no bucket"
    if ".." in _names(rest):
        return "must not hold '..'"
    odd = next((c for c in rest if c in "?#*[]\\" or unicodedata.category(c) in ("Cc", "Cs")), "")
    if odd:
        return f"must not hold {odd!r}: an address is a bucket and names, with '/' between them"
    if len(rest.encode()) > LONGEST_ADDRESS:
        return f"is too long: it has at most {LONGEST_ADDRESS} bytes"
    return ""


def _names(text: str) -> list[str]:
    return [name for name in text.split("/") if name not in ("", ".")]


def _parts(key: str) -> list[str]:
    names = _names(key)
    if ".." in names:
        raise SettingsError(f"{key!r} leaves its folder: an address must not hold '..'")
    return names


def _shown(written: str) -> str:
    """An address for an error; a login in it is not shown, and what is odd is spelled out."""
    return repr(redact(written))
