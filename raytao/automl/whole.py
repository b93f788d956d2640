"""A user's function with the user's own modules in it, for machines that do not have these."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from raytao.networks.function import OwnFunction

INSTALLED: Final = frozenset({"site-packages", "dist-packages"})
"""Folders whose modules a cluster has in its own installation."""


def whole(train: Callable[..., Any]) -> OwnFunction:
    """A function with everything of the user's own modules that it uses.

    A function of a notebook travels whole by itself; one of a module travels as its name, and the
    cluster has no such module.

    Raises:
        SettingsError: if it cannot be sent.
    """
    with _by_value(_own_modules(train)):
        return OwnFunction.of(train)


def _own_modules(train: Callable[..., Any]) -> list[Any]:
    """Modules of the folder that the function's module is in, and of the current one."""
    home = getattr(sys.modules.get(getattr(train, "__module__", "")), "__file__", None)
    folders = {Path.cwd(), *([Path(home).resolve().parent] if home else [])}
    return [
        module
        for name, module in list(sys.modules.items())
        if name != "__main__" and name.partition(".")[0] != "raytao" and _is_in(module, folders)
    ]


def _is_in(module: Any, folders: set[Path]) -> bool:
    file = getattr(module, "__file__", None)
    if not isinstance(file, str):
        return False
    path = Path(file).resolve()
    own = any(path.is_relative_to(folder) for folder in folders)
    return own and not INSTALLED & set(path.parts)


@contextmanager
def _by_value(modules: Sequence[Any]) -> Iterator[None]:
    import cloudpickle  # needed by whoever sends only

    known = set(cloudpickle.list_registry_pickle_by_value())
    new = [module for module in modules if module.__name__ not in known]
    for module in new:
        cloudpickle.register_pickle_by_value(module)
    try:
        yield
    finally:
        for module in new:
            cloudpickle.unregister_pickle_by_value(module)
