"""Tables to train on: those inside scikit-learn, and those that two Debian packages bring.

The development tasks need nothing but scikit-learn, which draws six of them. The held-out ones
come from the R packages mlbench (GPL-2) and kernlab (GPL-2), which carry tables of the UCI
repository; ``fetch`` turns them into ``.npz`` files once, with pyreadr. No table is on both sides.
"""

from __future__ import annotations

import importlib
import shutil
import subprocess
import tempfile
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from sklearn import datasets

from benchmarks.search.family import NoData

Rows = NDArray[np.float64]
Labels = NDArray[np.int64]

SMALL, MIDDLE = 300, 1_500
"""Up to so many rows a table is cut into four folds, and into two; a larger one is subsampled."""

TRAINED, VALIDATED = 500, 1_500
"""Rows of a larger table that are trained and validated on."""

RAREST: Final = 0.01
"""Classes with a smaller share of a table's rows are left out."""


@dataclass(frozen=True)
class Fold:
    """Rows to train on and rows to validate on, labelled from 0 on.

    The training rows are ordered so that the share of each class is nearly the same in every
    prefix, and each class comes twice at the very beginning.
    """

    train: Rows
    train_labels: Labels
    valid: Rows
    valid_labels: Labels
    classes: int


@dataclass(frozen=True)
class Source:
    """Where a held-out table comes from: package, its data file, the column to predict."""

    package: str
    file: str
    target: str


PACKAGES: Final = ("mlbench", "kernlab")
SOURCES: Final[Mapping[str, Source]] = {
    "dna": Source("mlbench", "DNA", "Class"),
    "glass": Source("mlbench", "Glass", "Type"),
    "income": Source("kernlab", "income", "INCOME"),
    "insurance": Source("kernlab", "ticdata", "CARAVAN"),
    "ionosphere": Source("mlbench", "Ionosphere", "Class"),
    "letter": Source("mlbench", "LetterRecognition", "lettr"),
    "musk": Source("kernlab", "musk", "Class"),
    "pima": Source("mlbench", "PimaIndiansDiabetes", "diabetes"),
    "satellite": Source("mlbench", "Satellite", "classes"),
    "sonar": Source("mlbench", "Sonar", "Class"),
    "soybean": Source("mlbench", "Soybean", "Class"),
    "spam": Source("kernlab", "spam", "type"),
    "vehicle": Source("mlbench", "Vehicle", "Class"),
    "votes": Source("mlbench", "HouseVotes84", "Class"),
    "vowel": Source("mlbench", "Vowel", "Class"),
}
"""The held-out tasks. (mlbench's Shuttle is not one of them: every model reaches 100 %.)"""


def _digits() -> tuple[Rows, Labels]:
    return _as_table(*datasets.load_digits(return_X_y=True))


def _digits_parity() -> tuple[Rows, Labels]:
    """Even against odd, one label in ten wrong, as many columns of noise as of pixels."""
    rows, labels = _digits()
    rng = np.random.default_rng(1)
    noise = rng.uniform(0.0, 16.0, rows.shape)
    return np.hstack([rows, noise]), _flipped(labels % 2, 2, rng)


def _breast_cancer() -> tuple[Rows, Labels]:
    return _as_table(*datasets.load_breast_cancer(return_X_y=True))


def _wine_noisy() -> tuple[Rows, Labels]:
    """One label in ten wrong, twice as many columns of noise as of chemistry."""
    rows, labels = _as_table(*datasets.load_wine(return_X_y=True))
    rng = np.random.default_rng(2)
    noise = rng.normal(size=(len(rows), 2 * rows.shape[1])) * rows.std()
    return np.hstack([rows, noise]), _flipped(labels, 3, rng)


def _diabetes() -> tuple[Rows, Labels]:
    """Progression after a year: low, middle or high, a third of the patients each."""
    rows, target = datasets.load_diabetes(return_X_y=True, scaled=False)
    return _as_table(rows, np.searchsorted(np.quantile(target, [1 / 3, 2 / 3]), target))


def _two_classes() -> tuple[Rows, Labels]:
    """Clusters at a cube's corners: five columns that tell, five sums of them, ten of noise."""
    table = datasets.make_classification(
        2_000, 20, n_informative=5, n_redundant=5, flip_y=0.05, class_sep=0.7, random_state=1
    )
    return _as_table(*table)


