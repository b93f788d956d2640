"""Where Ray's usage statistics are off, Tune counts no callbacks and imports nothing for it."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

PROGRAM = """
import json, sys
from ray.air._internal import usage
from ray.tune import Callback
from raytao.tune.telemetry import callbacks_uncounted
found = []
with callbacks_uncounted():
    usage.tag_callbacks([Callback()])
    found.append("mlflow" in sys.modules)
usage.tag_callbacks([Callback()])
found.append("mlflow" in sys.modules)
print(json.dumps(found))
"""


@pytest.mark.timeout(120)  # imports Ray and MLflow, twice
@pytest.mark.parametrize(("statistics", "during"), [("0", False), ("1", True)])
def test_callbacks_are_counted_for_the_statistics_alone(statistics: str, during: bool) -> None:
    environment = {**os.environ, "RAY_USAGE_STATS_ENABLED": statistics}
    program = (sys.executable, "-c", PROGRAM)
    done = subprocess.run(program, env=environment, capture_output=True, text=True)
    assert json.loads(done.stdout or "[]") == [during, True], done.stderr
