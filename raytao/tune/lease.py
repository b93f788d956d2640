"""The two Tune adapters of a raytao run: they translate, they never think.

A Tune trial is a *lease*: one segment of one recommendation, never paused and never restored by
Tune. The searcher hands out leases, the scheduler is the one observer of results.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeAlias, assert_never

from ray.tune.experiment import Trial
from ray.tune.schedulers import FIFOScheduler, TrialScheduler
from ray.tune.search import Searcher

from raytao.cluster.preemption import lost_with_its_node
from raytao.errors import RaytaoError
from raytao.redact import redact
from raytao.runs.controller import Controller, Evaluation, Lease
from raytao.runs.events import Placed
from raytao.runs.retries import HopelessRun
from raytao.trials.messages import (
    Broken,
    Ended,
    EpochDone,
    Event,
    FailureKind,
    Job,
    Measured,
    event_from_json,
)
from raytao.tune.memory_monitor import verdict_of_the_monitor
from raytao.tune.moving import Moves
from raytao.types import Decision, Done, Wait

Work: TypeAlias = Lease | Evaluation
JobOf: TypeAlias = Callable[[Work], Job]


class NotSaved:
    """Tune pickles its searcher, scheduler and callbacks into a file; nothing ever reads it."""

    def __getstate__(self) -> dict[str, Any]:
        return {}


class RunAbandoned(BaseException):
    """The run must stop, resumable; not an ``Exception``, for Tune swallows those.

    ``hopeless`` is the failure that was one too many, if that is why.
    """

    def __init__(self, reason: str, hopeless: HopelessRun | None = None) -> None:
        super().__init__(reason)
        self.hopeless = hopeless


class LeaseBook(NotSaved):
    """Which Tune trial holds which lease; shared by the two adapters of one run."""

    def __init__(self, controller: Controller) -> None:
        self.controller = controller
        self._work: dict[str, Work] = {}
        self._reasons: dict[str, str] = {}
        self._out_of_memory: set[str] = set()
        self._nodes_lost: set[str] = set()
        self._abandoned: RunAbandoned | None = None

    def hand_out(self, tune_id: str, work: Work) -> None:
        """A lease goes to a Tune trial."""
        self._work[tune_id] = work

    def work(self, tune_id: str) -> Work:
        """The lease that a Tune trial holds."""
        return self._work[tune_id]

    def held(self, tune_id: str) -> Work | None:
        """The same; None if it holds none."""
        return self._work.get(tune_id)

    def blame(
        self, tune_id: str, reason: str, *, out_of_memory: bool = False, node: bool = False
    ) -> None:
        """Note why a Tune trial broke, told when Tune gives it up; the first reason counts.

        ``node``: its worker's whole node is gone.
        """
        if tune_id not in self._reasons:
            self._reasons[tune_id] = reason
            if out_of_memory:
                self._out_of_memory.add(tune_id)
            if node:
                self._nodes_lost.add(tune_id)

    def close(self, tune_id: str) -> None:
        """A Tune trial is over; a lease that it did not settle is lost and offered again."""
        work = self._work.pop(tune_id, None)
        reason = self._reasons.pop(tune_id, "the worker ended without a word")
        if self._abandoned is not None:
            return  # a resumed run offers it again; nobody is to blame
        match work:
            case Lease() if tune_id in self._out_of_memory:
                self.controller.broke(work.trial, work.attempt, FailureKind.OOM.value, reason)
            case Lease():
                gone = tune_id in self._nodes_lost
                self.controller.lost(work.trial, work.attempt, reason, node=gone)
            case Evaluation():
                self.controller.untested(work, reason)
            case None:
                pass
            case other:
                assert_never(other)

    def abandon(self, reason: str, hopeless: HopelessRun | None = None) -> None:
        """The run cannot go on here; ``check`` ends it."""
        self._abandoned = self._abandoned or RunAbandoned(reason, hopeless)

    @contextmanager
    def sheltered(self) -> Iterator[None]:
        """Abandon the run on an error of ours, which Tune would swallow or turn into its own."""
        try:
            yield
        except HopelessRun as error:
            # Its traceback would keep Tune's objects alive, and with them the actors.
            self.abandon(str(error), error.with_traceback(None))
        except RaytaoError as error:
            self.abandon(str(error))

    def check(self) -> None:
        """Raise if the run was abandoned.

        Raises:
            RunAbandoned: at the next turn of Tune's loop.
        """
        if self._abandoned is not None:
            raise self._abandoned

    def deliver(self, work: Work, event: Event) -> Decision:
        """Tell the controller what a child told."""
        match work, event:
            case Lease(), EpochDone() as done:
                told = (done.epoch, done.metrics, done.seconds, done.use)
                return self.controller.report(work.trial, work.attempt, *told)
            case _, Broken(kind=FailureKind.STORAGE, reason=reason):
                self.abandon(reason)
            case Lease(), Broken(kind=FailureKind.KILLED, reason=reason):
                self.controller.lost(work.trial, work.attempt, reason)
            case Evaluation(), Broken(kind=FailureKind.KILLED, reason=reason):
                self.controller.untested(work, reason)
            case Lease(), Broken(kind=kind, reason=reason):
                self.controller.broke(work.trial, work.attempt, kind.value, reason)
            case Evaluation(), Measured(metrics=metrics):
                self.controller.tested(work, metrics, "")
                return Decision.CONTINUE
            case Evaluation(), Broken(reason=reason):
                self.controller.tested(work, {}, reason)
            case Lease(), Ended(epoch=epoch) if epoch < work.stop_epoch:  # it was asked to move
                self.controller.give_back(work.trial, work.attempt)
            case _, Ended() | EpochDone() | Measured():
                pass
        return Decision.STOP


class LeaseSearcher(NotSaved, Searcher):
    """Hands out the controller's leases as Tune configurations ``{"job": …}``.

    Args:
        book: which Tune trial holds which lease.
        job_of: how work becomes a job.
        before: called before the controller is asked; it may stop the run.
    """

    def __init__(
        self, book: LeaseBook, job_of: JobOf, before: Callable[[], None] = lambda: None
    ) -> None:
        super().__init__()
        self._book = book
        self._job_of = job_of
        self._before = before

    def set_search_properties(
        self, metric: str | None, mode: str | None, config: dict[str, Any], **spec: Any
    ) -> bool:
        """Metric and space are the controller's."""
        del metric, mode, config, spec
        return True

    def set_max_concurrency(self, max_concurrent: int) -> bool:
        """The controller counts the slots; Tune's limiter passes calls through."""
        del max_concurrent
        return True

    def suggest(self, trial_id: str) -> Any:
        """A configuration, None for "ask later", or the word FINISHED."""
        with self._book.sheltered():
            self._before()
            match self._book.controller.suggest():
                case Lease() | Evaluation() as work:
                    self._book.hand_out(trial_id, work)
                    return {"job": self._job_of(work).to_json()}
                case Wait():
                    return None
                case Done():
                    return Searcher.FINISHED
                case other:
                    assert_never(other)
        return Searcher.FINISHED

    def on_trial_complete(
        self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False
    ) -> None:
        """Settle the lease; Tune retries nothing, so an error is final for this attempt."""
        del result, error
        with self._book.sheltered():
            self._book.close(trial_id)

    def save(self, checkpoint_path: str) -> None:
        """Nothing: the event log is the state."""
        del checkpoint_path

    def restore(self, checkpoint_path: str) -> None:
        """Nothing: a resumed run is a new Tune experiment."""
        del checkpoint_path


