"""Do a job in this process: the same in a trial's own process and in ``raytao train``."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext, suppress
from functools import cache, partial
from pathlib import Path
from typing import NoReturn

from raytao.catalog import load
from raytao.networks.base import Network
from raytao.networks.command import Command
from raytao.networks.function import Function
from raytao.redact import redactor
from raytao.runs.resources import ResourceRequest
from raytao.runs.store import Store
from raytao.spec import told_as_written
from raytao.trials.context import (
    Alone,
    JobBroken,
    JobPaused,
    Leader,
    StopFlag,
    Team,
    TrialContext,
    stop_on_sigterm,
)
from raytao.trials.failures import broken_by, in_short
from raytao.trials.folder import ExperimentFolder, Resumed, record_failure
from raytao.trials.followers import FollowerContext
from raytao.trials.measured import finite
from raytao.trials.messages import Broken, Ended, Event, FailureKind, Job, Measured
from raytao.trials.provenance import read_provenance
from raytao.trials.ranks import Ranks


def run(
    job: Job,
    store: Store,
    emit: Callable[[Event], None],
    scratch: Path | None = None,
    team: Leader | None = None,
    pause: Callable[[], bool] = lambda: False,
    stop: StopFlag | None = None,
    settle_log: Callable[[], None] = lambda: None,
) -> None:
    """Train or evaluate, and emit what happens; the last event is `Ended` or `Broken`.

    Nothing that a trainer does comes out as an exception. Tracebacks go to stderr, which is the
    trial's log where the trial has a process of its own. SIGTERM asks a trainer to end early.
    No secret of this process's environment is in an event or a traceback.

    Args:
        job: what to do.
        store: the results folder.
        emit: is told what happens.
        scratch: a folder for what a trainer keeps itself, where ``store`` is none.
        team: the other processes of this training, if they were started elsewhere; None: they
            are started here, if the job asks for several.
        pause: whether to leave with the next epoch that has a checkpoint.
        stop: asks the trainer to end early; None: SIGTERM does.
        settle_log: returns when what was printed is on its way to the log; asked before an epoch
            becomes durable.
    """
    outcome: Ended | Broken
    redact = redactor(job.spec)
    try:
        with stop_on_sigterm(pause) if stop is None else nullcontext(stop) as asked:
            network = network_of(job)
            if job.kind == "evaluate":
                outcome = _evaluate(network, job, store, emit)
            else:
                give_up = partial(_give_up, job, store, emit)
                with _team(network, job, scratch, team, give_up) as beside:
                    outcome = _train(network, job, store, emit, asked, scratch, beside, settle_log)
    except JobBroken as over:
        outcome = over.broken
    except (Exception, SystemExit) as error:  # noqa: BLE001 - a trainer may raise anything
        outcome = broken_by(error, redact)
    if isinstance(outcome, Broken):
        outcome = Broken(outcome.kind, in_short(redact(outcome.reason)))
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


def _team(
    network: Network,
    job: Job,
    scratch: Path | None,
    team: Leader | None,
    give_up: Callable[[Broken], NoReturn],
) -> AbstractContextManager[Leader]:
    """The processes that train this job.

    Those of one machine are started before the results folder is looked at: what talks to object
    storage has threads, and they would not survive a fork.

    Raises:
        UserError: if the network, its spec or the GPUs cannot be shared among so many.
    """
    request = ResourceRequest.from_json(job.resources)
    processes = request.processes * request.nodes
    if processes > 1:
        with told_as_written(job.spec) as spec:
            network.check_processes(spec, processes)
    if team is not None or not network.distributed or request.processes == 1:
        return nullcontext(team or Alone())

    def follow(found: Resumed, ours: Team) -> None:
        with told_as_written(job.spec) as spec:
            network.train(spec, FollowerContext(job, found, ours, scratch))

    return Ranks(job, request.processes, follow, give_up)


def _give_up(job: Job, store: Store, emit: Callable[[Event], None], broken: Broken) -> NoReturn:
    """End the process under a trainer that waits for a rank which is no more."""
    sys.stderr.write(f"{broken.reason}\n")
    sys.stderr.flush()
    record_failure(store, job, broken.reason)
    emit(broken)
    os._exit(1)


def _train(
    network: Network,
    job: Job,
    store: Store,
    emit: Callable[[Event], None],
    stop: StopFlag,
    scratch: Path | None,
    team: Leader,
    settle_log: Callable[[], None],
) -> Ended | Broken:
    folder = ExperimentFolder(store, job.folder, job, suffix=network.checkpoint_suffix)
    found = folder.begin()
    for event in found.unseen:
        emit(event)
    if found.epoch < job.stop_epoch:
        context = TrialContext(job, folder, found, emit, stop, scratch, team, settle_log)
        network.check_machine()
        with told_as_written(job.spec) as spec:
            network.check(spec)
            team.begin(found)
            with suppress(JobPaused):
                network.train(spec, context)
        if context.broken is not None:
            raise JobBroken(context.broken)
    reached = folder.epoch
    if reached >= job.stop_epoch:
        folder.end(f"{job.network} train completed {job.stop_epoch} epochs")
        return Ended(job.stop_epoch)
    if stop.is_set:
        folder.end(f"{job.network} train paused at epoch {reached}")
        return Ended(reached)
    if team.broken is not None:
        return team.broken
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
