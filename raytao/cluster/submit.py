"""Submitting a run as a job, once, and following it to its end."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import raytao
from raytao.cluster.door import Unreachable
from raytao.cluster.job_server import RESULTS, Job, JobServer, Quiet, same_base
from raytao.cluster.package import Package
from raytao.errors import RaytaoError

STOP_SECONDS: Final = 120
"""How long Ray waits for an interrupted driver before it kills it; its own wait is 3 s, in which
large trials cannot end."""

PATIENCE_SECONDS: Final = 300.0
"""Longest without an answer that a job is followed for."""

PAUSE_SECONDS: Final = 2.0
LOOK_SECONDS: Final = 1.0

NOT_FOUND: Final = 127
"""Exit code of a shell for a program that is not there."""


@dataclass(frozen=True)
class Submission:
    """What was asked for, to be asked for again.

    Attributes:
        package: what is sent.
        env: variables that go with it.
        cpus: reserved for the driver.
    """

    package: Package
    env: Mapping[str, str]
    cpus: float = 0


@dataclass(frozen=True)
class Submitted:
    """Which job it is; ``attached``: it was there already, and goes on."""

    id: str
    attached: bool


def submit(server: JobServer, wanted: Submission) -> Submitted:
    """Start the job, unless the same one is waiting or running: then that is it.

    After it has ended, however it did, the next attempt is another job; it goes on in the same
    results folder.

    Raises:
        RaytaoError: if the server does not take it.
    """
    packed = wanted.package
    base = f"{packed.name}-{packed.identity}"
    attempts = same_base(server.jobs(), base)
    number, last = attempts[-1] if attempts else (0, None)
    if last is not None and not last.is_over:
        return Submitted(last.id, attached=True)
    job_id = f"{base}-{number + 1}"
    with tempfile.TemporaryDirectory(prefix="raytao-job-") as name:
        packed.write(Path(name))
        begun = server.submit(
            job_id,
            packed.entrypoint,
            folder=Path(name),
            env={**wanted.env, "RAY_JOB_STOP_WAIT_TIME_S": str(STOP_SECONDS)},
            cpus=wanted.cpus,
            metadata={RESULTS: packed.results, "raytao": raytao.__version__},
        )
    return Submitted(job_id, attached=not begun)


def follow(
    server: JobServer,
    job_id: str,
    write: Callable[[str], None],
    say: Callable[[str], None],
    patience: float = PATIENCE_SECONDS,
) -> Job:
    """Show what a job prints until it is over; a connection that drops is made anew.

    Args:
        server: where it runs.
        job_id: which one.
        write: takes what the job prints, piece by piece, each once.
        say: takes a line for people.
        patience: seconds without an answer after which one gives up; the job goes on.

    Raises:
        Unreachable: then.
    """
    shown, heard, lost = 0, time.monotonic(), False
    while True:
        try:
            job = server.job(job_id)
            heard = time.monotonic()
            if lost:
                say(f"{server.address} answers again")
                lost = False
            passed = 0
            for piece in server.tail(job_id):
                heard = time.monotonic()
                new = piece[max(0, shown - passed) :]
                passed += len(piece)
                if new:
                    shown += len(new)
                    write(new)
            job = server.job(job_id)
            if job.is_over:
                return job
        except Quiet:
            continue
        except Unreachable as error:
            if time.monotonic() - heard > patience:
                raise
            if not lost:
                say(f"{error}; trying again …")
                lost = True
        time.sleep(PAUSE_SECONDS)


def wait(server: JobServer, job_id: str, timeout: float | None = None) -> Job:
    """The job when it is over, or as it is after ``timeout`` seconds."""
    deadline = None if timeout is None else time.monotonic() + timeout
    while True:
        job = server.job(job_id)
        if job.is_over or (deadline is not None and time.monotonic() >= deadline):
            return job
        time.sleep(LOOK_SECONDS)


def interrupt(server: JobServer, job_id: str, timeout: float = STOP_SECONDS + 30) -> Job:
    """Have a job's driver end as by Ctrl-C, and wait until it has: it can be gone on with.

    Raises:
        RaytaoError: if it has not ended in time.
    """
    server.stop(job_id)
    job = wait(server, job_id, timeout)
    if not job.is_over:
        raise RaytaoError(f"job {job_id} is still {job.status} after {timeout:g} s")
    return job


def how_it_ended(job: Job) -> str:
    """One sentence, with what to do where that is known."""
    if job.status == "SUCCEEDED":
        return f"job {job.id} is done"
    if job.status == "STOPPED":
        return f"job {job.id} was stopped; submit it again to go on"
    if job.code is None:
        return f"job {job.id} failed before raytao began: {job.message.strip()}"
    if job.code == NOT_FOUND:
        return (
            f"job {job.id} failed: there is no raytao where it ran\n"
            "  install it on every node, or send it along: --wheel raytao-….whl"
        )
    return f"job {job.id} failed with exit code {job.code}"
