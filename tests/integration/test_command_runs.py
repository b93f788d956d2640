"""Whole AutoML runs of trainers that know nothing of raytao: in awk, under torchrun, as TAO."""

from __future__ import annotations

import json
import re
import subprocess
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import driver
import pytest
import trainer_runs
from trainer_files import WRITERS
from trainer_runs import Run

from raytao.runs.events import Leased
from raytao.runs.state import Best, Phase
from raytao.spec import Document
from raytao.tao import layout
from raytao.tao.status import Status, read_status

pytestmark = [pytest.mark.ray, pytest.mark.integration]

HYPERBAND = {"name": "hyperband", "R": 9, "nu": 3, "epoch_multiplier": 1, "mode": "sync"}
WHOLE = Counter({1: 6, 3: 4, 9: 2})
"""Trials by where they end: of nine, three go on, of them one; then of three, one goes on."""
FIRST_BRACKET = Counter({1: 6, 3: 2, 9: 1})


@dataclass(frozen=True)
class Trainer:
    """A network, and how a test knows what its program did.

    Args:
        network: its name in the run file.
        trained: the epochs that its program trained in a trial, in order, by its own record.
        format: of its specs.
        suffix: of its weights.
        epoch_key: where its specs have the epochs of a whole training.
        worth: the metric that Hyperband's best model reaches.
        resumes: whether it can go on from a checkpoint.
        data: the spec's keys of its data, and the files.
        brackets: how many of Hyperband's there is time for.
        trials: what the other algorithm tries.
        command: what the run file says of how it is started.
    """

    network: str
    trained: Callable[[Run, int], list[int]]
    format: str
    suffix: str
    epoch_key: str
    worth: float
    resumes: bool = True
    data: Mapping[str, str] = field(default_factory=dict)
    brackets: int = 2
    trials: int = 4
    command: Mapping[str, Any] = field(default_factory=dict)


def printed(run: Run, trial: int) -> list[int]:
    """The epochs that awk tells of."""
    return [int(n) for n in re.findall(r"^epoch (\d+)/", run.log_of(trial), flags=re.M)]


def told_in_json(run: Run, trial: int) -> list[int]:
    """The epochs that the first of two processes tells of."""
    lines = [json.loads(line) for line in run.log_of(trial).splitlines() if line[:1] == "{"]
    assert {line["processes"] for line in lines} == {2}
    return [line["epoch"] for line in lines]


def remembered(run: Run, trial: int) -> list[int]:
    """The epochs in the file that TAO's imitator keeps for itself."""
    lines = [line.split() for line in (run.folder / "history").read_text().splitlines()]
    return [int(epoch) for place, epoch in lines if f"/experiment_{trial}/" in place]


_TRAINERS = (
    Trainer(
        *("awk_sgd", printed, "toml", ".txt", "train.epochs", 0.85),
        data={"data.file": "iris.csv"},
    ),
    Trainer(
        *("torchrun", told_in_json, "json", ".pt", "train.epochs", 0.9),
        data={"data.file": "digits.npz"},
        brackets=1,
        trials=2,
    ),
    Trainer(
        *("classification_pyt", remembered, "yaml", ".pth"),
        *("train.train_config.runner.max_epochs", 0.6),
        command={"env": {"TAO_HISTORY": "{cwd}/history"}},
    ),
    Trainer(
        *("detectnet_v2", remembered, "protobuf", ".hdf5", "training_config.num_epochs", 0.3),
        resumes=False,
        command={
            "env": {"TAO_HISTORY": "{cwd}/history", "TAO_EPOCH_SECONDS": "0.3"},
            "settle_s": 0.1,
        },
    ),
)
TRAINERS = {trainer.network: trainer for trainer in _TRAINERS}
EPOCHS = 2
"""Of a whole training, where the algorithm has no rungs."""


@dataclass(frozen=True)
class Done:
    """A run that has ended, and its trainer."""

    run: Run
    trainer: Trainer
    brain: str
    output: str

    @property
    def best(self) -> Best:
        best = self.run.state.incumbent
        assert best is not None
        return best

    def leases(self, trial: int) -> int:
        """How often the trainer was started for a trial."""
        events = (record.event for record in driver.records(self.run.results))
        return sum(isinstance(e, Leased) and e.trial == trial for e in events)


@pytest.fixture(scope="module", autouse=True)
def _cluster() -> Iterator[None]:
    with trainer_runs.cluster(gpus=2):
        yield


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, str], Done]:
    """Every run that a test asks for, once."""

    @cache
    def run_once(network: str, brain: str) -> Done:
        return finished(TRAINERS[network], brain, tmp_path_factory.mktemp(network))

    return run_once


@pytest.fixture(
    scope="module",
    params=[(network, brain) for network in TRAINERS for brain in ("hyperband", "bayesian")],
    ids="-".join,
)
def done(request: pytest.FixtureRequest, runs: Callable[[str, str], Done]) -> Done:
    return runs(*request.param)


def finished(trainer: Trainer, brain: str, folder: Path) -> Done:
    spec: dict[str, Any] = {}
    for key, name in trainer.data.items():
        WRITERS[name](folder / name)
        spec[key] = str(folder / name)
    settings: dict[str, Any] = {**HYPERBAND, "brackets": trainer.brackets}
    if brain == "bayesian":
        spec[trainer.epoch_key] = EPOCHS
        settings = {"name": brain, "max_recommendations": trainer.trials}
    run = Run.of(folder, trainer.network, settings, set=spec, command=trainer.command)
    result = run("run", "run.yaml")
    assert result.exit_code == 0, result.output
    return Done(run, trainer, brain, result.output)


