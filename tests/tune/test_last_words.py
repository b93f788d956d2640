"""What a driver says when it stops early."""

from __future__ import annotations

from pathlib import Path

import pytest

from raytao.runs.retries import HopelessRun
from raytao.trials.messages import FailureKind
from raytao.tune.last_words import REMEDIES, last_words
from raytao.tune.memory_monitor import verdict_of_the_monitor

pytestmark = [pytest.mark.ray, pytest.mark.filterwarnings("ignore::DeprecationWarning")]

MONITOR = """Failure # 1 (occurred at 2026-11-22_01-52-44)
1 worker(s) were killed due to the node running low on memory. Memory on the node \
(IP: 192.0.2.2, ID: 2d2b14d5) was 22.12GB used / 23.54GB limit (0.947418)
OOM kill reason: Memory usage exceeded its threshold
Top 10 memory users: PID	MEM(GB)	COMMAND
2
"""


def test_a_hopeless_run_names_the_log_the_remedy_and_how_to_go_on() -> None:
    hopeless = HopelessRun("5 trials in a row failed alike (oom)", trial=7, cause="oom")
    how = "raytao resume results/run"
    assert last_words(str(hopeless), hopeless, Path("results/run"), how).splitlines() == [
        "the run stopped: 5 trials in a row failed alike (oom)",
        "  its log: results/run/experiment_7/log.txt",
        "  to mend it: run fewer trials at once (lower slots) or lower the batch size",
        "  when that is mended: raytao resume results/run",
    ]


def test_a_full_disk_is_no_trials_fault() -> None:
    assert last_words("no space left", None, Path("r"), "raytao resume r").splitlines() == [
        "the run stopped: no space left",
        "  when that is mended: raytao resume r",
    ]


def test_every_remedy_is_for_a_cause_that_there_is() -> None:
    assert set(REMEDIES) <= {"lost", *(kind.value for kind in FailureKind)}


def test_the_memory_monitors_verdict_is_a_sentence() -> None:
    assert verdict_of_the_monitor(MONITOR) == (
        "Ray killed the worker, for its node ran low on memory (IP: 192.0.2.2, 22.12GB used / "
        "23.54GB limit): run fewer trials at once (lower slots) or lower the batch size"
    )
    assert verdict_of_the_monitor("The actor died unexpectedly") is None
