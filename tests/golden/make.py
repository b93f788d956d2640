"""Make golden run folders with the raytao that is installed; README.md says when and why.

    python tests/golden/make.py tests/golden/format_2

Needs Linux, and leave to name a machine of one's own (root, or user namespaces): the runs are
made on a machine called ``node-1``, so that nothing in them tells where that was.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from contextlib import chdir
from pathlib import Path
from types import MappingProxyType
from typing import Final, TypeVar

sys.path.insert(0, str(Path(__file__).parents[1] / "integration"))
import driver

import raytao
from raytao.runs.events import Lost, Placed, Reported
from raytao.tao import layout

Kind = TypeVar("Kind")
NODE: Final = "node-1"
NEUTRAL: Final = MappingProxyType(
    {str(Path(raytao.__file__).parents[1]): "/opt/raytao", platform.platform(): "Linux"}
)
"""What trials write of the machine, in tracebacks and provenance, and what stands for it."""
TORN_BYTES: Final = 25
"""What the machine's end took from the last line of the log of a killed run."""

HYPERBAND_DONE: Final = """
network: toy
brain: {name: hyperband, R: 9, nu: 3, epoch_multiplier: 1, mode: sync}
seed: 3
"""
BAYESIAN_KILLED: Final = """
network: toy
brain: {name: bayesian, max_recommendations: 6}
set: {train.sleep: 0.3, train.num_epochs: 4}
slots: 1
seed: 3
"""
FAILURES: Final = """
network: toy
brain: {name: hyperband, R: 4, nu: 2, epoch_multiplier: 1, mode: sync}
search:
  add: [train.breaks_at, train.nan_at]
  override_disabled: true
  ranges: {train.breaks_at: [0, 5], train.nan_at: [0, 5]}
seed: 38
"""
RESUMED_ONCE: Final = """
network: toy
brain: {name: random, max_recommendations: 4}
set: {train.sleep: 0.3, train.num_epochs: 3}
slots: 2
seed: 3
"""
DIGITS_DONE: Final = """
network: image_classification
brain: {name: bayesian, max_recommendations: 2}
set:
  dataset.name: digits
  dataset.batch_size: 16
  model.width: 4
  train.num_epochs: 1
  train.optim.lr: 0.01
search: {only: [train.optim.lr, model.dropout]}
slots: 1
seed: 3
"""


def finished(run: str, results: Path) -> None:
    """A run to its end."""
    _succeed("run", str(_run_file(run, results)))


def killed(run: str, results: Path, *, epochs: int, lose: bool = False) -> None:
    """A run whose driver is killed once the log has so many epochs; its last line is torn.

    With ``lose`` a worker is killed before.
    """
    process = driver.start("run", _run_file(run, results), cwd=Path.cwd())
    if lose:
        driver.wait_until(lambda: len(_events(results, Reported)) >= 1, "an epoch")
        os.kill(_events(results, Placed)[-1].pid, signal.SIGKILL)
        driver.wait_until(lambda: bool(_events(results, Lost)), "the loss of a worker")
    driver.wait_until(lambda: len(_events(results, Reported)) >= epochs, f"{epochs} epochs")
    family = driver.family(process.pid)
    process.kill()
    process.wait()
    driver.wait_for_the_end_of(family, 100)
    log = results / layout.EVENTS
    log.write_bytes(log.read_bytes()[:-TORN_BYTES])


def resumed(run: str, results: Path, *, epochs: int) -> None:
    """A run that lost a worker, then its driver, and went on to its end."""
    killed(run, results, epochs=epochs, lose=True)
    _succeed("resume", str(results))


def loop(results: Path) -> None:
    """A loop of one's own, left half-way: a rung has closed, its best are out again."""
    tuner = raytao.AutoML(
        space={"x": (0.0, 1.0), "kind": ["apple", "fig"], "lr": (1e-4, 1e-1)},
        metric="value",
        epochs=9,
        brain={"name": "hyperband", "R": 9, "nu": 3, "epoch_multiplier": 1, "mode": "sync"},
        seed=4,
        results_dir=results,
    )
    for number in range(11):  # nine trials, then two that were promoted
        trial = tuner.ask()
        assert trial is not None
        tuner.tell(trial, None if number == 2 else number / 10)
    tuner.close()


