"""One BLAS thread while a brain thinks.

The matrices of a search are small: several threads would mostly wait for each other, on cores that
belong to the trials. How a sum is shared out shows in its last digits, too, so that with one
thread a suggestion does not depend on the number of cores.

Environment variables such as ``OMP_NUM_THREADS`` are read when NumPy is loaded, which in a
notebook was long ago; the pools that are loaded are told instead, and get their number back.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any, Final

BRING_POOLS: Final = ("numpy", "scipy.linalg", "torch")
"""Modules that load a BLAS library of their own."""


@contextmanager
def one_blas_thread() -> Iterator[None]:
    """Bound the BLAS libraries of this process to one thread; may be nested.

    Most BLAS libraries have one bound for the process. The thread that set it first owns it until
    it leaves; what other threads ask for meanwhile is passed over.
    """
    import numpy  # noqa: F401 - every brain draws with it: its library must be there to be told

    loaded = tuple(name for name in BRING_POOLS if name in sys.modules)
    with _pools(loaded).limit(limits=1):
        yield


@cache
def _pools(loaded: tuple[str, ...]) -> Any:
    """The BLAS libraries of the process; to find them takes a millisecond, to tell them 20 µs.

    ``loaded``: those of `BRING_POOLS` that are loaded, for with another one there are more.
    """
    from threadpoolctl import ThreadpoolController

    del loaded
    return ThreadpoolController().select(user_api="blas")
