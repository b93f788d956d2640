"""What a run of 10,000 recommendations on 1,000 workers costs its driver.

    python benchmarks/many_trials.py [--trials 10000] [--workers 1000] [--limit 1.5]

Workers are simulated, in virtual time; controller, brain and event log are the real ones. The
first table has the process time of `Controller.suggest` and `Controller.report` for an event of
the log, its append included, while the run goes from a tenth to a fifth of its recommendations,
and in its last fifth, with Python's garbage collection as it comes. *GC* is the part of the whole
run that went into that, *MB* what the process grew by, the log included where it lies in memory.
Ends with exit code 1 if an event costs more than ``--limit`` times in the end what it did before.

The second table is of what a driver does beside that, on the run's final state: what is left, in
every turn of Tune's loop; the first drawing of its files, and another one when a trial has
reported (made so seldom that they take 5 % of the time at most); `raytao status` as a process, its
start included; and what Bayesian search thinks with so many results and trials under way.
"""

from __future__ import annotations

import argparse
import gc
import logging
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final, TypeVar

import numpy as np

from raytao.brains.threads import one_blas_thread
from raytao.runs.controller import Controller
from raytao.runs.eta import remaining
from raytao.runs.events import Reported
from raytao.runs.opening import open_run
from raytao.runs.place import store_at
from raytao.runs.store import MemoryStore, Store
from raytao.setup.drawing import exporter_of
from raytao.setup.resolve import resolve_values
from raytao.setup.setup import Setup
from raytao.tao import layout
from raytao.testing.simulator import Cluster, Functions
from raytao.testing.stopwatch import Stopwatch
from raytao.testing.toy import curve
from raytao.types import EPOCHS, SCORE, Json, Observation, Scored, Start

Value = TypeVar("Value")
LIMIT: Final = 1.5
EARLY: Final = (0.1, 0.2)
LATE: Final = (0.8, 1.0)
"""Shares of the recommendations between which events are counted."""
MOST: Final = {"max_recommendations": 20_000}
CLIMB: Final = {"name": "hyperband", "R": 27, "nu": 3, "epoch_multiplier": 1, "brackets": 1_000}
BRAINS: Final[Mapping[str, Mapping[str, Json]]] = {
    "random": {"name": "random", **MOST},
    "Hyperband, async, random and rank": {**CLIMB, "sampler": "random", "promotion": "rank"},
    "Hyperband, sync": {**CLIMB, "mode": "sync"},
}
BAYESIAN: Final = {"name": "bayesian", "max_recommendations": 20_000}
SUGGESTIONS: Final = 5
MEGABYTE: Final = 2**20


def setup_of(brain: Mapping[str, Json], folder: str) -> Setup:
    """The toy network's search."""
    values = {
        "network": "toy",
        "set": {"train.num_epochs": 3},
        "brain": dict(brain),
        "results_dir": f"{folder}/results",
    }
    return resolve_values(values, caller="benchmark")


def uneven(trial: int, epoch: int) -> float:
    """Log-normal times, so that no two trials go in step."""
    return float(np.random.default_rng([0, trial, epoch]).lognormal(0.0, 0.5))


class Account(Stopwatch):
    """What the controller's answers cost, by how far the run has come."""

    def __init__(self) -> None:
        super().__init__()
        self._marks: list[tuple[int, int, float]] = [(0, 0, 0.0)]

    def mark(self, trials: int, events: int) -> None:
        """Note how far the run is."""
        if trials > self._marks[-1][0]:
            self._marks.append((trials, events, self.seconds))

    def an_event(self, between: tuple[float, float]) -> float:
        """Seconds of an event while the recommendations went from one share of all to another."""
        last = self._marks[-1][0]
        (_, before, spent), (_, after, in_all) = (
            next(mark for mark in self._marks if mark[0] >= share * last) for share in between
        )
        return (in_all - spent) / (after - before)


@contextmanager
def collections_timed() -> Iterator[list[float]]:
    """Seconds of every garbage collection."""
    took: list[float] = []
    began = 0.0

    def note(phase: str, info: Mapping[str, int]) -> None:
        nonlocal began
        del info
        if phase == "start":
            began = time.thread_time()
        else:
            took.append(time.thread_time() - began)

    gc.callbacks.append(note)
    try:
        yield took
    finally:
        gc.callbacks.remove(note)


def run(setup: Setup, store: Store, trials: int, workers: int) -> tuple[Controller, Account]:
    """Run until so many recommendations were made, and what was begun is over."""
    controller = open_run(store, layout.EVENTS, setup.new_brain(), setup.opened(), slots=workers)
    account = Account()

    def turn() -> None:
        made = len(controller.state.trials)
        account.mark(made, controller.state.next_seq)
        controller.tick()
        if made >= trials:
            controller.stop("enough")

    Cluster(controller, Functions(curve), seconds=uneven, turn=turn, thinks=account).run()
    return controller, account


