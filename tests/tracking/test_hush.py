"""What MLflow says in a tracker's thread is kept quiet, and nothing that anybody else says."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator

import pytest

from raytao.tracking.hush import hear_this_thread, hush_this_thread


class Heard(logging.Handler):
    def __init__(self) -> None:
        super().__init__()
        self.said: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.said.append(record.getMessage())


@pytest.fixture
def heard() -> Iterator[Heard]:
    """One handler for MLflow's records and for a package's own, as a user may have it."""
    handler, loggers = Heard(), [logging.getLogger(name) for name in ("mlflow", "my_package")]
    for logger in loggers:
        logger.addHandler(handler)
    yield handler
    for logger in loggers:
        logger.removeHandler(handler)


def in_a_thread(*names: str) -> None:
    def work() -> None:
        hush_this_thread()
        hush_this_thread()
        for name in names:
            logging.getLogger(name).warning(name)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()


def test_only_what_mlflow_says_in_that_thread_is_hushed(heard: Heard) -> None:
    in_a_thread("mlflow.store", "mlflow", "my_package", "my_package.part")
    logging.getLogger("mlflow.tracking").warning("of another thread")
    assert heard.said == ["my_package", "my_package.part", "of another thread"]
    assert len(heard.filters) == 1


def test_a_thread_that_is_heard_again_says_everything(heard: Heard) -> None:
    hush_this_thread()
    in_a_thread("mlflow")
    hear_this_thread()
    logging.getLogger("mlflow").warning("heard again")
    assert heard.said == ["heard again"]
    assert len(heard.filters) == 1, "the other thread's silence stays"
