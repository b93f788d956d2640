"""Weights that were replaced by a pickle with a program in it: refused in words, nothing runs."""

from __future__ import annotations

import os
import pickle
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner

from raytao.cli.main import main
from raytao.runs.store import LocalStore
from raytao.setup.folder import open_folder
from raytao.tao import layout
from raytao.trials.messages import Broken, Event, Job
from raytao.trials.provenance import read_provenance
from raytao.trials.runner import run

pytestmark = pytest.mark.timeout(120)  # the first test trains the run that all of them look at


class Program:
    """Runs a command where it is unpickled."""

    def __init__(self, command: str) -> None:
        self.command = command

    def __reduce__(self) -> tuple[Callable[[str], int], tuple[str]]:
        return os.system, (self.command,)


@pytest.fixture(params=[0, 2, 5], ids="protocol {}".format)
def attacked(digits: Path, tmp_path: Path, request: pytest.FixtureRequest) -> tuple[Path, Path]:
    """A copy of a run whose weights are a program, and the file that the program would make."""
    results, mark = tmp_path / "results", tmp_path / "executed"
    shutil.copytree(digits, results)
    weights = list(results.rglob("*.pth"))
    assert weights
    for file in weights:
        file.write_bytes(pickle.dumps(Program(f"touch {mark}"), request.param))
    return results, mark


def test_the_program_would_run_where_somebody_unpickled_it(attacked: tuple[Path, Path]) -> None:
    results, mark = attacked
    pickle.loads(next(results.rglob("*.pth")).read_bytes())
    assert mark.exists()


def test_evaluating_it_is_refused(attacked: tuple[Path, Path]) -> None:
    results, mark = attacked
    for command in (["evaluate"], ["export-model", "--format", "torchscript"]):
        said = CliRunner().invoke(main, [*command, str(results)])
        assert said.exit_code == 2
        assert "it cannot be read as tensors, and nothing else is taken from a file" in said.stderr
        assert "Traceback" not in said.stderr
    assert not mark.exists()


def test_a_trial_that_goes_on_from_it_fails_in_words(attacked: tuple[Path, Path]) -> None:
    results, mark = attacked
    setup, state = open_folder(results)
    assert state.incumbent is not None
    trial = state.incumbent.trial
    store, folder = LocalStore(results), layout.experiment(trial)
    found = read_provenance(store, folder)
    assert found is not None
    job = Job(
        kind="train",
        network=setup.settings.network,
        spec=setup.recommendation(state.trials[trial].params, 9).plain(),
        root=str(results),
        folder=folder,
        trial=trial,
        attempt=found.attempt + 1,
        reported_epoch=3,
        stop_epoch=9,
        metric=setup.metric,
        direction=setup.direction.value,
        seed=1,
        threads=1,
        gpus=0,
    )
    assert found.best is not None
    measuring = replace(job, kind="evaluate", checkpoint=f"{folder}/{found.best.file}")
    for work in (job, measuring):
        events: list[Event] = []
        run(work, store, events.append)
        assert isinstance(events[-1], Broken)
        assert "it cannot be read as tensors" in events[-1].reason
    assert not mark.exists()
