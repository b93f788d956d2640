"""Synchronous Hyperband as a Tune scheduler, for configurations of any searcher.

    from ray import tune
    from raytao.tune import HyperbandScheduler

    tune.Tuner(
        Train,
        param_space={"lr": tune.loguniform(1e-5, 1e-1)},
        tune_config=tune.TuneConfig(
            metric="loss", mode="min", num_samples=42, scheduler=HyperbandScheduler(R=27, nu=3)
        ),
    ).fit()

A trial that reaches its rung is paused the Tune way: saved, its resources given back, and later
resumed or stopped. **So trials need checkpoints**: a class with ``save_checkpoint`` and
``load_checkpoint``, or a function that reports a checkpoint with every result and starts from
``tune.get_checkpoint()``; whatever a function did since its last checkpoint is done again.

Tune saves no scheduler (ray#30838), so each trial carries its line of Hyperband's table, and a
run that goes on with ``Tuner.restore`` finds its rungs as it left them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final, assert_never

from ray.tune.experiment import Trial
from ray.tune.result import DEFAULT_METRIC
from ray.tune.schedulers import TrialScheduler
from ray.tune.search import BasicVariantGenerator, ConcurrencyLimiter

from raytao.brains.base import Task
from raytao.brains.hyperband import Hyperband, HyperbandSettings
from raytao.brains.rungs import Rule
from raytao.errors import SettingsError
from raytao.space import Bool, Space
from raytao.tune.domains import direction_of, score_of
from raytao.types import (
    EPOCHS,
    SCORE,
    Decision,
    Direction,
    Failed,
    Json,
    Observation,
    Outcome,
    Scored,
)

NOTE: Final = "raytao_hyperband"
"""Attribute of a Tune trial that holds its line; Tune saves it with the trial."""

NO_SPACE: Final = Space([Bool("unused")])
"""Configurations come from the searcher; to Hyperband a trial is but a number."""


@dataclass(eq=False)
class _Seat:
    """A Tune trial's place: trial ``number`` of a round, that is, of one Hyperband plan."""

    round: int
    number: int
    trial: Trial

    @property
    def parked(self) -> bool:
        """Whether Tune has paused the trial; while it is still saving, it has not."""
        return bool(self.trial.status == Trial.PAUSED)

    @property
    def parking(self) -> bool:
        """Whether the trial is on its way there, still RUNNING by Tune's word."""
        return bool(self.trial.status == Trial.RUNNING and self.trial.is_saving)


