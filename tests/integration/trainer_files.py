"""The trainers in ``trainers/``, which know nothing of raytao, and their data."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from sklearn.datasets import load_digits, load_iris

TRAINERS = Path(__file__).parent / "trainers"


@contextmanager
def programs_on_path() -> Iterator[None]:
    """``tao``, and what is installed beside this Python, such as torchrun, can be started."""
    beside = Path(sys.executable).parent
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATH", f"{TRAINERS / 'tao'}:{beside}:{os.environ['PATH']}")
        patch.setenv("TAO_PYTHON", sys.executable)
        yield


def write_iris(file: Path) -> None:
    """As text, its rows mixed: features, and a class from 0 on."""
    iris = load_iris()
    order = np.random.default_rng(0).permutation(len(iris.target))
    rows = [f"{','.join(map(str, iris.data[n]))},{iris.target[n]}\n" for n in order]
    file.write_text("".join(rows))


def write_digits(file: Path) -> None:
    """As numpy keeps them."""
    digits = load_digits()
    np.savez(file, images=digits.data, classes=digits.target)


WRITERS = {"iris.csv": write_iris, "digits.npz": write_digits}
