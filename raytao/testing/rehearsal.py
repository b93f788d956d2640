"""Play a run against a brain by hand: one epoch of one trial at a time, in any order.

No clock and no controller: the caller (a test, a property) chooses who reports next.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import assert_never

from raytao.brains.base import Brain
from raytao.testing.objectives import Objective
from raytao.types import (
    EPOCHS,
    SCORE,
    Decision,
    Done,
    Failed,
    Observation,
    Params,
    Promotion,
    Scored,
    Start,
    Verdict,
    Wait,
)

Choose = Callable[[Sequence[int]], int]
"""Which of the running trials (ascending, never empty) reports next."""


def first_come(running: Sequence[int]) -> int:
    """The earliest trial reports."""
    return running[0]


@dataclass
class Rehearsal:
    """A run in progress: what the brain said, and where the trials are.

    Args:
        brain: who is asked.
        objective: scores a configuration after an epoch.
        slots: trials that run at once.
        fails: trials that fail, with the epoch that they do not complete.
        choose: who reports next.
    """

    brain: Brain
    objective: Objective
    slots: int = 1
    fails: Mapping[int, int] = field(default_factory=dict)
    choose: Choose = first_come
    starts: list[Start] = field(default_factory=list)
    history: list[Params | Observation] = field(default_factory=list)
    verdicts: list[Verdict] = field(default_factory=list)
    """The brain's answers to the observations in ``history``."""
    promotions: list[Promotion] = field(default_factory=list)
    retired: list[int] = field(default_factory=list)
    epochs: dict[int, int] = field(default_factory=dict)
    """Epochs that each trial has completed."""
    running: dict[int, int] = field(default_factory=dict)
    """Trials that hold a slot, with the epochs granted."""
    waiting: list[Promotion] = field(default_factory=list)
    """Promotions that wait for a slot."""
    done: bool = False

    def play(self, steps: int | None = None) -> Rehearsal:
        """Go on until the brain is done, or for so many reports."""
        while not self.done and steps != 0:
            self.fill()
            if self.running:
                self.report(self.choose(sorted(self.running)))
                steps = None if steps is None else steps - 1
        return self

    def fill(self) -> None:
        """Fill the free slots: promoted trials first, then new ones."""
        while len(self.running) < self.slots:
            if self.waiting:
                promotion = self.waiting.pop(0)
                self.running[promotion.trial] = promotion.budget[EPOCHS]
            elif not self._ask():
                return

    def report(self, trial: int) -> None:
        """Let a running trial complete an epoch, or fail in it."""
        epoch = self.epochs[trial] + 1
        if self.fails.get(trial) == epoch:
            observation = Observation(trial, {EPOCHS: epoch - 1}, Failed("as told"))
        else:
            self.epochs[trial] = epoch
            score = self.objective(self.starts[trial].params, epoch)
            observation = Observation(trial, {EPOCHS: epoch}, Scored({SCORE: score}))
        verdict = self.brain.observe(observation)
        self.history.append(observation)
        self.verdicts.append(verdict)
        if verdict.decision is not Decision.CONTINUE:
            del self.running[trial]
        self.promotions += verdict.promote
        self.waiting += verdict.promote
        self.retired += verdict.retire

    def handed_to(self, brain: Brain) -> Rehearsal:
        """The same run, as it stands, with another brain in place."""
        other = copy.deepcopy(self)
        other.brain = brain
        return other

    def _ask(self) -> bool:
        """Ask for a trial; whether one was started."""
        number = len(self.starts)
        match self.brain.suggest(number):
            case Start() as start:
                self.starts.append(start)
                self.history.append(start.params)
                self.epochs[number] = 0
                self.running[number] = start.budget[EPOCHS]
                return True
            case Wait():
                if not self.running:
                    raise AssertionError(f"Wait for trial {number} while nothing is running")
                return False
            case Done():
                self.done = not self.running
                return False
            case other:
                assert_never(other)