class HyperbandScheduler(TrialScheduler):
    """Pauses trials at their rungs, goes on with the best, stops the others.

    A rung closes when each of its trials has an outcome. A failed trial has one (Tune's retries
    come first), and so has one whose metric is not finite: it is stopped, and never promoted. A
    trial that ends by itself keeps its place with the last score it reported. If the searcher
    ends before a bracket is full, its rungs close with the trials there are; after the last
    bracket the plan starts anew. ``num_samples`` is best the number of the plan's trials: 42 for
    R=27, nu=3.

    Limit trials by their resources. ``max_concurrent_trials`` counts paused trials for most
    searchers, so that no rung would ever fill: it is refused if it is too small for that.
    `BayesianSearch` and Tune's BOHB count running trials only, and take any limit.

    Args:
        R: the largest resource.
        nu: one of ``nu`` trials survives a rung.
        epoch_multiplier: steps of ``time_attr`` per unit of resource.
        rule: which brackets; see `raytao.brains.rungs.brackets`.
        metric: what a result calls its objective; None takes TuneConfig's.
        mode: ``min`` or ``max``.
        time_attr: what a result calls its total of completed steps.

    Raises:
        BudgetError: if R, nu and epoch_multiplier leave nothing to run.
        SettingsError: if metric or mode is missing or unknown, or the concurrency too small.
    """

    # Ray 2.60 mixes up the arguments of buffered results; one at a time is what we need anyway.
    _supports_buffered_results = False

    def __init__(
        self,
        *,
        R: int = 27,
        nu: int = 3,
        epoch_multiplier: int = 1,
        rule: Rule = "tao",
        metric: str | None = None,
        mode: str | None = None,
        time_attr: str = "training_iteration",
    ) -> None:
        super().__init__()
        if mode is not None:
            direction_of(mode)
        self._metric = metric
        self._mode = mode
        self._time_attr = time_attr
        self._task = Task(NO_SPACE, epochs=R * epoch_multiplier)
        self._settings = HyperbandSettings(
            R=R, nu=nu, epoch_multiplier=epoch_multiplier, rule=rule, mode="sync"
        )
        self._plan = Hyperband(self._task, self._settings).plan()
        self._rounds: list[Hyperband] = []
        self._seats: dict[str, _Seat] = {}
        self._open: set[str] = set()
        self._promoted: list[_Seat] = []
        self._retired: list[_Seat] = []
        self._restored: list[Trial] = []

    def set_search_properties(self, metric: str | None, mode: str | None, **spec: Any) -> bool:
        """Take TuneConfig's metric and mode where the constructor left them open."""
        del spec
        if (self._metric and metric) or (self._mode and mode):
            return False
        self._metric = self._metric or metric
        self._mode = self._mode or mode
        if self._metric is None and self._mode is not None:
            self._metric = DEFAULT_METRIC
        return True

    def on_trial_add(self, tune_controller: Any, trial: Trial) -> None:
        """Give a new trial the next place; retried and restored ones have theirs."""
        if trial.trial_id in self._seats:
            return
        if hasattr(trial, NOTE):
            self._restored.append(trial)
            if not trial.is_finished():
                # Tune has made it PENDING and would start it past its rung. It files the trial
                # by its status after this call.
                trial.set_status(Trial.PAUSED)
            return
        self._rejoin()
        if not self._seats:
            self._objective()
            self._check_limit(tune_controller)
        self._take_seat(trial)

    def on_trial_result(self, tune_controller: Any, trial: Trial, result: dict[str, Any]) -> str:
        """Tell Hyperband; its decision is Tune's word."""
        seat = self._seats[trial.trial_id]
        if self._time_attr not in result:
            raise SettingsError(
                f"a result has no {self._time_attr!r}",
                remedy="report it, or set HyperbandScheduler(time_attr=…)",
            )
        outcome = self._outcome(result)
        decision = self._observe(tune_controller, seat, int(result[self._time_attr]), outcome)
        match decision:
            case Decision.CONTINUE:
                return str(TrialScheduler.CONTINUE)
            case Decision.PAUSE if seat in self._promoted:
                # The last of its rung, and among the best: it need not even be saved.
                self._promoted.remove(seat)
                return str(TrialScheduler.CONTINUE)
            case Decision.PAUSE:
                _tell_searcher(tune_controller, "on_pause", trial)
                return str(TrialScheduler.PAUSE)
            case Decision.STOP:
                return str(TrialScheduler.STOP)
            case other:
                assert_never(other)

    def on_trial_error(self, tune_controller: Any, trial: Trial) -> None:
        """Nothing yet: Tune may retry. What is filed as an error at the next step is one."""

    def on_trial_complete(
        self, tune_controller: Any, trial: Trial, result: dict[str, Any]
    ) -> None:
        """Nothing yet: the next step finds every trial that has ended."""

    def on_trial_remove(self, tune_controller: Any, trial: Trial) -> None:
        """Nothing yet: the next step finds every trial that has ended."""

    def choose_trial_to_run(self, tune_controller: Any) -> Trial | None:
        """Settle what happened since the last step, and name a promoted trial that is parked.

        Trials that are PENDING are started by Tune; naming them would hold the promoted up.
        """
        self._rejoin()
        self._settle(tune_controller)
        if _is_exhausted(tune_controller):
            self._close(tune_controller)
        for seat in [seat for seat in self._retired if seat.parked]:
            self._retired.remove(seat)
            tune_controller.stop_trial(seat.trial)
        self._promoted = [seat for seat in self._promoted if seat.parked or seat.parking]
        if _is_full(tune_controller):
            return None
        return next((seat.trial for seat in self._promoted if seat.parked), None)

    def debug_string(self) -> str:
        """Where the current plan is."""
        if not self._rounds:
            return f"Hyperband: {self._plan.trials} trials, {self._plan.epochs} steps"
        now = self._rounds[-1].describe()
        return (
            f"Hyperband: bracket {now['bracket'] + 1} of {len(now['ni'])}, "
            f"rung {now['sh_iter'] + 1}, to {now['epoch_number']} steps"
        )

    def _objective(self) -> tuple[str, Direction]:
        if not self._metric or not self._mode:
            raise SettingsError(
                f"HyperbandScheduler has metric {self._metric!r} and mode {self._mode!r}",
                remedy="give both: TuneConfig(metric=…, mode='min' or 'max')",
            )
        return self._metric, direction_of(self._mode)

    def _check_limit(self, tune_controller: Any) -> None:
        """Refuse a limit under which a rung can never fill: Tune would hang without a word."""
        search = tune_controller.search_alg
        width = max(row.trials for row in self._plan.rows)
        need = min(width, search.total_samples)
        for layer in _layers(search):
            limit = _limit(layer)
            if limit is not None and _counts_paused(layer) and limit < need:
                raise SettingsError(
                    f"max_concurrent_trials={limit} counts paused trials too, and "
                    f"{need} trials wait for each other at a rung: none would ever go on",
                    remedy=f"leave it out or give {need} or more; "
                    "limit trials by tune.with_resources",
                )

    def _take_seat(self, trial: Trial) -> None:
        if not self._rounds or _members(self._rounds[-1]) == self._plan.trials:
            self._rounds.append(Hyperband(self._task, self._settings))
        seat = _Seat(len(self._rounds) - 1, _members(self._rounds[-1]), trial)
        self._rounds[-1].adopt(seat.number, {})
        self._seats[trial.trial_id] = seat
        self._open.add(trial.trial_id)
        self._write(seat)

    def _outcome(self, result: dict[str, Any]) -> Outcome:
        score = score_of(result, *self._objective())
        return Failed("the metric is not finite") if score is None else Scored({SCORE: score})

    def _observe(
        self, tune_controller: Any, seat: _Seat, reached: int, outcome: Outcome
    ) -> Decision:
        """Tell the round, and note whom it promotes and retires."""
        decision = self._judge(tune_controller, seat.round, seat.number, reached, outcome)
        if decision is not Decision.CONTINUE:
            self._write(seat)
        return decision

    def _judge(
        self, tune_controller: Any, index: int, number: int, reached: int, outcome: Outcome
    ) -> Decision:
        verdict = self._rounds[index].observe(Observation(number, {EPOCHS: reached}, outcome))
        if verdict.promote or verdict.retire:
            seats = {s.number: s for s in self._seats.values() if s.round == index}
            for promotion in verdict.promote:
                seat = seats[promotion.trial]
                self._promoted.append(seat)
                self._open.add(seat.trial.trial_id)
                _tell_searcher(tune_controller, "on_unpause", seat.trial)
            self._retired += [seats[number] for number in verdict.retire]
        return verdict.decision

    def _settle(self, tune_controller: Any) -> None:
        """Tell Hyperband of trials that have ended since, whatever made them end.

        Tune's status is the one sign that covers all: of some failures (an actor that cannot be
        reused) a scheduler is never told. A trial that ended by itself and is promoted stays
        open, and takes part in the next rung with the same score.
        """
        ended = [self._seats[i] for i in self._open if self._seats[i].trial.is_finished()]
        for seat in sorted(ended, key=lambda seat: (seat.round, seat.number)):
            self._open.discard(seat.trial.trial_id)
            if seat.trial.status == Trial.ERROR:
                outcome: Outcome = Failed("the trial failed")
            else:
                outcome = self._outcome(seat.trial.last_result)
            self._observe(tune_controller, seat, self._plan.longest, outcome)

    def _close(self, tune_controller: Any) -> None:
        """Enter the trials that will never come as failed, so that their rungs close."""
        if not self._rounds:
            return
        index, brain = len(self._rounds) - 1, self._rounds[-1]
        for number in range(_members(brain), self._plan.trials):
            brain.adopt(number, {})
            absent = Failed("the searcher has no more configurations")
            self._judge(tune_controller, index, number, 0, absent)

    def _write(self, seat: _Seat) -> None:
        line = self._rounds[seat.round].state()["trials"][seat.number]
        setattr(seat.trial, NOTE, {"round": seat.round, "number": seat.number, "line": line})
        seat.trial.invalidate_json_state()

    def _rejoin(self) -> None:
        """Rebuild the rounds from the notes of restored trials, and let go who was not parked."""
        if not self._restored:
            return
        notes = [(getattr(trial, NOTE), trial) for trial in self._restored]
        self._restored = []
        for index in range(max(note["round"] for note, _ in notes) + 1):
            lines = {note["number"]: note["line"] for note, _ in notes if note["round"] == index}
            brain = Hyperband(self._task, self._settings)
            # A trial that Tune has restarted under a new name left a gap.
            brain.load_state({"trials": [lines.get(n, _GAP) for n in range(max(lines) + 1)]})
            self._rounds.append(brain)
        for note, trial in notes:
            seat = _Seat(note["round"], note["number"], trial)
            self._seats[trial.trial_id] = seat
            self._open.add(trial.trial_id)
            if not trial.is_finished():
                self._resume(seat)

    def _resume(self, seat: _Seat) -> None:
        """Ask Hyperband, without telling it anything new, what becomes of a restored trial."""
        nothing_new = Observation(seat.number, {EPOCHS: 0}, Scored({SCORE: 0.0}))
        match self._rounds[seat.round].observe(nothing_new).decision:
            case Decision.CONTINUE:
                self._promoted.append(seat)
            case Decision.STOP:
                self._retired.append(seat)
            case Decision.PAUSE:
                pass


