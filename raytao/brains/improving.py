"""Where to go next, by expected improvement: what the Bayesian brain thinks.

A pure function of the table of trials: the same history gives the same suggestion, bit for bit.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from raytao.brains.base import Task
from raytao.brains.full import Stage, Trial
from raytao.brains.gp.acquisition import ExpectedImprovement
from raytao.brains.gp.believed import Belief, Believer, Known, milestone
from raytao.brains.gp.choice import choice_of
from raytao.brains.gp.features import Array, Features, Points
from raytao.brains.gp.search import Cell, Search, sobol
from raytao.brains.underway import worths
from raytao.types import Json, Params

TRUSTED: Final = 0.5
"""Share of a full training after which another run's best came, at least: results of trials that
were stopped early say little about what full trainings come to."""
AWAY: Final = 3
"""Beside categories only every third suggestion leaves the box around the best: the corners of
such a space, of which a model knows least, are often the worst of it."""
SMOOTH: Final = 0.5
"""How smooth numbers are taken to be; see `raytao.brains.gp.model`."""


@dataclass(frozen=True)
class _History:
    """The table of trials as points.

    Args:
        all: every trial's.
        known: results and estimates of trials under way, in the order of trials.
        numbers: the numbers of the known trials.
        results: the results alone.
        pending: running trials of which nothing is estimated yet.
        running: all that run.
        failed: trials that failed.
    """

    all: Points
    known: Known
    numbers: Array
    results: Known
    pending: Points
    running: Points
    failed: Points


class Improving:
    """A Gaussian process over every type of parameter, and expected improvement.

    Args:
        task: what is searched.
        initial: trials before the model decides, those that were asked for among them.
    """

    def __init__(self, task: Task, initial: int) -> None:
        self._task = task
        self._initial = initial
        self._features = Features(task.space)
        self._choice = choice_of(task.space)
        self._believer = Believer(self._features, task.seed, smooth=SMOOTH)
        long = [one for one in task.evidence if one.epochs >= TRUSTED * task.epochs]
        known = self._features.points(one.params for one in long)
        self._trusted = Known(known, np.array([one.score for one in long], dtype=float))

    def propose(self, trial: int, history: Sequence[Trial]) -> tuple[Params, str] | None:
        """The next configuration and why; None where the space has nothing new."""
        past = self._past(history)
        search = Search(self._features, past.all, past.failed)
        if search.exhausted:
            return None
        rng = np.random.default_rng([self._task.seed, trial])
        found = (
            self._design(trial, search)
            or self._improve(trial, past, search, rng)
            or self._spread(past, search, rng)
        )
        if found is None:
            return None
        point, why = found
        return self._task.space.decode(point), why

    def describe(self, history: Sequence[Trial]) -> Mapping[str, Json]:
        """TAO's keys: points of scored trials, then of pending ones, and the scores."""
        past = self._past(history)
        points = np.vstack([past.results.points.x, past.running.x])
        return {"Xs": points.tolist(), "ys": past.results.scores.tolist()}

    def _design(self, trial: int, search: Search) -> tuple[Array, str] | None:
        """Point number ``trial`` of the seed's Sobol sequence, if it is an initial and new one."""
        if trial >= self._initial or len(self._trusted):
            return None
        rng = np.random.default_rng([self._task.seed, 0])
        points = sobol(self._task.space.dim, trial.bit_length(), rng)
        point = self._features.snapped(points[trial : trial + 1]).x[0]
        why = f"space-filling, {trial + 1} of {self._initial}"
        return (point, why) if search.is_new(point) else None

    def _improve(
        self, trial: int, past: _History, search: Search, rng: np.random.Generator
    ) -> tuple[Array, str] | None:
        """Where the model expects most; None if the scores say nothing or nothing is left."""
        known = Known(
            Points.stacked([self._trusted.points, past.known.points]),
            np.concatenate([self._trusted.scores, past.known.scores]),
        )
        trusted = len(self._trusted)
        early = int((past.numbers < milestone(trial + trusted) - trusted).sum())
        belief = self._believer.believe(known, trusted + early)
        if belief is None:
            return None
        # A pending trial that is believed to win is the one to beat: no two go after one peak.
        believed = belief.with_pending(self._features.embed(past.pending))
        surface = ExpectedImprovement(believed.models, believed.bests, belief.boldness)
        parents = known.points[np.argsort(-known.scores, kind="stable")]
        for within in self._places(past, known):
            near = self._near(trial, parents, within)
            point = search.maximise(surface, parents, rng, around=near, within=within)
            if point is not None:
                turn = "" if within is None else f"{self._named(point)} is due: "
                return point, turn + self._told(point, belief, surface, past)
        return None

    def _places(self, past: _History, known: Known) -> Iterator[Cell | None]:
        """Cells of options that are due; everywhere, if none is, or nothing of them is left."""
        if self._choice is not None:
            tried = np.vstack([self._trusted.points.x, past.all.x])
            yield from map(self._choice.cell, self._choice.due(tried, known))
        yield None

    def _near(self, trial: int, parents: Points, within: Cell | None) -> Array | None:
        """What is mostly not left by far, where there are categories: the best, or best within."""
        if not (self._features.mixed and trial % AWAY):
            return None
        inside = parents if within is None else parents[within.holds(parents.x)]
        return inside.x[0] if len(inside) else None

    def _named(self, point: Array) -> str:
        """The choice and its option at a point (d,)."""
        assert self._choice is not None
        name = self._task.space.columns[self._choice.coordinate].parameter
        return f"{name} = {self._task.space.decode(point)[name]}"

    def _told(
        self, point: Array, belief: Belief, surface: ExpectedImprovement, past: _History
    ) -> str:
        """What is expected there, and from how much evidence."""
        there = Points(point[None], self._features.activity(point[None]))
        e = self._features.embed(there)
        mean, deviation = belief.predict(e)
        gain = float(np.exp(surface.value(e)[0])) * belief.scaled.scale
        trusted = f"{len(self._trusted)} trusted, " if len(self._trusted) else ""
        estimates = len(past.known) - len(past.results)
        estimated = f"{estimates} estimated under way, " if estimates else ""
        return (
            f"expected improvement {gain:.2g}: predicted score {mean[0]:.4g} ± {deviation[0]:.2g} "
            f"({len(past.results)} results, {trusted}{estimated}{len(past.pending)} pending)"
        )

    def _spread(
        self, past: _History, search: Search, rng: np.random.Generator
    ) -> tuple[Array, str] | None:
        """Far from all that was tried: without evidence, cover the space."""
        found = None
        if len(past.all):
            surface = _Distance(self._features.embed(past.all))
            found = search.maximise(surface, past.all[:0], rng)
        if found is None:
            found = search.anything(rng)
        return None if found is None else (found, "space-filling")

    def _past(self, history: Sequence[Trial]) -> _History:
        points = self._features.points(line.params for line in history)
        stages = np.array([line.stage for line in history], dtype=object)
        done, running = stages == Stage.DONE, stages == Stage.RUNNING
        worth = np.array(worths(history), dtype=float)  # None becomes nan
        known = ~np.isnan(worth)
        return _History(
            all=points,
            known=Known(points[known], worth[known]),
            numbers=np.flatnonzero(known).astype(float),
            results=Known(points[done], worth[done]),
            pending=points[running & ~known],
            running=points[running],
            failed=points[stages == Stage.FAILED],
        )


@dataclass(frozen=True)
class _Distance:
    """Squared distance to the nearest of the embedded points ``tried`` (n, D)."""

    tried: Array

    def value(self, points: Array) -> Array:
        """Squared distances (m,)."""
        return self.value_with_gradient(points)[0]

    def value_with_gradient(self, points: Array) -> tuple[Array, Array]:
        """Squared distances (m,) and their gradients (m, D)."""
        gaps = points[:, None, :] - self.tried[None, :, :]
        squared = (gaps * gaps).sum(axis=2)
        nearest = squared.argmin(axis=1)
        rows = np.arange(len(points))
        return squared[rows, nearest], 2.0 * gaps[rows, nearest]
