"""Bayesian optimisation: a Gaussian process over all parameters, and expected improvement.

The first trial is the user's own spec, a few more fill the space; from then on each goes where
the expected improvement over the best score is largest. Pending trials count as if they had
turned out as predicted. Failed ones are no evidence, but a small distance is kept from them.

Everything is computed anew from the table of trials, so that the same history gives the same
suggestion, bit for bit.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from pydantic import Field

from raytao.brains.base import Plan, PlanRow, Task
from raytao.brains.full import FullLength, FullLengthSettings, Stage
from raytao.brains.gp.acquisition import log_expected_improvement
from raytao.brains.gp.kernel import Array, Mask, differences
from raytao.brains.gp.model import fit, standardise
from raytao.brains.gp.search import Search, categorical_columns, snap, sobol
from raytao.types import Json, Params


class BayesianSettings(FullLengthSettings):
    """Settings of Bayesian optimisation.

    Args:
        max_recommendations: full trainings in all (TAO: ``automl_max_recommendations``).
        initial_points: trials before the model decides, the user's spec among them.
    """

    initial_points: int = Field(default=3, ge=1)


@dataclass(frozen=True)
class _History:
    """The table of trials as arrays: snapped points (n, d), masks (n,), scores of ``done``."""

    points: Array
    done: Mask
    pending: Mask
    failed: Mask
    scores: Array


class Bayesian(FullLength):
    """Gaussian process and expected improvement over every type of parameter."""

    name: ClassVar[str] = "bayesian"
    Settings: ClassVar[type[BayesianSettings]] = BayesianSettings

    def __init__(self, task: Task, settings: BayesianSettings) -> None:
        super().__init__(task, settings)
        self._initial = settings.initial_points
        self._categorical = categorical_columns(task.space)

    def plan(self) -> Plan:
        """Full trainings: as many as allowed, or as many as there are configurations."""
        size = self._task.space.size
        trials = self._limit if size is None else min(self._limit, size)
        return Plan((PlanRow(bracket=0, rung=0, trials=trials, epochs=self._task.epochs),))

    def describe(self) -> Mapping[str, Json]:
        """TAO's keys: points of scored trials, then of pending ones, and the scores."""
        history = self._history()
        points = np.vstack([history.points[history.done], history.points[history.pending]])
        return {"Xs": points.tolist(), "ys": history.scores.tolist()}

    def _propose(self, trial: int) -> tuple[Params, str] | None:
        if trial == 0 and self._task.first is not None:
            return self._task.first, "user's spec"
        history = self._history()
        search = Search(self._task.space, history.points, history.points[history.failed])
        if search.exhausted:
            return None
        rng = np.random.default_rng([self._task.seed, trial])
        found = (
            self._design(trial, search)
            or self._improve(history, search, rng)
            or self._spread(history, search, rng)
        )
        if found is None:
            return None
        point, why = found
        return self._task.space.decode(point), why

    def _design(self, trial: int, search: Search) -> tuple[Array, str] | None:
        """Point number ``trial`` of the seed's Sobol sequence, if it is an initial and new one."""
        if trial >= self._initial:
            return None
        rng = np.random.default_rng([self._task.seed, 0])
        points = sobol(self._task.space.dim, trial.bit_length(), rng)
        point = snap(self._task.space, points[trial : trial + 1])[0]
        why = f"space-filling, {trial + 1} of {self._initial}"
        return (point, why) if search.is_new(point) else None

    def _improve(
        self, history: _History, search: Search, rng: np.random.Generator
    ) -> tuple[Array, str] | None:
        """Where the model expects most; None if the scores say nothing or nothing is left."""
        scaled = standardise(history.scores)
        if scaled is None:
            return None
        points = history.points[history.done]
        model = fit(points, scaled.values, self._categorical)
        believed = model.believe(history.points[history.pending])
        # A pending trial that is believed to win is the one to beat: no two go after one peak.
        best = float(believed.y.max())

        def value(candidates: Array) -> Array:
            return log_expected_improvement(*believed.predict(candidates), best)

        parents = points[np.argsort(-scaled.values, kind="stable")]
        found = search.maximise(value, parents, rng)
        if found is None:
            return None
        gain = float(np.exp(value(found[None])[0])) * scaled.scale
        why = (
            f"expected improvement {gain:.2g} over the best "
            f"({history.done.sum()} results, {history.pending.sum()} pending)"
        )
        return found, why

    def _spread(
        self, history: _History, search: Search, rng: np.random.Generator
    ) -> tuple[Array, str] | None:
        """Far from all that was tried: without evidence, cover the space."""

        def value(candidates: Array) -> Array:
            gaps = differences(history.points, candidates, self._categorical).sum(axis=0)
            nearest: Array = gaps.min(axis=0)
            return nearest

        found = search.maximise(value, history.points[:0], rng) if len(history.points) else None
        if found is None:
            found = search.anything(rng)
        return None if found is None else (found, "space-filling")

    def _history(self) -> _History:
        space = self._task.space
        encoded = np.array([space.encode(line.params) for line in self._trials])
        stages = [line.stage for line in self._trials]
        done = np.array([stage is Stage.DONE for stage in stages], dtype=bool)
        return _History(
            points=snap(space, encoded.reshape(-1, space.dim)),
            done=done,
            pending=np.array([stage is Stage.RUNNING for stage in stages], dtype=bool),
            failed=np.array([stage is Stage.FAILED for stage in stages], dtype=bool),
            scores=np.array(
                [line.best for line in self._trials if line.stage is Stage.DONE], dtype=float
            ),
        )
