"""Jobs on a cluster's job server, through Ray's own client."""

from __future__ import annotations

import asyncio
import logging
import os
import queue
import re
import threading
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from raytao.cluster.door import ADDRESSES, Door, Unreachable, knock
from raytao.errors import RaytaoError, SettingsError, did_you_mean

TIMEOUT_SECONDS: Final = 60.0
"""For one answer of the server, or one piece of an upload."""

QUIET_SECONDS: Final = 60.0
"""A log that says nothing for so long may be a connection that was lost."""

OVER: Final = ("SUCCEEDED", "FAILED", "STOPPED")

RESULTS: Final = "raytao_results"
"""Metadata of a job: where its run's results are."""

CHATTY: Final = (
    "ray.dashboard.modules.dashboard_sdk",
    "ray.dashboard.modules.job.sdk",
    "ray._private.runtime_env.packaging",
)
"""Loggers of Ray's client that tell of every upload."""

INTERRUPTED: Final = 143
"""Exit code of a driver that was stopped by SIGTERM."""


@dataclass(frozen=True)
class Job:
    """A job as its server tells of it.

    Attributes:
        id: its submission id.
        status: PENDING, RUNNING, SUCCEEDED, FAILED or STOPPED.
        message: the server's own words.
        code: exit code of its entrypoint, where that has ended by itself.
        started: seconds since 1970; None before.
        ended: likewise.
        metadata: what was sent with it.
    """

    id: str
    status: str
    message: str = ""
    code: int | None = None
    started: float | None = None
    ended: float | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)

    @property
    def is_over(self) -> bool:
        """Whether it will not change any more."""
        return self.status in OVER

    @property
    def results(self) -> str:
        """The results folder of its run; empty if it is none of raytao's."""
        return self.metadata.get(RESULTS, "")

    @property
    def exit_code(self) -> int:
        """What a command ends with that has waited for it."""
        if self.status == "SUCCEEDED":
            return 0
        if self.status == "STOPPED":
            return INTERRUPTED
        return self.code or 1


class Quiet(RaytaoError):
    """A log has said nothing for long."""


class JobServer:
    """The job server behind a door that was opened."""

    def __init__(self, door: Door) -> None:
        self.door = door
        self._client = _client(door)

    @classmethod
    def at(cls, address: str | None) -> JobServer:
        """Connect to the server at ``address``; see ``knock`` for what is refused."""
        return cls(knock(address))

    @property
    def address(self) -> str:
        """``http://host:port``."""
        return self.door.address

    def submit(
        self,
        job_id: str,
        entrypoint: str,
        *,
        folder: Path | None = None,
        env: Mapping[str, str] | None = None,
        cpus: float = 0,
        metadata: Mapping[str, str] | None = None,
    ) -> bool:
        """Start a job; return whether this call did: False if one of that id is there already.

        Args:
            job_id: its submission id.
            entrypoint: a line for the shell.
            folder: its files; they become its current folder, on every node.
            env: environment variables, in plain text for whoever sees the cluster.
            cpus: CPUs that are reserved for its driver; 0: it runs on the head.
            metadata: what is kept with it.

        Raises:
            RaytaoError: if the server refuses it.
        """
        runtime: dict[str, Any] = {"env_vars": dict(env or {})}
        if folder is not None:
            runtime["working_dir"] = str(folder)
        with self._answers():
            try:
                self._client.submit_job(
                    entrypoint=entrypoint,
                    submission_id=job_id,
                    runtime_env=runtime,
                    entrypoint_num_cpus=cpus or None,
                    metadata=dict(metadata or {}),
                )
            except RuntimeError as error:
                if "already exists" in str(error):
                    return False
                raise
        return True

    def jobs(self) -> list[Job]:
        """All jobs that were submitted here, the oldest first."""
        with self._answers():
            found = [_job(one) for one in self._client.list_jobs() if one.submission_id]
        return sorted(found, key=lambda job: (job.started or float("inf"), job.id))

    def job(self, job_id: str) -> Job:
        """One job.

        Raises:
            SettingsError: if there is none of that id.
        """
        with self._answers():
            try:
                return _job(self._client.get_job_info(job_id))
            except RuntimeError as error:
                if "404" not in str(error):
                    raise
        known = [job.id for job in self.jobs()]
        raise SettingsError(
            f"no job {job_id!r} at {self.address}",
            remedy=did_you_mean(job_id, known) if known else "no job was submitted there",
        )

    def logs(self, job_id: str) -> str:
        """All that a job has printed."""
        with self._answers():
            return str(self._client.get_job_logs(job_id))

    def stop(self, job_id: str) -> bool:
        """Have a job's driver interrupted by SIGTERM; return whether it ran.

        Ray waits for it as long as the job's own RAY_JOB_STOP_WAIT_TIME_S says, and then kills.
        """
        with self._answers():
            return bool(self._client.stop_job(job_id))

    def tail(self, job_id: str) -> Iterator[str]:
        """What a job prints, from its beginning to its end.

        Raises:
            Quiet: if nothing came for long. The connection may be dead, which nobody would
                notice: ask again, and leave out what came before.
            Unreachable: if the connection is lost on the way.
        """
        pump = _Pump(self._client.tail_job_logs(job_id))
        try:
            while True:
                try:
                    piece = pump.pieces.get(timeout=QUIET_SECONDS)
                except queue.Empty:
                    raise Quiet(f"nothing from {self.address} in {QUIET_SECONDS:g} s") from None
                if piece is None:
                    return
                if isinstance(piece, BaseException):
                    raise Unreachable(f"the connection to {self.address} was lost: {piece}")
                yield piece
        finally:
            pump.stop()

    @contextmanager
    def _answers(self) -> Iterator[None]:
        """Ray's client raises whatever comes: here it becomes a sentence."""
        from ray.exceptions import AuthenticationError

        try:
            yield
        except RaytaoError:
            raise
        except AuthenticationError as error:
            raise SettingsError(
                f"{self.address} lets this token in no more: {_last_line(str(error))}",
                remedy="take the cluster's new one",
            ) from error
        except (OSError, TimeoutError) as error:  # those of requests are OSErrors
            raise Unreachable(f"{self.address} does not answer: {error}") from error
        except RuntimeError as error:
            raise RaytaoError(f"{self.address} refuses: {_last_line(str(error))}") from error


