"""What an event costs as the log grows, and what it takes to read a long log back.

    python benchmarks/event_log.py [--limit 1.5]

The first table is of a driver with eight trials out, in a folder, when its log has 100, 1,000 and
10,000 events; the three are measured in turn, event by event, so that what else the machine does
falls on all of them. *Epoch* is a report after which a trial goes on, *verdict* one that ends its
lease: `Controller.report` and the log's append, with and without the time that the disk takes to
make it durable. *Start* is a `Controller.suggest` that starts a trial. Random search stands for
all brains that train to the end; Hyperband is in a bracket of 1,024, at 10,000 events in its third
rung, where trials are promoted and none starts. Ends with exit code 1 if something takes more than
``--limit`` times the CPU at 10,000 events that it takes at 100.

The second table is of finished runs: reading the log, folding it, replaying it into a fresh brain,
and `raytao status --json` as a process of its own. The log of the Bayesian run holds random
configurations: a replay adopts them, and fits nothing.
"""

from __future__ import annotations

import argparse
import random
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Final, TypeVar

from raytao.brains.base import Brain
from raytao.runs.controller import Lease
from raytao.runs.log import read_log
from raytao.runs.opening import open_run
from raytao.runs.place import store_at
from raytao.runs.replay import replay
from raytao.runs.state import RunState
from raytao.setup.resolve import resolve
from raytao.setup.setup import Setup
from raytao.tao import layout
from raytao.testing.simulator import simulate
from raytao.testing.toy import curve
from raytao.types import Decision

Value = TypeVar("Value")
LIMIT: Final = 1.5
SIZES: Final = (100, 1_000, 10_000)
"""Events in the log where the cost of one more is measured."""
REPORTS: Final = 300
"""Reports that are measured at each size."""
SLOTS: Final = 8
KINDS: Final = ("epoch", "verdict", "start")

RUN: Final = """\
network: toy
set: {{train.num_epochs: 3}}
brain: {brain}
results_dir: {folder}/results
"""
GROWING: Final = {
    "random": "{name: random, max_recommendations: 2187}",
    "hyperband": "{name: hyperband, R: 1024, nu: 2, epoch_multiplier: 3, mode: sync}",
}
HYPERBAND: Final = "{name: hyperband, R: 729, nu: 3, epoch_multiplier: 1, mode: sync}"
BAYESIAN: Final = "{name: bayesian, max_recommendations: 1100}"
RANDOM: Final = "{name: random, max_recommendations: 1100}"


@dataclass
class Costs:
    """Seconds by kind of event: of the CPU, and on the wall."""

    cpu: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    wall: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))

    def note(self, kind: str, cpu: float, wall: float) -> None:
        """Add an event."""
        self.cpu[kind].append(cpu)
        self.wall[kind].append(wall)


class Driver:
    """A run that trains with random scores; whose turn it is, is random as well."""

    def __init__(self, setup: Setup) -> None:
        self._controller = open_run(
            store_at(setup.results),
            layout.EVENTS,
            setup.new_brain(),
            setup.opened(),
            slots=SLOTS,
        )
        self._turns = random.Random(0)
        self._out: list[tuple[Lease, int]] = []

    @property
    def trials(self) -> int:
        """Trials so far."""
        return len(self._controller.state.trials)

    def advance(self, events: int) -> None:
        """Go on until the log has so many events."""
        while self._controller.state.next_seq < events:
            self.report(Costs())

    def report(self, costs: Costs) -> None:
        """One trial reports its next epoch; a free slot is filled before."""
        while len(self._out) < SLOTS:
            lease, *took = timed(self._controller.suggest)
            if not isinstance(lease, Lease):
                raise RuntimeError(f"{lease} where a lease was expected: the plan is too short")
            if lease.reported_epoch == 0:
                costs.note("start", *took)
            self._out.append((lease, lease.reported_epoch + 1))
        turn = self._turns.randrange(SLOTS)
        lease, epoch = self._out[turn]
        metrics = {"value": self._turns.random(), "loss": self._turns.random()}
        decision, *took = timed(lambda: self._report(lease, epoch, metrics))
        if decision is Decision.CONTINUE:
            costs.note("epoch", *took)
            self._out[turn] = lease, epoch + 1
        else:
            costs.note("verdict", *took)
            del self._out[turn]

    def _report(self, lease: Lease, epoch: int, metrics: dict[str, float]) -> Decision:
        decision = self._controller.report(lease.trial, lease.attempt, epoch, metrics, 0.1)
        self._controller.flush()
        return decision


