"""What an exception that ends a training means: which kind of failure, in one line."""

from __future__ import annotations

import errno
import os
import sys
import traceback
from typing import Final

from raytao.errors import DamagedRun, RaytaoError
from raytao.redact import Redactor
from raytao.runs.store import StoreError
from raytao.trials.messages import Broken, FailureKind

LONGEST_REASON: Final = 400

_OUT_OF_MEMORY: Final = (
    *("out of memory", "can't allocate memory", "not enough memory"),
    *("cudnn_status_alloc_failed", "cublas_status_alloc_failed"),
)
"""What torch and NVIDIA's libraries say, in lower case."""


def broken_by(error: Exception | SystemExit, redact: Redactor, who: str = "") -> Broken:
    """Name what went wrong; a traceback goes to stderr, each line of it behind ``who``.

    Args:
        error: what the trainer raised.
        redact: hides what is secret.
        who: of which process it is, such as ``[rank 1]``; empty where there is only one.
    """
    if isinstance(error, SystemExit):
        return _exited(error)
    if isinstance(error, RaytaoError):
        return Broken(_kind(error), str(error))
    _write(redact("".join(traceback.format_exception(error))), who)
    return Broken(_kind(error), traceback.format_exception_only(error)[-1])


def in_short(text: str) -> str:
    """One line; its secrets are hidden already, for half of one would not be recognised."""
    reason = " ".join(text.split())
    return reason if len(reason) <= LONGEST_REASON else f"{reason[: LONGEST_REASON - 1]}…"


def _write(text: str, who: str) -> None:
    if not who:
        sys.stderr.write(text)
        return
    lines = "".join(f"{who} {line}\n" for line in text.splitlines())
    sys.stderr.flush()
    os.write(sys.stderr.fileno(), lines.encode())  # at once: other ranks write there, too


def _exited(error: SystemExit) -> Broken:
    """``sys.exit`` in a trainer; Python's rule: None is 0, text is printed and means 1."""
    if error.code is None or error.code == 0:
        return Broken(FailureKind.SILENT, "the trainer called sys.exit(0) before its last epoch")
    return Broken(FailureKind.ERROR, f"the trainer called sys.exit({error.code!r})")


def _kind(error: Exception) -> FailureKind:
    full = isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT)
    if full or isinstance(error, StoreError | DamagedRun):
        return FailureKind.STORAGE
    return FailureKind.OOM if _is_out_of_memory(error) else FailureKind.ERROR


def _is_out_of_memory(error: BaseException) -> bool:
    """Torch raises ``OutOfMemoryError`` for the GPU and a plain RuntimeError for the CPU.

    An error that a trainer raises from another one is of that one's kind.
    """
    said = str(error).lower()
    return (
        isinstance(error, MemoryError)
        or type(error).__name__ == "OutOfMemoryError"
        or (isinstance(error, OSError) and error.errno == errno.ENOMEM)
        or (isinstance(error, RuntimeError) and any(text in said for text in _OUT_OF_MEMORY))
        or (error.__cause__ is not None and _is_out_of_memory(error.__cause__))
    )
