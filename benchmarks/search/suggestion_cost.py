"""What a suggestion costs: process time, as the trials that are known become more.

    python -m benchmarks.search.suggestion_cost [--dims 7,30] [--sizes 20,100,500,1000]

Every tool begins with the same ``n`` random configurations and their values, then suggests 50
times (20 times from 1,000 on), and hears the value of each suggestion before the next one: the
table has the mean, refits and all. Hyperband hears of rungs: it begins with as many of its own as
make ``n`` values, and its time per suggestion has the promotions in between in it.

The tools take turns, suggestion by suggestion, so that what else the machine does falls on all of
them; BLAS and torch have one thread. A tool that has had ``--seconds`` in a cell suggests no more
there: the number behind its mean says how often it did. Optuna's Gaussian process is quicker where
`greenlet` is installed, which it does not ask for. Without Optuna (`pip install -e .[bench]`)
there is nothing to compare with, and ours stand alone.

Ends with exit code 1 if one of our brains breaks a promise: at n = 100 no more than Optuna's TPE,
and a 20th of its Gaussian process; at n = 1,000 no more than 25 times what it costs at n = 100.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from typing import Final

import numpy as np

from benchmarks.search.methods import parse_settings
from raytao.brains.base import Brain, Initial, Task
from raytao.brains.bayesian import Bayesian, BayesianSettings
from raytao.brains.hyperband import Hyperband, HyperbandSettings
from raytao.brains.threads import one_blas_thread
from raytao.space import Categorical, Float, Int, Space
from raytao.space.parameters import Parameter
from raytao.testing.objectives import LearningCurves
from raytao.types import EPOCHS, SCORE, Json, Observation, Params, Scored, Start

DIMS: Final = (7, 30)
SIZES: Final = (20, 100, 500, 1_000)
SUGGESTIONS: Final = 50
FEW: Final = 20
"""Suggestions from 1,000 trials on."""
LONGEST: Final = 2_000
"""Trials that a plan has room for."""
EPOCHS_OF: Final = 27
NOISE: Final = 0.01
OURS: Final = ("bayesian", "hyperband")
TPE, GP = "optuna_tpe", "optuna_gp"

Settings = Mapping[str, Json]
Make = Callable[[Task, Settings], Brain]


def space_of(dim: int) -> Space:
    """``dim`` parameters of the kinds that trainings have: most of them floats."""

    def parameter(number: int) -> Parameter:
        name = f"p{number:02}"
        if number % 15 == 14:
            return Categorical(name, ("sgd", "adamw", "lamb"))
        if number % 5 == 3:
            return Int(name, 16, 512, log=True)
        return Float(name, 1e-5, 1e-1, log=True) if number % 2 else Float(name, 0.0, 1.0)

    return Space([parameter(number) for number in range(dim)])


def bayesian(task: Task, settings: Settings) -> Brain:
    """The brain with room for all that is asked of it."""
    return Bayesian(task, BayesianSettings(**{"max_recommendations": LONGEST, **settings}))


def hyperband(task: Task, settings: Settings) -> Brain:
    """The brain with the plan of 27 epochs, again and again."""
    plan = {"R": EPOCHS_OF, "nu": 3, "epoch_multiplier": 1, "brackets": 150}
    return Hyperband(task, HyperbandSettings(**{**plan, **settings}))


def optuna(name: str) -> Make:
    """One of Optuna's samplers; it takes no settings."""

    def make(task: Task, settings: Settings) -> Brain:
        del settings
        brains = import_module("benchmarks.search.optuna_brains")
        kind = {TPE: brains.OptunaTPE, GP: brains.OptunaGP}[name]
        brain: Brain = kind(task, kind.Settings(max_recommendations=LONGEST))
        return brain

    return make


TOOLS: Final[Mapping[str, Make]] = {
    "bayesian": bayesian,
    "hyperband": hyperband,
    TPE: optuna(TPE),
    GP: optuna(GP),
}


@dataclass(frozen=True)
class Cost:
    """Mean milliseconds of a suggestion, and how many there were."""

    ms: float
    count: int


class Session:
    """A tool at work on trials that are trained at once, one rung after the other."""

    def __init__(
        self, name: str, space: Space, past: Sequence[Params], settings: Settings
    ) -> None:
        task = Task(space, epochs=EPOCHS_OF, seed=0)
        # Optuna knows what it was asked for, so that its past is suggested; ours adopts one.
        self._past = deque(past if name in OURS else ())
        if name not in OURS:
            task = Task(space, EPOCHS_OF, initial=tuple(Initial(one, "known") for one in past))
        self._brain = TOOLS[name](task, settings)
        self._curves = LearningCurves(space)
        self._noise = np.random.default_rng(1)
        self._trials: list[Params] = []
        self._due: deque[tuple[int, int]] = deque()
        self._values = 0
        self._seconds: list[float] = []

    @property
    def cost(self) -> Cost:
        """Of the suggestions since the past."""
        return Cost(1e3 * float(np.mean(self._seconds)), len(self._seconds))

    @property
    def spent(self) -> float:
        """Seconds of the suggestions since the past."""
        return sum(self._seconds)

    def live_through(self, values: int) -> None:
        """Come to know so many values of the past."""
        while self._values < values:
            if not self._due:
                self._begin()
            self._observe()
        self._past.clear()

    def step(self) -> None:
        """Suggest once, and hear of it; what was promoted before is heard of first."""
        began = time.process_time()
        while self._due:
            self._observe()
        self._begin()
        self._observe()
        self._seconds.append(time.process_time() - began)

    def _begin(self) -> None:
        number = len(self._trials)
        if self._past:
            start = self._brain.adopt(number, self._past.popleft())
        else:
            suggestion = self._brain.suggest(number)
            if not isinstance(suggestion, Start):
                raise RuntimeError(f"{suggestion} from {self._brain.name}: its plan is too short")
            start = suggestion
        self._trials.append(start.params)
        self._due.append((number, start.budget[EPOCHS]))

    def _observe(self) -> None:
        trial, epoch = self._due.popleft()
        value = self._curves(self._trials[trial], epoch) + NOISE * self._noise.normal()
        told = Observation(trial, {EPOCHS: epoch}, Scored({SCORE: value}))
        verdict = self._brain.observe(told)
        self._values += 1
        self._due.extend((up.trial, up.budget[EPOCHS]) for up in verdict.promote)


