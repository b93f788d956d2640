"""Secrets never appear in any written file: a canary in the environment is looked for everywhere.

The trainers are the worst there are: they print the environment in every way, and raise with
secrets in the text. Looked through are the current folder with the results in it, what was
printed, and the folder in which Ray keeps its logs.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from driver import RAYTAO

from raytao.runs.state import Phase
from raytao.setup.folder import read_state
from raytao.testing import toy

pytestmark = [pytest.mark.ray, pytest.mark.integration]

HERE = Path(__file__).parent
CANARY = "cAn4ry/+bird"
"""In every secret; it has characters that JSON keeps and addresses do not."""
RAYTAOS = "raytao: "
RUN = """\
network: leaky_network:Leaky
spec: spec.yaml
brain: {name: random, max_recommendations: 2}
search: {only: [model.x]}
tracking: mlflow
slots: 1
results_dir: results
"""
SECTION = """\
dataset:
  root: ${env:DATA_ROOT}/images
  password: ${env:LOGIN_OF_ANN}
"""


@pytest.fixture
def rays_folder() -> Iterator[Path]:
    """Where Ray keeps its sessions; a short path, for there are sockets in it."""
    with tempfile.TemporaryDirectory(prefix="rc", dir="/tmp") as folder:
        yield Path(folder)


@pytest.fixture
def environment(tmp_path: Path, rays_folder: Path) -> dict[str, str]:
    card = tmp_path / "card"
    shutil.copytree(Path(toy.__file__).parent, card)
    with (card / "spec.yaml").open("a") as spec:
        spec.write("dataset:\n  root: data\n  password: null\n")
    return {
        **os.environ,
        "AWS_SECRET_ACCESS_KEY": f"{CANARY}-of-the-cloud",
        "MLFLOW_TRACKING_PASSWORD": f"{CANARY}-of-mlflow",
        "LOGIN_OF_ANN": f"{CANARY}-of-ann",
        "DATA_ROOT": "/mnt/data",
        "LEAKY_CARD": str(card),
        "PYTHONPATH": str(HERE),
        "RAY_TMPDIR": str(rays_folder),
    }


def own_spec(folder: Path, section: str) -> str:
    """The network's spec with another section ``dataset``."""
    return (folder / "card" / "spec.yaml").read_text().partition("dataset:")[0] + section


def said(
    command: Sequence[str], cwd: Path, environment: dict[str, str], code: int, ours: str = ""
) -> str:
    """What a command prints, or what follows the last ``ours``; the canary is not in it."""
    run = subprocess.run(
        command,
        cwd=cwd,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert run.returncode == code, run.stdout
    out = run.stdout[run.stdout.rfind(ours) :] if ours else run.stdout
    assert CANARY not in out
    return out


def holding(folder: Path, text: str) -> list[str]:
    """The files below ``folder`` that hold ``text``, also in UTF-16 and in an address."""
    forms = [text.encode(), text.encode("utf-16-le"), b"cAn4ry%2F%2Bbird"]
    files = [path for path in folder.rglob("*") if path.is_file() and not path.is_symlink()]
    return [str(path) for path in files if any(form in path.read_bytes() for form in forms)]


def test_no_secret_of_a_run_is_in_any_file(
    tmp_path: Path, rays_folder: Path, environment: dict[str, str]
) -> None:
    (tmp_path / "run.yaml").write_text(RUN)
    (tmp_path / "spec.yaml").write_text(own_spec(tmp_path, SECTION))
    out = said([*RAYTAO, "run", "run.yaml"], tmp_path, environment, 0)
    assert "***" in out

    state = read_state(tmp_path / "results")
    assert [trial.phase for trial in state.trials.values()] == [Phase.FINISHED, Phase.FAILED]
    failure = state.trials[1].failure
    assert failure is not None
    assert failure.reason == "RuntimeError: ***: ['***', '***', '***']"
    log = (tmp_path / "results" / "experiment_0" / "log.txt").read_text()
    assert log.count("***") >= 10
    written = (tmp_path / "results" / "recommendation_0.yaml").read_text()
    assert "password: ${env:LOGIN_OF_ANN}" in written
    assert "root: ${env:DATA_ROOT}/images" in written

    assert list(rays_folder.rglob("raylet.out"))
    assert holding(tmp_path, CANARY) == []
    assert holding(rays_folder, CANARY) == []

    said([*RAYTAO, "status", "results"], tmp_path, environment, 0)
    said([*RAYTAO, "report", "results"], tmp_path, environment, 0)

    # In the user's own process the trainer prints where it likes; what raytao says is clean.
    out = said([*RAYTAO, "evaluate", "results"], tmp_path, environment, 1, ours=RAYTAOS)
    assert "ValueError: ***" in out
    again = ["train", "leaky_network:Leaky", "-e", "results/recommendation_1.yaml", "-r", "again"]
    out = said([*RAYTAO, *again], tmp_path, environment, 1, ours=RAYTAOS)
    assert "training failed (error): RuntimeError: ***" in out
    assert "***" in (tmp_path / "again" / "train" / "log.txt").read_text()
    assert holding(tmp_path, CANARY) == []


def test_no_secret_of_an_own_function_is_in_any_file(
    tmp_path: Path, rays_folder: Path, environment: dict[str, str]
) -> None:
    del environment["LOGIN_OF_ANN"]  # a name that says nothing, and no spec that refers to it
    command = [sys.executable, str(HERE / "leaky_function.py"), "results"]
    said(command, tmp_path, environment, 0)
    state = read_state(tmp_path / "results")
    assert [trial.phase for trial in state.trials.values()] == [Phase.FINISHED, Phase.FAILED]
    assert holding(tmp_path, CANARY) == []
    assert holding(rays_folder, CANARY) == []


@pytest.mark.parametrize(
    ("old", "new", "code"),
    [
        ("password: ${env:LOGIN_OF_ANN}", f"password: {CANARY}-of-bob", 2),
        ("root: ${env:DATA_ROOT}/images", f"root: s3://ann:{CANARY}@bucket", 2),
        ("root: ${env:DATA_ROOT}/images", f"root: /mnt/{CANARY}-of-the-cloud", 2),
    ],
)
def test_a_literal_secret_is_refused_and_not_written(
    tmp_path: Path, environment: dict[str, str], old: str, new: str, code: int
) -> None:
    (tmp_path / "run.yaml").write_text(RUN)
    spec = tmp_path / "spec.yaml"
    spec.write_text(own_spec(tmp_path, SECTION.replace(old, new)))
    out = said([*RAYTAO, "run", "run.yaml"], tmp_path, environment, code)
    assert "spec.yaml:" in out
    assert "${env:NAME}" in out
    assert holding(tmp_path, CANARY) == [str(spec)]


def test_a_login_in_the_address_of_results_is_refused_and_not_written(
    tmp_path: Path, environment: dict[str, str]
) -> None:
    (tmp_path / "run.yaml").write_text(RUN.replace("spec: spec.yaml\n", ""))
    results = f"results_dir=s3://ann:{CANARY}@bucket/runs"
    out = said([*RAYTAO, "run", "run.yaml", results], tmp_path, environment, 2)
    assert "holds a login" in out
    assert holding(tmp_path, CANARY) == []