def test_the_run_is_done_and_has_trained_what_was_planned(done: Done) -> None:
    state = done.run.state
    assert state.finished is not None
    assert state.finished.status == "Done"
    assert not state.by_phase(Phase.FAILED), done.output
    trained = Counter(trial.epochs for trial in state.trials.values())
    if done.brain == "bayesian":
        assert trained == {EPOCHS: done.trainer.trials}
    else:
        assert trained == (WHOLE if done.trainer.brackets == 2 else FIRST_BRACKET)
        assert done.best.value >= done.trainer.worth
    ends = {trial.history[trial.epochs]["score"] for trial in state.trials.values()}
    assert len(ends) > 1, "what was searched made no difference"
    assert not done.run.trainers()


def test_no_epoch_is_trained_twice_by_a_trainer_that_can_go_on(done: Done) -> None:
    trials, promoted = done.run.state.trials, 0
    for number, trial in trials.items():
        leases, own = done.leases(number), done.trainer.trained(done.run, number)
        promoted += leases > 1
        if done.trainer.resumes:
            assert own == list(range(1, trial.epochs + 1)), f"trial {number}"
        else:
            assert own.count(1) == leases
    assert bool(promoted) == (done.brain == "hyperband")


def test_the_best_model_has_its_weights_and_its_whole_spec(done: Done) -> None:
    best, trainer = done.best, done.trainer
    folder = done.run.results / layout.BEST_MODEL
    weights = layout.checkpoint(best.epoch, trainer.suffix)
    spec = layout.recommendation(best.trial, trainer.format)
    there = {p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file()}
    assert there == {weights, spec, layout.LOG, layout.STATUS, layout.PROVENANCE}
    assert (folder / weights).read_bytes()
    whole = Document.load(folder / spec, format=trainer.format)
    assert whole.get(trainer.epoch_key) == (EPOCHS if done.brain == "bayesian" else 9)
    params = done.run.state.trials[best.trial].params
    assert params
    assert {key: whole.get(key) for key in params} == pytest.approx(dict(params))


def test_every_experiment_has_its_log_and_its_status_and_the_spec_that_its_trainer_read(
    done: Done,
) -> None:
    for number, trial in done.run.state.trials.items():
        assert done.run.log_of(number).strip()
        folder = done.run.experiment(number)
        lines = read_status((folder / layout.STATUS).read_bytes())
        assert lines[0].status is Status.STARTED
        assert lines[-1].status is Status.SUCCESS
        told = {line.epoch: dict(line.kpi) for line in lines if line.kpi}
        assert list(told) == list(range(1, trial.epochs + 1))
        (seen,) = folder.glob("trainer/*/spec.*")
        own = done.run.results / layout.recommendation(number, done.trainer.format)
        assert seen.name == f"spec.{done.trainer.format}"
        assert seen.read_bytes() == own.read_bytes()


def test_a_promoted_training_is_what_it_is_without_a_break(
    runs: Callable[[str, str], Done], tmp_path: Path
) -> None:
    done = runs("awk_sgd", "hyperband")
    best = done.best
    assert done.leases(best.trial) > 1
    folder = done.run.results / layout.BEST_MODEL
    spec = folder / layout.recommendation(best.trial, "toml")
    script = done.run.folder / "awk_sgd/train.sh"
    subprocess.run(["sh", script, spec, tmp_path, "9"], check=True, stdout=subprocess.DEVNULL)
    whole = (tmp_path / f"weights_{best.epoch}.txt").read_text()
    assert (folder / layout.checkpoint(best.epoch, ".txt")).read_text() == whole
    assert done.run.state.tested is not None
    assert set(done.run.state.tested.metrics) == {"test_accuracy", "test_rows"}


def test_a_trainer_that_would_go_on_is_stopped_at_its_rung(
    runs: Callable[[str, str], Done],
) -> None:
    """TAO's DetectNet_v2 reads in its spec that it trains for nine epochs."""
    done = runs("detectnet_v2", "hyperband")
    short = [n for n, trial in done.run.state.trials.items() if trial.epochs == 1]
    assert short
    for number in short:
        assert max(done.trainer.trained(done.run, number)) < 9
        (own,) = done.run.experiment(number).glob("trainer/*/results/status.json")
        assert "detectnet_v2 train was interrupted: Terminated" in own.read_text()


def test_trials_run_side_by_side_each_on_a_gpu_of_its_own(tmp_path: Path) -> None:
    """Row 89 of TAO's checklist; Ray is told of GPUs, and nobody computes on them."""
    slow = {"env": {"TAO_EPOCH_SECONDS": "0.5"}}
    brain = {"name": "random", "max_recommendations": 2}
    spec = {"training_config.num_epochs": 3}
    gpu = {"cpus": 1, "gpus": 1}
    run = Run.of(tmp_path, "detectnet_v2", brain, set=spec, command=slow, resources=gpu)
    result = run("run", "run.yaml")
    assert result.exit_code == 0, result.output
    assert "2 trials at once" in result.output
    logs = [run.log_of(trial) for trial in (0, 1)]
    assert all(" --gpus 1\n" in log for log in logs)
    assert sorted(re.findall(r"visible GPUs: (\S+)", "".join(logs))) == ["0", "1"]
    begun = [run.state.trials[n].place for n in (0, 1)]
    assert all(place is not None and place.gpus == 1 for place in begun)
