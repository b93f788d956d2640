"""docs/notebooks.md: its cells run in order, as in a kernel, and name every notebook there is."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import raytao
from raytao.automl import Recommendation

pytestmark = [pytest.mark.ray, pytest.mark.integration]

ROOT = Path(raytao.__file__).parents[1]
PAGE = (ROOT / "docs" / "notebooks.md").read_text()
CELLS = re.findall(r"```python\n(.*?)```", PAGE, flags=re.DOTALL)


def test_its_cells_run_in_order(tmp_path: Path) -> None:
    # One Ray for all of them, and none of those that other tests have started meanwhile.
    before = "import ray; ray.init('local', num_cpus=2, include_dashboard=False)"
    check = """
assert run.status == "Done", run
assert len(run.table()) == 2
assert raytao.open("results/own_function").status == "Done"
assert 0 <= loop.best.params["x"] <= 1
"""
    script = tmp_path / "cells.py"
    script.write_text("\n".join([before, *CELLS, check]))
    done = subprocess.run(
        [sys.executable, script.name],
        cwd=tmp_path,
        env={**os.environ, "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "results" / "notebook" / "report.html").is_file()


def test_every_name_that_it_mentions_is_public() -> None:
    named = set(re.findall(r"\brun\.(?:best\.)?(\w+)", PAGE))
    known = {*dir(raytao.Run), *dir(Recommendation)}
    assert len(named) >= 5
    assert named <= known
    assert all(ast.parse(cell) for cell in CELLS)


def test_every_notebook_is_listed() -> None:
    there = {path.name for path in (ROOT / "notebooks").glob("*.ipynb")}
    assert set(re.findall(r"\.\./notebooks/([\w.]+)", PAGE)) == there
