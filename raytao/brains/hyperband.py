"""Hyperband: brackets of successive halving over random configurations (Li et al., 2018).

Rungs are synchronous: one closes when all its trials have an outcome, and only then are its best
promoted. Idle workers need not wait for it: with ``overlap`` the next bracket starts meanwhile.
Trial n belongs to the same bracket and has the same configuration either way, so configurations,
promotions and epochs do not depend on who reports first.

The only state is a table with a line for each trial: its parameters, its score at each rung that
it completed, and whether it failed. Members of rungs are derived from it::

    rung 0   the bracket's trials
    rung i   the best of rung i - 1 by their score there, once that rung has closed

How far each bracket has come is derived as well, but kept, so that an observation costs the same
however many trials there are; all of a rung are looked at when it closes.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Any, ClassVar, assert_never

import numpy as np
from pydantic import Field
from pydantic.aliases import AliasChoices

from raytao.brains.base import Brain, BrainSettings, Plan, PlanRow, Task
from raytao.brains.rungs import Rule, adjust
from raytao.types import (
    EPOCHS,
    Decision,
    Done,
    Failed,
    Json,
    Observation,
    Params,
    Promotion,
    Scored,
    Start,
    Suggestion,
    Verdict,
    Wait,
)

MOST_BRACKETS = 1_000
"""More would be a slip of the pen: the widest schedules have a dozen."""


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
        overlap: start the next bracket while a rung waits.
        cap_epochs: bound every rung by the spec's epochs.
    """

    R: int | None = _known_as("R", "automl_R", "automl_max_epochs")
    nu: int | None = _known_as("nu", "automl_nu", "automl_reduction_factor")
    epoch_multiplier: int | None = None
    rule: Rule = "tao"
    brackets: int | None = Field(default=None, ge=1, le=MOST_BRACKETS)
    overlap: bool = True
    cap_epochs: bool = False


@dataclass
class _Trial:
    """One line of the table; ``scores[i]`` was reached at the end of rung i."""

    params: Params
    scores: list[float] = field(default_factory=list)
    failed: bool = False


@dataclass
class _Ladder:
    """How far a bracket has come: ``members`` of the open ``rung`` (of the last, when it is over).

    ``due`` is how many outcomes the rung waits for, those of trials yet to start among them.
    """

    due: int
    rung: int = 0
    members: set[int] = field(default_factory=set)

    @property
    def over(self) -> bool:
        """Whether the last rung has closed: a rung before it that closes opens the next."""
        return self.due == 0

    def runs_or_waits(self, trial: int) -> bool:
        """Whether the trial may still be trained."""
        return not self.over and trial in self.members


