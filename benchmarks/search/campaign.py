"""Many runs of one method: every task with every seed, but those that a file has already."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from benchmarks.search.family import Family
from benchmarks.search.methods import Method
from benchmarks.search.protocol import search
from benchmarks.search.runs import Identity, Run, RunFile

QUIET_SECONDS: Final = 10.0
"""Between two lines of progress where they cannot be written over."""


@dataclass(frozen=True)
class Campaign:
    """What is to be run.

    Args:
        family: where the tasks are from.
        label: what tables call the method.
        method: how to search.
        tasks: of the family.
        seeds: of the brain.
        budget: in full trainings.
        workers: trials at once.
    """

    family: Family
    label: str
    method: Method
    tasks: tuple[str, ...]
    seeds: tuple[int, ...]
    budget: int
    workers: int

    def perform(self, file: RunFile) -> int:
        """Do what the file lacks, a seed after the other; return how many runs that were.

        Raises:
            SettingsError: if the brain refuses its settings, or the file knows the label for
                another method.
        """
        file.check(self.label, self.method.described())
        missing = [identity for identity in self._identities() if identity not in file]
        progress = Progress(len(missing))
        for done, (_, _, task, seed, _, _) in enumerate(missing):
            progress.show(done, f"{self.label}: {task}, seed {seed}")
            file.add(self._run(task, seed))
        progress.show(len(missing), self.label)
        return len(missing)

    def _identities(self) -> Iterator[Identity]:
        for seed in self.seeds:
            for task in self.tasks:
                yield self.family.name, self.label, task, seed, self.budget, self.workers

    def _run(self, task: str, seed: int) -> Run:
        brain = self.method.build(self.family, seed=seed, budget=self.budget)
        return Run(
            family=self.family.name,
            label=self.label,
            task=task,
            seed=seed,
            budget=self.budget,
            workers=self.workers,
            outcome=search(brain, self.family, task, budget=self.budget, workers=self.workers),
            method=self.method.described(),
        )


class Progress:
    """Says on stderr how far things are: on one line of a terminal, else a line now and then.

    Args:
        total: steps in all.
    """

    def __init__(self, total: int) -> None:
        self._total = total
        self._began = time.monotonic()
        self._said = -QUIET_SECONDS
        self._written_over = sys.stderr.isatty()

    def show(self, done: int, what: str) -> None:
        """Say that ``done`` steps are over and ``what`` is next, or was last."""
        seconds = time.monotonic() - self._began
        over = done == self._total
        if not (self._written_over or over or seconds - self._said >= QUIET_SECONDS):
            return
        self._said = seconds
        left = f", {seconds / done * (self._total - done):.0f} s left" if done and not over else ""
        start, end = ("\r\x1b[K", "\n" if over else "") if self._written_over else ("", "\n")
        told = f"{start}{done}/{self._total} in {seconds:.0f} s{left}: {what}"
        print(told, end=end, file=sys.stderr, flush=True)
