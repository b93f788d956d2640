"""Runs jobs, one at a time, in processes that can be killed without a trace (ADR 0001).

    actor (this class, no torch, one thread a job for its log)
      └─ nursery        torch imported once, forks; lives as long as the actor
           └─ guard     one per job; kills and reaps everything below, then says so
                └─ trainer    own session; and whatever it starts

The actor may die of anything: the pipes end, and everything below kills itself.
"""

from __future__ import annotations

import math
import select
import time
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Self

from raytao.runs.place import place_of, store_at
from raytao.trials.folder import record_failure
from raytao.trials.messages import Broken, Event, Job
from raytao.trials.nursery_process import NurseryProcess
from raytao.trials.running import RunningJob


class Supervisor:
    """Starts, watches and ends jobs. Not for several threads at once.

    Args:
        preload: modules that every job needs, imported once (`Network.preload`).
        threads: CPU threads of a job.
        devices: the GPUs that jobs may see, and no others; None: all that this process sees.
    """

    def __init__(
        self, preload: Sequence[str], threads: int, devices: Sequence[str] | None = None
    ) -> None:
        self._preload = tuple(preload)
        self._threads = threads
        self._devices = devices
        self._nursery: NurseryProcess | None = None
        self._running: RunningJob | None = None
        self._news: list[Event] = []
        self._second_chance = True

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    @property
    def pid(self) -> int | None:
        """The trainer's process; None before it exists and when no job is running."""
        return self._running.pid if self._running is not None else None

    def start(self, job: Job) -> None:
        """Start a job and return at once; events of the job before are forgotten.

        Raises:
            RuntimeError: if a job is running; stop it first.
        """
        if self._running is not None:
            raise RuntimeError(f"{self._running.job.folder} is still running: stop it first")
        self._news = []
        self._second_chance = True
        self._hand_over(job)

    def events(self, timeout: float) -> list[Event]:
        """Wait for events, at most ``timeout`` seconds, and enforce the job's limits meanwhile.

        The terminal event comes once, last, and when nothing of the job is left: its memory and
        its GPU are free. Without a job there is nothing to wait for and the answer is empty.
        """
        until = time.monotonic() + timeout
        self._watch(until, enough=lambda: bool(self._news))
        news, self._news = self._news, []
        return news

    def pause(self) -> None:
        """Ask the job to leave with its next epoch that has a checkpoint, and return at once.

        It then ends well, before its last epoch; one that makes no checkpoint goes on.
        """
        if self._running is not None:
            self._running.ask_to_pause()

    def stop(self, grace: float) -> None:
        """Ask the job to end (SIGTERM to its group), and kill it after ``grace`` seconds.

        When this returns nothing is left of it; its events can still be read.
        """
        if self._running is None:
            return
        self._running.ask_to_end()
        self._watch(time.monotonic() + grace, enough=lambda: False)
        if self._running is not None:
            if self._running.pid is None and self._nursery is not None:
                self._nursery.kill()  # it is still importing, and would not look up
            self._running.kill()
            self._watch(float("inf"), enough=lambda: False)

    def close(self) -> None:
        """End the job and the nursery. The supervisor can be used again."""
        self.stop(grace=0.0)
        self._discard_nursery()

    def _living_nursery(self) -> NurseryProcess:
        if self._nursery is not None and not self._nursery.alive:
            self._discard_nursery()
        if self._nursery is None:
            self._nursery = NurseryProcess(self._preload, self._threads, self._devices)
        return self._nursery

    def _hand_over(self, job: Job) -> None:
        try:
            self._running = RunningJob(job, self._living_nursery())
        except OSError:  # it died between our look and our call
            self._discard_nursery()
            self._running = RunningJob(job, self._living_nursery())

    def _discard_nursery(self) -> None:
        if self._nursery is not None:
            self._nursery.close()
            self._nursery = None

    def _watch(self, until: float, *, enough: Callable[[], bool]) -> None:
        """Take in what happens until ``until``, until ``enough``, or until the job is gone."""
        while self._running is not None and not enough():
            left = min(until, self._running.next_deadline()) - time.monotonic()
            self._step(self._running, max(left, 0.0))
            if time.monotonic() >= until:
                return

    def _step(self, running: RunningJob, seconds: float) -> None:
        poll = select.poll()
        poll.register(running, select.POLLIN)
        if self._nursery is not None and not running.lost:
            poll.register(self._nursery, select.POLLIN)
        wait = None if math.isinf(seconds) else math.ceil(seconds * 1000)
        ready = {descriptor for descriptor, _ in poll.poll(wait)}
        if self._nursery is not None and self._nursery.fileno() in ready:
            running.lose(self._nursery.obituary())
        if running.fileno() in ready:
            self._news += running.read()
        if not running.gone:
            running.enforce()
        if running.gone:
            self._finish(running)

    def _finish(self, running: RunningJob) -> None:
        self._running = None
        if running.untouched and self._second_chance:
            self._second_chance = False
            self._hand_over(running.job)
            return
        verdict = running.verdict()
        if isinstance(verdict, Broken) and not running.speaks_for_itself:
            job = running.job
            if job.kind == "train":
                record_failure(store_at(place_of(job.root), must_exist=True), job, verdict.reason)
        if running.unburied:
            self._discard_nursery()
        self._news.append(verdict)
