"""Asynchronous Hyperband: whenever a slot is free, the trial goes on that is most worth it.

The schedule is a budget: what is granted never exceeds the epochs of its plan, and its longest
training is the top rung. Every trial starts at the lowest rung, about a ninth of the top; lower
ones measured worse. When one reaches its rung, or fails, its slot goes to a paused trial or to a
new configuration; no rung ever waits. There are two ways to choose:

    rank    the best third of a rung that was not promoted yet, the highest rung first (ASHA:
            Li et al., 2020); a new configuration if there is none
    model   whoever promises most at full length: the logarithm of the expected improvement over
            the best that is known or predicted, raised for what a trial has behind it

The budget is kept for one full training at least. The model hands over to full ones by itself:
once it knows the short ones well, a promising trial is promoted as soon as it reaches a rung,
again and again, which costs it nothing.

The state is a table of trials, and the order in which their results came.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final, assert_never

from raytao.brains.base import Plan, Task
from raytao.brains.climbers import Climber, Climbers
from raytao.brains.rungs import floor_log
from raytao.brains.sampling import Draw
from raytao.brains.seen import Fresh, Thinker, Thoughts
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

LOWEST: Final = 9
"""The lowest rung is not below the top by more than this factor."""
EAGERNESS: Final = 2.0
"""How much what a trial has behind it counts: the power of (top / epochs left to the top)."""


def rungs(top: int, nu: int) -> tuple[int, ...]:
    """Epochs of the rungs, a factor of ``nu`` apart, up to ``top``.

    >>> rungs(52, 3), rungs(2, 3)
    ((6, 18, 52), (1, 2))
    """
    steps = max(1, floor_log(LOWEST, nu))
    return tuple(sorted({-(-top // nu**step) for step in range(steps + 1)}))


@dataclass(frozen=True)
class _Choice:
    """Who goes on, and why."""

    trial: int
    why: str


class Climbing:
    """One set of rungs for all trials; see the module.

    Args:
        task: what is searched.
        plan: the schedule: a budget of epochs, and the longest training.
        nu: reduction factor, between rungs and of ``rank``.
        draw: a configuration at random.
        sampler: proposes configurations in place of ``draw``; None draws them.
        promoter: chooses between the paused trials and a new one; None goes by rank.
    """

    def __init__(
        self,
        task: Task,
        plan: Plan,
        nu: int,
        draw: Draw,
        sampler: Thinker | None,
        promoter: Thinker | None,
    ) -> None:
        self._task = task
        self._plan = plan
        self._nu = nu
        self._draw = draw
        self._sampler = sampler
        self._promoter = promoter
        self._rungs = rungs(plan.longest, nu)
        self._costs = (self._rungs[0], *(b - a for a, b in pairwise(self._rungs)))
        self._trials = Climbers(self._rungs)
        self._heard: list[int] = []

    def suggest(self, trial: int) -> Suggestion:
        """See `Brain.suggest`; Done comes when the budget is spent and nothing runs."""
        self._check_turn(trial)
        fresh = self._fresh() if self._room_to_start else None
        if fresh is not None:
            return self._start(fresh.params, fresh.why)
        return Wait() if self._trials.running else Done()

    def adopt(self, trial: int, params: Params) -> Start:
        """See `Brain.adopt`."""
        self._check_turn(trial)
        if self._left < self._costs[0]:
            raise LookupError(
                f"no room for trial {trial}: {self._left} of the plan's {self._plan.epochs} "
                f"epochs are left, and a trial begins with {self._costs[0]}"
            )
        return self._start(params, "adopted")

    def observe(self, observation: Observation) -> Verdict:
        """See `Brain.observe`; what comes after a trial's end changes nothing."""
        verdict = self._taken_in(observation)
        return self._judge(observation.trial) if verdict is None else verdict

    def recall(self, observation: Observation, told: Verdict) -> Verdict:
        """See `Brain.recall`: what was chosen then is taken over if it is legal.

        Also what went by rank: with a larger budget, who was given up then could go on now.
        """
        verdict = self._taken_in(observation)
        return self._taken_over(observation.trial, told) if verdict is None else verdict

    def state(self) -> Json:
        """The table of trials."""
        return {
            "trials": [
                {
                    "params": dict(line.params),
                    "scores": list(line.scores),
                    "granted": line.granted,
                    "failed": line.failed,
                    "retired": line.retired,
                }
                for line in self._trials
            ],
            "heard": list(self._heard),
        }

    def load_state(self, state: Json) -> None:
        """See `Brain.load_state`."""
        self._trials = Climbers(self._rungs)
        for line in state["trials"]:
            own = {"params": dict(line["params"]), "scores": list(line["scores"])}
            self._trials.add(Climber(**{**line, **own}))
        self._heard = list(state["heard"])

    def plan(self) -> Plan:
        """The schedule's rungs: no more epochs than theirs are trained."""
        top = self._rungs[-1]
        note = f"an upper bound: trials start with {self._rungs[0]} of {top} epochs, and go on as"
        return Plan(
            self._plan.rows,
            notes=(*self._plan.notes, f"{note} they promise; at most {self._plan.epochs} in all"),
            exact=False,
        )

    def describe(self) -> Mapping[str, Json]:
        """TAO's counters (TAO facts §4.3), as if all were one bracket."""
        reached = max((line.granted - 1 for line in self._trials), default=0)
        counts = [sum(line.granted > k for line in self._trials) for k in range(len(self._rungs))]
        return {
            "bracket": 0,
            "sh_iter": reached,
            "expt_iter": counts[reached],
            "complete": not (self._may_go_on or self._trials.running),
            "epoch_number": self._rungs[reached],
            "resume_epoch_number": self._rungs[reached - 1] if reached else 0,
            "epoch_multiplier": 1,
            "ni": {"0": counts},
            "ri": {"0": list(self._rungs)},
        }

    @property
    def _left(self) -> int:
        """Epochs that may still be granted; those of a trial that failed are gone."""
        return self._plan.epochs - self._trials.spent

    @property
    def _may_go_on(self) -> bool:
        return self._room_to_start or any(map(self._trials.any_paused, self._affordable))

    @property
    def _affordable(self) -> list[int]:
        """Rungs from which a trial can be granted the next one."""
        below_top = range(len(self._rungs) - 1)
        return [k for k in below_top if self._spares(self._costs[k + 1], self._rungs[k + 1])]

    def _candidates(self) -> list[int]:
        """Paused trials whose next rung can be afforded."""
        return sorted(n for rung in self._affordable for n in self._trials.paused(rung))

    @property
    def _room_to_start(self) -> bool:
        return self._spares(self._costs[0], self._rungs[0])

    def _spares(self, cost: int, granted: int) -> bool:
        """Whether ``cost`` can be spent on a trial that is then ``granted`` so many epochs.

        Enough is kept for one full training, as long as there is none and one is within reach: a
        small budget shall not end with short trainings alone.
        """
        left, top, farthest = self._left, self._rungs[-1], self._trials.farthest
        within_reach = top - farthest <= left
        kept = top - max(farthest, granted) if within_reach else 0
        return cost + kept <= left

    def _start(self, params: Params, why: str) -> Start:
        self._trials.add(Climber(dict(params)))
        return Start(dict(params), {EPOCHS: self._rungs[0]}, {EPOCHS: self._rungs[-1]}, why)

    def _check_turn(self, trial: int) -> None:
        if trial != len(self._trials):
            raise ValueError(f"trial {trial} is out of turn: the next is {len(self._trials)}")

    def _taken_in(self, observation: Observation) -> Verdict | None:
        """Note what became known; None if that frees a slot, so that there is more to say."""
        number, line = observation.trial, self._trials[observation.trial]
        if line.failed or line.retired or line.reached == len(self._rungs):
            return Verdict(Decision.STOP)
        running = line.runs
        match observation.outcome:
            case Failed():
                self._trials.fail(number)
                return None if running else Verdict(Decision.STOP)
            case Scored() as scored:
                if not running:
                    return Verdict(Decision.PAUSE)
                if observation.fidelity[EPOCHS] < self._rungs[line.reached]:
                    return Verdict(Decision.CONTINUE)
                self._trials.score(number, scored.score)
                self._heard.append(number)
                return None
            case other:
                assert_never(other)

    def _judge(self, number: int) -> Verdict:
        """Who takes the slot of a trial that has just come to its rung or failed."""
        choice = self._choice()
        promote = () if choice is None else (self._promoted(choice),)
        left = self._left
        too_long = [k for k, cost in enumerate(self._costs[1:]) if cost > left]
        hopeless = sorted(n for rung in too_long for n in self._trials.paused(rung))
        for n in hopeless:
            self._trials.retire(n)
        return self._verdict(number, promote, hopeless)

    def _verdict(
        self, number: int, promote: tuple[Promotion, ...], retired: Sequence[int]
    ) -> Verdict:
        line = self._trials[number]
        over = line.failed or line.retired or line.reached == len(self._rungs)
        retire = tuple(n for n in retired if n != number)
        return Verdict(Decision.STOP if over else Decision.PAUSE, promote, retire)

    def _taken_over(self, number: int, told: Verdict) -> Verdict:
        """What a log says was decided, as far as it is legal.

        A run may have been made longer since, so that who was retired then could go on now; it
        stays retired, for its checkpoints are gone.
        """
        promote = []
        for one in told.promote[:1]:
            known = self._may_be_promoted(one.trial)
            if known and dict(one.budget) == {EPOCHS: self._next_rung(one.trial)}:
                promote.append(self._promoted(_Choice(one.trial, one.why)))
        stopped = (number,) if told.decision is Decision.STOP else ()
        retired = [n for n in dict.fromkeys((*told.retire, *stopped)) if self._trials.waits(n)]
        for n in retired:
            self._trials.retire(n)
        return self._verdict(number, tuple(promote), retired)

    def _may_be_promoted(self, trial: int) -> bool:
        waits = trial in range(len(self._trials)) and self._trials.waits(trial)
        return waits and self._trials[trial].reached - 1 in self._affordable

    def _next_rung(self, trial: int) -> int:
        return self._rungs[self._trials[trial].reached]

    def _promoted(self, choice: _Choice) -> Promotion:
        budget = {EPOCHS: self._next_rung(choice.trial)}
        self._trials.promote(choice.trial)
        return Promotion(choice.trial, budget, choice.why)

    def _choice(self) -> _Choice | None:
        """Which of the paused trials goes on; None leaves the slot to a new one."""
        rungs = [rung for rung in self._affordable if self._trials.any_paused(rung)]
        if not rungs:
            return None
        thought = None
        if self._promoter is not None:
            thought = self._promoter.think(self._trials.seen, self._heard)
        if thought is not None and (thought.knows or thought.designing):
            return self._most_promising(self._candidates(), thought)
        choice = self._best_of_a_rung(rungs)
        if choice is None and not self._may_start():
            highest = max(self._candidates(), key=lambda n: (self._trials[n].scores, -n))
            choice = _Choice(highest, "no new configuration may be started")
        return choice

    def _most_promising(self, candidates: Sequence[int], thought: Thoughts) -> _Choice | None:
        fresh = self._fresh() if self._room_to_start else None
        asked = len(self._trials) < len(self._task.given)
        if fresh is not None and (asked or thought.designing):
            return None
        if not thought.knows:
            return _Choice(candidates[0], "no two scores differ")
        gains = thought.log_gains(candidates)
        pleas = [self._plea(n, gain) for n, gain in zip(candidates, gains, strict=True)]
        best = max(range(len(candidates)), key=lambda k: (pleas[k], -k))
        if fresh is not None:
            rival = fresh.outlook or thought.outlook([fresh.params])[0]
            if rival.log_gain > pleas[best]:
                return None
        view = thought.prospects(candidates[best : best + 1])[0]
        why = (
            f"expected improvement {view.gain:.2g}, of {len(candidates)} paused: predicted {view}"
        )
        return _Choice(candidates[best], why)

    def _plea(self, trial: int, log_gain: float) -> float:
        """How much a trial pleads for going on; that of a new one is its ``log_gain``."""
        top = self._rungs[-1]
        ahead = top - self._rungs[self._trials[trial].reached - 1]
        return log_gain - EAGERNESS * math.log(ahead / top)

    def _best_of_a_rung(self, rungs: Sequence[int]) -> _Choice | None:
        """The best that waits among the first of each ``nu`` of a rung, the highest rung first."""
        for rung in reversed(rungs):
            best = self._trials.best_paused(rung)
            if best is not None and best[1] <= self._trials.outcomes(rung) // self._nu:
                trial, rank = best
                came = self._trials.alive(rung)
                return _Choice(trial, f"rank {rank} of {came} at epoch {self._rungs[rung]}")
        return None

    def _may_start(self) -> bool:
        return self._room_to_start and self._fresh() is not None

    def _fresh(self) -> Fresh | None:
        """The next configuration; None if there is no new one."""
        trial = len(self._trials)
        given = self._task.given
        if trial < len(given):
            return Fresh(given[trial].params, given[trial].why)
        if self._sampler is None:
            return Fresh(self._draw(trial), "random")
        return self._sampler.think(self._trials.seen, self._heard).fresh
