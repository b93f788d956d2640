"""Verbs that only read answer at once: they load no Ray, no torch, no NumPy, no data library."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
from image_folders import write_classes

from raytao import AutoML
from raytao.cli.main import main

HEAVY = ("ray", "torch", "mlflow", "sklearn", "scipy", "pandas", "numpy")

UNASKED = ("pydantic.main", "raytao.brains.base", "raytao.space", "ruamel.yaml", "rich")
"""What no command needs that reads no run, no spec and draws nothing."""

SELDOM = (
    *("raytao.spec.json", "raytao.spec.toml.source", "raytao.spec.protobuf.source"),
    *("raytao.space.table", "raytao.space.build", "raytao.tao.core.schema"),
    *("raytao.tao.payload", "raytao.tao.export", "raytao.runs.repair"),
    *("raytao.setup.warm_start", "raytao.tao.foreign.folder", "raytao.brains.compat.table"),
)
"""What waits for a spec of its format, a table, TAO's own words, or a run that is damaged, earlier
or TAO's."""

GOLDEN = str(Path(__file__).parents[1] / "golden" / "format_2" / "digits_done" / "run")

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


def probe(body: str, cwd: Path, heavy: Sequence[str] = HEAVY) -> tuple[int, list[str]]:
    """Run ``body`` in a fresh interpreter: its exit code, and what of ``heavy`` it loaded."""
    program = PROBE.format(body=body, heavy=heavy)
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


LIGHT: Mapping[str, tuple[list[str], int]] = {
    "help": (["--help"], 0),
    "help of a verb": (["run", "--help"], 0),
    "plan": (["plan", "digits_hyperband"], 0),
    "plan of a brain with a model": (["plan", "digits_bayesian"], 0),
    "plan of a model of rungs": (["plan", "digits_hyperband", "brain={name: hyperband}"], 0),
    "status": (["status", GOLDEN], 0),
    "status of nothing": (["status", "no-such-folder"], 2),
    "params": (["params"], 0),
    "params of a network": (["params", "image_classification"], 0),
    "list": (["list", str(Path(GOLDEN).parents[1])], 0),
    "schema": (["schema"], 0),
    "init": (["init", "image_classification"], 0),
    "init with a brain": (["init", "image_classification", "--brain", "hyperband"], 0),
    "init of data": (["init", "image_classification", "--data", "images"], 0),
    "completion": (["completion", "fish"], 0),
    "logs": (["logs", GOLDEN], 0),
}
"""Commands that load nothing heavy, and how each ends."""

HEAVY_VERBS = {
    *("run", "resume", "train", "evaluate", "export-model", "run-function"),
    *("submit", "jobs", "doctor", "cluster"),
    *("stop", "pause", "cancel", "repair", "redraw", "report", "sync", "export-optuna"),
}
"""Verbs that may load what they work with."""


@pytest.mark.parametrize(("arguments", "code"), LIGHT.values(), ids=LIGHT.keys())
def test_a_verb_that_only_reads_loads_nothing_heavy(
    arguments: list[str], code: int, tmp_path: Path
) -> None:
    write_classes(tmp_path / "images", {"cat": 4, "dog": 4})
    needed = ["numpy"] if "--data" in arguments else []  # what is held out of them is counted
    assert probe(command(*arguments), tmp_path) == (code, needed)


def test_the_status_of_a_function_s_run_loads_nothing_heavy(tmp_path: Path) -> None:
    brain = {"name": "random", "max_recommendations": 2}
    space = {"lr": (0.1, 1.0)}
    search = AutoML(space=space, metric="acc", brain=brain, results_dir=tmp_path / "run")
    while (trial := search.ask()) is not None:
        search.tell(trial, 0.5)
    assert probe(command("status", "run"), tmp_path) == (0, [])


@pytest.mark.parametrize(
    ("arguments", "needed"),
    [
        (["--help"], []),
        (["list", str(Path(GOLDEN).parents[1])], ["pydantic.main"]),
        (["logs", GOLDEN], ["pydantic.main", "raytao.brains.base", "raytao.space", "ruamel.yaml"]),
        (["params", "toy"], ["pydantic.main", "raytao.space", "ruamel.yaml"]),
    ],
    ids=["help", "list", "logs", "params"],
)
def test_a_command_loads_what_it_needs_alone(
    arguments: list[str], needed: list[str], tmp_path: Path
) -> None:
    assert probe(command(*arguments), tmp_path, UNASKED) == (0, needed)


TABLE = ["raytao.space.table", "raytao.space.build"]


@pytest.mark.parametrize(
    ("arguments", "needed"),
    [
        (["list", str(Path(GOLDEN).parents[1])], []),
        (["status", GOLDEN], []),
        (["logs", GOLDEN], []),
        (["status", GOLDEN, "--json"], ["raytao.tao.payload", "raytao.tao.export"]),
        (["params", "toy"], TABLE),
        (["plan", "digits_hyperband"], TABLE),
        (
            ["plan", "digits_hyperband", "brain.compat=tao7"],
            [*TABLE, "raytao.brains.compat.table"],
        ),
    ],
    ids=["list", "status", "logs", "status --json", "params", "plan", "plan as TAO's"],
)
def test_what_is_seldom_needed_waits_until_it_is(
    arguments: list[str], needed: list[str], tmp_path: Path
) -> None:
    assert probe(command(*arguments), tmp_path, SELDOM) == (0, needed)


def test_every_verb_is_light_or_has_a_reason_not_to_be() -> None:
    light = {arguments[0] for arguments, _ in LIGHT.values()} - {"--help"}
    assert light - HEAVY_VERBS | HEAVY_VERBS == main.commands.keys()
    assert light & HEAVY_VERBS <= {"run"}  # its help is light


@pytest.mark.parametrize(
    "words", ["plan digits_hyperband train.", "params ", "status ", "init --brain "]
)
def test_completing_a_line_loads_nothing_heavy(words: str, tmp_path: Path) -> None:
    body = f"""
import os
os.environ.update(_RAYTAO_COMPLETE="fish_complete", COMP_WORDS="raytao {words}", COMP_CWORD="")
try:
    from raytao.cli.main import main
    main(prog_name="raytao")
except SystemExit as end:
    code = end.code
"""
    assert probe(body, tmp_path) == (0, [])


def test_a_heavy_module_would_be_noticed(tmp_path: Path) -> None:
    assert probe("import scipy", tmp_path) == (0, ["scipy", "numpy"])
