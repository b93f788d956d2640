"""Where things are found by name: shipped configuration files and registered plugins."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import lru_cache
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import raytao
from raytao.errors import SettingsError, did_you_mean

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

FOR_TESTS = ("toy",)
"""Registered names that no user needs to be told."""


def configs() -> Path:
    """The folder of shipped configs: inside the wheel, or beside the package in a checkout."""
    package = Path(raytao.__file__).parent
    inside = package / "configs"
    return inside if inside.is_dir() else package.parent / "configs"


def shipped_runs() -> dict[str, Path]:
    """Run files that come with raytao, by name."""
    return {path.stem: path for path in sorted((configs() / "runs").glob("*.yaml"))}


def run_file(name_or_path: str) -> Path:
    """Find a run file by path, or by the name of a shipped one.

    Raises:
        SettingsError: if there is neither.
    """
    path = Path(name_or_path)
    try:
        is_file, is_folder = path.is_file(), path.is_dir()
    except OSError as error:  # a name that is too long, a folder that may not be read
        raise SettingsError(f"no run file {name_or_path!r}: {error.strerror}") from None
    if is_file:
        return path
    shipped = shipped_runs()
    if name_or_path in shipped:
        return shipped[name_or_path]
    if is_folder:
        raise SettingsError(f"{name_or_path!r} is a folder", remedy="name a run file in it")
    raise SettingsError(
        f"no run file {name_or_path!r}: neither a file nor the name of a shipped run",
        remedy=did_you_mean(name_or_path, shipped),
    )


def registered(group: str) -> list[str]:
    """Names registered under an entry-point group such as ``raytao.brains``."""
    return sorted({point.name for point in _points(group)})


def load(group: str, name: str, *, kind: str, base: type) -> Any:
    """Load what is registered as ``name``, built-in or from another package.

    Args:
        group: the entry-point group.
        name: the registered name, or ``package.module:attribute`` for what is not registered.
        kind: the word for it in the error, such as ``"network"``.
        base: the class that it must be a subclass of: a name may come from a folder that somebody
            else wrote, and nothing but a class of that kind is ever called.

    Raises:
        SettingsError: if nothing has that name, if two things have it, or if it does not import.
    """
    points = _points(group)
    found = {point.value: point for point in points if point.name == name}
    if len(found) > 1:
        raise SettingsError(
            f"{kind} {name!r} is registered by several packages: "
            f"{', '.join(sorted(_package(point) for point in found.values()))}",
            remedy=f"write the one you mean: {' or '.join(sorted(found))}",
        )
    if found:
        loaded = _load_point(next(iter(found.values())), kind)
    elif ":" in name:
        loaded = _load_path(name, kind)
    else:
        known = [n for n in registered(group) if n not in FOR_TESTS]
        raise SettingsError(f"unknown {kind} {name!r}", remedy=did_you_mean(name, known))
    if not (isinstance(loaded, type) and issubclass(loaded, base)):
        raise SettingsError(
            f"{kind} {name!r} is no {kind}",
            remedy=f"it must be a subclass of {base.__module__}.{base.__name__}",
        )
    return loaded


def _places() -> tuple[tuple[str, int], ...]:
    """Where packages are installed, and when one was last."""
    found: list[tuple[str, int]] = []
    for place in sys.path:
        with suppress(OSError):
            found.append((place, Path(place).stat().st_mtime_ns))
    return tuple(found)


def _points(group: str) -> Sequence[EntryPoint]:
    return _all_points(_places()).get(group, ())


@lru_cache
def _all_points(places: tuple[tuple[str, int], ...]) -> Mapping[str, Sequence[EntryPoint]]:
    """What all packages there register for raytao, by group; a look at all takes a while."""
    from importlib.metadata import entry_points  # a third of what ``raytao --help`` would take

    del places
    points = entry_points()
    ours = (group for group in points.groups if group.startswith("raytao."))
    return {group: tuple(points.select(group=group)) for group in ours}


def _package(point: EntryPoint) -> str:
    return point.dist.name if point.dist else point.module


def _load_point(point: EntryPoint, kind: str) -> Any:
    try:
        return point.load()
    except (ImportError, AttributeError) as error:
        raise SettingsError(
            f"{kind} {point.name!r} of package {_package(point)!r} cannot be loaded: {error}",
            remedy=f"install {_package(point)} again with what it needs, or remove it",
        ) from error


def _load_path(path: str, kind: str) -> Any:
    module, _, attribute = path.partition(":")
    try:
        if not all(part.isidentifier() for part in (*module.split("."), attribute)):
            raise ValueError("this names nothing in a module")
        return getattr(import_module(module), attribute)
    except (ImportError, AttributeError, ValueError, SyntaxError, RecursionError) as error:
        raise SettingsError(
            f"{kind} {path!r} cannot be loaded: {error}",
            remedy="write package.module:attribute of a module that Python finds: install its "
            "package (pip install -e .), or set PYTHONPATH to the folder that it is in",
        ) from error
