"""While a run is checked that will train on other machines: what only those can tell is left out.

Whether a data set's files are there, and what an environment variable holds, is known where the
trials run. The driver there asks for it before its first trial.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Final

_ELSEWHERE: Final[ContextVar[bool]] = ContextVar("trains_elsewhere", default=False)


@contextmanager
def elsewhere() -> Iterator[None]:
    """Within the block specs are checked for other machines."""
    before = _ELSEWHERE.set(True)
    try:
        yield
    finally:
        _ELSEWHERE.reset(before)


def trains_elsewhere() -> bool:
    """Whether files and variables of this machine say nothing about the run."""
    return _ELSEWHERE.get()
