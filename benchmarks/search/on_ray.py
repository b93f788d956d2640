"""Searches on Ray with real trainings, beside what Ray Tune brings along.

    python -m benchmarks.search.on_ray --out on_ray.jsonl [--seeds 0 1 2] [--budget 20]

The network is raytao's own small CNN on a part of Fashion-MNIST (3,000 images to train on, 1,000
to choose by), the space is its table's: eight parameters, one of them conditional. A full training
has 9 epochs; every search is given as many epochs as ``--budget`` full trainings have, for two
trials at a time on two CPUs, and begins with the network's own spec.

``bayesian`` and ``hyperband`` are raytao as users run it: supervised processes, event log, results
folder. ``ray_asha`` is Ray Tune's ASHA on random configurations, ``ray_optuna`` its Optuna
searcher (TPE) with full trainings: both train the same network in a `tune.Trainable`, epoch by
epoch. What counts is the best validation accuracy at any epoch, by the epochs that all trials
together have trained until then: those of trials that were stopped early as well.

A line of the file is a run; the command does what the file lacks, then prints the table.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import statistics
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import ray
from ray import tune
from ray.tune.schedulers import ASHAScheduler
from ray.tune.search.basic_variant import BasicVariantGenerator

from benchmarks.overhead import QUIET, Silent
from raytao.networks.image_classification import ImageClassification
from raytao.runs.events import Reported
from raytao.runs.log import read_log
from raytao.runs.place import store_at
from raytao.setup.changes import Entry
from raytao.setup.resolve import resolve_values
from raytao.setup.setup import Setup
from raytao.space.options import Categorical
from raytao.space.parameters import Float, Parameter
from raytao.spec import flatten, set_in
from raytao.tao import layout
from raytao.tune.launch import launch
from raytao.types import Json

METRIC: Final = "val_acc"
EPOCHS: Final = 9
SLOTS: Final = 2
POOL: Final = 60_000
"""Images of Fashion-MNIST outside its test set."""
MOST: Final = 10_000
"""More trials than any budget has room for."""
MARKS: Final = (3, 5, 9, 20)
"""Full trainings after which the searches are compared."""


@dataclass(frozen=True)
class Task:
    """One search.

    Args:
        method: its name.
        seed: of the search, and of its trainings' weights and batches.
        budget: full trainings that its epochs are enough for.
        images: to train on.
        held_out: images to choose by.
    """

    method: str
    seed: int
    budget: int
    images: int
    held_out: int

    @property
    def epochs(self) -> int:
        """What it may train in all."""
        return self.budget * EPOCHS

    def setup(self, results: Path, brain: Mapping[str, Json]) -> Setup:
        """The run as raytao is given it."""
        run = {
            "network": ImageClassification.name,
            "metric": METRIC,
            "brain": dict(brain),
            "budget": {"epochs": self.epochs},
            "resources": {"cpus": 1},
            "slots": SLOTS,
            "seed": self.seed,
            "evaluate": False,
            "results_dir": str(results),
        }
        spec = {
            "dataset.name": "fashion_mnist",
            "dataset.val_split": self.held_out / POOL,
            "dataset.train_fraction": self.images / (POOL - self.held_out),
            "train.num_epochs": EPOCHS,
            "train.seed": self.seed,
        }
        return resolve_values(run, caller="on_ray", spec=spec)


@dataclass(frozen=True)
class Epoch:
    """What a trial reached in an epoch."""

    trial: int
    epoch: int
    accuracy: float


def bayesian(task: Task, folder: Path) -> list[Epoch]:
    """The Bayesian brain of raytao."""
    return _with_raytao(task, folder, {"name": "bayesian", "max_recommendations": task.budget})


def hyperband(task: Task, folder: Path) -> list[Epoch]:
    """The Hyperband brain of raytao, its plan repeated until the epochs are spent."""
    plan = {"R": EPOCHS, "nu": 3, "epoch_multiplier": 1, "brackets": 3 * task.budget}
    return _with_raytao(task, folder, {"name": "hyperband", **plan})


def ray_asha(task: Task, folder: Path) -> list[Epoch]:
    """Ray Tune's ASHA on random configurations."""

    def config(first: Mapping[str, Json]) -> tune.TuneConfig:
        return tune.TuneConfig(
            search_alg=BasicVariantGenerator(
                points_to_evaluate=[dict(first)], max_concurrent=SLOTS, random_state=task.seed
            ),
            scheduler=ASHAScheduler(max_t=EPOCHS, grace_period=1, reduction_factor=3),
            num_samples=MOST,
            metric=METRIC,
            mode="max",
            reuse_actors=True,
        )

    return _with_tune(task, folder, config)


