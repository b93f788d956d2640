"""What a run of raytao costs on top of plain Ray Tune training the same trials.

    python benchmarks/overhead.py [--pairs 5] [--trials 100] [--slots 2]

Every trial reports three epochs of 0.2 s: a sleep, a known curve, a checkpoint of a few bytes.
raytao runs it whole: its log, folder, supervised processes, everything that is on by default but
the final test. Plain Tune runs the same as a `tune.Trainable` with actors reused, its loggers off
and its checkpoints too: it writes the bytes where it stands, the least that a user could do.

The sides alternate, on one Ray that is there before. Each run is a driver of its own, is connected
before the clock starts, and is timed from the first call to the result. The table also has the
driver's CPU time for each event: a record of raytao's log, a report of plain Tune. Ends with exit
code 1 when the median ratio of the pairs is above ``--limit``.

On a busy machine plain Tune may never have all its actors: one that is free takes the trial for
which another was being started. Such a run would flatter raytao; the pair is measured again.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any, Literal, TypeAlias

import ray
from ray import tune

from raytao.runs.eta import Remaining
from raytao.runs.events import Event
from raytao.runs.log import read_log
from raytao.runs.place import store_at
from raytao.runs.state import RunState
from raytao.setup.changes import Entry
from raytao.setup.resolve import resolve
from raytao.tao import layout
from raytao.testing.toy import curve
from raytao.tune.launch import launch

CPUS = 2
EPOCHS = 3
SECONDS = 0.2
LIMIT = 1.15
SPARE = 3
Side: TypeAlias = Literal["raytao", "plain"]

QUIET = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_AIR_NEW_OUTPUT": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    "TUNE_WARN_EXCESSIVE_EXPERIMENT_CHECKPOINT_SYNC_THRESHOLD_S": "0",
}
"""What raytao sets for itself, for both sides."""

RUN = """\
network: toy
set:
  train.num_epochs: {epochs}
  train.sleep: {seconds}
brain: {{name: random, max_recommendations: {trials}}}
resources: {{cpus: {cpus}}}
slots: {slots}
evaluate: false
results_dir: {folder}/results
"""


@dataclass(frozen=True)
class Task:
    """One run: ``trials`` recommendations, ``slots`` at once, on the Ray at ``address``."""

    side: Side
    address: str
    folder: str
    trials: int
    slots: int

    @property
    def cpus(self) -> float:
        """CPUs of one trial; the slots share what there is."""
        return CPUS / self.slots


@dataclass(frozen=True)
class Cost:
    """What a run took: wall seconds, CPU seconds of the driver; and its events and actors."""

    seconds: float
    cpu_seconds: float
    events: int
    actors: int

    @property
    def cpu_ms(self) -> float:
        """The driver's CPU milliseconds per event."""
        return 1000 * self.cpu_seconds / self.events


@dataclass(frozen=True)
class Pair:
    """Two runs, one directly after the other."""

    raytao: Cost
    plain: Cost

    def row(self) -> tuple[float, ...]:
        """Seconds of both, their ratio, CPU milliseconds per event of both."""
        ours, theirs = self.raytao, self.plain
        return ours.seconds, theirs.seconds, self.ratio, ours.cpu_ms, theirs.cpu_ms

    @property
    def ratio(self) -> float:
        """How much longer raytao took."""
        return self.raytao.seconds / self.plain.seconds


class Silent:
    """Watches a run and says nothing."""

    def connected(self, found: str) -> None:
        """See Observer."""

    def event(self, event: Event, state: RunState) -> None:
        """See Observer."""

    def step(self, state: RunState, left: Remaining) -> None:
        """See Observer."""