def timed(act: Callable[[], Value]) -> tuple[Value, float, float]:
    """What ``act`` answers, and the seconds that it takes: of the CPU, and on the wall."""
    began, used = time.perf_counter(), time.thread_time()
    value = act()
    return value, time.thread_time() - used, time.perf_counter() - began


def run_of(brain: str, folder: str | Path) -> Setup:
    """The toy network's search with ``brain``, in a folder of its own."""
    file = Path(folder, "run.yaml")
    file.write_text(RUN.format(brain=brain, folder=folder))
    return resolve(str(file))


def show_costs(name: str, brain: str) -> float:
    """Print one brain's part of the first table; return the largest growth of the CPU's time."""
    costs = {size: Costs() for size in SIZES}
    with tempfile.TemporaryDirectory() as folder:
        drivers = {}
        for size in SIZES:
            Path(folder, str(size)).mkdir()
            drivers[size] = Driver(run_of(brain, Path(folder, str(size))))
            drivers[size].advance(size)
        trials = [driver.trials for driver in drivers.values()]
        for _ in range(REPORTS):
            for size, driver in drivers.items():
                driver.report(costs[size])
    print(f"{name}: {', '.join(map(str, trials))} trials")
    worst = 0.0
    for kind in (kind for kind in KINDS if costs[SIZES[-1]].cpu[kind]):
        cpu, growth = shown([costs[size].cpu[kind] for size in SIZES])
        wall, _ = shown([costs[size].wall[kind] for size in SIZES])
        print(f"  {kind:10}{cpu}{wall}")
        worst = max(worst, growth)
    return worst


def shown(seconds: list[list[float]]) -> tuple[str, float]:
    """The medians at every size in microseconds, with the last over the first; and that alone."""
    medians = [1e6 * median(some) for some in seconds]
    growth = medians[-1] / medians[0]
    return "".join(f"{one:9.0f}" for one in medians) + f"{growth:8.2f}", growth


def write_log(setup: Setup, brain: Brain) -> None:
    """Write the log of a finished run, whose configurations ``brain`` proposes."""
    store = store_at(setup.results)
    open_run(store, layout.EVENTS, setup.new_brain(), setup.opened())
    simulate(brain, curve, workers=SLOTS, store=store)


def show_reading(name: str, brain: str, proposed_by: str) -> None:
    """Print a line of the second table."""
    with tempfile.TemporaryDirectory() as folder:
        setup = run_of(brain, folder)
        write_log(setup, run_of(proposed_by, folder).new_brain())
        marks = [time.perf_counter()]
        records = read_log(store_at(setup.results), layout.EVENTS)
        marks.append(time.perf_counter())
        state = RunState.fold(records)
        marks.append(time.perf_counter())
        replay(records, setup.new_brain())
        marks.append(time.perf_counter())
        command = [sys.executable, "-m", "raytao", "status", str(setup.results), "--json"]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        marks.append(time.perf_counter())
    took = [after - before for before, after in pairwise(marks)]
    row = (len(state.trials), len(records), *took)
    print("{:10}{:8}{:8}{:7.2f}s{:7.2f}s{:7.2f}s{:14.2f}s".format(name, *row))


def main() -> None:
    """Measure, print both tables, compare the growth with the limit."""
    parser = argparse.ArgumentParser(description="What a long event log costs.")
    parser.add_argument(
        "--limit", type=float, default=LIMIT, help="the largest growth that passes"
    )
    limit = parser.parse_args().limit
    print(f"median of {REPORTS} reports, microseconds; {SLOTS} trials out")
    head = "".join(f"{size:9,}" for size in SIZES) + f"{'ratio':>8}"
    print(f"{'':12}{'CPU':>35}{'with the disk':>35}\n{'events':12}{head}{head}")
    worst = max(show_costs(name, brain) for name, brain in GROWING.items())
    columns = ("trials", "events", "read", "fold", "replay", "raytao status")
    print("\n{:10}{:>8}{:>8}{:>8}{:>8}{:>8}{:>15}".format("", *columns))
    show_reading("hyperband", HYPERBAND, HYPERBAND)
    show_reading("bayesian", BAYESIAN, RANDOM)
    sys.exit(worst > limit)


if __name__ == "__main__":
    main()