def _six_classes() -> tuple[Rows, Labels]:
    """The same with a cluster a class, twelve columns that tell and 24 of noise."""
    table = datasets.make_classification(
        n_samples=2_000,
        n_features=40,
        n_informative=12,
        n_redundant=4,
        n_classes=6,
        n_clusters_per_class=1,
        class_sep=0.6,
        random_state=2,
    )
    return _as_table(*table)


def _ball() -> tuple[Rows, Labels]:
    """Inside or outside a ball in ten dimensions (Hastie et al., 2009, 10.2)."""
    rows, labels = datasets.make_hastie_10_2(2_000, random_state=3)
    return _as_table(rows, labels > 0)


def _shells() -> tuple[Rows, Labels]:
    """Three shells of a normal distribution in eight dimensions."""
    table = datasets.make_gaussian_quantiles(
        n_samples=2_000, n_features=8, n_classes=3, random_state=4
    )
    return _as_table(*table)


def _moons() -> tuple[Rows, Labels]:
    """Two half moons that overlap, beside ten columns of noise."""
    rows, labels = datasets.make_moons(2_000, noise=0.35, random_state=5)
    noise = np.random.default_rng(5).normal(size=(len(rows), 10))
    return _as_table(np.hstack([rows, noise]), labels)


def _friedman() -> tuple[Rows, Labels]:
    """Quarters of Friedman's first function, beside seven columns of noise."""
    rows, target = datasets.make_friedman1(2_000, n_features=12, noise=1.0, random_state=6)
    return _as_table(rows, np.searchsorted(np.quantile(target, [0.25, 0.5, 0.75]), target))


EMBEDDED: Final[Mapping[str, Callable[[], tuple[Rows, Labels]]]] = {
    "ball": _ball,
    "breast_cancer": _breast_cancer,
    "diabetes": _diabetes,
    "digits": _digits,
    "digits_parity": _digits_parity,
    "friedman": _friedman,
    "moons": _moons,
    "shells": _shells,
    "six_classes": _six_classes,
    "two_classes": _two_classes,
    "wine_noisy": _wine_noisy,
}
"""The development tasks."""


def load(task: str, folder: Path) -> tuple[Rows, Labels]:
    """A task's whole table: rows (n, d) without gaps, labels (n,) from 0 on.

    Args:
        task: one of ``EMBEDDED`` or ``SOURCES``.
        folder: where ``fetch`` wrote.

    Raises:
        NoData: if the task is unknown, or was not fetched.
    """
    if task in EMBEDDED:
        return EMBEDDED[task]()
    if task not in SOURCES:
        raise NoData(f"no task {task!r}; there are {', '.join([*EMBEDDED, *SOURCES])}")
    path = folder / f"{task}.npz"
    if not path.is_file():
        raise NoData(f"no {path}: run `python -m benchmarks.search.tabular fetch`")
    with np.load(path) as arrays:
        return arrays["rows"], arrays["labels"]


def fingerprint(rows: Rows, labels: Labels) -> str:
    """Eight hexadecimal digits that tell one table from another."""
    at_first = zlib.crc32(np.ascontiguousarray(rows, np.float64).tobytes())
    return f"{zlib.crc32(np.ascontiguousarray(labels, np.int64).tobytes(), at_first):08x}"


def folds_of(rows: Rows, labels: Labels) -> tuple[Fold, ...]:
    """What a configuration is trained and validated on: always the same for a table."""
    shares = np.bincount(labels) / len(labels)
    kept = np.flatnonzero(shares[labels] >= RAREST)
    rows, labels = rows[kept], np.unique(labels[kept], return_inverse=True)[1].astype(np.int64)
    order = _interleaved(labels, np.random.default_rng(0))
    if len(rows) > MIDDLE:
        places = np.linspace(0, len(rows) - 1, min(len(rows), TRAINED + VALIDATED)).astype(int)
        drawn = _interleaved(labels[order[places]], np.random.default_rng(1))
        some = order[places][drawn]
        return (_fold(rows, labels, some[:TRAINED], some[TRAINED:]),)
    folds = 4 if len(rows) <= SMALL else 2
    number = np.empty(len(rows), dtype=np.int64)
    by_class = order[np.argsort(labels[order], kind="stable")]
    number[by_class] = np.arange(len(rows)) % folds
    return tuple(
        _fold(rows, labels, order[number[order] != k], order[number[order] == k])
        for k in range(folds)
    )