class Hyperband(Brain):
    """Synchronous Hyperband with the brackets of TAO or of the paper.

    Raises:
        BudgetError: from the constructor, if the settings leave nothing to run.
    """

    name: ClassVar[str] = "hyperband"
    Settings: ClassVar[type[HyperbandSettings]] = HyperbandSettings
    extends: ClassVar[frozenset[str]] = frozenset({"brackets"})

    def __init__(self, task: Task, settings: HyperbandSettings) -> None:
        self._task = task
        self._settings = settings
        self._schedule = adjust(
            task.epochs,
            settings.R,
            settings.nu,
            settings.epoch_multiplier,
            rule=settings.rule,
            cap_epochs=settings.cap_epochs,
        )
        once = self._schedule.brackets
        count = settings.brackets or len(once)
        self._brackets = tuple(once[n % len(once)] for n in range(count))
        widths = [bracket.sizes[0] for bracket in self._brackets]
        self._offsets = [0, *accumulate(widths)]
        self._trials: list[_Trial] = []
        self._ladders = self._climbed()

    def suggest(self, trial: int) -> Suggestion:
        """See `Brain.suggest`; Done comes when the last rung has closed."""
        self._check_turn(trial)
        if trial == self._offsets[-1]:
            return Done() if all(ladder.over for ladder in self._ladders) else Wait()
        bracket = self._bracket_of(trial)
        barred = bracket > 0 and not self._settings.overlap
        if barred and not self._ladders[bracket - 1].over:
            return Wait()
        if trial == 0 and self._task.first is not None:
            return self._start(self._task.first, "user's spec")
        rng = np.random.default_rng([self._task.seed, trial])
        why = f"random, bracket {bracket + 1} of {len(self._brackets)}"
        return self._start(self._task.space.sample(rng), why)

    def adopt(self, trial: int, params: Params) -> Start:
        """See `Brain.adopt`."""
        self._check_turn(trial)
        if trial == self._offsets[-1]:
            raise LookupError(f"no room for trial {trial}: the plan has {trial} trials")
        return self._start(params, "adopted")

    def observe(self, observation: Observation) -> Verdict:
        """See `Brain.observe`; what comes after a trial's end changes nothing."""
        number, trial = observation.trial, self._trials[observation.trial]
        bracket = self._bracket_of(number)
        budgets, ladder = self._brackets[bracket].budgets, self._ladders[bracket]
        waiting = len(trial.scores) > ladder.rung
        finished = len(trial.scores) == len(budgets)
        if trial.failed or finished or not ladder.runs_or_waits(number):
            return Verdict(Decision.STOP)
        match observation.outcome:
            case Failed():
                # A trial that is lost while it waits has no checkpoint to go on from.
                trial.failed = True
                del trial.scores[ladder.rung :]
            case Scored() as scored:
                if waiting:
                    return Verdict(Decision.PAUSE)
                if observation.fidelity[EPOCHS] < budgets[ladder.rung]:
                    return Verdict(Decision.CONTINUE)
                trial.scores.append(scored.score)
            case other:
                assert_never(other)
        ladder.due -= not waiting
        return self._judge(number, bracket)

    def state(self) -> Json:
        """The table of trials."""
        return {
            "trials": [
                {"params": dict(line.params), "scores": list(line.scores), "failed": line.failed}
                for line in self._trials
            ]
        }

    def load_state(self, state: Json) -> None:
        """See `Brain.load_state`."""
        self._trials = [
            _Trial(dict(line["params"]), list(line["scores"]), line["failed"])
            for line in state["trials"]
        ]
        self._ladders = self._climbed()

    def plan(self) -> Plan:
        """Every rung of every bracket: exact."""
        return Plan(
            tuple(
                PlanRow(b, rung, trials, epochs)
                for b, bracket in enumerate(self._brackets)
                for rung, (trials, epochs) in enumerate(
                    zip(bracket.sizes, bracket.budgets, strict=True)
                )
            ),
            notes=self._schedule.notes,
        )

    def describe(self) -> Mapping[str, Json]:
        """TAO's counters (TAO facts §4.3), of the first bracket that is not over.

        ``epoch_number`` is the open rung's target, and ``ri`` times ``epoch_multiplier`` is
        always epochs; capped rungs are no multiples, so that there the multiplier is 1.
        """
        ladders = self._ladders
        current = next(
            (b for b, ladder in enumerate(ladders) if not ladder.over), len(ladders) - 1
        )
        rung = ladders[current].rung
        unit = 1 if self._settings.cap_epochs else self._schedule.multiplier
        return {
            "bracket": current,
            "sh_iter": rung,
            "expt_iter": len(ladders[current].members),
            "complete": all(ladder.over for ladder in ladders),
            "epoch_number": self._brackets[current].budgets[rung],
            "epoch_multiplier": unit,
            "ni": {str(b): list(bracket.sizes) for b, bracket in enumerate(self._brackets)},
            "ri": {
                str(b): [budget // unit for budget in bracket.budgets]
                for b, bracket in enumerate(self._brackets)
            },
        }

    def _start(self, params: Params, why: str) -> Start:
        number = len(self._trials)
        bracket = self._bracket_of(number)
        budgets = self._brackets[bracket].budgets
        self._trials.append(_Trial(dict(params)))
        self._ladders[bracket].members.add(number)
        return Start(dict(params), {EPOCHS: budgets[0]}, {EPOCHS: budgets[-1]}, why)

    def _check_turn(self, trial: int) -> None:
        if trial != len(self._trials):
            raise ValueError(f"trial {trial} is out of turn: the next is {len(self._trials)}")

    def _bracket_of(self, trial: int) -> int:
        return bisect_right(self._offsets, trial) - 1

    def _climbed(self) -> list[_Ladder]:
        """Derive from the table how far the brackets have come."""
        ladders = [_Ladder(due=bracket.sizes[0]) for bracket in self._brackets]
        for trial in range(len(self._trials)):
            ladder = ladders[self._bracket_of(trial)]
            ladder.members.add(trial)
            ladder.due -= self._has_outcome(trial, rung=0)
        for bracket, ladder in zip(self._brackets, ladders, strict=True):
            self._climb(ladder, bracket.sizes)
        return ladders

    def _climb(self, ladder: _Ladder, sizes: tuple[int, ...]) -> None:
        """Close the rungs of which nothing is due: the best of each are the members of the next.

        More than one closes at once where nobody is left to go on.
        """
        while not ladder.due and ladder.rung + 1 < len(sizes):
            best = self._ranked(ladder)[: sizes[ladder.rung + 1]]
            ladder.rung, ladder.members = ladder.rung + 1, set(best)
            ladder.due = sum(not self._has_outcome(trial, ladder.rung) for trial in best)

    def _has_outcome(self, trial: int, rung: int) -> bool:
        line = self._trials[trial]
        return line.failed or len(line.scores) > rung

    def _ranked(self, ladder: _Ladder) -> list[int]:
        """Members with a score at the open rung, best first; ties go to the earlier trial."""
        rung = ladder.rung
        scored = [trial for trial in ladder.members if len(self._trials[trial].scores) > rung]
        return sorted(scored, key=lambda trial: (-self._trials[trial].scores[rung], trial))

    def _judge(self, number: int, bracket: int) -> Verdict:
        """The verdict on a trial that has just got its outcome at the open rung."""
        ladder, rung = self._ladders[bracket], self._ladders[bracket].rung
        sizes, budgets = self._brackets[bracket].sizes, self._brackets[bracket].budgets
        top = rung == len(budgets) - 1
        if top or ladder.due:
            over = top or self._trials[number].failed
            return Verdict(Decision.STOP if over else Decision.PAUSE)
        ranked = self._ranked(ladder)
        chosen = ranked[: sizes[rung + 1]]
        self._climb(ladder, sizes)
        promote = tuple(
            Promotion(
                trial,
                {EPOCHS: budgets[rung + 1]},
                f"rank {rank} of {len(ranked)} at epoch {budgets[rung]}",
            )
            for rank, trial in enumerate(chosen, start=1)
        )
        retire = tuple(sorted(set(ranked) - set(chosen)))
        decision = Decision.PAUSE if number in chosen else Decision.STOP
        return Verdict(decision, promote, retire)
