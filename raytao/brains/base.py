"""The contract of a brain: a small pure object that proposes configurations.

No Ray, no files, no clock, no global random state. Whatever a brain draws comes from a generator
seeded by (its seed, the trial's number), so the generator's state is part of what ``adopt`` and
``observe`` rebuild, and the same history gives the same suggestions in any process.

A trace of what a brain holds (Hyperband, R=3, nu=3: three trials for 1 epoch, one for 3)::

    suggest(0) -> Start(budget 1)   trials {0: running}
    suggest(1) -> Start(budget 1)   trials {0: running, 1: running}
    suggest(2) -> Start(budget 1)   trials {0: running, 1: running, 2: running}
    suggest(3) -> Wait              unchanged: Wait and Done leave no trace
    observe(0 @ 1: 0.5) -> PAUSE    trials {0: paused, 1: running, 2: running}
    observe(1 @ 1: 0.9) -> PAUSE    trials {0: paused, 1: paused, 2: running}
    observe(2 @ 1: failed) -> STOP, promote (1 -> 3 epochs), retire (0,)
    observe(1 @ 3: 0.95) -> STOP    suggest(3) -> Done
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import ClassVar, Final, Literal

from pydantic import BaseModel, ConfigDict

from raytao.space import Space
from raytao.types import Json, Observation, Params, Start, Suggestion, Verdict


class BrainSettings(BaseModel):
    """What a run file may say below ``brain:``; each brain brings its own subclass."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, populate_by_name=True)


USERS_SPEC: Final = "user's spec"
"""Why a run's first recommendation is trained, in every log."""


@dataclass(frozen=True)
class Initial:
    """A configuration that is to be trained before the brain's own, and where it is from."""

    params: Params
    why: str


@dataclass(frozen=True)
class Evidence:
    """What another run of the same search measured, and this one trusts.

    Args:
        params: active parameters, within the space.
        epochs: after how many epochs.
        score: larger is better, in the units of this run's own scores.
    """

    params: Params
    epochs: int
    score: float


@dataclass(frozen=True)
class Task:
    """What a brain is asked to search.

    Args:
        space: the parameters, their types and ranges.
        epochs: length of a full training, from the user's spec.
        seed: the only source of randomness.
        first: the user's own values, suggested as trial 0; None draws trial 0 like the others.
        initial: suggested next, in this order, whatever the brain would rather do.
        evidence: known from elsewhere; brains without a model have no use for it.
    """

    space: Space
    epochs: int
    seed: int = 0
    first: Params | None = None
    initial: tuple[Initial, ...] = ()
    evidence: tuple[Evidence, ...] = ()

    @property
    def given(self) -> tuple[Initial, ...]:
        """What people ask for first: trials 0, 1, …, the user's own spec in front."""
        own = () if self.first is None else (Initial(self.first, USERS_SPEC),)
        return own + self.initial


@dataclass(frozen=True)
class PlanRow:
    """One rung: ``trials`` configurations, each trained until ``epochs`` in total."""

    bracket: int
    rung: int
    trials: int
    epochs: int


@dataclass(frozen=True)
class Plan:
    """What a brain will train: exact unless ``exact`` is False (then an upper bound).

    ``waits`` tells what has to be over before the next of its kind begins: a bracket's rung, a
    whole bracket, or every single trial.
    """

    rows: tuple[PlanRow, ...]
    notes: tuple[str, ...] = ()
    exact: bool = True
    waits: Literal["rungs", "brackets", "trials"] = "rungs"

    @cached_property
    def trials(self) -> int:
        """Number of recommendations: the configurations of every bracket's first rung."""
        return sum(row.trials for row in self.rows if row.rung == 0)

    @cached_property
    def epochs(self) -> int:
        """Epochs trained in all: a promoted trial pays only what it adds."""
        paid = {(row.bracket, row.rung): row.epochs for row in self.rows}
        return sum(
            row.trials * (row.epochs - paid.get((row.bracket, row.rung - 1), 0))
            for row in self.rows
        )

    @cached_property
    def ladders(self) -> Mapping[int, tuple[PlanRow, ...]]:
        """The rungs of each kind of bracket, by the epochs of its first; those alike as one."""
        begins = {row.bracket: row.epochs for row in self.rows if row.rung == 0}
        kinds: dict[int, dict[int, PlanRow]] = {}
        for row in self.rows:
            rungs = kinds.setdefault(begins.get(row.bracket, row.epochs), {})
            same = rungs.get(row.epochs)
            trials = row.trials + (same.trials if same else 0)
            rungs[row.epochs] = replace(same or row, trials=trials)
        return {begin: tuple(rungs.values()) for begin, rungs in kinds.items()}

    @cached_property
    def segments(self) -> int:
        """How often a trial is sent to a rung."""
        return sum(row.trials for row in self.rows)

    @cached_property
    def longest(self) -> int:
        """Epochs of the longest training."""
        return max((row.epochs for row in self.rows), default=0)


class Brain(ABC):
    """Proposes configurations and judges their results.

    Subclasses implement the six methods below and are constructed as ``Brain(task, settings)``.
    """

    name: ClassVar[str]
    Settings: ClassVar[type[BrainSettings]]
    extends: ClassVar[frozenset[str]] = frozenset()
    """Settings that say how long the plan is. They may be changed while a run goes on: with
    another value the same trials come in the same order, only more or fewer of them."""

    @property
    def begins_with_spec(self) -> bool:
        """Whether trial 0 is the user's own spec, `Task.first`."""
        return True

    @abstractmethod
    def suggest(self, trial: int) -> Suggestion:
        """Answer with a new configuration, numbered ``trial``, or with Wait or Done.

        Numbers are handed in by the caller as 0, 1, 2, … A Wait or a Done leaves the state as it
        was. If no trial is running, the answer is never Wait.
        """

    @abstractmethod
    def adopt(self, trial: int, params: Params) -> Start:
        """Take a configuration from elsewhere (a log, another searcher) as trial ``trial``.

        ``suggest`` that answers Start and ``adopt`` with the same params leave the same state.

        Raises:
            LookupError: if the plan has no room for another trial.
        """

    @abstractmethod
    def observe(self, observation: Observation) -> Verdict:
        """Take in what became known about a trial; observations arrive in epoch order.

        A Failed outcome ends the trial; it never blocks a rung, is never promoted while a
        scored one is there, and never enters a model as a number.
        """

    def recall(self, observation: Observation, told: Verdict) -> Verdict:
        """Take in an observation of which a log holds the verdict.

        Leaves the state that ``observe`` left when it answered ``told``. A brain whose verdicts
        come from a model takes ``told`` over, if its rules allow it at all, and fits nothing.

        Returns:
            What the brain stands by: another verdict than ``told`` means a log of another brain.
        """
        del told
        return self.observe(observation)

    @abstractmethod
    def state(self) -> Json:
        """Everything that ``load_state`` of a brain made alike needs, as JSON."""

    @abstractmethod
    def load_state(self, state: Json) -> None:
        """Take over a ``state()``; from then on both brains answer alike."""

    @abstractmethod
    def plan(self) -> Plan:
        """What will be trained if no trial fails."""

    def describe(self) -> Mapping[str, Json]:
        """TAO's keys for brain.json (TAO facts: Xs/ys; bracket, sh_iter, ni, ri, …)."""
        return {}