def same_base(jobs: Sequence[Job], base: str) -> list[tuple[int, Job]]:
    """The attempts ``base-1``, ``base-2``, … among jobs, in order."""
    pattern = re.compile(rf"{re.escape(base)}-(\d+)")
    found = [(int(match[1]), job) for job in jobs if (match := pattern.fullmatch(job.id))]
    return sorted(found, key=lambda one: one[0])


class _Pump:
    """Runs an asynchronous log in a thread of its own: a notebook's loop is taken already."""

    def __init__(self, log: AsyncIterator[str]) -> None:
        self.pieces: queue.SimpleQueue[str | BaseException | None] = queue.SimpleQueue()
        self._log = log
        self._loop = asyncio.new_event_loop()
        self._task = self._loop.create_task(self._read())
        threading.Thread(target=self._run, daemon=True, name="raytao-log").start()

    def stop(self) -> None:
        """Read no more."""
        with suppress(RuntimeError):  # it has ended by itself, and its loop is closed
            self._loop.call_soon_threadsafe(self._task.cancel)

    def _run(self) -> None:
        try:
            self._loop.run_until_complete(self._task)
            self.pieces.put(None)
        except asyncio.CancelledError:
            self.pieces.put(None)
        except Exception as error:  # noqa: BLE001 - the reader is told, whatever it is
            self.pieces.put(error)
        finally:
            self._loop.run_until_complete(self._loop.shutdown_asyncgens())
            self._loop.close()

    async def _read(self) -> None:
        async for piece in self._log:
            self.pieces.put(piece)


def _client(door: Door) -> Any:
    """Ray's client: of the very address that was asked for, and never without an end."""
    from ray.dashboard.modules.job.sdk import JobSubmissionClient

    class Client(JobSubmissionClient):
        """One whose requests end."""

        def _do_request(self, method: str, endpoint: str, **options: Any) -> Any:
            return super()._do_request(method, endpoint, **{"timeout": TIMEOUT_SECONDS, **options})

    for name in CHATTY:
        logging.getLogger(name).setLevel(logging.WARNING)
    with _without(ADDRESSES):  # Ray lets them overrule the address that it is given
        try:
            return Client(door.address, headers={} if door.token is None else door.token.header)
        except (OSError, RuntimeError) as error:
            raise Unreachable(f"{door.address} does not answer: {error}") from error


@contextmanager
def _without(names: Sequence[str]) -> Iterator[None]:
    kept = {name: os.environ.pop(name) for name in names if name in os.environ}
    try:
        yield
    finally:
        os.environ.update(kept)


def _job(details: Any) -> Job:
    return Job(
        id=details.submission_id or "",
        status=str(getattr(details.status, "value", details.status)),
        message=details.message or "",
        code=details.driver_exit_code,
        started=None if details.start_time is None else details.start_time / 1000,
        ended=None if details.end_time is None else details.end_time / 1000,
        metadata=dict(details.metadata or {}),
    )


def _last_line(text: str) -> str:
    """What a traceback of the server's comes down to."""
    lines = [line for line in text.splitlines() if line.strip()]
    return lines[-1].strip() if lines else "no reason was given"