def _error_of(trial: Trial) -> str:
    """What Tune noted of a trial's end; its ``get_error`` looks where that is copied to later."""
    if trial.error_file is None:
        return ""
    try:
        return Path(trial.error_file).read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


class LeaseScheduler(NotSaved, FIFOScheduler):
    """Delivers results to the controller and answers CONTINUE or STOP."""

    # Ray 2.60 mixes up the arguments of buffered results; one at a time is what we need anyway.
    _supports_buffered_results = False

    def __init__(self, book: LeaseBook, moves: Moves) -> None:
        super().__init__()
        self._book = book
        self._moves = moves

    def on_trial_result(self, tune_controller: Any, trial: Trial, result: dict[str, Any]) -> str:
        """Deliver every event of a step, in order, until one ends the lease."""
        del tune_controller
        work = self._book.work(trial.trial_id)
        with self._book.sheltered():
            self._note_place(trial, work, result)
            told = map(event_from_json, result["events"])
            if all(self._book.deliver(work, event) is Decision.CONTINUE for event in told):
                return str(TrialScheduler.CONTINUE)
        return str(TrialScheduler.STOP)

    def on_trial_error(self, tune_controller: Any, trial: Trial) -> None:
        """Keep the reason; the lease is settled when Tune gives the trial up."""
        error = redact(_error_of(trial)).strip()
        monitor = verdict_of_the_monitor(error)
        if monitor is not None:
            self._book.blame(trial.trial_id, monitor, out_of_memory=True)
        elif error:
            gone = lost_with_its_node(self._moves.node_of(trial.trial_id), error)
            self._book.blame(trial.trial_id, error.splitlines()[-1][:300], node=gone)
        self._moves.over(tune_controller, trial)

    def on_trial_complete(
        self, tune_controller: Any, trial: Trial, result: dict[str, Any]
    ) -> None:
        """The lease is settled, and Tune is about to keep its actor for the next one."""
        del result
        self._moves.over(tune_controller, trial)

    def choose_trial_to_run(self, tune_controller: Any) -> Trial | None:
        """None: Tune starts pending trials by itself, and nothing is ever paused.

        Asked before any trial gets its actor, in every turn of Tune's loop.
        """
        with self._book.sheltered():
            self._moves.turn(tune_controller, self._book.held)
        return None

    def _note_place(self, trial: Trial, work: Work, result: Mapping[str, Any]) -> None:
        if isinstance(work, Lease):
            if "node_id" in result:
                self._moves.note_node(trial.trial_id, result["node_id"])
            for place in result.get("placed", ()):
                self._book.controller.place(Placed(work.trial, work.attempt, **place))
