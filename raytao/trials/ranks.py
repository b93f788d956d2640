"""A training in several processes of one machine, as rank 0 sees it: the trial's own process.

    trainer = rank 0     has the folder, reports; a thread of it watches the others
      ├─ rank 1          forked before anything was opened, in the trainer's process group
      └─ …               dies with rank 0 (PR_SET_PDEATHSIG), and with the guard's kill

Between rank 0 and each other rank are a socket, for where to begin and how it ended, and a pipe
with rank 0's answers to ``should_stop``. Gradients go through torch; see networks/parallel.py.

A rank that fails or is killed takes the attempt down at once. Its connections break with it, so
rank 0 mostly comes out of what it waits for by an exception, which is then blamed on that rank.
Where it does not (a GPU that waits for another one), its process is ended from beside.
"""

from __future__ import annotations

import os
import select
import signal
import socket
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType
from typing import Final, NoReturn, Self

from raytao.errors import SettingsError
from raytao.networks.rendezvous import LOOPBACK, Rendezvous, end_process_group
from raytao.tao.layout import LOG
from raytao.trials.context import JobBroken
from raytao.trials.folder import Resumed
from raytao.trials.followers import GO_ON, STOP, Follow, Follower, follow_along, send_start
from raytao.trials.linux import die_with_parent
from raytao.trials.messages import Broken, FailureKind, Job
from raytao.trials.wire import receive_frame

BLAME_SECONDS: Final = 2.0
"""Longest that rank 0, which may have lost a connection, waits to learn which rank is gone."""

RELEASE_SECONDS: Final = 3.0
"""Longest that rank 0 may wait for a rank that is gone, before its process is ended."""

LEAVING_SECONDS: Final = 5.0
"""Longest that the other ranks may take to end after rank 0 has trained its last epoch."""


class Ranks:
    """Starts ranks 1 to ``world - 1``, and ends them when it is left. The Team of rank 0.

    Args:
        job: what they train.
        world: processes in all.
        follow: what each of them does.
        give_up: ends this process, for a training that does not notice that a rank is gone.

    Raises:
        SettingsError: if there are GPUs, but not one for each process.
    """

    rank: Final = 0

    def __init__(
        self, job: Job, world: int, follow: Follow, give_up: Callable[[Broken], NoReturn]
    ) -> None:
        if 0 < job.gpus < world:
            raise SettingsError(
                f"{world} processes have {job.gpus} GPUs together; each needs one of its own",
                remedy=f"write gpus: {world}, or processes: {job.gpus}, in resources",
            )
        self.world = world
        self.gpus = job.gpus // world
        self.broken: Broken | None = None
        self._job = job
        self._follow = follow
        self._give_up = give_up
        self._ranks: list[_Rank] = []
        self._heard = threading.Event()
        self._left = threading.Event()
        self._before: dict[str, str | None] = {}

    def __enter__(self) -> Self:
        """Fork them. Nothing may have been opened or started that a fork breaks."""
        end_process_group()
        self._listener = socket.create_server((LOOPBACK, 0), backlog=self.world)
        self._port = self._listener.getsockname()[1]
        sys.stdout.flush()
        sys.stderr.flush()
        for number in range(1, self.world):
            self._ranks.append(self._fork(number))
        self._become(0, self._listener.fileno())
        self._wake = os.eventfd(0)
        self._watcher = threading.Thread(target=self._watch, name="ranks", daemon=True)
        self._watcher.start()
        return self

    def begin(self, found: Resumed) -> None:
        """See Team."""
        for rank in self._ranks:
            send_start(rank.control, found)

    def agreed(self, *, asked: bool) -> bool:
        """See Team; a rank that does not listen is not waited for."""
        for rank in self._ranks:
            with suppress(BrokenPipeError, BlockingIOError):
                os.write(rank.answers, STOP if asked else GO_ON)
        return asked

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End them all.

        Raises:
            JobBroken: in place of what rank 0 raised because another rank was gone.
        """
        lost = isinstance(error, RuntimeError | OSError)  # as connections and collectives say it
        if error is None:
            self._watcher.join(LEAVING_SECONDS)
        elif lost:
            self._heard.wait(BLAME_SECONDS)
        self._left.set()
        os.eventfd_write(self._wake, 1)
        self._watcher.join()
        for rank in self._ranks:
            rank.bury()
        os.close(self._wake)
        self._listener.close()
        self._restore()
        if error is None:  # else its traceback may hold the model; the next fork ends the group
            end_process_group()
        if lost and self.broken is not None:
            raise JobBroken(self.broken) from error

    def _fork(self, number: int) -> _Rank:
        control, theirs = socket.socketpair()
        their_answers, answers = os.pipe()
        me = os.getpid()
        pid = os.fork()
        if pid == 0:
            control.close()
            os.close(answers)
            self._lead(number, me, theirs, their_answers)
        theirs.close()
        os.close(their_answers)
        os.set_blocking(answers, False)
        return _Rank(pid, control, answers)

    def _lead(self, number: int, parent: int, control: socket.socket, answers: int) -> NoReturn:
        """All that a rank above 0 does. It leaves without Python's clean-up, as rank 0 does."""
        code = 1
        try:
            die_with_parent(parent)
            self._listener.close()
            self._become(number, None)
            follower = Follower(number, self.world, self.gpus, answers)
            code = follow_along(self._job, follower, self._follow, control)
        finally:
            with suppress(OSError, ValueError):
                sys.stdout.flush()
                sys.stderr.flush()
            os._exit(code)

    def _become(self, number: int, listener: int | None) -> None:
        """Say in the environment which rank this process is, and which GPUs are its own."""
        said = Rendezvous(number, self.world, self._port, listener).environment()
        if self.gpus:
            visible = os.environ.get("CUDA_VISIBLE_DEVICES")
            devices = visible.split(",") if visible else [str(n) for n in range(self._job.gpus)]
            ours = devices[number * self.gpus : (number + 1) * self.gpus]
            said["CUDA_VISIBLE_DEVICES"] = ",".join(ours)
        self._before = {name: os.environ.get(name) for name in said}
        os.environ.update(said)

    def _restore(self) -> None:
        for name, value in self._before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value

    def _watch(self) -> None:
        """Until all have ended: wait for the first of them that fails, in a thread of its own."""
        poll = select.poll()
        poll.register(self._wake, select.POLLIN)
        waiting = {}
        for number, rank in enumerate(self._ranks, start=1):
            for descriptor in (rank.control.fileno(), rank.ended):
                waiting[descriptor] = number, rank
                poll.register(descriptor, select.POLLIN)
        while waiting:
            for descriptor, _ in poll.poll():
                if descriptor == self._wake:
                    return
                poll.unregister(descriptor)
                number, rank = waiting.pop(descriptor)
                broken = rank.heard() if descriptor != rank.ended else self._end_of(number, rank)
                if broken is not None:
                    self._fail(broken)
                    return

    def _end_of(self, number: int, rank: _Rank) -> Broken | None:
        """What the end of a process means; what it said of itself counts first."""
        broken = rank.heard()
        if broken is not None or rank.done:
            return broken
        return _from_exit(rank, f"rank {number} of {self.world}", f"{self._job.folder}/{LOG}")

    def _fail(self, broken: Broken) -> None:
        self.broken = broken
        for rank in self._ranks:
            rank.kill()
        self._heard.set()
        if not self._left.wait(RELEASE_SECONDS):
            self._give_up(broken)


