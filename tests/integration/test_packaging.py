"""What a user installs: the wheel alone, in an environment of its own, far from any checkout."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import PathDistribution
from pathlib import Path

import driver
import pytest
from packaging.requirements import Requirement

import raytao
from raytao.runs.state import RunState
from raytao.tao import layout

pytestmark = pytest.mark.integration

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
PLUGIN = "raytao-example-plugin"
PLUGIN_RUN = """
network: polynomial
brain: {name: halton, max_recommendations: 4}
set: {train.num_epochs: 3}
seed: 1
results_dir: results/plugin
"""


def output_of(*command: str | Path) -> str:
    """Run an installer, with its own settings and cache but without this checkout's modules."""
    env = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    run = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    assert run.returncode == 0, f"{command}\n{run.stdout}\n{run.stderr}"
    return run.stdout


def built(project: Path, folder: Path) -> Path:
    """Build a project's wheel, with the build backend that its pyproject.toml asks for."""
    output_of(sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "-w", folder, project)
    (wheel,) = folder.glob("*.whl")
    return wheel


@dataclass(frozen=True)
class Environment:
    """A virtual environment, and the empty home of a user who has nothing else."""

    folder: Path
    home: Path

    def pip(self, *arguments: str | Path) -> None:
        output_of(self.folder / "bin/python", "-m", "pip", *arguments)

    def run(self, program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run an installed program as that user."""
        binaries = self.folder / "bin"
        return subprocess.run(
            [binaries / program, *arguments],
            cwd=self.home,
            env={"PATH": f"{binaries}:/usr/bin:/bin", "HOME": str(self.home)},
            capture_output=True,
            text=True,
            check=False,
        )

    @contextmanager
    def with_plugin(self, wheel: Path) -> Iterator[None]:
        """Have the plugin installed inside the block, and gone after it."""
        self.pip("install", "-q", "--no-deps", wheel)
        try:
            yield
        finally:
            self.pip("uninstall", "-q", "--yes", PLUGIN)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return built(ROOT, tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="module")
def plugin(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return built(ROOT / "tests" / "plugin", tmp_path_factory.mktemp("plugin"))


@pytest.fixture(scope="module")
def environment(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Environment]:
    """The wheel and what it needs, installed by the versions that the README recommends."""
    folder = tmp_path_factory.mktemp("environment")
    output_of(sys.executable, "-m", "venv", folder / "venv")
    made = Environment(folder / "venv", folder / "home")
    made.home.mkdir()
    index = os.environ.get("TORCH_INDEX")  # as in the Makefile, which hands it on
    extra = ["--extra-index-url", index] if index else []
    made.pip("install", "-q", "-c", ROOT / "constraints.txt", *extra, wheel)
    yield made
    shutil.rmtree(made.folder)  # over a gigabyte, and pytest keeps the folders of three sessions


def ended(results: Path) -> RunState:
    """A run that has a winner, with its model where TAO has it."""
    state = RunState.fold(driver.records(results))
    best = state.incumbent
    assert best is not None
    assert (results / layout.BEST_MODEL / layout.checkpoint(best.epoch)).is_file()
    return state


def files(folder: Path) -> set[str]:
    """Files of a source folder, relative to its parent."""
    found = (path for path in folder.rglob("*") if path.is_file())
    return {
        p.relative_to(folder.parent).as_posix() for p in found if p.parent.name != "__pycache__"
    }


def test_the_wheel_holds_every_file_of_the_package_and_no_other(wheel: Path) -> None:
    info = f"raytao-{raytao.__version__}.dist-info/"
    packed = {n for n in zipfile.ZipFile(wheel).namelist() if not n.startswith(info)}
    configs = {f"raytao/{name}" for name in files(ROOT / "configs")}
    assert packed == files(ROOT / "raytao") | configs
    assert "raytao/py.typed" in packed
    assert "raytao/configs/runs/digits_hyperband.yaml" in packed
    assert not [n for n in packed if n.endswith((".ipynb", ".jsonl", ".pth", ".pyc"))]
    assert not [n for n in packed if {"tests", "results"} & set(n.split("/"))]


def test_the_wheels_metadata_is_the_projects(wheel: Path) -> None:
    root = zipfile.Path(wheel)
    found = PathDistribution(root / f"raytao-{raytao.__version__}.dist-info")
    assert found.metadata["Name"] == "raytao"
    assert found.version == PROJECT["version"] == raytao.__version__
    assert found.metadata["License-Expression"] == PROJECT["license"]
    assert found.read_text("licenses/LICENSE") == (ROOT / "LICENSE").read_text()
    needed = {Requirement(line) for line in found.requires or () if "extra ==" not in line}
    assert needed == set(map(Requirement, PROJECT["dependencies"]))
    promised = {**PROJECT["entry-points"], "console_scripts": PROJECT["scripts"]}
    assert {(e.group, e.name, e.value) for e in found.entry_points} == {
        (group, name, value) for group, names in promised.items() for name, value in names.items()
    }


def test_the_installed_package_knows_no_checkout(environment: Environment) -> None:
    code = (
        "import json, raytao; from raytao.catalog import configs, shipped_runs;"
        "print(json.dumps([raytao.__file__, str(configs()), *map(str, shipped_runs().values())]))"
    )
    said = environment.run("python", "-c", code)
    assert said.returncode == 0, said.stderr
    paths = json.loads(said.stdout)
    assert len(paths) == 2 + len(list((ROOT / "configs/runs").glob("*.yaml")))
    assert [path for path in paths if environment.folder not in Path(path).parents] == []


@pytest.mark.ray
def test_a_shipped_run_works_by_its_name(environment: Environment) -> None:
    said = environment.run("raytao", "run", "digits_hyperband")
    assert said.returncode == 0, said.stderr
    state = ended(environment.home / "results/digits_hyperband")
    assert state.incumbent is not None
    assert state.incumbent.value > 0.9


@pytest.mark.ray
def test_a_run_file_may_name_a_plugins_network_and_brain(
    environment: Environment, plugin: Path
) -> None:
    (environment.home / "plugin.yaml").write_text(PLUGIN_RUN)
    with environment.with_plugin(plugin):
        said = environment.run("raytao", "run", "plugin.yaml")
    assert said.returncode == 0, said.stderr
    assert "test_r2" in said.stdout
    state = ended(environment.home / "results/plugin")
    proposed = [trial.why[0] for trial in state.trials.values()]
    assert proposed == ["user's spec", "Halton point 1", "Halton point 2", "Halton point 3"]
    assert all(trial.epochs == 3 for trial in state.trials.values())


@pytest.mark.parametrize(
    ("kind", "key", "name", "built_in"),
    [
        ("network", "network", "polynomial", "image_classification"),
        ("brain", "brain.name", "halton", "hyperband"),
    ],
)
def test_a_plugin_is_known_for_as_long_as_it_is_installed(
    kind: str, key: str, name: str, built_in: str, environment: Environment, plugin: Path
) -> None:
    def plan(value: str) -> subprocess.CompletedProcess[str]:
        return environment.run("raytao", "plan", "digits_bayesian", f"{key}={value}")

    with environment.with_plugin(plugin):
        wrong = plan("zzz")
    assert wrong.returncode == 2
    assert f"unknown {kind} 'zzz'" in wrong.stderr
    assert name in wrong.stderr
    gone = plan(name)
    assert gone.returncode == 2
    assert f"unknown {kind} {name!r}" in gone.stderr
    known = gone.stderr.partition("known: ")[2]
    assert built_in in known
    assert name not in known