def show_events(
    name: str, setup: Setup, store: Store, trials: int, workers: int
) -> tuple[float, Controller]:
    """Print a line of the first table; return how much more an event costs in the end."""
    gc.collect()
    before = _memory()
    with collections_timed() as collected:
        began = time.thread_time()
        controller, account = run(setup, store, trials, workers)
        whole = time.thread_time() - began
    early, late = account.an_event(EARLY), account.an_event(LATE)
    state = controller.state
    print(
        f"{name:34}{type(store).__name__:>12}{len(state.trials):8}{state.next_seq:9}"
        f"{1e6 * early:9.0f}{1e6 * late:9.0f}{late / early:7.2f}"
        f"{100 * sum(collected) / whole:6.1f}%{_memory() - before:8.0f}",
        flush=True,
    )
    return late / early, controller


def _memory() -> float:
    """Megabytes of memory that the process has now; 0 where no file tells."""
    told = Path("/proc/self/statm")
    pages = int(told.read_text().split()[1]) if told.exists() else 0
    return pages * resource.getpagesize() / MEGABYTE


def show_driver(setup: Setup, controller: Controller, workers: int) -> None:
    """Print the second table: what is done for all trials together."""
    state, plan = controller.state, controller.brain.plan()
    exporter = exporter_of(setup, MemoryStore(), controller)
    left, estimate = timed(lambda: remaining(state, plan, workers))
    _, first = timed(lambda: exporter.draw(left, now=True))
    trial = next(iter(state.trials.values()))
    news = {setup.metric: 0.5, SCORE: 0.5}
    state.apply(Reported(trial.number, trial.attempt, trial.epochs + 1, news, 1.0))
    _, again = timed(lambda: exporter.draw(left, now=True))
    began = _children()
    command = [sys.executable, "-m", "raytao", "status", str(setup.results)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    status = _children() - began
    print(f"{len(state.trials)} trials: milliseconds")
    print(f"  what is left          {1e3 * estimate:10.2f}")
    print(f"  first drawing         {1e3 * first:10.0f}  recommendation files and all")
    print(f"  another drawing       {1e3 * again:10.0f}")
    print(f"  raytao status         {1e3 * status:10.0f}  its start included")


def _children() -> float:
    """Process seconds of the processes that were started and have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def show_thinking(folder: str, results: int, workers: int) -> None:
    """Print how long a Bayesian suggestion takes with so many results."""
    brain = setup_of(BAYESIAN, folder).new_brain()
    draws = setup_of(BRAINS["random"], folder).new_brain()
    under_way = results + workers
    for number in range(under_way):
        start = draws.suggest(number)
        if not isinstance(start, Start):
            raise RuntimeError(f"{start} where a trial was expected")
        brain.adopt(number, start.params)
        if number < results:
            score = Scored({SCORE: curve(start.params, start.budget[EPOCHS])})
            brain.observe(Observation(number, start.budget, score))
    brain.suggest(under_way)  # fits hyper-parameters
    turns = range(under_way + 1, under_way + 1 + SUGGESTIONS)
    _, took = timed(lambda: [brain.suggest(turn) for turn in turns])
    ms = 1e3 * took / SUGGESTIONS
    print(f"  Bayesian suggestion   {ms:10.0f}  {results} results, {workers} under way")


def timed(act: Callable[[], Value]) -> tuple[Value, float]:
    """What ``act`` answers, and the process seconds that it takes."""
    began = time.thread_time()
    value = act()
    return value, time.thread_time() - began


def main() -> None:
    """Measure, print both tables, compare the growth with the limit."""
    parser = argparse.ArgumentParser(description="What 10,000 recommendations cost a driver.")
    parser.add_argument("--trials", type=int, default=10_000)
    parser.add_argument("--workers", type=int, default=1_000)
    parser.add_argument(
        "--limit", type=float, default=LIMIT, help="the largest growth that passes"
    )
    chosen = parser.parse_args()
    trials, workers = chosen.trials, chosen.workers
    columns = ("store", "trials", "events", "us early", "us late", "ratio", "GC", "MB")
    widths = (12, 8, 9, 9, 9, 7, 7, 8)
    logging.getLogger("raytao").setLevel(logging.ERROR)  # simulated workers leave no weights
    print(" " * 34 + "".join(f"{name:>{w}}" for name, w in zip(columns, widths, strict=True)))
    worst = 0.0
    with tempfile.TemporaryDirectory() as folder, one_blas_thread():
        for name, brain in BRAINS.items():
            setup = setup_of(brain, folder)
            growth, controller = show_events(name, setup, MemoryStore(), trials, workers)
            worst = max(worst, growth)
        setup = setup_of(BRAINS["random"], folder)
        local = store_at(setup.results)
        growth, controller = show_events("random", setup, local, trials, workers)
        print()
        show_driver(setup, controller, workers)
        for results in (trials // 10, trials):
            show_thinking(folder, results, workers)
    sys.exit(max(worst, growth) > chosen.limit)


if __name__ == "__main__":
    main()
