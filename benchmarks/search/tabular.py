"""Real trainings on small tables: a choice of four models, each with parameters of its own.

Random forests, gradient boosting, support vector machines and networks of scikit-learn are
trained on 11 development and 15 held-out tables, with a fidelity of 27 epochs: trees, stages,
rows, passes. The metric is the area under the ROC curve on validation rows in percent: real, so
not smooth. A configuration's whole curve is trained when it is first asked for, and kept on disk.

    python -m benchmarks.search.tabular fetch     # the held-out tables
    python -m benchmarks.search.tabular warm      # random configurations, ahead of a benchmark
    python -m benchmarks.search.tabular bounds    # what regret 0 and 100 mean; committed
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Final

import sklearn

from benchmarks.search.family import Curve, NoData, Split
from benchmarks.search.tabular_bounds import (
    CURVES,
    measure,
    pool,
    read_bounds,
    write_bounds,
)
from benchmarks.search.tabular_cache import Curves
from benchmarks.search.tabular_data import (
    EMBEDDED,
    SOURCES,
    Fold,
    fetch,
    fingerprint,
    folds_of,
    load,
)
from benchmarks.search.tabular_models import EPOCHS, learning_curve
from benchmarks.search.tabular_space import FIRST, SPACE
from raytao.space import Space
from raytao.types import Params

TASKS: Final = (*EMBEDDED, *SOURCES)
CACHE: Final = Path("~/.cache/raytao/tabular").expanduser()
RECIPE: Final = 1
"""Rises with every change of tables, folds or models that changes a curve."""


class Tabular:
    """The tables' tasks and curves.

    Args:
        cache: folder of the tables that were fetched and of the curves that were trained; several
            processes may share it.
    """

    name: Final = "tabular"
    epochs: Final = EPOCHS

    def __init__(self, cache: Path = CACHE) -> None:
        version = ".".join(sklearn.__version__.split(".")[:2])
        self.tables = cache / "tables"
        self._folder = cache / f"curves-{RECIPE}-sklearn-{version}"
        self._curves: dict[str, Curves] = {}
        self._folds: dict[str, tuple[Fold, ...]] = {}
        self.bounds = read_bounds()
        self.trained = 0

    @property
    def tasks(self) -> Mapping[Split, tuple[str, ...]]:
        """Tables of scikit-learn's own to develop on, those of other packages held out."""
        return {"dev": tuple(EMBEDDED), "held_out": tuple(SOURCES)}

    @property
    def space(self) -> Space:
        """A model, its own parameters, and what comes before it."""
        return SPACE

    @property
    def first(self) -> Params:
        """scikit-learn's default random forest."""
        return FIRST

    def curve(self, task: str, params: Params) -> tuple[Curve, Curve]:
        """Validation area in percent and seconds trained after each epoch, (27,) each.

        Parameters that are not active do not matter.

        Raises:
            NoData: if the task's table was not fetched, or is not the one the bounds are of.
            ValueError: if a parameter is missing or outside its range.
        """
        active = self.space.of_spec(params)
        if not self.space.contains(active):
            raise ValueError(f"{active} is no configuration of {self.space}")
        curves = self._curves_of(task)
        found = curves.get(active)
        if found is None:
            found = curves.put(active, *learning_curve(active, self._folds_of(task)))
            self.trained += 1
        return found

    def regret(self, task: str, value: float) -> float:
        """How far a validation area is from the best known: 0 there, 100 at a median draw.

        Raises:
            NoData: if the task's bounds were not measured.
        """
        if task not in self.bounds:
            raise NoData(f"no bounds of {task}: run `python -m benchmarks.search.tabular bounds`")
        bounds = self.bounds[task]
        return 100.0 * (bounds.best - value) / (bounds.best - bounds.worst)

    def fingerprint(self, task: str) -> str:
        """What tells the task's table from another one."""
        return fingerprint(*load(task, self.tables))

    def _curves_of(self, task: str) -> Curves:
        if task not in self._curves:
            self._curves[task] = Curves(self._folder / f"{task}.jsonl")
        return self._curves[task]

    def _folds_of(self, task: str) -> tuple[Fold, ...]:
        if task not in self._folds:
            rows, labels = load(task, self.tables)
            if task in self.bounds and self.bounds[task].table != fingerprint(rows, labels):
                raise NoData(f"{task}: {self.tables} holds another table than the bounds are of")
            self._folds[task] = folds_of(rows, labels)
        return self._folds[task]


class _Progress:
    """Lines that say how far a command is and how long it will take."""

    def __init__(self, family: Tabular, total: int) -> None:
        self._family, self._total = family, total
        self._done, self._began = 0, time.monotonic()

    def value(self, task: str, params: Params) -> float:
        """The best metric on a curve, after which the line is printed anew."""
        best = float(self._family.curve(task, params)[0].max())
        self._done += 1
        spent = time.monotonic() - self._began
        left = spent / self._done * (self._total - self._done)
        if self._done % 20 == 0 or self._done == self._total:
            print(
                f"{task}: {self._done}/{self._total} curves, {self._family.trained} trained, "
                f"{spent:.0f} s, {left:.0f} s left",
                file=sys.stderr,
            )
        return best


def _fetch(family: Tabular, args: argparse.Namespace) -> None:
    """Write the held-out tables, from two Debian packages."""
    fetch(family.tables, args.packages)
    print(f"{len(SOURCES)} tables in {family.tables}", file=sys.stderr)


def _warm(family: Tabular, args: argparse.Namespace) -> None:
    """Train the random pool of the bounds, and nothing more."""
    configurations = [family.space.decode(point) for point in pool()]
    progress = _Progress(family, len(args.tasks) * len(configurations))
    for task in args.tasks:
        for params in configurations:
            progress.value(task, params)


def _bounds(family: Tabular, args: argparse.Namespace) -> None:
    """Measure what regret 0 and regret 100 mean; what is not asked for stays as it is."""
    progress = _Progress(family, len(args.tasks) * CURVES)
    for task in args.tasks:
        family.bounds.pop(task, None)
        measured = measure(partial(progress.value, task), family.fingerprint(task))
        family.bounds[task] = measured
        write_bounds({**read_bounds(), task: measured})
        print(f"{task}: {measured}", file=sys.stderr)


def main(arguments: Sequence[str] | None = None) -> int:
    """Do what the arguments say; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.search.tabular")
    parser.add_argument("--cache", type=Path, default=CACHE, help="folder of tables and curves")
    verbs = parser.add_subparsers(required=True, metavar="fetch|warm|bounds")
    fetching = verbs.add_parser("fetch", help=_fetch.__doc__)
    fetching.add_argument(
        "packages", type=Path, nargs="*", help=".deb files that are here already"
    )
    fetching.set_defaults(verb=_fetch)
    for name, verb in (("warm", _warm), ("bounds", _bounds)):
        training = verbs.add_parser(name, help=verb.__doc__)
        training.add_argument("--tasks", nargs="+", choices=TASKS, default=TASKS, metavar="TASK")
        training.set_defaults(verb=verb)
    args = parser.parse_args(arguments)
    try:
        args.verb(Tabular(args.cache), args)
    except NoData as error:
        print(f"benchmarks.search.tabular: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("\nstopped; the same command goes on from here", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
