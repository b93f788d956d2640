"""Bayesian optimisation: a Gaussian process over all parameters, and expected improvement.

The first trial is the user's own spec, a few more fill the space; from then on each goes where
the expected improvement over the best score is largest. Trials under way count at what they are
expected to come to: by what they have reported, once that is a quarter of their epochs, and
before by what the model predicts. Failed ones are no evidence, but a small distance is kept from
them.

Everything is computed anew from the table of trials, so that the same history gives the same
suggestion, bit for bit.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import ClassVar, Final, Protocol

from pydantic import Field, model_validator

from raytao.brains.base import Plan, PlanRow, Task
from raytao.brains.compat.values import Compat
from raytao.brains.full import FullLength, FullLengthSettings, Trial
from raytao.types import Json, Params, Suggestion, Wait

INITIAL_POINTS: Final = 3


class BayesianSettings(FullLengthSettings):
    """Settings of Bayesian optimisation.

    Args:
        max_recommendations: full trainings in all (TAO: ``automl_max_recommendations``).
        initial_points: trials before the model decides, the user's spec among them.
        compat: TAO's own search, of that version: linear scales, its Gaussian process and its
            acquisition, one trial after the other, and no trial of the user's spec.
    """

    initial_points: int = Field(default=INITIAL_POINTS, ge=1)
    compat: Compat | None = None

    @model_validator(mode="after")
    def _consistent(self) -> BayesianSettings:
        if self.compat is not None and self.initial_points != INITIAL_POINTS:
            raise ValueError(
                f"combines compat: {self.compat}, which means one initial point, with "
                "initial_points; leave initial_points out"
            )
        return self


class Proposer(Protocol):
    """Thinks; remembers nothing that it could not think again."""

    def propose(self, trial: int, history: Sequence[Trial]) -> tuple[Params, str] | None:
        """The next configuration and why; None where the space has nothing new."""

    def describe(self, history: Sequence[Trial]) -> Mapping[str, Json]:
        """TAO's ``Xs`` and ``ys``."""


class Bayesian(FullLength):
    """Gaussian process and expected improvement over every type of parameter."""

    name: ClassVar[str] = "bayesian"
    Settings: ClassVar[type[BayesianSettings]] = BayesianSettings

    def __init__(self, task: Task, settings: BayesianSettings) -> None:
        super().__init__(task, settings)
        self._compat = settings.compat
        if not self.begins_with_spec:
            self._given = task.initial
        self._settings = settings

    @property
    def begins_with_spec(self) -> bool:
        """TAO's search never trains the user's own spec (TAO facts §2.3)."""
        return self._compat is None

    @cached_property
    def _proposer(self) -> Proposer:
        """Made for the first proposal: whoever asks for the plan waits for no numerics."""
        return _proposer(self._task, self._settings)

    def suggest(self, trial: int) -> Suggestion:
        """See `Brain.suggest`; TAO's search waits for every result."""
        sequential = self._compat is not None
        return Wait() if sequential and self._running else super().suggest(trial)

    def plan(self) -> Plan:
        """Full trainings: as many as allowed, or as many as there are configurations.

        TAO's search repeats configurations, so that it always trains as many as allowed.
        """
        size = self._task.space.size
        trials = self._limit if size is None or self._compat else min(self._limit, size)
        return Plan(
            (PlanRow(bracket=0, rung=0, trials=trials, epochs=self._task.epochs),),
            waits="rungs" if self._compat is None else "trials",
        )

    def describe(self) -> Mapping[str, Json]:
        """TAO's keys, as the proposer knows them."""
        return self._proposer.describe(self._trials)

    def _propose(self, trial: int) -> tuple[Params, str] | None:
        return self._proposer.propose(trial, self._trials)


def _proposer(task: Task, settings: BayesianSettings) -> Proposer:
    """The thinker that the settings ask for; its numerics are loaded with it."""
    if settings.compat is not None:
        from raytao.brains.compat.bayesian import TaoBayesian

        return TaoBayesian(task, settings.compat)
    from raytao.brains.improving import Improving

    return Improving(task, settings.initial_points)
