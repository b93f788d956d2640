"""Tab completes what there is, in a real shell, and says nothing where it cannot."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from click.shell_completion import ShellComplete
from click.testing import CliRunner

from raytao.cli.main import main
from raytao.tao import layout

BASH = shutil.which("bash")

SCRIPT = """
raytao() {{ {python} -m raytao "$@"; }}
eval "$(raytao completion bash)"
COMP_WORDS=({words})
COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1))
export PATH={stubs}:$PATH
_raytao_completion raytao "${{COMP_WORDS[$COMP_CWORD]}}"
printf '%s\\n' "${{COMPREPLY[@]}}"
"""


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for run in ("results/a", "results/team/b"):
        (tmp_path / run).mkdir(parents=True)
        (tmp_path / run / layout.EVENTS).write_text("")
    (tmp_path / "mine.yaml").write_text("network: image_classification\nbrain: random\n")
    (tmp_path / "notes.txt").write_text("")
    return tmp_path


def completed(*line: str) -> list[str]:
    """What click hands to the shell for a line whose last word is being written."""
    *args, incomplete = line
    items = ShellComplete(main, {}, "raytao", "_RAYTAO_COMPLETE").get_completions(args, incomplete)
    return [f"<{item.type}>" if item.type != "plain" else item.value for item in items]


@pytest.mark.parametrize(
    ("line", "found"),
    [
        (["pla"], ["plan"]),
        (["run", "digits_"], ["digits_bayesian", "digits_hyperband"]),
        (["plan", "mi"], ["mine.yaml"]),
        (["submit", "./mi"], ["./mine.yaml"]),
        (["plan", "no"], ["<file>"]),
        (["params", "image"], ["image_classification"]),
        (["init", "image"], ["image_classification"]),
        (["init", "./my"], ["<file>"]),
        (["init", "--brain", "ba"], ["bayesian"]),
        (["init", "--spec", ""], ["<file>"]),
        (["status", ""], ["results/a", "results/team/b"]),
        (["resume", "results/t"], ["results/team/b"]),
        (["stop", "results/team/"], ["results/team/b"]),
        (["report", "elsewhere/"], ["<file>"]),
        (["report", "results/a", "-o", ""], ["<file>"]),
        (["plan", "mine.yaml", "slo"], ["slots="]),
        (["run", "mine.yaml", "resources.cp"], ["resources.cpus="]),
        (["run", "mine.yaml", "brain."], ["brain.max_recommendations="]),
        (["run", "mine.yaml", "train.optim.l"], ["train.optim.lr=", "train.optim.lr_scheduler="]),
        (["plan", "digits_hyperband", "brain.nu"], ["brain.nu="]),
        (["resume", "results/a", "budget.h"], ["budget.hours="]),
        (["completion", "z"], ["zsh"]),
        (["run", "mine.yaml", "brain=ba"], ["brain=bayesian"]),
        (["run", "mine.yaml", "slots=2", "tracking.name=t"], ["tracking.name=tensorboard"]),
        (["plan", "mine.yaml", "metric=val_a"], ["metric=val_acc"]),
        (["plan", "mine.yaml", "network=image"], ["network=image_classification"]),
        (["plan", "mine.yaml", "evaluate="], ["evaluate=true", "evaluate=false"]),
        (["plan", "mine.yaml", "slots=2", "slo"], ["slots="]),
        (["plan", "mine.yaml", "seed="], []),
    ],
    ids=lambda part: " ".join(part) if isinstance(part, list) else None,
)
def test_what_there_is_is_completed(line: list[str], found: list[str]) -> None:
    assert completed(*line) == found


@pytest.mark.parametrize("run", ["nothing.yaml", "notes.txt", "broken.yaml", "\0", "x" * 5000])
def test_a_run_that_is_none_leaves_the_settings(
    run: str, here: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (here / "broken.yaml").write_text("network: {unclosed")
    assert completed("plan", run, "slo") == ["slots="]
    assert completed("plan", run, "train.optim.lr=") == []
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_every_shell_has_its_script_and_starts_quietly(shell: str) -> None:
    result = CliRunner().invoke(main, ["completion", shell])
    assert result.exit_code == 0
    assert "_RAYTAO_COMPLETE" in result.stdout
    assert result.stderr == ""


def test_the_usual_shell_is_ones_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHELL", "/usr/bin/fish")
    assert "complete --no-files" in CliRunner().invoke(main, ["completion"]).stdout
    monkeypatch.setenv("SHELL", "/bin/csh")
    result = CliRunner().invoke(main, ["completion"])
    assert result.exit_code == 2
    assert "name the shell: bash, zsh, fish" in result.stderr


@pytest.mark.skipif(BASH is None, reason="there is no bash")
@pytest.mark.parametrize(
    ("words", "found"),
    [
        ("raytao run digits_h", "digits_hyperband"),
        ("raytao plan mine.yaml slo", "slots="),
        ("raytao plan mine.yaml tracking = ml", "mlflow"),  # as bash breaks tracking=ml
        ("raytao plan mine.yaml evaluate =", "true\nfalse"),
        ("raytao plan mine.yaml tracking = mlflow slo", "slots="),
    ],
)
def test_bash_completes(words: str, found: str, here: Path) -> None:
    stubs = here / "bin"
    stubs.mkdir()
    (stubs / "raytao").write_text(f'#!/bin/sh\nexec {sys.executable} -m raytao "$@"\n')
    (stubs / "raytao").chmod(0o755)
    script = SCRIPT.format(python=sys.executable, words=words, stubs=stubs)
    ended = subprocess.run(
        [str(BASH), "--norc", "-c", script],
        env={**os.environ, "PYTHONPATH": ""},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.stdout == f"{found}\n"
