"""docs/warm_start.md: what it shows works as it stands."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from raytao.catalog import configs
from raytao.cli.main import main
from raytao.runs.store import MemoryStore
from raytao.setup.resolve import resolve
from raytao.tao import layout
from raytao.testing.folder_run import Conditions, run_in_folder
from raytao.testing.places import local

PAGE = (Path(__file__).parents[2] / "docs" / "warm_start.md").read_text()


def block(language: str) -> str:
    (found,) = re.findall(rf"```{language}\n(.*?)```", PAGE, flags=re.DOTALL)
    return str(found)


def test_its_run_file_and_its_command_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    earlier, store = resolve("digits_hyperband"), MemoryStore()
    lr = Conditions(objective=lambda spec, epoch: -abs(float(str(spec["train.optim.lr"])) - 0.01))
    run_in_folder(earlier, store, lr)
    local(earlier.results).mkdir(parents=True)
    local(earlier.results / layout.EVENTS).write_bytes(store.read(layout.EVENTS) or b"")
    spec = (configs() / "networks/image_classification/spec.yaml").read_text()
    Path("best.yaml").write_text(spec.replace("lr: 0.001", "lr: 0.003"))
    Path("my_run.yaml").write_text(block("yaml"))
    (command,) = block("sh").splitlines()
    program, *arguments = shlex.split(command, comments=True)
    result = CliRunner().invoke(main, arguments)
    assert program == "raytao"
    assert result.exit_code == 0, result.output
    for line in ("1  initial 1 of 2: best.yaml", "portfolio 3 of 3: recommendation "):
        assert line in result.stdout


def test_its_python_works(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", block("python")],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "portfolio 1 of 3: recommendation" in done.stdout
