"""A worker that Ray's memory monitor killed is a dead actor, for Tune as well.

The monitor says so by an error of its own (``ray.exceptions.OutOfMemoryError``). Tune 2.60 knows
one error of actors, ``RayActorError``, and gives up the whole experiment on any other.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from ray.air.execution._internal import RayActorManager
from ray.exceptions import RayActorError, RayError, RayTaskError
from ray.tune.execution import tune_controller

from raytao.trials.running import OUT_OF_MEMORY_REMEDY

_SAID: Final = "killed due to the node running low on memory"
_USED: Final = re.compile(r"\((IP: [^,)]+).*?\) was (\S+ used / \S+ limit)")


class _WorkerKilled(RayActorError):
    """What the monitor said, as the one error that Tune expects."""

    def __init__(self, said: str) -> None:
        super().__init__(error_msg=said)


class _Manager(RayActorManager):
    def _actor_task_failed(self, tracked_actor_task: Any, exception: Exception) -> None:
        if isinstance(exception, RayError) and not isinstance(
            exception, RayActorError | RayTaskError
        ):
            exception = _WorkerKilled(str(exception))
        super()._actor_task_failed(tracked_actor_task, exception)


@contextmanager
def deaths_are_survived() -> Iterator[None]:
    """Have Tune experiments that begin in the block see such a death as that of one trial."""
    module: Any = tune_controller
    before = module.RayActorManager
    module.RayActorManager = _Manager
    try:
        yield
    finally:
        module.RayActorManager = before


def verdict_of_the_monitor(error: str) -> str | None:
    """A sentence, if ``error`` says that Ray's memory monitor killed the worker; else None."""
    if _SAID not in error:
        return None
    found = _USED.search(error)
    place = f" ({found[1]}, {found[2]})" if found else ""
    return f"Ray killed the worker, for its node ran low on memory{place}: {OUT_OF_MEMORY_REMEDY}"
