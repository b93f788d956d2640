"""Do a job in this process: the same in a trial's own process and in ``raytao train``."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Callable
from functools import cache

from raytao.catalog import load
from raytao.errors import RaytaoError
from raytao.networks.base import Network
from raytao.networks.function import Function
from raytao.runs.store import Store, StoreError
from raytao.trials.context import JobBroken, StopFlag, TrialContext, finite, stop_on_sigterm
from raytao.trials.folder import ExperimentFolder, record_failure
from raytao.trials.messages import Broken, Ended, Event, FailureKind, Job, Measured

_OUT_OF_MEMORY = ("out of memory", "can't allocate memory")
_LONGEST_REASON = 400


def run(job: Job, store: Store, emit: Callable[[Event], None]) -> None:
    """Train or evaluate, and emit what happens; the last event is `Ended` or `Broken`.

    Nothing that a trainer does comes out as an exception. Tracebacks go to stderr, which is the
    trial's log where the trial has a process of its own. SIGTERM asks a trainer to end early.
    """
    outcome: Ended | Broken
    try:
        with stop_on_sigterm() as stop:
            network = network_of(job)
            if job.kind == "evaluate":
                outcome = _evaluate(network, job, store, emit)
            else:
                outcome = _train(network, job, store, emit, stop)
    except JobBroken as over:
        outcome = over.broken
    except SystemExit as exit_:
        outcome = _exited(exit_)
    except Exception as error:  # noqa: BLE001 - a trainer is foreign code: it may raise anything
        outcome = _raised(error)
    if isinstance(outcome, Broken) and job.kind == "train":
        record_failure(store, job, outcome.reason)
    emit(outcome)


def network_of(job: Job) -> Network:
    """The network that a job trains.

    Raises:
        SettingsError: if nothing is registered under its name.
    """
    if job.function is not None:
        return Function(job.network, job.metric, text=job.function)
    return _network_class(job.network)()


@cache
def _network_class(name: str) -> type[Network]:
    """Looked up once; a forked process knows what the one that it was forked from has found."""
    found: type[Network] = load("raytao.networks", name, kind="network", base=Network)
    return found


def _train(
    network: Network, job: Job, store: Store, emit: Callable[[Event], None], stop: StopFlag
) -> Ended | Broken:
    folder = ExperimentFolder(store, job.folder, job)
    resumed = folder.begin()
    for event in resumed.unseen:
        emit(event)
    if resumed.epoch < job.stop_epoch:
        network.check(job.spec)
        context = TrialContext(job, folder, resumed, emit, stop)
        network.train(job.spec, context)
        if context.broken is not None:
            return context.broken
    reached = folder.epoch
    if reached >= job.stop_epoch:
        folder.end(f"{job.network} train completed {job.stop_epoch} epochs")
        return Ended(job.stop_epoch)
    if stop.is_set:
        folder.end(f"{job.network} train paused at epoch {reached}")
        return Ended(reached)
    return Broken(
        FailureKind.SILENT,
        f"the trainer returned after epoch {reached} without reporting epoch {reached + 1}; "
        f"it was asked to train until epoch {job.stop_epoch}",
    )


def _evaluate(
    network: Network, job: Job, store: Store, emit: Callable[[Event], None]
) -> Ended | Broken:
    weights = store.read(job.checkpoint) if job.checkpoint else None
    if weights is None:
        return Broken(FailureKind.ERROR, f"no weights file {job.checkpoint!r} to evaluate")
    measured = network.evaluate(job.spec, weights, threads=job.threads, gpus=job.gpus)
    emit(Measured(finite(measured)))
    return Ended(job.stop_epoch)


def _exited(error: SystemExit) -> Broken:
    """``sys.exit`` in a trainer; Python's rule: None is 0, text is printed and means 1."""
    if error.code is None or error.code == 0:
        return Broken(FailureKind.SILENT, "the trainer called sys.exit(0) before its last epoch")
    return Broken(FailureKind.ERROR, f"the trainer called sys.exit({error.code!r})")


def _raised(error: Exception) -> Broken:
    if not isinstance(error, RaytaoError):
        traceback.print_exception(error, file=sys.stderr)
        text = traceback.format_exception_only(error)[-1]
    else:
        text = str(error)
    reason = " ".join(text.split())
    if len(reason) > _LONGEST_REASON:
        reason = f"{reason[: _LONGEST_REASON - 1]}…"
    return Broken(_kind(error), reason)


def _kind(error: Exception) -> FailureKind:
    """Torch raises ``OutOfMemoryError`` for the GPU and a plain RuntimeError for the CPU."""
    if isinstance(error, StoreError):
        return FailureKind.STORAGE
    said = str(error).lower()
    out_of_memory = (
        isinstance(error, MemoryError)
        or type(error).__name__ == "OutOfMemoryError"
        or (isinstance(error, RuntimeError) and any(text in said for text in _OUT_OF_MEMORY))
    )
    return FailureKind.OOM if out_of_memory else FailureKind.ERROR
