"""A run's log without Ray: the toy network, Hyperband and the simulator."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from raytao.runs.events import Event, Finished
from raytao.runs.events import Tested as Measured  # pytest would collect a Test…
from raytao.runs.log import read_log
from raytao.runs.store import LocalStore, MemoryStore
from raytao.setup.resolve import resolve
from raytao.setup.setup import Setup
from raytao.testing.folder_run import Conditions, run_in_folder
from raytao.testing.places import local
from raytao.testing.simulator import LOG_KEY, simulate
from raytao.testing.toy import curve

RUN = """
network: toy
seed: 3
brain: {{name: hyperband, R: 9, nu: 3, epoch_multiplier: 1, mode: sync}}
results_dir: {results}
tracking: {tracking}
"""

MakeSetup = Callable[..., Setup]


def make_setup(
    folder: Path,
    tracking: str = "{name: 'raytao.tracking.mlflow:MLflow'}",
    results: str = "digits",
) -> Setup:
    run = folder / "toy.yaml"
    run.write_text(RUN.format(results=folder / results, tracking=tracking))
    setup = resolve(str(run))
    local(setup.results).mkdir(exist_ok=True)
    return setup


@pytest.fixture(name="make_setup", scope="session")
def _make_setup() -> MakeSetup:
    """(folder, tracking, results) -> a toy run; its results folder is made."""
    return make_setup


@pytest.fixture(scope="session")
def log(tmp_path_factory: pytest.TempPathFactory) -> tuple[Event, ...]:
    """All that happens in a run of four workers: trial 4 fails, the winner is measured."""
    setup = make_setup(tmp_path_factory.mktemp("simulated"))
    store = MemoryStore()
    run = simulate(
        setup.new_brain(), curve, workers=4, store=store, fails=lambda trial, _epoch: trial == 4
    )
    *events, last = [record.event for record in read_log(store, LOG_KEY)]
    best = run.controller.state.incumbent
    assert best is not None
    assert isinstance(last, Finished)
    return (*events, Measured(best.trial, best.epoch, {"test_value": 0.75}), last)


@pytest.fixture(scope="session")
def untracked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The results folder of a run that no tracker was told of: trial 4 fails. Copy it to write."""
    setup = make_setup(tmp_path_factory.mktemp("untracked"), tracking="null")
    results = local(setup.results)
    state = run_in_folder(
        setup, LocalStore(results), Conditions(slots=4, fails=lambda trial, _epoch: trial == 4)
    )
    assert state.finished is not None
    return results