_GAP: Final[Json] = {"params": {}, "scores": [], "failed": True}


def _members(brain: Hyperband) -> int:
    return len(brain.state()["trials"])


def _layers(search: Any) -> Iterator[Any]:
    """The search algorithm and what it wraps, from the outside in."""
    while search is not None:
        yield search
        search = getattr(search, "searcher", None)


def _limit(layer: Any) -> int | None:
    """How many trials a layer of the search lets live at once; None if it does not care."""
    if isinstance(layer, ConcurrencyLimiter | BasicVariantGenerator):
        return layer.max_concurrent or None
    return None


def _counts_paused(layer: Any) -> bool:
    """Whether the layer counts by itself; a limiter may leave it to its searcher."""
    return bool(getattr(layer, "_limit_concurrency", True))


def _is_full(tune_controller: Any) -> bool:
    """Whether as many trials run as the user allows: Tune's limiter holds back new ones only."""
    limits = [limit for layer in _layers(tune_controller.search_alg) if (limit := _limit(layer))]
    if not limits:
        return False
    busy = (Trial.PENDING, Trial.RUNNING)
    running = sum(trial.status in busy for trial in tune_controller.get_live_trials())
    return running >= min(limits)


def _is_exhausted(tune_controller: Any) -> bool:
    """Whether no new trial will come; a limiter may hide it from Tune until the last one ends."""
    search = tune_controller.search_alg
    return bool(search.is_finished() or len(tune_controller.get_trials()) >= search.total_samples)


def _tell_searcher(tune_controller: Any, event: str, trial: Trial) -> None:
    """Call ``on_pause`` or ``on_unpause`` of the innermost searcher, if it has them (BOHB)."""
    *_, searcher = _layers(tune_controller.search_alg)
    hook = getattr(searcher, event, None)
    if hook is not None:
        hook(trial.trial_id)
