"""MLflow without its chatter and its patience: as far as its switches go, and by thread."""

from __future__ import annotations

import logging
import os
import threading

SWITCHES = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_DISABLE_AGENT_HINT": "true",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "3",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "30",
}
"""Read by MLflow when it is imported, when it asks a server, or when a run ends; what the user has
set stays. A server that is away for longer than about 15 s is told afterwards, by `raytao sync`:
MLflow itself would try for minutes, and the end of a run would wait for it."""

TALKERS = ("mlflow", "alembic")


def switch_off() -> None:
    """Turn off what MLflow would send and print. Call it before MLflow is imported."""
    for switch, value in SWITCHES.items():
        os.environ.setdefault(switch, value)


def hush_this_thread() -> None:
    """Keep MLflow's log records of this thread from its handlers; all other records pass."""
    this = threading.current_thread()
    for talker in TALKERS:
        for handler in logging.getLogger(talker).handlers:
            if not any(
                isinstance(one, _Silence) and one.thread is this for one in handler.filters
            ):
                handler.addFilter(_Silence(this))


def hear_this_thread() -> None:
    """Undo `hush_this_thread`: a thread that is the user's own says what it says there again."""
    this = threading.current_thread()
    for talker in TALKERS:
        for handler in logging.getLogger(talker).handlers:
            for one in list(handler.filters):
                if isinstance(one, _Silence) and one.thread is this:
                    handler.removeFilter(one)


class _Silence(logging.Filter):
    """Stops what MLflow says in one thread; a handler may be that of other packages as well."""

    def __init__(self, thread: threading.Thread) -> None:
        super().__init__()
        self.thread = thread

    def filter(self, record: logging.LogRecord) -> bool:
        says_it = record.name.partition(".")[0] in TALKERS
        return not says_it or threading.current_thread() is not self.thread
