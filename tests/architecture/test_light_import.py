"""Verbs that only read answer at once: they load no Ray, no torch, no data library."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

HEAVY = ("ray", "torch", "mlflow", "sklearn", "scipy", "pandas")

IMPORT = "import raytao"
COMMAND = """
from raytao.cli.main import main
try:
    main({arguments!r})
except SystemExit as end:
    code = end.code or 0
"""
PROBE = """
import json, sys
code = 0
{body}
loaded = [name for name in {heavy!r} if name in sys.modules]
print(json.dumps([code, loaded]))
"""


def probe(body: str, cwd: Path) -> tuple[int, list[str]]:
    """Run ``body`` in a fresh interpreter; return its exit code and what it loaded of HEAVY."""
    program = PROBE.format(body=body, heavy=HEAVY)
    command = [sys.executable, "-c", program]
    run = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    code, loaded = json.loads(run.stdout.splitlines()[-1])
    return code, loaded


def command(*arguments: str) -> str:
    """Source that runs the command line and notes its exit code."""
    return COMMAND.format(arguments=list(arguments))


def test_importing_raytao_loads_nothing_heavy(tmp_path: Path) -> None:
    assert probe(IMPORT, tmp_path) == (0, [])


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["--help"], 0),
        (["run", "--help"], 0),
        (["plan", "digits_hyperband"], 0),
        (["status", "no-such-folder"], 2),
        (["params"], 0),
        (["params", "image_classification"], 0),
    ],
    ids=["help", "help of run", "plan", "status", "params", "params of a network"],
)
def test_a_verb_that_only_reads_loads_nothing_heavy(
    arguments: list[str], code: int, tmp_path: Path
) -> None:
    assert probe(command(*arguments), tmp_path) == (code, [])


def test_a_plan_loads_at_most_what_its_brain_needs(tmp_path: Path) -> None:
    code, loaded = probe(command("plan", "digits_bayesian"), tmp_path)
    assert code == 0
    assert set(loaded) <= {"scipy"}


def test_a_heavy_module_would_be_noticed(tmp_path: Path) -> None:
    assert probe("import scipy", tmp_path) == (0, ["scipy"])
