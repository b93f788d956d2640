"""What must not exhaust a machine, whatever it is given, ends after a moment of the processor."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

LONGEST_SECONDS: Final = 5.0
"""Many times what any of it takes on an idle machine: a busy one may take several times as long,
and what grows without bound takes far longer. How fast things are is measured in benchmarks/."""


@contextmanager
def at_once() -> Iterator[None]:
    """Fail if this process computes for longer than `LONGEST_SECONDS` meanwhile."""
    begun = time.process_time()
    yield
    assert time.process_time() - begun < LONGEST_SECONDS