class Sleeper(tune.Trainable):
    """What `raytao.testing.toy` does, for plain Tune."""

    def setup(self, config: dict[str, Any]) -> None:
        """Take the first configuration."""
        self._params = config

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Take the next one, in the same process."""
        self._params = new_config
        return True

    def step(self) -> dict[str, Any]:
        """Train an epoch."""
        epoch = self.iteration + 1
        time.sleep(SECONDS)
        value = curve(self._params, epoch)
        checkpoint = Path(self.logdir, f"epoch_{epoch}.json")
        checkpoint.write_bytes(json.dumps({"epoch": epoch}).encode())
        return {"value": value, "loss": 1.0 - value, "done": epoch == EPOCHS}


def time_raytao(task: Task) -> Cost:
    """Run the search with raytao."""
    file = Path(task.folder, "run.yaml")
    values = {**asdict(task), "cpus": task.cpus, "epochs": EPOCHS, "seconds": SECONDS}
    file.write_text(RUN.format(**values))
    setup = resolve(str(file))
    wall, cpu = time.perf_counter(), time.process_time()
    state = launch(setup, Entry(setup.opened()), Silent())
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    refuse_other(task, state.epochs)
    events = read_log(store_at(setup.results), layout.EVENTS)
    actors = {trial.place.pid for trial in state.trials.values() if trial.place}
    return Cost(wall, cpu, len(events), len(actors))


def time_plain(task: Task) -> Cost:
    """Run the search with plain Ray Tune."""
    space = {
        "model.x": tune.uniform(0.0, 1.0),
        "model.y": tune.randint(0, 11),
        "model.fruit": tune.choice(["apple", "fig", "plum"]),
    }
    wall, cpu = time.perf_counter(), time.process_time()
    results = tune.Tuner(
        tune.with_resources(Sleeper, {"cpu": task.cpus}),
        param_space=space,
        tune_config=tune.TuneConfig(
            num_samples=task.trials, max_concurrent_trials=task.slots, reuse_actors=True
        ),
        run_config=tune.RunConfig(
            name="plain",
            storage_path=task.folder,
            verbose=0,
            checkpoint_config=tune.CheckpointConfig(checkpoint_at_end=False),
        ),
    ).fit()
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    ends = [results[number].metrics or {} for number in range(len(results))]
    reports = sum(end.get("training_iteration", 0) for end in ends)
    refuse_other(task, reports)
    return Cost(wall, cpu, reports, len({end["pid"] for end in ends}))


def refuse_other(task: Task, reports: int) -> None:
    """A side that did something else must not be compared."""
    if reports != task.trials * EPOCHS:
        raise RuntimeError(f"{task.side}: {reports} reports of {task.trials * EPOCHS}")


def run_here(task: Task) -> Cost:
    """Connect this process, then run one side in it."""
    os.environ |= QUIET
    ray.init(address=task.address, log_to_driver=False, logging_level=logging.ERROR)
    try:
        return time_raytao(task) if task.side == "raytao" else time_plain(task)
    finally:
        ray.shutdown()


def run_apart(side: Side, address: str, trials: int, slots: int) -> Cost:
    """Run one side in a process of its own, in a folder of its own."""
    with tempfile.TemporaryDirectory() as folder:
        task = Task(side, address, folder, trials, slots)
        command = [sys.executable, __file__, "--task", json.dumps(asdict(task))]
        printed = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    cost = Cost(**json.loads(printed.splitlines()[-1]))
    print(f"{side:>8}: {cost.seconds:.1f} s, {cost.actors} actors", file=sys.stderr)
    return cost


def measure(pairs: int, trials: int, slots: int) -> list[Pair]:
    """Time both sides ``pairs`` times; which is first alternates.

    Raises:
        SystemExit: if plain Tune got along with too few actors too often.
    """
    os.environ |= QUIET
    ray.init(address="local", num_cpus=CPUS, include_dashboard=False, logging_level=logging.ERROR)
    address = ray.get_runtime_context().gcs_address
    found: list[Pair] = []
    for number in range(pairs + SPARE):
        sides: tuple[Side, ...] = ("plain", "raytao") if number % 2 else ("raytao", "plain")
        costs = {side: run_apart(side, address, trials, slots) for side in sides}
        if costs["plain"].actors == slots:
            found.append(Pair(**costs))
        if len(found) == pairs:
            ray.shutdown()
            return found
    raise SystemExit(f"too busy to compare: only {len(found)} of {pairs} pairs had {slots} actors")


def main() -> None:
    """Measure, print the table, compare the median with the limit."""
    parser = argparse.ArgumentParser(description="A run of raytao over plain Ray Tune.")
    parser.add_argument("--pairs", type=int, default=5, help="pairs of runs")
    parser.add_argument("--trials", type=int, default=100, help="trials of each run")
    parser.add_argument("--slots", type=int, default=2, help=f"trials at once, on {CPUS} CPUs")
    parser.add_argument("--limit", type=float, default=LIMIT, help="the largest ratio that passes")
    parser.add_argument("--task", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.task:
        print(json.dumps(asdict(run_here(Task(**json.loads(asked.task))))))
        return
    pairs = measure(asked.pairs, asked.trials, asked.slots)
    rows = [pair.row() for pair in pairs]
    medians = tuple(median(column) for column in zip(*rows, strict=True))
    print(f"{asked.trials} trials of {EPOCHS} x {SECONDS} s, {asked.slots} at once on {CPUS} CPUs")
    print(f"{'':8}{'raytao':>10}{'plain':>10}{'ratio':>8}{'CPU/event':>12}{'plain':>10}")
    for name, row in [*enumerate(rows, start=1), ("median", medians)]:
        print("{:8}{:9.1f}s{:9.1f}s{:8.3f}{:10.1f}ms{:8.1f}ms".format(str(name), *row))
    sys.exit(median(pair.ratio for pair in pairs) > asked.limit)


if __name__ == "__main__":
    main()
