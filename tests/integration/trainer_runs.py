"""Runs of the trainers in ``trainers/``, which know nothing of raytao, on one Ray a module."""

from __future__ import annotations

import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import driver
import psutil
import pytest
import ray
import yaml
from click.testing import CliRunner, Result
from trainer_files import TRAINERS, programs_on_path

from raytao.cli.main import main
from raytao.cluster.connect import QUIET
from raytao.runs.state import RunState
from raytao.tao import layout

MARK = "RAYTAO_TEST_TRAINER"
"""In the environment of every process of a trainer, however far it has gone."""


@contextmanager
def cluster(gpus: int = 0) -> Iterator[str]:
    """One Ray for all tests of a file, at the address given, with two CPUs and the programs.

    Args:
        gpus: how many it is told that there are.
    """
    with programs_on_path(), pytest.MonkeyPatch.context() as patch:
        for name, value in QUIET.items():
            patch.setenv(name, value)
        ray.init("local", num_cpus=2, include_dashboard=False, log_to_driver=False, num_gpus=gpus)
        yield ray.get_runtime_context().gcs_address
        ray.shutdown()


@dataclass(frozen=True)
class Run:
    """A run in a folder of its own, with the trainer beside the run file."""

    folder: Path
    mark: str

    @classmethod
    def of(cls, folder: Path, network: str, brain: dict[str, Any], **settings: Any) -> Run:
        """Write the run file; a network that has a folder in ``trainers/`` is copied there."""
        mark = uuid.uuid4().hex
        own = TRAINERS / network
        if own.is_dir():
            shutil.copytree(own, folder / network)
        whole: dict[str, Any] = {
            "network": f"./{network}" if own.is_dir() else network,
            "brain": brain,
            "results_dir": "results",
            "seed": 3,
            **settings,
        }
        command = whole.get("command", {})
        whole["command"] = {**command, "env": {MARK: mark, **command.get("env", {})}}
        (folder / "run.yaml").write_text(yaml.safe_dump(whole))
        return cls(folder, mark)

    @property
    def results(self) -> Path:
        return self.folder / "results"

    @property
    def state(self) -> RunState:
        return RunState.fold(driver.records(self.results))

    def __call__(self, *arguments: str) -> Result:
        """The command line in this process, and in this run's folder."""
        with pytest.MonkeyPatch.context() as patch:
            patch.chdir(self.folder)
            return CliRunner().invoke(main, list(arguments))

    def experiment(self, trial: int) -> Path:
        return self.results / layout.experiment(trial)

    def log_of(self, trial: int) -> str:
        """What the trainer said, its progress bars one by one."""
        with (self.experiment(trial) / layout.LOG).open(newline="") as file:
            return file.read().replace("\r", "\n")

    def trainers(self) -> list[psutil.Process]:
        """All that the trainers have started and that still runs, wherever it is now."""
        found = []
        for process in psutil.process_iter():
            with suppress(psutil.Error):
                if process.environ().get(MARK) == self.mark:
                    found.append(process)
        return driver.alive(found)
