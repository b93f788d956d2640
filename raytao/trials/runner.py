"""Do a job in this process: the same in a trial's own process and in ``raytao train``."""

from __future__ import annotations

import errno
import sys
import traceback
from collections.abc import Callable
from functools import cache

from raytao.catalog import load
from raytao.errors import DamagedRun, RaytaoError
from raytao.networks.base import Network
from raytao.networks.command import Command
from raytao.networks.function import Function
from raytao.redact import Redactor, redactor
from raytao.runs.store import Store, StoreError
from raytao.spec import told_as_written
from raytao.trials.context import JobBroken, StopFlag, TrialContext, finite, stop_on_sigterm
from raytao.trials.folder import ExperimentFolder, record_failure
from raytao.trials.messages import Broken, Ended, Event, FailureKind, Job, Measured
from raytao.trials.provenance import read_provenance

_OUT_OF_MEMORY = (
    *("out of memory", "can't allocate memory", "not enough memory"),
    *("cudnn_status_alloc_failed", "cublas_status_alloc_failed"),
)
"""What torch and NVIDIA's libraries say, in lower case."""
_LONGEST_REASON = 400


def run(job: Job, store: Store, emit: Callable[[Event], None]) -> None:
    """Train or evaluate, and emit what happens; the last event is `Ended` or `Broken`.

    Nothing that a trainer does comes out as an exception. Tracebacks go to stderr, which is the
    trial's log where the trial has a process of its own. SIGTERM asks a trainer to end early.
    No secret of this process's environment is in an event or a traceback.
    """
    outcome: Ended | Broken
    redact = redactor(job.spec)
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
        outcome = _raised(error, redact)
    if isinstance(outcome, Broken):
        outcome = Broken(outcome.kind, _in_short(redact(outcome.reason)))
        if job.kind == "train" and outcome.kind is not FailureKind.STORAGE:
            record_failure(store, job, outcome.reason)
    emit(outcome)


def network_of(job: Job) -> Network:
    """The network that a job trains.

    Raises:
        SettingsError: if nothing is registered under its name.
    """
    if job.function is not None:
        return Function(job.network, job.metric, text=job.function)
    if job.command is not None:
        return Command.of_job(job.network, job.command)
    return _network_class(job.network)()


@cache
def _network_class(name: str) -> type[Network]:
    """Looked up once; a forked process knows what the one that it was forked from has found."""
    found: type[Network] = load("raytao.networks", name, kind="network", base=Network)
    return found


def _train(
    network: Network, job: Job, store: Store, emit: Callable[[Event], None], stop: StopFlag
) -> Ended | Broken:
    folder = ExperimentFolder(store, job.folder, job, suffix=network.checkpoint_suffix)
    found = folder.begin()
    for event in found.unseen:
        emit(event)
    if found.epoch < job.stop_epoch:
        context = TrialContext(job, folder, found, emit, stop)
        network.check_machine()
        with told_as_written(job.spec) as spec:
            network.check(spec)
            network.train(spec, context)
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
        why = _why_gone(job, store)
        return Broken(FailureKind.ERROR, f"no weights file {job.checkpoint!r} to evaluate{why}")
    with told_as_written(job.spec) as spec:
        measured = network.evaluate(spec, weights, threads=job.threads, gpus=job.gpus)
    emit(Measured(finite(measured)))
    return Ended(job.stop_epoch)


def _why_gone(job: Job, store: Store) -> str:
    """A trial may have committed a better epoch after the one that stopped the run."""
    found = read_provenance(store, job.folder)
    if found is None or found.best is None or f"{job.folder}/{found.best.file}" == job.checkpoint:
        return ""
    return (
        f": while the run was stopping, its trial came to a better epoch, {found.best.epoch}; "
        "a run that is resumed takes it in"
    )


def _exited(error: SystemExit) -> Broken:
    """``sys.exit`` in a trainer; Python's rule: None is 0, text is printed and means 1."""
    if error.code is None or error.code == 0:
        return Broken(FailureKind.SILENT, "the trainer called sys.exit(0) before its last epoch")
    return Broken(FailureKind.ERROR, f"the trainer called sys.exit({error.code!r})")


def _raised(error: Exception, redact: Redactor) -> Broken:
    if isinstance(error, RaytaoError):
        return Broken(_kind(error), str(error))
    sys.stderr.write(redact("".join(traceback.format_exception(error))))
    return Broken(_kind(error), traceback.format_exception_only(error)[-1])


def _in_short(text: str) -> str:
    """One line; its secrets are hidden already, for half of one would not be recognised."""
    reason = " ".join(text.split())
    return reason if len(reason) <= _LONGEST_REASON else f"{reason[: _LONGEST_REASON - 1]}…"


def _kind(error: Exception) -> FailureKind:
    full = isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT)
    if full or isinstance(error, StoreError | DamagedRun):
        return FailureKind.STORAGE
    return FailureKind.OOM if _is_out_of_memory(error) else FailureKind.ERROR


def _is_out_of_memory(error: BaseException) -> bool:
    """Torch raises ``OutOfMemoryError`` for the GPU and a plain RuntimeError for the CPU.

    An error that a trainer raises from another one is of that one's kind.
    """
    said = str(error).lower()
    return (
        isinstance(error, MemoryError)
        or type(error).__name__ == "OutOfMemoryError"
        or (isinstance(error, OSError) and error.errno == errno.ENOMEM)
        or (isinstance(error, RuntimeError) and any(text in said for text in _OUT_OF_MEMORY))
        or (error.__cause__ is not None and _is_out_of_memory(error.__cause__))
    )
