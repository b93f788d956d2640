"""Which trials of a run can be compared, and at which epoch.

A score after 27 epochs and one after a single epoch tell about the schedule, not about the
parameters. All trials are therefore taken as they were at one common epoch: each with its best
score until then, as trials are judged.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np

from raytao.analysis.importance import FEWEST_TRIALS, Importance, importance
from raytao.runs.state import Phase, RunState, TrialState
from raytao.space import Space
from raytao.types import SCORE, Params

REACHED: Final = 0.5
"""Share of the trials with a score that must have reached the common epoch."""


@dataclass(frozen=True)
class Evidence:
    """Trials that can be compared.

    Args:
        params: a configuration per trial.
        scores: the best score of each until the common epoch; larger is better.
        epochs: the common epoch; 0 where no trial has a score.
        words: what this is, in a sentence.
        notes: which trials are not in it, in sentences.
    """

    params: tuple[Params, ...]
    scores: tuple[float, ...]
    epochs: int
    words: str
    notes: tuple[str, ...]


def evidence(state: RunState) -> Evidence:
    """Choose the common epoch, and what is known by then.

    It is the largest that at least half of the trials with a score, and no fewer than
    ``FEWEST_TRIALS``, have reached. The user's own spec is one of the trials. Failed ones have no
    score, and those of an earlier search answered another question.
    """
    trials = [trial for trial in state.trials.values() if trial.number >= state.first]
    failed = sum(trial.phase is Phase.FAILED for trial in trials)
    scored = [t for t in trials if t.phase is not Phase.FAILED and _first_epoch(t) is not None]
    epochs = _common_epoch(scored)
    taken = [(trial, score) for trial in scored if (score := _score(trial, epochs)) is not None]
    notes = []
    if failed:
        notes.append(f"{failed} failed trial{_s(failed)} left out: a failure is not a score.")
    if state.first:
        notes.append(f"{state.first} trial{_s(state.first)} of an earlier search left out.")
    if below := len(scored) - len(taken):
        notes.append(f"{below} trial{_s(below)} did not reach epoch {epochs} and are left out.")
    return Evidence(
        params=tuple(trial.params for trial, _ in taken),
        scores=tuple(score for _, score in taken),
        epochs=epochs,
        words=_words(epochs, len(taken)),
        notes=tuple(notes),
    )


def run_importance(space: Space, state: RunState, *, seed: int = 0) -> Importance:
    """The importance of a run's parameters; its notes begin with what it is told from.

    Raises:
        TooFewTrials: if fewer than ``FEWEST_TRIALS`` can be compared.
    """
    known = evidence(state)
    found = importance(space, known.params, known.scores, seed=seed)
    notes = (known.words, *known.notes, *found.notes)
    return Importance(found.trials, found.main, found.pairs, found.local, found.fit, notes)


def _common_epoch(trials: list[TrialState]) -> int:
    """The common epoch of trials that have a score; see ``evidence``."""
    if not trials:
        return 0
    first = np.array([_first_epoch(trial) for trial in trials])
    last = np.array([trial.epochs for trial in trials])
    reached = {int(e): int(np.sum((first <= e) & (last >= e))) for e in np.unique(last)}
    needed = min(max(FEWEST_TRIALS, math.ceil(REACHED * len(trials))), len(trials))
    enough = [epoch for epoch, count in reached.items() if count >= needed]
    return max(enough, default=max(reached, key=lambda epoch: reached[epoch]))


def _first_epoch(trial: TrialState) -> int | None:
    """The first epoch with a score; a log that TAO wrote knows the last one only."""
    return next((epoch for epoch, metrics in trial.history.items() if SCORE in metrics), None)


def _score(trial: TrialState, epochs: int) -> float | None:
    """The best score until ``epochs``, of a trial that got there."""
    if trial.epochs < epochs:
        return None
    until = (metrics for epoch, metrics in trial.history.items() if epoch <= epochs)
    return max((metrics[SCORE] for metrics in until if SCORE in metrics), default=None)


def _words(epochs: int, trials: int) -> str:
    if not trials:
        return "No recommendation has a score."
    return (
        f"Score at epoch {epochs} of {trials} recommendation{_s(trials)}, "
        "each with its best until then."
    )


def _s(count: int) -> str:
    return "" if count == 1 else "s"
