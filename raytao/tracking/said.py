"""What a tracking says to the user."""

from __future__ import annotations

from shlex import quote
from typing import Final
from urllib.parse import urlsplit

from raytao.redact import redact
from raytao.runs.place import Place

DATABASES: Final = ("sqlite", "postgresql", "mysql", "mssql")
"""Schemes of databases that MLflow writes to without a server."""

REASON_LENGTH: Final = 300
"""Characters of a reason that are shown; a database's error can be a page."""


def reason_of(error: BaseException) -> str:
    """The error in one line, without secrets."""
    words = " ".join(redact(f"{type(error).__name__}: {error}").split())
    return words if len(words) <= REASON_LENGTH else f"{words[:REASON_LENGTH]}…"


def where_in_mlflow(uri: str, experiment: str, run: str) -> str:
    """Where people see a run: its page on a server, or the command that shows a database.

    Args:
        uri: of the server or the database.
        experiment: its id.
        run: its id.

    >>> where_in_mlflow("http://host:5000/", "1", "ab")
    'http://host:5000/#/experiments/1/runs/ab'
    >>> where_in_mlflow("databricks", "1", "ab")
    'run ab of experiment 1 in databricks'
    """
    scheme = urlsplit(uri).scheme
    if scheme in ("http", "https"):
        return f"{uri.rstrip('/')}/#/experiments/{experiment}/runs/{run}"
    if scheme.partition("+")[0] in DATABASES:
        return f"mlflow ui --backend-store-uri {quote(uri)}"
    return f"run {run} of experiment {experiment} in {uri}"


def how_to_sync(results: Place) -> str:
    """The command that tells a run's trackers what they missed."""
    return f"raytao sync {quote(str(results))}"
