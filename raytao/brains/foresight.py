"""What short trainings tell about long ones: one model over configurations and epochs.

It is asked two things: which configuration is worth a start, and which of the paused trials are
worth going on with. Both are measured by one quantity, the expected improvement at full length
over the best full training that is known or predicted.

A pure function of the trials: the same history gives the same answer, bit for bit.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import takewhile
from typing import Final

import numpy as np

from raytao.brains.base import Task
from raytao.brains.gp.acquisition import ExpectedImprovement
from raytao.brains.gp.believed import Belief, Known
from raytao.brains.gp.features import Array, Points
from raytao.brains.gp.joint import AtFullLength, CurveBeliever, CurveFeatures
from raytao.brains.gp.search import Effort, Search, sobol
from raytao.brains.seen import Fresh, Outlook, Seen
from raytao.types import Params

INITIAL: Final = 6
"""Trials before the model decides, those that were asked for among them; they are short."""
EFFORT: Final = Effort(bits=6, climbers=4, gain=1e-2, scrambled=False)
"""It is thought after every rung, and half of what is found loses against a paused trial."""


class Foresight:
    """Thinks; keeps nothing but caches.

    Args:
        task: what is searched.
        top: epochs of a full training.
    """

    def __init__(self, task: Task, top: int) -> None:
        self._task = task
        self._top = top
        self._features = CurveFeatures(task.space, top)
        self._believer = CurveBeliever(self._features, task.seed)
        self._trusted = self._measured_before()
        self._last: Thought | None = None

    def think(self, trials: Sequence[Seen], heard: Sequence[int]) -> Thought:
        """See `Thinker.think`."""
        now, last = (tuple(trials), tuple(heard)), self._last
        if last is None or (last.trials, last.heard) != now:
            points = self._points(now[0])
            self._last = last = Thought(
                self._task, self._top, self._features, self._believer, self._trusted, *now, points
            )
        return last

    def _points(self, trials: Sequence[Seen]) -> Points:
        """Where trials lie; what the last thought knew of the first ones holds for them still."""
        features, last = self._features.configurations, self._last
        if last is None:
            return features.points(one.params for one in trials)
        both = zip(last.trials, trials, strict=False)
        same = sum(1 for _ in takewhile(lambda two: two[0].params is two[1].params, both))
        new = features.points(one.params for one in trials[same:])
        return Points.stacked([last.points[:same], new])

    def _measured_before(self) -> Known:
        """What other runs measured."""
        trusted = self._task.evidence
        points = self._features.configurations.points(one.params for one in trusted)
        epochs = [min(one.epochs, self._top) for one in trusted]
        scores = np.array([one.score for one in trusted], dtype=np.float64)
        return Known(self._features.after(points, epochs), scores)


@dataclass(frozen=True)
class Thought:
    """What `Foresight` makes of one state of the run, worked out as far as it is asked."""

    task: Task
    top: int
    features: CurveFeatures
    believer: CurveBeliever
    trusted: Known
    trials: tuple[Seen, ...]
    heard: tuple[int, ...]
    points: Points

    @cached_property
    def fresh(self) -> Fresh | None:
        """See `Thoughts.fresh`."""
        if self._search.exhausted:
            return None
        rng = np.random.default_rng([self.task.seed, len(self.trials)])
        point = self._designed
        if point is None and self._belief is not None:
            parents = self.points[np.argsort(-self._means, kind="stable")]
            point = self._search.maximise(self._surface, parents, rng)
            if point is not None:
                params = self.task.space.decode(point)
                outlook = self.outlook([params])[0]
                why = f"expected improvement {outlook.gain:.2g}: predicted {outlook}"
                return Fresh(params, why, outlook)
        if point is None:
            point = self._search.anything(rng)
        if point is None:
            return None
        return Fresh(self.task.space.decode(point), "space-filling")

    def outlook(self, configurations: Sequence[Params]) -> list[Outlook]:
        """See `Thoughts.outlook`."""
        e = self._at_top(self.features.configurations.points(configurations))
        return self._outlooks(*self._sure.models.predict(e))

    def log_gains(self, trials: Sequence[int]) -> list[float]:
        """See `Thoughts.log_gains`."""
        means, deviations = self._predicted
        gains: list[float] = self._improvement.valued(
            means[:, trials], deviations[:, trials]
        ).tolist()
        return gains

    def prospects(self, trials: Sequence[int]) -> list[Outlook]:
        """See `Thoughts.prospects`."""
        means, deviations = self._predicted
        return self._outlooks(means[:, trials], deviations[:, trials])

    @property
    def knows(self) -> bool:
        """See `Thoughts.knows`."""
        return self._belief is not None

    @property
    def designing(self) -> bool:
        """See `Thoughts.designing`."""
        return not self.task.evidence and len(self.trials) < max(INITIAL, len(self.task.given))

    @cached_property
    def _search(self) -> Search:
        failed = [number for number, one in enumerate(self.trials) if one.failed]
        return Search(self.features.configurations, self.points, self.points[failed], EFFORT)

    @cached_property
    def _designed(self) -> Array | None:
        """The next point of the seed's Sobol sequence, if it is time for one and it is new."""
        if not self.designing:
            return None
        number = len(self.trials)
        rng = np.random.default_rng([self.task.seed, 0])
        points = sobol(self.task.space.dim, INITIAL.bit_length(), rng)
        point: Array = self.features.configurations.snapped(points[number : number + 1]).x[0]
        return point if self._search.is_new(point) else None

    @cached_property
    def _known(self) -> Known:
        """Results in the order in which they came, what other runs measured in front."""
        reached = [0] * len(self.trials)
        rows: list[int] = []
        results: list[tuple[int, float]] = []
        for number in self.heard:
            trial, rung = self.trials[number], reached[number]
            reached[number] = rung + 1
            if not trial.failed:
                rows.append(number)
                results.append(trial.scores[rung])
        points = self.features.after(self.points[rows], [epochs for epochs, _ in results])
        scores = [score for _, score in results]
        return Known(
            Points.stacked([self.trusted.points, points]),
            np.concatenate([self.trusted.scores, scores]),
        )

    @cached_property
    def _belief(self) -> Belief | None:
        """What is believed, what is under way being taken as it is predicted."""
        belief = self.believer.believe(self._known)
        if belief is None:
            return None
        running = [n for n, one in enumerate(self.trials) if one.target and not one.failed]
        if not running:
            return belief
        targets = [self.trials[n].target or 0 for n in running]
        pending = self.features.after(self.points[running], targets)
        return belief.with_pending(self.features.embed(pending))

    @property
    def _sure(self) -> Belief:
        """The belief, where there is one."""
        if self._belief is None:
            raise LookupError("no two scores differ")
        return self._belief

    @cached_property
    def _predicted(self) -> tuple[Array, Array]:
        """What the models predict of the trials at full length: means and deviations (k, n)."""
        return self._sure.models.predict(self._at_top(self.points))

    @cached_property
    def _improvement(self) -> ExpectedImprovement:
        """Over the best that is known, or that a model predicts of a trial at full length."""
        belief = self._sure
        alive = [n for n, one in enumerate(self.trials) if not one.failed]
        known = (self._known.scores.max() - belief.scaled.center) / belief.scaled.scale
        best = np.full(len(belief.models), known)
        if alive:
            best = np.maximum(best, self._predicted[0][:, alive].max(axis=1))
        return ExpectedImprovement(belief.models, best, belief.boldness)

    @property
    def _surface(self) -> AtFullLength:
        return AtFullLength(self._improvement)

    @property
    def _means(self) -> Array:
        """Predicted scores (n,) of the trials at full length."""
        return self._sure.averaged(*self._predicted)[0]

    def _outlooks(self, means: Array, deviations: Array) -> list[Outlook]:
        """What the models' means and deviations (k, m) at full length come to."""
        logs = self._improvement.valued(means, deviations)
        scale = self._sure.scaled.scale
        return [
            Outlook(log, math.exp(log) * scale, mean, deviation, self.top)
            for log, mean, deviation in zip(
                logs.tolist(),
                *(part.tolist() for part in self._sure.averaged(means, deviations)),
                strict=True,
            )
        ]

    def _at_top(self, points: Points) -> Array:
        return self.features.embed(self.features.after(points, [self.top] * len(points)))
