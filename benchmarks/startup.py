"""How soon a command answers that only reads, next to the libraries it is made of.

    python benchmarks/startup.py [--rounds 15] [--limit 2.0]

Each command runs as a process of its own, in turn with ``import click, pydantic`` and with the
same import and one model made (pydantic loads itself when it is first used); the ratio is that of
the medians of the processes' CPU time, so that what else the machine does falls on all alike. All
run from bytecode, as what is installed does, whether or not this environment keeps any.
Ends with exit code 1 if ``raytao --help`` takes more than ``--limit`` times the plain import.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from resource import RUSAGE_CHILDREN, getrusage
from statistics import median
from typing import Final

GOLDEN: Final = Path(__file__).parents[1] / "tests" / "golden" / "format_2"
PLAIN: Final = "import click, pydantic"
MADE: Final = f"{PLAIN}\nclass Model(pydantic.BaseModel): number: int = 0"

COMMANDS: Final[Mapping[str, Sequence[str]]] = {
    PLAIN: ("-c", PLAIN),
    "the same, and a model": ("-c", MADE),
    **{
        f"raytao {' '.join(line)}": ("-m", "raytao", *line)
        for line in (
            ("--help",),
            ("plan", "digits_hyperband"),
            ("plan", "digits_bayesian"),
            ("schema",),
            ("params", "image_classification"),
            ("init", "image_classification", "--force"),
        )
    },
    "raytao status, 12 trials": ("-m", "raytao", "status", str(GOLDEN / "hyperband_done" / "run")),
    "raytao list, 6 runs": ("-m", "raytao", "list", str(GOLDEN)),
}


def main() -> None:
    """Measure, print a table, and judge."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--limit", type=float, default=2.0)
    options = parser.parse_args()
    seconds: dict[str, list[float]] = {name: [] for name in COMMANDS}
    with tempfile.TemporaryDirectory() as folder:
        for _ in range(options.rounds + 1):
            for name, arguments in COMMANDS.items():
                seconds[name].append(cpu_of(arguments, folder))
    times = {name: median(taken[1:]) for name, taken in seconds.items()}  # the first fills caches
    print("| | CPU | times the import |\n|---|---|---|")
    for name, taken in times.items():
        print(f"| `{name}` | {1000 * taken:.0f} ms | {taken / times[PLAIN]:.2f} |")
    ratio = times["raytao --help"] / times[PLAIN]
    print(f"raytao --help: {ratio:.2f} times `{PLAIN}`, promised ≤ {options.limit:g}")
    sys.exit(ratio > options.limit)


def cpu_of(arguments: Sequence[str], folder: str) -> float:
    """CPU seconds of a process that runs Python with these arguments."""
    before = getrusage(RUSAGE_CHILDREN)
    subprocess.run(
        [sys.executable, *arguments],
        cwd=folder,
        env={
            **os.environ,
            "OMP_NUM_THREADS": "1",
            "OPENBLAS_NUM_THREADS": "1",
            "PYTHONDONTWRITEBYTECODE": "",
            "PYTHONPYCACHEPREFIX": str(Path(folder, "bytecode")),
        },
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        check=True,
    )
    after = getrusage(RUSAGE_CHILDREN)
    return after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime


if __name__ == "__main__":
    main()