def ray_optuna(task: Task, folder: Path) -> list[Epoch]:
    """Ray Tune's Optuna searcher with full trainings."""
    from ray.tune.search.optuna import OptunaSearch

    def config(first: Mapping[str, Json]) -> tune.TuneConfig:
        return tune.TuneConfig(
            search_alg=OptunaSearch(points_to_evaluate=[dict(first)], seed=task.seed),
            num_samples=task.budget,
            max_concurrent_trials=SLOTS,
            metric=METRIC,
            mode="max",
            reuse_actors=True,
        )

    return _with_tune(task, folder, config)


METHODS: Final[Mapping[str, Callable[[Task, Path], list[Epoch]]]] = {
    "bayesian": bayesian,
    "hyperband": hyperband,
    "ray_asha": ray_asha,
    "ray_optuna": ray_optuna,
}


def _with_raytao(task: Task, folder: Path, brain: Mapping[str, Json]) -> list[Epoch]:
    setup = task.setup(folder / "results", brain)
    launch(setup, Entry(setup.opened()), Silent())
    events = (record.event for record in read_log(store_at(setup.results), layout.EVENTS))
    return [
        Epoch(event.trial, event.epoch, event.metrics[METRIC])
        for event in events
        if isinstance(event, Reported)
    ]


@dataclass
class OneEpoch:
    """An epoch of a training, as its network sees it: a segment of its own."""

    start_epoch: int
    resume_from: bytes | None
    seed: int
    threads: int = 1
    gpus: int = 0
    rank: int = 0
    world: int = 1
    should_stop: bool = False
    metric: str = METRIC
    workspace: Path = Path("this trainer needs none")
    weights: bytes | None = None
    accuracy: float | None = None

    @property
    def stop_epoch(self) -> int:
        """See TrainContext."""
        return self.start_epoch + 1

    @property
    def epochs(self) -> range:
        """See TrainContext."""
        return range(self.start_epoch + 1, self.stop_epoch + 1)

    def gpu_memory_share(self, total: int) -> float:
        """See TrainContext."""
        del total
        return 1.0

    def is_best(self, metrics: Mapping[str, float]) -> bool:
        """See TrainContext; only the last epoch's weights are wanted."""
        del metrics
        return False

    def save(self, checkpoint: bytes) -> None:
        """See TrainContext."""
        self.weights = checkpoint

    def report(
        self, epoch: int, metrics: Mapping[str, float], *, seconds: float | None = None
    ) -> None:
        """See TrainContext."""
        del epoch, seconds
        self.accuracy = metrics[METRIC]

    def log(self, message: str) -> None:
        """See TrainContext; nobody reads it."""


class Training(tune.Trainable):
    """The network's training for Ray Tune: a step is an epoch, and actors are reused."""

    def setup(self, config: dict[str, Any], spec: dict[str, Json] | None = None) -> None:
        """Take the base spec, and the first configuration."""
        self._base = spec or {}
        self.reset_config(config)

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Begin another training in the same process."""
        self._spec: dict[str, Json] = set_in(self._base, new_config)
        self._weights: bytes | None = None
        return True

    def step(self) -> dict[str, Any]:
        """Train an epoch, from the weights of the one before."""
        epoch = OneEpoch(self.iteration, self._weights, self._spec["train"]["seed"])
        ImageClassification().train(self._spec, epoch)
        self._weights = epoch.weights
        return {METRIC: epoch.accuracy, "done": epoch.stop_epoch == EPOCHS}


class Ledger(tune.Stopper):
    """Notes every epoch, in the order in which they are told, until all are spent."""

    def __init__(self, epochs: int) -> None:
        self._epochs = epochs
        self._numbers: dict[str, int] = {}
        self.noted: list[Epoch] = []

    def __call__(self, trial_id: str, result: dict[str, Any]) -> bool:
        """Note; no trial is stopped for itself."""
        number = self._numbers.setdefault(trial_id, len(self._numbers))
        self.noted.append(Epoch(number, result["training_iteration"], result[METRIC]))
        return False

    def stop_all(self) -> bool:
        """Whether the epochs are spent."""
        return len(self.noted) >= self._epochs


def _with_tune(
    task: Task, folder: Path, config: Callable[[Mapping[str, Json]], tune.TuneConfig]
) -> list[Epoch]:
    setup = task.setup(folder / "unused", {"name": "random"})
    spec = setup.spec.plain()
    own = flatten(spec)
    parameters = setup.space.parameters
    ledger = Ledger(task.epochs)
    tune.Tuner(
        tune.with_resources(tune.with_parameters(Training, spec=spec), {"cpu": 1}),
        param_space={parameter.name: _domain(parameter) for parameter in parameters},
        tune_config=config({parameter.name: own[parameter.name] for parameter in parameters}),
        run_config=tune.RunConfig(
            storage_path=str(folder),
            verbose=0,
            stop=ledger,
            checkpoint_config=tune.CheckpointConfig(checkpoint_at_end=False),
        ),
    ).fit()
    return ledger.noted


def _domain(parameter: Parameter) -> Any:
    """A parameter in Tune's words; one that a configuration has no use for is ignored there."""
    match parameter:
        case Float(low=low, high=high, log=True):
            return tune.loguniform(low, high)
        case Float(low=low, high=high):
            return tune.uniform(low, high)
        case Categorical(options=options):
            return tune.choice(list(options))
        case _:
            raise TypeError(f"{parameter} has no counterpart here")