def _fold(rows: Rows, labels: Labels, train: Labels, valid: Labels) -> Fold:
    train = train[_interleaved(labels[train], np.random.default_rng(2))]
    classes = int(labels.max()) + 1
    return Fold(rows[train], labels[train], rows[valid], labels[valid], classes)


def _interleaved(labels: Labels, rng: np.random.Generator) -> Labels:
    """An order of the rows: two of each class, then all classes in proportion."""
    shuffled = rng.permutation(len(labels))
    place = np.empty(len(labels))
    for label in np.unique(labels):
        members = shuffled[labels[shuffled] == label]
        place[members] = (np.arange(len(members)) + 0.5) / len(members)
        place[members[:2]] -= 1.0
    return shuffled[np.argsort(place[shuffled], kind="stable")]


def _as_table(rows: Any, labels: Any) -> tuple[Rows, Labels]:
    return np.asarray(rows, dtype=np.float64), np.asarray(labels, dtype=np.int64)


def _flipped(labels: Labels, classes: int, rng: np.random.Generator) -> Labels:
    wrong = rng.random(len(labels)) < 0.1
    return np.where(wrong, (labels + rng.integers(1, classes, len(labels))) % classes, labels)


def fetch(folder: Path, packages: Sequence[Path] = ()) -> None:
    """Write the held-out tables into ``folder``.

    Args:
        folder: made if it is not there.
        packages: ``.deb`` files of r-cran-mlbench and r-cran-kernlab; else apt-get loads them.

    Raises:
        NoData: if a tool is missing or a package cannot be had or read.
    """
    try:
        reader = importlib.import_module("pyreadr")
    except ImportError:
        raise NoData("R's data files are read with pyreadr: pip install pyreadr") from None
    for tool in ("apt-get", "dpkg-deb"):
        if shutil.which(tool) is None:
            raise NoData(f"no {tool}: fetch on Debian or Ubuntu and copy {folder}")
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        given = [path.resolve() for path in packages] or _loaded(Path(scratch))
        for path in given:
            _run(["dpkg-deb", "-x", str(path), scratch], Path(scratch))
        for task, source in SOURCES.items():
            found = next(Path(scratch).rglob(f"{source.package}/data/{source.file}.rda"), None)
            if found is None:
                raise NoData(f"{task}: no {source.file}.rda in r-cran-{source.package}")
            (frame,) = reader.read_r(str(found)).values()
            rows, labels = table_of(frame, source)
            np.savez_compressed(folder / f"{task}.npz", rows=rows, labels=labels)


def _loaded(scratch: Path) -> list[Path]:
    _run(["apt-get", "download", *(f"r-cran-{name}" for name in PACKAGES)], scratch)
    return sorted(scratch.glob("*.deb"))


def _run(command: list[str], where: Path) -> None:
    done = subprocess.run(command, cwd=where, capture_output=True, text=True, check=False)
    if done.returncode:
        raise NoData(f"{' '.join(command)}: {done.stderr.strip()}")


def table_of(frame: Any, source: Source) -> tuple[Rows, Labels]:
    """Numbers as they are, categories by their number, gaps filled with the column's median."""
    names = [name for name in frame.columns if name != source.target]
    columns = [_numbers(frame[name]) for name in names]
    labels = np.unique(frame[source.target].astype(str), return_inverse=True)[1]
    return _as_table(np.column_stack(columns), labels)


def _numbers(column: Any) -> Rows:
    if column.dtype.name == "category":
        known = column.cat.categories
        try:
            values = known.astype(str).astype(np.float64).to_numpy()
        except ValueError:
            values = np.arange(len(known), dtype=np.float64)
        codes = column.cat.codes.to_numpy()
        numbers = np.where(codes >= 0, values[codes], np.nan)
    else:
        numbers = column.to_numpy(dtype=np.float64, na_value=np.nan)
    return np.where(np.isnan(numbers), np.nanmedian(numbers), numbers)