class _Rank:
    """A process that rank 0 has forked."""

    def __init__(self, pid: int, control: socket.socket, answers: int) -> None:
        self.pid = pid
        self.ended = os.pidfd_open(pid)
        self.control = control
        self.answers = answers
        self.done = False

    def heard(self) -> Broken | None:
        """Take in its last word, if it has not been heard and there is one; wait for it."""
        frame = None if self.done else receive_frame(self.control)
        if frame is None:
            return None
        self.done = True
        word = frame[0]
        return None if "done" in word else Broken(FailureKind(word["kind"]), word["reason"])

    def kill(self) -> None:
        """SIGKILL, by its descriptor: nobody else is ever meant."""
        with suppress(ProcessLookupError):
            signal.pidfd_send_signal(self.ended, signal.SIGKILL)

    def bury(self) -> None:
        """Kill it, if it lives, and leave nothing of it."""
        self.kill()
        with suppress(ChildProcessError):  # a trainer that reaps every child has done so
            os.waitpid(self.pid, 0)
        self.control.close()
        os.close(self.ended)
        os.close(self.answers)


def _from_exit(rank: _Rank, name: str, log: str) -> Broken:
    """What its exit alone tells; it is not reaped, so that its pid stays its own."""
    try:
        result = os.waitid(os.P_PIDFD, rank.ended, os.WEXITED | os.WNOWAIT)
    except ChildProcessError:
        result = None
    if result is None:
        return Broken(FailureKind.KILLED, f"{name} has ended; its last words are in {log}")
    if result.si_code == os.CLD_EXITED:
        text = f"{name} ended its process with exit code {result.si_status}"
        return Broken(FailureKind.ERROR, f"{text}; its last words are in {log}")
    how = signal.strsignal(result.si_status) or f"signal {result.si_status}"
    return Broken(
        FailureKind.KILLED, f"{name} was killed by signal: {how}; its last words are in {log}"
    )
