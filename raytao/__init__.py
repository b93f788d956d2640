"""NVIDIA TAO's AutoML, on any Ray cluster."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from raytao.automl import AutoML, Run
    from raytao.automl import open_run as open

__all__ = ["AutoML", "Run", "__version__", "open"]

__version__ = "0.1.0"

_HOME = {"AutoML": "AutoML", "Run": "Run", "open": "open_run"}


def __dir__() -> list[str]:
    """The public names, also those that are not imported yet."""
    return sorted(__all__)


def __getattr__(name: str) -> Any:
    """Import the API when it is first used: `import raytao` itself loads nothing."""
    if name not in _HOME:
        raise AttributeError(f"module 'raytao' has no attribute {name!r}")
    return getattr(import_module("raytao.automl"), _HOME[name])
