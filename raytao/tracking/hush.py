"""MLflow without its chatter: on the tracker's thread, and as far as its switches go."""

from __future__ import annotations

import logging
import os
import threading

SWITCHES = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_DISABLE_AGENT_HINT": "true",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
}
"""Read by MLflow when it is imported, or when a run ends; what the user has set stays."""

TALKERS = ("mlflow", "alembic")


def switch_off() -> None:
    """Turn off what MLflow would send and print. Call it before MLflow is imported."""
    for switch, value in SWITCHES.items():
        os.environ.setdefault(switch, value)


def hush_this_thread() -> None:
    """Keep log records of this thread from MLflow's handlers; those of other threads pass."""
    silence = _Silence(threading.current_thread())
    for talker in TALKERS:
        for handler in logging.getLogger(talker).handlers:
            handler.addFilter(silence)


class _Silence(logging.Filter):
    def __init__(self, thread: threading.Thread) -> None:
        super().__init__()
        self._thread = thread

    def filter(self, record: logging.LogRecord) -> bool:
        del record
        return threading.current_thread() is not self._thread