def perform(task: Task) -> list[Epoch]:
    """Search on a Ray of its own; in the order in which epochs were told, as many as are paid."""
    ray.init(address="local", num_cpus=SLOTS, include_dashboard=False, logging_level=logging.ERROR)
    try:
        with tempfile.TemporaryDirectory() as folder:
            return METHODS[task.method](task, Path(folder))[: task.epochs]
    finally:
        ray.shutdown()


def read(file: Path) -> dict[Task, list[Epoch]]:
    """The runs that a file holds."""
    lines = file.read_text(encoding="utf-8").splitlines() if file.exists() else []
    runs = map(json.loads, lines)
    return {Task(**run["task"]): [Epoch(*told) for told in run["epochs"]] for run in runs}


def best(run: Sequence[Epoch], trainings: int) -> float:
    """The best accuracy when so many full trainings' epochs were trained."""
    return max(told.accuracy for told in run[: trainings * EPOCHS])


def show(runs: Mapping[Task, Sequence[Epoch]], like: Task) -> None:
    """Print the table of the runs that differ from ``like`` in their method and seed only."""
    marks = [mark for mark in MARKS if mark < like.budget] + [like.budget]
    print(f"best {METRIC} in %, mean ± standard error over seeds, by full trainings of {EPOCHS}")
    print(f"{'':12}{'seeds':>6}{'trials':>8}" + "".join(f"{mark:>16}" for mark in marks))
    for method in METHODS:
        mine = [
            run
            for task, run in runs.items()
            if task == Task(method, task.seed, like.budget, like.images, like.held_out)
        ]
        if mine:
            trials = statistics.mean(1 + max(told.trial for told in run) for run in mine)
            cells = [_mean([100 * best(run, mark) for run in mine]) for mark in marks]
            print(f"{method:12}{len(mine):6}{trials:8.1f}" + "".join(f"{c:>16}" for c in cells))


def _mean(values: Sequence[float]) -> str:
    """Mean and standard error; one value has none."""
    mean = statistics.mean(values)
    if len(values) == 1:
        return f"{mean:.2f}"
    return f"{mean:.2f} ± {statistics.stdev(values) / len(values) ** 0.5:.2f}"


def main() -> None:
    """Do the runs that the file lacks, then print what it says."""
    parser = argparse.ArgumentParser(description="Searches on Ray with real trainings.")
    parser.add_argument("--out", type=Path, required=True, help="JSON lines; appended to")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=list(METHODS))
    parser.add_argument("--budget", type=int, default=20, help="full trainings")
    parser.add_argument("--images", type=int, default=3_000, help="to train on")
    parser.add_argument("--held-out", type=int, default=1_000, help="images to choose by")
    asked = parser.parse_args()
    os.environ |= QUIET
    tasks = [
        Task(method, seed, asked.budget, asked.images, asked.held_out)
        for seed in asked.seeds
        for method in asked.methods
    ]
    known = read(asked.out)
    for task in (task for task in tasks if task not in known):
        print(f"{task.method}, seed {task.seed} …", file=sys.stderr, flush=True)
        run = perform(task)
        line = {"task": asdict(task), "epochs": [list(asdict(told).values()) for told in run]}
        with asked.out.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")
    show(read(asked.out), tasks[0])


if __name__ == "__main__":
    main()
