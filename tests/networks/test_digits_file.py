"""The digits are scikit-learn's, read without importing it."""

from __future__ import annotations

import gzip
import subprocess
import sys
from collections.abc import Callable
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from raytao.errors import DataError
from raytao.networks.image_classification.digits import read_digits


def test_they_are_what_scikit_learn_loads() -> None:
    from sklearn.datasets import load_digits

    images, theirs = read_digits(), load_digits()
    assert np.array_equal(images.pixels[:, 0], theirs.images)
    assert np.array_equal(images.labels, theirs.target)
    assert images.pixels.dtype == np.uint8
    assert images.labels.dtype == np.int64


@pytest.mark.timeout(60)  # imports torch
def test_a_trial_does_not_import_scikit_learn() -> None:
    program = """
import importlib, sys
from raytao.networks.image_classification import ImageClassification
from raytao.networks.image_classification.data import load
from raytao.networks.image_classification.settings import DatasetSection
for name in ImageClassification.preload:
    importlib.import_module(name)
load(DatasetSection())
print("sklearn" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stdout == "False\n", done.stderr


def nothing(_: Path) -> None: ...


def no_gzip(file: Path) -> None:
    file.write_bytes(b"no gzip")


def empty(file: Path) -> None:
    file.write_bytes(b"")


def cut_off(file: Path) -> None:
    file.write_bytes(gzip.compress(b"1,2,3\n" * 9999)[:-20])


def garbled(file: Path) -> None:
    whole = bytearray(gzip.compress(bytes(np.random.default_rng(0).integers(48, 57, 9999, "u1"))))
    whole[200:300] = bytes(100)
    file.write_bytes(whole)


def too_few(file: Path) -> None:
    file.write_bytes(gzip.compress(b"1,2,3\n4,5,6\n"))


def no_numbers(file: Path) -> None:
    file.write_bytes(gzip.compress(b"a,b,c\n"))


DAMAGES = (nothing, no_gzip, empty, cut_off, garbled, too_few, no_numbers)


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.filterwarnings("ignore:.*input contained no data:UserWarning")
def test_a_damaged_file_is_named(
    damage: Callable[[Path], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "datasets/data/digits.csv.gz"
    file.parent.mkdir(parents=True)
    damage(file)
    installed = ModuleType("sklearn")
    installed.__spec__ = ModuleSpec("sklearn", None, is_package=True)
    installed.__spec__.submodule_search_locations = [str(tmp_path)]
    monkeypatch.setitem(sys.modules, "sklearn", installed)
    with pytest.raises(DataError, match=r"digits\.csv\.gz (cannot be read|holds)"):
        read_digits()


def test_without_scikit_learn_it_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sklearn", None)
    with pytest.raises(DataError, match="scikit-learn, which holds them, is not installed"):
        read_digits()
