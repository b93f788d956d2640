"""Synchronous Hyperband: brackets of successive halving, rung by rung (Li et al., 2018).

A rung closes when all its trials have an outcome, and only then are its best promoted. Idle
workers need not wait for it: with ``overlap`` the next bracket starts meanwhile. Trial n belongs
to the same bracket either way; drawn at random it has the same configuration too, so that
configurations, promotions and epochs do not depend on who reports first.

The only state is a table with a line for each trial: its parameters, its score at each rung that
it completed, and whether it failed. Members of rungs are derived from it::

    rung 0   the bracket's trials
    rung i   the best of rung i - 1 by their score there, once that rung has closed

Where a model draws or promotes, the table also says in which order the results came, and how many
rungs each trial was granted: what was believed when a rung closed is not worked out again.

How far each bracket has come is derived as well, but kept, so that an observation costs the same
however many trials there are; all of a rung are looked at when it closes.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from typing import assert_never

from raytao.brains.base import Plan, PlanRow, Task
from raytao.brains.rungs import Bracket
from raytao.brains.sampling import Draw
from raytao.brains.seen import Seen, Thinker
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


@dataclass(frozen=True)
class Climb:
    """A schedule, and what is to be known of where it came from.

    Args:
        brackets: in the order in which they run; their budgets are epochs.
        notes: for people.
        unit: epochs in which `describe` counts.
        overlap: start the next bracket while a rung waits.
    """

    brackets: tuple[Bracket, ...]
    notes: tuple[str, ...] = ()
    unit: int = 1
    overlap: bool = True

    @property
    def plan(self) -> Plan:
        """Every rung of every bracket: exact."""
        return Plan(
            tuple(
                PlanRow(b, rung, trials, epochs)
                for b, bracket in enumerate(self.brackets)
                for rung, (trials, epochs) in enumerate(
                    zip(bracket.sizes, bracket.budgets, strict=True)
                )
            ),
            notes=self.notes,
            waits="rungs" if self.overlap else "brackets",
        )


@dataclass
class _Trial:
    """One line of the table; ``scores[i]`` was reached at the end of rung i.

    ``granted`` counts the rungs that it was admitted to.
    """

    params: Params
    scores: list[float] = field(default_factory=list)
    failed: bool = False
    granted: int = 1


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


class Ladders:
    """The brackets of a schedule, climbed side by side.

    Args:
        task: what is searched.
        climb: the schedule.
        draw: a configuration at random.
        sampler: proposes configurations in place of ``draw``; None draws them.
        promoter: ranks a closed rung; None ranks it by score.
    """

    def __init__(
        self,
        task: Task,
        climb: Climb,
        draw: Draw,
        sampler: Thinker | None = None,
        promoter: Thinker | None = None,
    ) -> None:
        self._task = task
        self._climbed_by = climb
        self._brackets = climb.brackets
        self._draw = draw
        self._sampler = sampler
        self._promoter = promoter
        widths = [bracket.sizes[0] for bracket in self._brackets]
        self._offsets = [0, *accumulate(widths)]
        self._trials: list[_Trial] = []
        self._heard: list[int] = []
        self._ladders = self._climbed()

    def suggest(self, trial: int) -> Suggestion:
        """See `Brain.suggest`; Done comes when the last rung has closed."""
        self._check_turn(trial)
        if trial == self._offsets[-1]:
            return Done() if all(ladder.over for ladder in self._ladders) else Wait()
        bracket = self._bracket_of(trial)
        barred = bracket > 0 and not self._climbed_by.overlap
        if barred and not self._ladders[bracket - 1].over:
            return Wait()
        return self._start(*self._proposal(trial, bracket))

    def adopt(self, trial: int, params: Params) -> Start:
        """See `Brain.adopt`."""
        self._check_turn(trial)
        if trial == self._offsets[-1]:
            raise LookupError(f"no room for trial {trial}: the plan has {trial} trials")
        return self._start(params, "adopted")

    def observe(self, observation: Observation) -> Verdict:
        """See `Brain.observe`; what comes after a trial's end changes nothing."""
        return self._take_in(observation, None)

    def recall(self, observation: Observation, told: Verdict) -> Verdict:
        """See `Brain.recall`: a model's choice is taken over if the rung allows it."""
        return self._take_in(observation, told)

    def state(self) -> Json:
        """The table of trials."""
        lines = [
            {"params": dict(line.params), "scores": list(line.scores), "failed": line.failed}
            for line in self._trials
        ]
        if self._sampler is None and self._promoter is None:
            return {"trials": lines}
        told = [
            {**line, "granted": trial.granted}
            for line, trial in zip(lines, self._trials, strict=True)
        ]
        return {"trials": told, "heard": list(self._heard)}

    def load_state(self, state: Json) -> None:
        """See `Brain.load_state`."""
        self._trials = [
            _Trial(dict(one["params"]), list(one["scores"]), one["failed"], one.get("granted", 1))
            for one in state["trials"]
        ]
        self._heard = list(state.get("heard", ()))
        self._ladders = self._climbed()

    def plan(self) -> Plan:
        """Every rung of every bracket: exact."""
        return self._climbed_by.plan

    def describe(self) -> Mapping[str, Json]:
        """TAO's counters (TAO facts §4.3), of the first bracket that is not over.

        ``epoch_number`` is the open rung's target, ``resume_epoch_number`` that of the rung from
        which its trials go on; ``ri`` times ``epoch_multiplier`` is always epochs.
        """
        ladders = self._ladders
        current = next(
            (b for b, ladder in enumerate(ladders) if not ladder.over), len(ladders) - 1
        )
        rung, unit = ladders[current].rung, self._climbed_by.unit
        return {
            "bracket": current,
            "sh_iter": rung,
            "expt_iter": len(ladders[current].members),
            "complete": all(ladder.over for ladder in ladders),
            "epoch_number": self._brackets[current].budgets[rung],
            "resume_epoch_number": self._brackets[current].budgets[rung - 1] if rung else 0,
            "epoch_multiplier": unit,
            "ni": {str(b): list(bracket.sizes) for b, bracket in enumerate(self._brackets)},
            "ri": {
                str(b): [budget // unit for budget in bracket.budgets]
                for b, bracket in enumerate(self._brackets)
            },
        }

    def _proposal(self, trial: int, bracket: int) -> tuple[Params, str]:
        given = self._task.given
        if trial < len(given):
            return given[trial].params, given[trial].why
        if self._sampler is not None:
            fresh = self._sampler.think(self._seen(), self._heard).fresh
            if fresh is not None:
                return fresh.params, fresh.why
        why = f"random, bracket {bracket + 1} of {len(self._brackets)}"
        return self._draw(trial), why

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

    def _take_in(self, observation: Observation, told: Verdict | None) -> Verdict:
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
                self._forget(number, ladder.rung)
            case Scored() as scored:
                if waiting:
                    return Verdict(Decision.PAUSE)
                if observation.fidelity[EPOCHS] < budgets[ladder.rung]:
                    return Verdict(Decision.CONTINUE)
                trial.scores.append(scored.score)
                self._heard.append(number)
            case other:
                assert_never(other)
        ladder.due -= not waiting
        return self._judge(number, bracket, told)

    def _forget(self, number: int, rung: int) -> None:
        """Take back what a lost trial scored at the open rung."""
        scores = self._trials[number].scores
        if len(scores) > rung:
            del scores[rung:]
            last = len(self._heard) - 1 - self._heard[::-1].index(number)
            del self._heard[last]

    def _climbed(self) -> list[_Ladder]:
        """Derive from the table how far the brackets have come."""
        ladders = [_Ladder(due=bracket.sizes[0]) for bracket in self._brackets]
        for trial in range(len(self._trials)):
            ladder = ladders[self._bracket_of(trial)]
            ladder.members.add(trial)
            ladder.due -= self._has_outcome(trial, rung=0)
        for bracket, ladder in zip(self._brackets, ladders, strict=True):
            while not ladder.due and ladder.rung + 1 < len(bracket.sizes):
                self._open(ladder, self._admitted(ladder, bracket.sizes[ladder.rung + 1]))
        return ladders

    def _admitted(self, ladder: _Ladder, places: int) -> list[int]:
        """Who went on from a rung that closed some time ago."""
        if self._promoter is None:
            return self._ranked(ladder)[:places]
        return [n for n in ladder.members if self._trials[n].granted > ladder.rung + 1]

    def _open(self, ladder: _Ladder, chosen: Sequence[int]) -> None:
        """Begin the next rung with ``chosen``."""
        ladder.rung, ladder.members = ladder.rung + 1, set(chosen)
        ladder.due = sum(not self._has_outcome(trial, ladder.rung) for trial in chosen)
        for trial in chosen:
            line = self._trials[trial]
            line.granted = max(line.granted, ladder.rung + 1)

    def _has_outcome(self, trial: int, rung: int) -> bool:
        line = self._trials[trial]
        return line.failed or len(line.scores) > rung

    def _ranked(self, ladder: _Ladder) -> list[int]:
        """Members with a score at the open rung, best first; ties go to the earlier trial."""
        rung = ladder.rung
        scored = [trial for trial in ladder.members if len(self._trials[trial].scores) > rung]
        return sorted(scored, key=lambda trial: (-self._trials[trial].scores[rung], trial))

    def _judge(self, number: int, bracket: int, told: Verdict | None) -> Verdict:
        """The verdict on a trial that has just got its outcome at the open rung."""
        ladder, rung = self._ladders[bracket], self._ladders[bracket].rung
        sizes, budgets = self._brackets[bracket].sizes, self._brackets[bracket].budgets
        top = rung == len(budgets) - 1
        if top or ladder.due:
            over = top or self._trials[number].failed
            return Verdict(Decision.STOP if over else Decision.PAUSE)
        ranked = self._ranked(ladder)
        promote = self._promotions(ranked, sizes[rung + 1], budgets[rung : rung + 2], told)
        chosen = [promotion.trial for promotion in promote]
        self._open(ladder, chosen)
        while not ladder.due and ladder.rung + 1 < len(sizes):
            self._open(ladder, ())  # nobody is left to go on: the other rungs close at once
        retire = tuple(sorted(set(ranked) - set(chosen)))
        decision = Decision.PAUSE if number in chosen else Decision.STOP
        return Verdict(decision, promote, retire)

    def _promotions(
        self, ranked: Sequence[int], places: int, budgets: Sequence[int], told: Verdict | None
    ) -> tuple[Promotion, ...]:
        """Who goes on from a rung: the best by score, by the model, or those who did then."""
        here, further = budgets
        whys = {
            trial: f"rank {rank} of {len(ranked)} at epoch {here}"
            for rank, trial in enumerate(ranked, start=1)
        }
        order = list(ranked)
        if self._promoter is not None and told is not None:
            known = [one for one in told.promote if one.trial in whys]
            order = [one.trial for one in known]
            whys |= {one.trial: one.why for one in known}
        elif self._promoter is not None and len(ranked) > places:
            thought = self._promoter.think(self._seen(), self._heard)
            if thought.knows:
                views = thought.prospects(ranked)
                by_mean = sorted(zip(ranked, views, strict=True), key=lambda one: -one[1].mean)
                order = [trial for trial, _ in by_mean]
                whys = {
                    trial: f"predicted {view}: rank {rank} of {len(ranked)} at epoch {here}"
                    for rank, (trial, view) in enumerate(by_mean, start=1)
                }
        return tuple(Promotion(t, {EPOCHS: further}, whys[t]) for t in order[:places])

    def _seen(self) -> list[Seen]:
        """The table as a model takes it."""
        seen = []
        for number, line in enumerate(self._trials):
            bracket = self._bracket_of(number)
            budgets, ladder = self._brackets[bracket].budgets, self._ladders[bracket]
            trains = ladder.runs_or_waits(number) and not self._has_outcome(number, ladder.rung)
            seen.append(
                Seen(
                    line.params,
                    tuple(zip(budgets, line.scores, strict=False)),
                    target=budgets[ladder.rung] if trains else None,
                    failed=line.failed,
                )
            )
        return seen
