"""A run that a cluster's job server drives, seen from the machine that submitted it."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from raytao.automl.run import Run, open_run
from raytao.cluster.job_server import Job, JobServer
from raytao.cluster.package import environment, package, with_wheel
from raytao.cluster.submit import Submission, follow, how_it_ended, interrupt, submit, wait
from raytao.errors import FolderError, RaytaoError
from raytao.report.visible import visible
from raytao.runs.place import Place, is_there, place_of
from raytao.setup.setup import Setup

Say = Callable[[str], None]


class SubmittedRun:
    """A job on a cluster, and its run.

    Args:
        server: where it was submitted.
        wanted: what was submitted.
        job_id: the job's id there.
        say: takes a line for people.
    """

    def __init__(self, server: JobServer, wanted: Submission, job_id: str, say: Say) -> None:
        self.id = job_id
        self._server = server
        self._wanted = wanted
        self._say = say

    @property
    def address(self) -> str:
        """The job server's."""
        return self._server.address

    @property
    def results_dir(self) -> Place:
        """The results folder, as the cluster sees it."""
        return place_of(self._wanted.package.results)

    def status(self) -> str:
        """PENDING, RUNNING, SUCCEEDED, FAILED or STOPPED."""
        return self._job().status

    def logs(self) -> str:
        """What the run has printed so far."""
        return visible(self._server.logs(self.id).expandtabs(), lines=True)

    def follow(self) -> str:
        """Show what the run prints until it has ended; return how: see ``status``.

        Interrupt the cell to look away; the run goes on.
        """
        try:
            job = follow(self._server, self.id, _shown, self._say)
        except KeyboardInterrupt:
            self._say(f"{self.id} goes on; look at it again: .follow(), end it: .stop()")
            raise
        self._say(how_it_ended(job))
        return job.status

    def wait(self, timeout: float | None = None) -> str:
        """Wait until it has ended, or for ``timeout`` seconds; return its status then."""
        return wait(self._server, self.id, timeout).status

    def stop(self) -> str:
        """Interrupt it, as Ctrl-C does: what was trained stays, and ``resume`` goes on.

        To end the run well instead, with its best model: ``submitted.run.stop()``.

        Raises:
            RaytaoError: if it has not ended in two minutes and a half.
        """
        return interrupt(self._server, self.id).status

    def resume(self) -> SubmittedRun:
        """Submit it again: the next attempt goes on in the same folder. A running one stays."""
        return submitted(self._server, self._wanted, self._say)

    @property
    def run(self) -> Run:
        """The run itself, while it goes on as well.

        Raises:
            FolderError: if its results cannot be seen from here, or have not begun.
        """
        where = self.results_dir
        if not is_there(where):
            there = "" if isinstance(where, Path) else ", or its variables are not set here"
            raise FolderError(
                f"nothing is seen of {where} from this machine",
                remedy=f"it has not begun yet, or is a disk of the cluster's alone{there}",
            )
        return open_run(where)

    def __repr__(self) -> str:
        return f"<raytao job {self.id} at {self.address}: {self.status()}>"

    def _job(self) -> Job:
        return self._server.job(self.id)


def submit_setup(
    setup: Setup,
    address: str | None,
    *,
    name: str | None,
    resume: bool,
    allow_changed: bool,
    env: Sequence[str],
    wheel: Path | str | None,
    say: Say,
) -> SubmittedRun:
    """Pack a run and submit it; see `raytao.AutoML.submit`."""
    packed = package(
        setup, name or setup.results.name, Path(), resume=resume, allow_changed=allow_changed
    )
    if wheel is not None:
        packed = with_wheel(packed, Path(wheel))
    wanted = Submission(packed, environment(env))
    return submitted(JobServer.at(address), wanted, say)


def submitted(server: JobServer, wanted: Submission, say: Say) -> SubmittedRun:
    """Submit a run, or attach to the same one that is running.

    Raises:
        RaytaoError: if the server does not take it.
    """
    for note in server.door.notes:
        say(f"note: {note}")
    done = submit(server, wanted)
    say(f"{'attached to' if done.attached else 'submitted'} job {done.id} at {server.address}")
    return SubmittedRun(server, wanted, done.id, say)


def _shown(text: str) -> None:
    try:
        sys.stdout.write(visible(text.expandtabs(), lines=True))
        sys.stdout.flush()
    except BrokenPipeError as error:
        raise RaytaoError("nobody reads any more; the job goes on") from error