RUNS: Final[Mapping[str, Callable[[Path], None]]] = MappingProxyType(
    {
        "hyperband_done": lambda results: finished(HYPERBAND_DONE, results),
        "bayesian_killed": lambda results: killed(BAYESIAN_KILLED, results, epochs=14),
        "failures": lambda results: finished(FAILURES, results),
        "resumed_once": lambda results: resumed(RESUMED_ONCE, results, epochs=5),
        "digits_done": lambda results: finished(DIGITS_DONE, results),
        "loop": loop,
    }
)


def make(name: str, target: Path) -> None:
    """Make one folder: the run, and beside it what this version says of it."""
    results = Path(name)
    RUNS[name](results)
    for hidden in results.glob(".*"):  # of a driver at work, not of the run
        shutil.rmtree(hidden) if hidden.is_dir() else hidden.unlink()
    for file in [*results.rglob(layout.LOG), *results.rglob(layout.PROVENANCE)]:
        text = file.read_text()
        for told, neutral in NEUTRAL.items():
            text = text.replace(told, neutral)
        file.write_text(text)
    status = json.loads(_succeed("status", str(results), "--json"))
    params = [trial["specs"] for trial in status["controller"]]
    target.mkdir(parents=True)
    expected = {"raytao": raytao.__version__, "status": status, "params": params}
    (target / "expected.json").write_text(json.dumps(expected, indent=1) + "\n")
    shutil.copytree(results, target / "run")


def refuse_traces(folder: Path, words: set[str]) -> None:
    """Golden folders are published: they must not tell who made them, and where."""
    for file in sorted(path for path in folder.rglob("*") if path.is_file()):
        found = [word for word in words if word.encode() in file.read_bytes()]
        if found:
            raise SystemExit(f"{file} tells where it was made: {', '.join(found)}")


def _run_file(run: str, results: Path) -> Path:
    file = Path(f"{results}.yaml")
    file.write_text(f"{run}results_dir: {results}\n")
    return file


def _events(results: Path, kind: type[Kind]) -> list[Kind]:
    found = (record.event for record in driver.records(results))
    return [event for event in found if isinstance(event, kind)]


def _succeed(*arguments: str) -> str:
    done = driver.command(*arguments, cwd=Path.cwd())
    if done.returncode != 0:
        raise SystemExit(f"raytao {' '.join(arguments)}: {done.stderr}")
    return done.stdout


def _on_a_machine_of_our_own() -> int:
    """Start this program again where the machine has a neutral name."""
    rights = [] if os.geteuid() == 0 else ["--map-root-user"]
    script = f'hostname {NODE} && exec "$@"'
    command = ["unshare", "--uts", *rights, "sh", "-c", script, "sh", sys.executable, *sys.argv]
    return subprocess.run([*command, "--here", socket.gethostname()], check=False).returncode


def main() -> None:
    """Make every folder that is not there yet."""
    parser = argparse.ArgumentParser(description="Make golden run folders with this raytao.")
    parser.add_argument("folder", type=Path, help="where to: tests/golden/format_2")
    parser.add_argument("--here", metavar="HOST", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.here is None:
        sys.exit(_on_a_machine_of_our_own())
    folder = asked.folder.absolute()
    traces = {asked.here, str(Path(__file__).parents[2]), sys.prefix, platform.release()}
    with tempfile.TemporaryDirectory(prefix="golden_") as work, chdir(work):
        for name in RUNS:
            if not (folder / name).exists():
                sys.stderr.write(f"{name} …\n")
                make(name, folder / name)
                refuse_traces(folder / name, traces)


if __name__ == "__main__":
    main()
