"""What ``import raytao`` gives: a frozen list of names, and none of raytao's modules yet."""

from __future__ import annotations

import json
import subprocess
import sys

import raytao

PUBLIC = ["AutoML", "Run", "__version__", "open"]


def test_the_public_names_are_frozen() -> None:
    assert sorted(raytao.__all__) == PUBLIC


def test_every_public_name_is_there() -> None:
    assert [name for name in PUBLIC if not hasattr(raytao, name)] == []


def test_importing_raytao_imports_none_of_its_modules() -> None:
    code = "import json, sys, raytao; print(json.dumps([*sys.modules]))"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    modules = json.loads(run.stdout)
    assert [name for name in modules if name.startswith("raytao")] == ["raytao"]
