"""Rules for every test: how long it may take, when it may be skipped, whose warnings count."""

from __future__ import annotations

import os
from collections.abc import Generator

import pytest
from hypothesis import HealthCheck, settings

# Where a run decides over others' work, it must not depend on luck: the same examples each time.
# A fresh checkout first builds tables of characters, which alone is slower than hypothesis likes.
settings.register_profile("ci", derandomize=True, suppress_health_check=[HealthCheck.too_slow])
if os.environ.get("CI"):
    settings.load_profile("ci")

# Ray's workers are nice by 15 and get next to nothing while another test keeps the cores busy: a
# trial of half a second then takes a minute. Whatever Ray is started below here is fair to all.
os.environ.setdefault("RAY_worker_niceness", "0")

TIMEOUTS = {"integration": 900, "chaos": 900, "gpu": 900, "ray": 120}
"""Seconds by marker, the first that fits; a test without one has the 30 s of pyproject.toml."""

RAYS_OWN_WARNINGS = (
    r"ignore::DeprecationWarning:ray(\.|$)",
    r"ignore::FutureWarning:ray(\.|$)",
)

SKIPS_FAIL = os.environ.get("RAYTAO_NO_SKIPS") == "1"
ALLOWED_SKIPS = ("gpu:", "netns:")
"""What a machine may lack: a GPU, and the right to make network namespaces."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give marked tests their time limit, and let Ray's own warnings pass where Ray runs."""
    for item in items:
        marks = {mark.name for mark in item.iter_markers()}
        limits = [seconds for name, seconds in TIMEOUTS.items() if name in marks]
        if limits and "timeout" not in marks:
            item.add_marker(pytest.mark.timeout(limits[0]))
        if "ray" in marks:
            for warning in RAYS_OWN_WARNINGS:
                item.add_marker(pytest.mark.filterwarnings(warning))


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip a test that needs a GPU where there is none."""
    if item.get_closest_marker("gpu"):
        import torch

        if not torch.cuda.is_available():
            pytest.skip("gpu: torch sees none")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Turn a skip into a failure where everything that tests need should be installed."""
    report = yield
    if SKIPS_FAIL and not hasattr(report, "wasxfail"):
        _refuse_skip(report)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """The same for a file that skips as a whole."""
    report = yield
    if SKIPS_FAIL:
        _refuse_skip(report)
    return report


def _refuse_skip(report: pytest.TestReport | pytest.CollectReport) -> None:
    if report.outcome != "skipped" or not isinstance(report.longrepr, tuple):
        return
    path, line, text = report.longrepr
    reason = text.removeprefix("Skipped: ")
    if not reason.startswith(ALLOWED_SKIPS):
        report.outcome = "failed"
        report.longrepr = f"{path}:{line}: unexpected skip: {reason}"
