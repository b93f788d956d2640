"""Hyperband: many short trainings, and long ones for those that promise most.

``R``, ``nu`` and ``epoch_multiplier`` say what a run may cost, as they do in TAO; how the epochs
are spent is chosen by ``mode``, ``sampler`` and ``promotion``. The engines are `ladders` (rung by
rung, an exact plan) and `climbing` (no rung waits); the model is `foresight`.

The defaults are what measured best: mean regret on the ten development tasks of LCBench, eight
seeds each, one worker, after the epochs of 5, 9 and 20 full trainings::

    mode   sampler  promotion      5      9     20
    async  model    model       8.97   6.33   3.91
    sync   model    rank       10.95   8.36   5.45
    sync   model    model      11.10   8.69   6.15
    sync   random   rank       16.48  15.20  13.67
    async  random   rank       18.54  16.24  13.92

``mode: sync`` alone means random and rank all the same: only so do configurations and promotions
not depend on who reports first.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar, Final, Literal, Protocol

from pydantic import Field, model_validator
from pydantic.aliases import AliasChoices

from raytao.brains.base import Brain, BrainSettings, Plan, Task
from raytao.brains.climbing import Climbing
from raytao.brains.ladders import Climb, Ladders
from raytao.brains.rungs import Rule, adjust
from raytao.brains.sampling import draws
from raytao.brains.seen import Seen, Thinker, Thoughts
from raytao.types import Json, Observation, Params, Start, Suggestion, Verdict

MOST_BRACKETS = 1_000
"""More would be a slip of the pen: the widest schedules have a dozen."""

SYNC: Final[Mapping[str, Json]] = {"sampler": "random", "promotion": "rank"}
"""What ``mode: sync`` means unless it is said otherwise."""

TAO: Final[Mapping[str, Json]] = {**SYNC, "mode": "sync", "rule": "tao", "overlap": False}
"""What ``compat`` implies."""


def _known_as(*names: str) -> Any:
    return Field(default=None, validation_alias=AliasChoices(*names))


class HyperbandSettings(BrainSettings):
    """Settings of Hyperband; what is left out is adjusted to the spec's epochs.

    Args:
        R: largest resource (TAO: ``automl_R``, later ``automl_max_epochs``).
        nu: reduction factor (TAO: ``automl_nu``, later ``automl_reduction_factor``).
        epoch_multiplier: epochs per unit of resource.
        rule: which brackets; see `raytao.brains.rungs.brackets`.
        brackets: how many to run; the schedule once, unless it is given. More begin with its
            first again, fewer leave the last ones out.
        overlap: start the next bracket while a rung waits (``sync`` only).
        cap_epochs: bound every rung by the spec's epochs.
        mode: ``sync`` runs the brackets rung by rung, exactly as planned; ``async`` takes their
            epochs as a budget, and no trial ever waits for another.
        sampler: ``random`` draws configurations, ``model`` proposes them.
        promotion: ``rank`` promotes the best by their scores at a rung, ``model`` those that are
            predicted to be the best at full length.
        compat: TAO's own behaviour, of that version: sync, random, rank, rule tao, no overlap, and
            values drawn as TAO draws them.
    """

    R: int | None = _known_as("R", "automl_R", "automl_max_epochs")
    nu: int | None = _known_as("nu", "automl_nu", "automl_reduction_factor")
    epoch_multiplier: int | None = None
    rule: Rule = "tao"
    brackets: int | None = Field(default=None, ge=1, le=MOST_BRACKETS)
    overlap: bool = True
    cap_epochs: bool = False
    mode: Literal["sync", "async"] = "async"
    sampler: Literal["model", "random"] = "model"
    promotion: Literal["model", "rank"] = "model"
    compat: Literal["tao5", "tao7"] | None = None

    @model_validator(mode="before")
    @classmethod
    def _implied(cls, given: Any) -> Any:
        """Fill in what ``compat`` or ``mode: sync`` implies."""
        if not isinstance(given, Mapping):
            return given
        if given.get("compat") is not None:
            return {**TAO, **given}
        return {**SYNC, **given} if given.get("mode") == "sync" else given

    @model_validator(mode="after")
    def _consistent(self) -> HyperbandSettings:
        if self.compat is not None:
            for name, value in TAO.items():
                if getattr(self, name) != value:
                    raise ValueError(
                        f"combines compat: {self.compat}, which means {name}: "
                        f"{_written(value)}, with {name}: {_written(getattr(self, name))}; "
                        f"leave {name} out"
                    )
        if self.mode == "async" and not self.overlap:
            raise ValueError(
                "combines overlap: false with mode: async, in which no rung waits; leave it out, "
                "or write mode: sync"
            )
        return self


def _written(value: Json) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


class _Engine(Protocol):
    """How a schedule is worked off: the methods of `Brain`."""

    def suggest(self, trial: int) -> Suggestion: ...

    def adopt(self, trial: int, params: Params) -> Start: ...

    def observe(self, observation: Observation) -> Verdict: ...

    def recall(self, observation: Observation, told: Verdict) -> Verdict: ...

    def state(self) -> Json: ...

    def load_state(self, state: Json) -> None: ...

    def plan(self) -> Plan: ...

    def describe(self) -> Mapping[str, Json]: ...


class Hyperband(Brain):
    """Hyperband with the brackets of TAO or of the paper.

    Raises:
        BudgetError: from the constructor, if the settings leave nothing to run.
    """

    name: ClassVar[str] = "hyperband"
    Settings: ClassVar[type[HyperbandSettings]] = HyperbandSettings
    extends: ClassVar[frozenset[str]] = frozenset({"brackets"})

    def __init__(self, task: Task, settings: HyperbandSettings) -> None:
        self._engine = _engine(task, settings)

    def suggest(self, trial: int) -> Suggestion:
        """See `Brain.suggest`."""
        return self._engine.suggest(trial)

    def adopt(self, trial: int, params: Params) -> Start:
        """See `Brain.adopt`."""
        return self._engine.adopt(trial, params)

    def observe(self, observation: Observation) -> Verdict:
        """See `Brain.observe`; what comes after a trial's end changes nothing."""
        return self._engine.observe(observation)

    def recall(self, observation: Observation, told: Verdict) -> Verdict:
        """See `Brain.recall`; what a model chose is taken over if the rules allow it."""
        return self._engine.recall(observation, told)

    def state(self) -> Json:
        """The table of trials."""
        return self._engine.state()

    def load_state(self, state: Json) -> None:
        """See `Brain.load_state`."""
        self._engine.load_state(state)

    def plan(self) -> Plan:
        """Every rung of every bracket: exact, or in mode async a bound."""
        return self._engine.plan()

    def describe(self) -> Mapping[str, Json]:
        """TAO's counters (TAO facts §4.3)."""
        return self._engine.describe()


