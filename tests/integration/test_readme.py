"""Every command of the README works as written, in order, on this machine."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import raytao
from raytao.catalog import configs
from raytao.runs.store import MemoryStore
from raytao.setup.resolve import resolve, resolve_values
from raytao.setup.settings import Settings
from raytao.tao import layout
from raytao.tao.card import read_card
from raytao.testing.folder_run import Conditions, run_in_folder
from raytao.types import Direction

pytestmark = [pytest.mark.ray, pytest.mark.integration]

README = Path(raytao.__file__).parents[1] / "README.md"
MAKES_THE_ENVIRONMENT = ("make ", "python3 -m venv", ".venv/bin/pip", ". .venv/bin/activate")
"""Commands that the Makefile and the continuous integration run themselves."""


def commands() -> list[str]:
    blocks = re.findall(r"```sh\n(.*?)```", README.read_text(), flags=re.DOTALL)
    lines = [line for block in blocks for line in block.splitlines() if line.strip()]
    return [line for line in lines if not line.startswith(MAKES_THE_ENVIRONMENT)]


def test_the_readmes_commands_work_in_order(tmp_path: Path) -> None:
    found = commands()
    assert len(found) >= 6
    binary = Path(sys.executable).parent
    for line in found:
        done = subprocess.run(
            ["bash", "-c", line],
            cwd=tmp_path,
            env={"PATH": f"{binary}:/usr/bin:/bin", "HOME": str(tmp_path)},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"{line}\n{done.stderr}"


def leave_a_run(folder: Path) -> None:
    """The log of a finished run, for ``warm_start`` to read."""
    data = {"network": "image_classification", "brain": "random", "results_dir": str(folder)}
    store = MemoryStore()
    by_rate = Conditions(objective=lambda spec, epoch: float(str(spec["train.optim.lr"])))
    run_in_folder(resolve_values(data, caller="test"), store, by_rate)
    folder.mkdir(parents=True)
    (folder / layout.EVENTS).write_bytes(store.read(layout.EVENTS) or b"")


def test_the_readmes_run_file_with_every_key_is_accepted(tmp_path: Path) -> None:
    blocks = re.findall(r"```yaml\n(.*?)```", README.read_text(), flags=re.DOTALL)
    assert len(blocks) == 4
    shutil.copy(configs() / "networks/image_classification/spec.yaml", tmp_path / "my_spec.yaml")
    (tmp_path / "run.yaml").write_text(blocks[1])
    leave_a_run(tmp_path / "results/earlier")
    setup = resolve(str(tmp_path / "run.yaml"))
    for_trainers_of_others = {"command"}
    assert setup.settings.model_fields_set == set(Settings.model_fields) - for_trainers_of_others
    assert "model.depth" in setup.space.names


def test_the_readmes_resources_depend_on_the_spec(tmp_path: Path) -> None:
    blocks = re.findall(r"```yaml\n(.*?)```", README.read_text(), flags=re.DOTALL)
    (block,) = (block for block in blocks if block.startswith("resources:"))
    (tmp_path / "run.yaml").write_text(f"network: image_classification\n{block}")
    resources = resolve(str(tmp_path / "run.yaml")).settings.resources
    asked = {width: resources.of({"model": {"width": width}}) for width in (16, 96, 160)}
    assert {width: request.gpus for width, request in asked.items()} == {16: 0.5, 96: 1, 160: 2}
    assert [bool(request.labels) for request in asked.values()] == [False, False, True]


def test_the_readmes_card_is_a_card(tmp_path: Path) -> None:
    *_, block = re.findall(r"```yaml\n(.*?)```", README.read_text(), flags=re.DOTALL)
    (tmp_path / "card.yaml").write_text(block)
    card = read_card(tmp_path)
    assert card.command is not None
    assert card.command.ends_itself
    assert card.metric("kpi") == ("val_acc", Direction.MAXIMIZE)


SCRIPTS = re.findall(r"```python\n(.*?)```", README.read_text(), flags=re.DOTALL)


@pytest.mark.parametrize("script", SCRIPTS, ids=range(len(SCRIPTS)))
def test_the_readmes_scripts_run(script: str, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=tmp_path,
        env={**os.environ, "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_the_readme_shows_python_for_every_door() -> None:
    wanted = ("AutoML(", "train=train", ".ask(", "BayesianSearch")
    assert [word for word in wanted if not any(word in script for script in SCRIPTS)] == []


def test_the_run_file_of_the_readme_is_the_shipped_one() -> None:
    text = README.read_text()
    block = re.search(r"```yaml\n(.*?)```", text, flags=re.DOTALL)
    assert block is not None
    shipped = (README.parent / "configs" / "runs" / "digits_hyperband.yaml").read_text()
    body = [line for line in shipped.splitlines() if not line.startswith(("#", "results_dir"))]
    assert block.group(1).splitlines() == body
