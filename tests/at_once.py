"""What must not exhaust a machine, whatever it is given, ends after a moment of the processor."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

LONGEST_SECONDS: Final = 2.0
"""Several times what a refusal takes on an idle machine: a busy one takes longer, and what grows
without bound takes minutes. How fast things are is measured in benchmarks/."""


@contextmanager
def at_once(seconds: float = LONGEST_SECONDS) -> Iterator[None]:
    """Fail if this process computes for longer than ``seconds`` meanwhile."""
    begun = time.process_time()
    yield
    assert time.process_time() - begun < seconds