def measure(
    names: Sequence[str], dim: int, size: int, seconds: float, settings: Settings
) -> dict[str, Cost]:
    """What a suggestion costs each tool with ``size`` values of ``dim`` parameters."""
    space = space_of(dim)
    rng = np.random.default_rng(0)
    past = [space.sample(rng) for _ in range(size)]
    sessions = {}
    for name in names:
        sessions[name] = Session(name, space, past, settings if name in OURS[:1] else {})
        sessions[name].live_through(size)
    for _ in range(FEW if size >= SIZES[-1] else SUGGESTIONS):
        for session in sessions.values():
            if session.spent < seconds:
                session.step()
    return {name: session.cost for name, session in sessions.items()}


def line(dim: int | str, size: int | str, cells: Sequence[str]) -> str:
    """A row of the table."""
    return f"{dim:>4}{size:>6}" + "".join(f"{cell:>16}" for cell in cells)


def ratio(costs: Mapping[str, Cost], ours: str, other: str) -> str:
    """How many times as much ``other`` costs; nothing if it was not measured."""
    if ours not in costs or other not in costs:
        return ""
    return f"{costs[other].ms / costs[ours].ms:.1f} ×"


def promises(found: Mapping[tuple[int, int], Mapping[str, Cost]]) -> list[tuple[str, bool]]:
    """What was promised of every cell that was measured, and whether it was kept."""
    told = []
    for (dim, size), costs in found.items():
        for ours in (name for name in OURS if name in costs):
            mine = costs[ours].ms
            if size == 100:
                limits = {TPE: ("Optuna's TPE", 1), GP: ("a 20th of Optuna's GP", 20)}
                for other in (name for name in limits if name in costs):
                    words, share = limits[other]
                    limit = costs[other].ms / share
                    said = f"d={dim} n=100: {ours} {mine:.1f} ms, {words} {limit:.1f} ms"
                    told.append((said, mine <= limit))
            if size == 1_000 and (dim, 100) in found:
                growth = mine / found[dim, 100][ours].ms
                said = f"d={dim}: {ours} at n=1,000 is {growth:.1f} times n=100, of 25"
                told.append((said, growth <= 25))
    return told


def main() -> None:
    """Measure, print the table and the promises."""
    asked = _arguments()
    if find_spec("optuna") is None:
        print("Optuna is not here: pip install -e .[bench]", file=sys.stderr)
        asked.tools = [name for name in asked.tools if name in OURS]
    else:
        import_module("torch").set_num_threads(1)
        batched = "with" if find_spec("greenlet") else "without"
        print(f"Optuna {import_module('optuna').__version__}, {batched} greenlet")
    pairs = [(ours, other) for ours in OURS for other in (TPE, GP)]
    print("process time of a suggestion in ms (suggestions), and theirs over ours")
    heads = [*asked.tools, *(f"{other[7:]}/{ours}" for ours, other in pairs)]
    print(line("d", "n", heads))
    found = {}
    with one_blas_thread():
        for dim in asked.dims:
            for size in asked.sizes:
                costs = measure(asked.tools, dim, size, asked.seconds, parse_settings(asked.set))
                found[dim, size] = costs
                means = [f"{costs[name].ms:.1f} ({costs[name].count})" for name in asked.tools]
                cells = [*means, *(ratio(costs, *pair) for pair in pairs)]
                print(line(dim, size, cells), flush=True)
    told = promises(found)
    for said, kept in told:
        print(f"{'kept  ' if kept else 'BROKEN'}  {said}")
    sys.exit(not all(kept for _, kept in told))


def _arguments() -> argparse.Namespace:
    def numbers(text: str) -> list[int]:
        return [int(part) for part in text.split(",")]

    parser = argparse.ArgumentParser(description="What a suggestion costs.")
    parser.add_argument("--dims", type=numbers, default=DIMS, help="numbers of parameters")
    parser.add_argument("--sizes", type=numbers, default=SIZES, help="numbers of values known")
    parser.add_argument(
        "--tools", type=lambda text: text.split(","), default=list(TOOLS), help=", ".join(TOOLS)
    )
    parser.add_argument("--seconds", type=float, default=60.0, help="of a tool in a cell, at most")
    parser.add_argument(
        "--set", action="append", default=[], metavar="KEY=VALUE", help="of the Bayesian brain"
    )
    return parser.parse_args()


if __name__ == "__main__":
    main()
