"""What Ray Tune counts for Ray's usage statistics is not counted where those are off."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from ray._common.usage.usage_lib import usage_stats_enabled
from ray.air._internal import usage


@contextmanager
def callbacks_uncounted() -> Iterator[None]:
    """Keep Tune experiments that begin in the block from counting callbacks for nobody.

    Tune looks for its own loggers among the callbacks, and imports the libraries of all of them to
    know one when it sees it: MLflow's takes a second, before the first trial starts.
    """
    if usage_stats_enabled():
        yield
        return
    module: Any = usage
    before = module.tag_callbacks
    module.tag_callbacks = lambda _: False
    try:
        yield
    finally:
        module.tag_callbacks = before
