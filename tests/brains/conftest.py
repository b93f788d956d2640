"""NVIDIA's own search classes, run without the service that they are a part of.

Importing them needs numpy, scipy and scikit-learn, and of nvidia-tao-core only its files: its
packages ``automl`` and ``utils`` import every algorithm and service helper when they are
initialised, so they are entered without that, and three modules are stubbed: ``kubernetes`` and
the two that talk to the service's database. What is drawn at random comes from a generator of
ours in place of numpy's global one.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
import warnings
from collections.abc import Iterator, Mapping, Sequence
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest

from raytao.brains.gp import believed, search
from raytao.brains.threads import one_blas_thread

ROOT = "nvidia_tao_core"
SERVICE = f"{ROOT}.microservices"
BARE = (f"{SERVICE}.automl", f"{SERVICE}.utils")
STUBBED = (
    "kubernetes",
    f"{SERVICE}.utils.handler_utils",
    f"{SERVICE}.utils.stateless_handler_utils",
)
MISSING = "nvidia-tao-core is not installed: pip install --no-deps nvidia-tao-core==7.3.0"


class Stub(ModuleType):
    """A module of functions that know nothing: each answers with an empty mapping."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return lambda *given, **named: {}


class Draws:
    """What NVIDIA uses of ``numpy.random``, drawn from ``rng``."""

    rng: np.random.Generator

    def seed(self, value: int) -> None:
        """NVIDIA seeds by a hash that differs from process to process."""

    def rand(self, count: int) -> Any:
        return self.rng.random(count)

    def uniform(self, low: float, high: float) -> float:
        return float(low + (high - low) * self.rng.random())

    def randint(self, low: int, high: int) -> int:
        return int(self.rng.integers(low, high))

    def choice(self, options: Sequence[Any], p: Sequence[float] | None = None) -> Any:
        if p is None:
            return options[int(self.rng.integers(len(options)))]
        return options[int(self.rng.choice(len(options), p=p))]


class Numpy(ModuleType):
    """numpy with ``random`` exchanged."""

    def __init__(self, draws: Draws) -> None:
        super().__init__("numpy")
        self.random = draws

    def __getattr__(self, name: str) -> Any:
        return getattr(np, name)


class Nvidia:
    """The classes, and the generator that they draw from."""

    def __init__(self) -> None:
        self.draws = Draws()
        numpy = Numpy(self.draws)
        loaded = [
            importlib.import_module(f"{SERVICE}.automl.{name}")
            for name in ("automl_algorithm_base", "bayesian", "hyperband")
        ]
        for module in loaded:
            module.__dict__["np"] = numpy
        base, self._bayesian, self._hyperband = loaded
        base.__dict__["random"] = self.draws

    def bayesian(self, parameters: Sequence[Mapping[str, Any]]) -> Any:
        """A fresh ``Bayesian`` that searches ``parameters``, rows in NVIDIA's form."""
        return self._bayesian.Bayesian(_job(), "/brain/of/job", "none", _rows(parameters))

    def hyperband(self, parameters: Sequence[Mapping[str, Any]], R: int, nu: int) -> Any:
        """A fresh ``HyperBand``."""
        return self._hyperband.HyperBand(
            _job(), "/brain/of/job", "none", _rows(parameters), R, nu, 1
        )

    @staticmethod
    def result(value: float) -> Any:
        """A trial that ended with ``value``."""
        return SimpleNamespace(status="success", result=value)


def _job() -> Any:
    return SimpleNamespace(id="job", handler_id="experiment")


def _rows(parameters: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    return [dict(parameter) for parameter in parameters]


@pytest.fixture(autouse=True, scope="module")
def one_core() -> Iterator[None]:
    """Brains think on one BLAS thread, as in a run: on a busy machine two mostly wait."""
    importlib.import_module("scipy.linalg")
    with one_blas_thread():
        yield


@pytest.fixture(scope="class")
def small_search() -> Iterator[None]:
    """For laws that do not depend on how well the acquisition is searched."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(search.Effort, "cover", lambda _, dim, rng: search.sobol(dim, 5, rng))
        patch.setattr(search, "CHILDREN", 4)
        patch.setattr(search, "STEPS", 2)
        patch.setattr(believed, "AVERAGED", ((24, 2),))
        yield


@pytest.fixture
def nvidia() -> Iterator[Nvidia]:
    """NVIDIA's classes; gone again from the process after the test."""
    if importlib.util.find_spec(ROOT) is None:
        pytest.skip(MISSING)
    for name in ("sklearn.gaussian_process", "scipy.stats"):
        importlib.import_module(name)
    before = {name: sys.modules[name] for name in STUBBED if name in sys.modules}
    try:
        for name in BARE:
            path = importlib.import_module(SERVICE).__path__[0]
            package = ModuleType(name)
            package.__path__ = [f"{path}/{name.rpartition('.')[2]}"]
            sys.modules[name] = package
        sys.modules.update((name, Stub(name)) for name in STUBBED)
        with one_blas_thread(), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # theirs: length scales at a bound, divisions by 0
            yield Nvidia()
    finally:
        ours = [name for name in sys.modules if name in STUBBED or name.split(".")[0] == ROOT]
        for name in ours:
            del sys.modules[name]
        sys.modules.update(before)
