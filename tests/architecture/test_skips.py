"""The rule of tests/conftest.py: where everything is installed, a skip is a failure."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

CONFTEST = Path(__file__).parents[1] / "conftest.py"
EXAMPLES = {
    "a skip": ("import pytest\ndef test_it(): pytest.skip('no data')", False),
    "a skipped file": ("import pytest\npytest.importorskip('no_such_module')", False),
    "a mark": ("import pytest\n@pytest.mark.skip(reason='later')\ndef test_it(): pass", False),
    "a GPU": ("import pytest\ndef test_it(): pytest.skip('gpu: none')", True),
    "an expected failure": ("import pytest\n@pytest.mark.xfail\ndef test_it(): assert 0", True),
}


def outcome(source: str, folder: Path, **environment: str) -> int:
    """Exit code of pytest for one test file under the project's conftest."""
    (folder / "conftest.py").write_text(CONFTEST.read_text())
    (folder / "test_example.py").write_text(source)
    (folder / "pytest.ini").write_text("[pytest]\n")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(folder)]
    variables = {k: v for k, v in os.environ.items() if k != "RAYTAO_NO_SKIPS"} | environment
    run = subprocess.run(command, env=variables, cwd=folder, capture_output=True, check=False)
    return run.returncode


@pytest.mark.parametrize(("source", "allowed"), EXAMPLES.values(), ids=EXAMPLES.keys())
def test_only_a_missing_gpu_may_be_skipped(source: str, allowed: bool, tmp_path: Path) -> None:
    assert (outcome(source, tmp_path, RAYTAO_NO_SKIPS="1") == 0) == allowed


def test_elsewhere_a_skip_is_a_skip(tmp_path: Path) -> None:
    source, _ = EXAMPLES["a skip"]
    assert outcome(source, tmp_path) == 0
