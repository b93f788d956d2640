"""Files of runs: JSON lines, one a run."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

from benchmarks.search.protocol import Outcome
from raytao.errors import DataError, SettingsError
from raytao.types import Json

Identity: TypeAlias = tuple[str, str, str, int, int, int]
"""Family, label, task, seed, budget, workers."""
DIGITS = 6
"""Decimals that files keep of values and seconds."""


@dataclass(frozen=True)
class Run:
    """A run as files hold it: what was asked and what came of it.

    Args:
        family: name of the task's family.
        label: what tables call the method.
        task: name of the task.
        seed: of the brain.
        budget: in full trainings.
        workers: trials at once.
        outcome: what came of it.
        method: everything that tells the method from others; None where a file does not say.
    """

    family: str
    label: str
    task: str
    seed: int
    budget: int
    workers: int
    outcome: Outcome
    method: Json = None

    @property
    def identity(self) -> Identity:
        """No two runs have the same."""
        return self.family, self.label, self.task, self.seed, self.budget, self.workers

    def to_json(self) -> Json:
        """One line."""
        outcome = self.outcome
        return {
            "family": self.family,
            "label": self.label,
            "inst": self.task,
            "seed": self.seed,
            "budget": self.budget,
            "workers": self.workers,
            "method": self.method,
            "traj": [None if best is None else round(best, DIGITS) for best in outcome.traj],
            "wall": [[round(at, DIGITS), round(best, DIGITS)] for at, best in outcome.wall],
            "makespan": round(outcome.makespan, DIGITS),
            "think": round(outcome.think, DIGITS),
            "n_trials": outcome.n_trials,
            "paid": outcome.paid,
        }

    @classmethod
    def from_json(cls, line: Mapping[str, Any], **known: Any) -> Run:
        """Read a line; ``known`` stands in for what it leaves out."""
        told = {**known, **line}
        wall = told["wall"] or ()  # runs that were given, with one worker, have none
        outcome = Outcome(
            traj=tuple(told["traj"]),
            wall=tuple((seconds, best) for seconds, best in wall),
            makespan=told["makespan"],
            think=told["think"],
            n_trials=told["n_trials"],
            paid=told["paid"],
        )
        return cls(
            family=told["family"],
            label=told["label"],
            task=told["inst"],
            seed=told["seed"],
            budget=told["budget"],
            workers=told["workers"],
            outcome=outcome,
            method=told.get("method"),
        )


class RunFile:
    """A file that grows by a line a run.

    A last line that was cut short, by a kill or a full disk, is removed: its run is done again.

    Args:
        path: may not exist yet.

    Raises:
        DataError: if another line than the last cannot be read.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._methods: dict[Identity, Json] = {}
        if path.exists():
            self._methods = {run.identity: run.method for run in read_runs(path)}
            with path.open("rb+") as file:
                file.truncate(_whole(path.read_bytes()))

    def __contains__(self, identity: Identity) -> bool:
        return identity in self._methods

    def check(self, label: str, method: Json) -> None:
        """Refuse a label that stands for another method in this file.

        Raises:
            SettingsError: if it does.
        """
        for identity, known in self._methods.items():
            if identity[1] == label and known != method:
                raise SettingsError(
                    f"{self._path}: {label!r} is another method there: {known}",
                    remedy="give another --label or another --out",
                )

    def add(self, run: Run) -> None:
        """Append a run."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(run.to_json()) + "\n")
        self._methods[run.identity] = run.method


def read_runs(path: Path, **known: Any) -> Iterator[Run]:
    """The runs of a file; a last line that was cut short is none.

    Args:
        path: JSON lines.
        known: what the lines leave out.

    Raises:
        DataError: if the file or a line cannot be read.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise DataError(f"no file of runs {path}: {error.strerror}") from None
    for number, line in enumerate(data[: _whole(data)].splitlines(), start=1):
        try:
            yield Run.from_json(json.loads(line), **known)
        except (ValueError, KeyError, TypeError) as error:
            raise DataError(f"{path}:{number} is no run: {error!r}") from None


def _whole(data: bytes) -> int:
    """Bytes up to the end of the last whole line."""
    return data.rfind(b"\n") + 1