def _engine(task: Task, settings: HyperbandSettings) -> _Engine:
    schedule = adjust(
        task.epochs,
        settings.R,
        settings.nu,
        settings.epoch_multiplier,
        rule=settings.rule,
        cap_epochs=settings.cap_epochs,
    )
    once = schedule.brackets
    count = settings.brackets or len(once)
    climb = Climb(
        tuple(once[n % len(once)] for n in range(count)),
        schedule.notes,
        # Capped rungs are no multiples of it.
        unit=1 if settings.cap_epochs else schedule.multiplier,
        overlap=settings.overlap,
    )
    draw = draws(task, settings.compat)
    model = _Foresight(task, climb.plan.longest) if "model" in _chosen(settings) else None
    sampler = model if settings.sampler == "model" else None
    promoter = model if settings.promotion == "model" else None
    if settings.mode == "sync":
        return Ladders(task, climb, draw, sampler, promoter)
    return Climbing(task, climb.plan, schedule.nu, draw, sampler, promoter)


def _chosen(settings: HyperbandSettings) -> tuple[str, str]:
    return settings.sampler, settings.promotion


@dataclass(frozen=True)
class _Foresight:
    """The model, made when it first thinks: it loads SciPy, which a plan has no need of.

    Args:
        task: what is searched.
        top: epochs of the longest training.
    """

    task: Task
    top: int

    @cached_property
    def _model(self) -> Thinker:
        from raytao.brains.foresight import Foresight

        return Foresight(self.task, self.top)

    def think(self, trials: Sequence[Seen], heard: Sequence[int]) -> Thoughts:
        """See `Thinker`."""
        return self._model.think(trials, heard)
