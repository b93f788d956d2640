"""The only folder that knows Ray: adapters, the trial actor, the launcher."""

from __future__ import annotations

import logging
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from raytao.tune.hyperband import HyperbandScheduler
    from raytao.tune.search import BayesianSearch

__all__ = ["BayesianSearch", "HyperbandScheduler"]

_HOMES = {
    "BayesianSearch": "raytao.tune.search",
    "HyperbandScheduler": "raytao.tune.hyperband",
}


def __getattr__(name: str) -> Any:
    """Import a public name when it is first asked for: Ray takes seconds."""
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


# In a notebook, Ray asks for ipywidgets when it is imported; nothing here shows one.
logging.getLogger("ray.widgets").setLevel(logging.ERROR)
