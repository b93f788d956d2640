"""A brain thinks with one BLAS thread, whatever the process was started with."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from typing import Any

import pytest
import scipy.linalg
from threadpoolctl import ThreadpoolController, threadpool_limits

from raytao.brains.base import Task
from raytao.brains.full import FullLength, FullLengthSettings
from raytao.brains.threads import one_blas_thread
from raytao.runs.ahead import thinking_ahead
from raytao.runs.chapter import Chapter
from raytao.space import Float, Space
from raytao.types import Failed, Observation, Params, Scored, Verdict

SPACE = Space([Float("x", 0.0, 1.0)])
MANY = 3


def pools() -> set[int]:
    """Threads of the BLAS libraries that are loaded."""
    assert scipy.linalg.cholesky
    found = ThreadpoolController().select(user_api="blas").lib_controllers
    assert found, "NumPy was built without a BLAS that can be told"
    return {library.num_threads for library in found}


@pytest.fixture(autouse=True)
def several_threads() -> Iterator[None]:
    """As in a notebook on a machine of many cores."""
    with threadpool_limits(MANY, user_api="blas"):
        yield


def test_one_thread_inside_and_as_many_as_before_after_it() -> None:
    assert pools() == {MANY}
    with one_blas_thread():
        assert pools() == {1}
    assert pools() == {MANY}


def test_numpy_that_is_loaded_to_think_has_one_thread() -> None:
    program = """
from raytao.brains.threads import one_blas_thread
from threadpoolctl import threadpool_info
with one_blas_thread():
    import numpy
    print([pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"])
"""
    several = {**os.environ, "OPENBLAS_NUM_THREADS": str(MANY), "OMP_NUM_THREADS": str(MANY)}
    command = [sys.executable, "-c", program]
    run = subprocess.run(command, env=several, capture_output=True, text=True, check=True)
    assert run.stdout == "[1]\n"


def test_an_error_inside_gives_the_threads_back() -> None:
    with pytest.raises(ZeroDivisionError), one_blas_thread():
        raise ZeroDivisionError
    assert pools() == {MANY}


def test_a_thread_beside_neither_lifts_the_bound_nor_keeps_it() -> None:
    seen: list[set[int]] = []

    def think() -> None:
        with one_blas_thread():
            seen.append(pools())

    with one_blas_thread():
        other = threading.Thread(target=think)
        other.start()
        other.join()
        with one_blas_thread():
            seen.append(pools())
        seen.append(pools())
    assert seen == [{1}, {1}, {1}]
    assert pools() == {MANY}


class Looks(FullLength):
    """Notes how many threads there are while it thinks."""

    name = "looks"

    def __init__(self) -> None:
        super().__init__(Task(SPACE, 1), FullLengthSettings(max_recommendations=2))
        self.seen: list[set[int]] = []

    def _propose(self, trial: int) -> tuple[Params, str] | None:
        self.seen.append(pools())
        return {"x": 0.5}, "the middle"

    def observe(self, observation: Observation) -> Verdict:
        self.seen.append(pools())
        return super().observe(observation)


@pytest.mark.parametrize("outcome", [Scored({"score": 0.5}), Failed("broke")])
def test_a_run_s_brain_suggests_and_judges_with_one_thread(outcome: Any) -> None:
    brain = Looks()
    chapter = Chapter(brain, first=4)
    chapter.suggest(4)
    chapter.observe(4, 1, outcome)
    assert brain.seen == [{1}, {1}]
    assert pools() == {MANY}


def test_a_brain_that_thinks_ahead_has_one_thread_for_as_long_as_the_run() -> None:
    driver, other = Looks(), Looks()
    with thinking_ahead(other, clock=itertools.count().__next__) as ahead:
        ahead.suggest(Chapter(driver, 0), 0)
        ahead.prepare(Chapter(driver, 0), 1, saw=3)
        assert ahead.suggest(Chapter(driver, 0), 1)[1] == 3
        assert driver.seen == other.seen == [{1}]
        assert pools() == {1}
    assert pools() == {MANY}
