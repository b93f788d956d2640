"""Suggestions that are prepared while trials run, so that a free worker waits for none.

A second brain, made like the first, sits on a thread of its own. At every decision it takes over
the first one's state and proposes the next trial; the first brain then *adopts* the proposal, as a
replay of the log does. Who asks soon after a decision waits a little for the proposal that knows
of it, and else gets an older one: the log says of each what it had seen (`Started.saw`).

What that costs: with several trials at once, whether a proposal saw the last result is a matter of
time, so that two runs of the same seed may differ. A replay never does. Brains that answer at once
are asked at once, and differ no more than their results arrive in another order. With one trial at
a time nothing is prepared: trial n has seen all n - 1 results before it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Final

from raytao.brains.base import Brain
from raytao.brains.threads import one_blas_thread
from raytao.runs.chapter import Chapter
from raytao.types import Json, Start, Suggestion

SLOW_SECONDS: Final = 0.1
"""A brain whose last proposal took less is asked when it is time: Tune's loop turns as slowly."""

PATIENCE_SECONDS: Final = 1.0
"""The longest wait for a proposal that is under way, where there is an older one."""


@dataclass(frozen=True)
class _Prepared:
    """An answer, the last event that it knows of, and the seconds that it took."""

    suggestion: Suggestion
    saw: int
    seconds: float


@contextmanager
def thinking_ahead(
    brain: Brain, *, clock: Callable[[], float] = time.perf_counter
) -> Iterator[Ahead]:
    """An `Ahead` for the length of a run, which BLAS is bound for: two threads think in it."""
    with one_blas_thread():
        ahead = Ahead(brain, clock=clock)
        try:
            yield ahead
        finally:
            ahead.close()


class Ahead:
    """Asks a brain before the controller does; see the module. Not thread-safe.

    Args:
        brain: made like the controller's, from the same settings; nobody else speaks to it.
        clock: seconds, to tell slow brains from fast ones.
        patience: the longest wait in seconds, where there is an older proposal.
    """

    def __init__(
        self,
        brain: Brain,
        *,
        clock: Callable[[], float] = time.perf_counter,
        patience: float = PATIENCE_SECONDS,
    ) -> None:
        self._brain = brain
        self._clock = clock
        self._patience = patience
        self._seconds = 0.0
        self._trial = 0
        self._answers: list[Future[_Prepared]] = []
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="raytao-ahead")

    def prepare(self, chapter: Chapter, trial: int, saw: int) -> None:
        """Begin to think about ``trial``, if that is worth it; do not wait for it.

        Args:
            chapter: the controller's brain, as it is now.
            trial: the number of the next trial.
            saw: the last event that this brain knows of.
        """
        self._keep(trial)
        if self._seconds >= SLOW_SECONDS:
            state = chapter.brain.state()
            self._answers.append(
                self._thread.submit(self._think, chapter.first, trial, state, saw)
            )

    def suggest(self, chapter: Chapter, trial: int) -> tuple[Suggestion, int | None]:
        """The next suggestion, prepared or new; the brain of ``chapter`` knows it then.

        Returns:
            The suggestion, and the last event that it had seen; None: every one there is.

        Raises:
            Exception: what the second brain raised, on its thread, while it thought about this.
        """
        prepared = self._take(trial)
        if prepared is not None and isinstance(prepared.suggestion, Start):
            start = prepared.suggestion
            self._seconds = prepared.seconds
            try:
                adopted = chapter.adopt(trial, start.params)
            except LookupError:
                pass  # what has happened since has left no room for it
            else:
                return replace(adopted, why=start.why, parent=start.parent), prepared.saw
        began = self._clock()
        suggestion = chapter.suggest(trial)
        if isinstance(suggestion, Start):
            self._seconds = self._clock() - began
        return suggestion, None

    def close(self) -> None:
        """Wait for the thought that is under way, if any, and end the thread."""
        self._thread.shutdown(cancel_futures=True)

    def _think(self, first: int, trial: int, state: Json, saw: int) -> _Prepared:
        """On the thread: what the brain suggests in ``state``."""
        began = self._clock()
        self._brain.load_state(state)
        suggestion = Chapter(self._brain, first).suggest(trial)
        return _Prepared(suggestion, saw, self._clock() - began)

    def _keep(self, trial: int) -> None:
        """Forget what was asked about other trials, and what nobody has begun to answer."""
        kept = [answer for answer in self._answers if not answer.cancel()]
        self._answers = kept if trial == self._trial else []
        self._trial = trial

    def _take(self, trial: int) -> _Prepared | None:
        """The newest answer that is there in time; None if it is better to ask anew."""
        if trial != self._trial or not self._answers:
            return None
        wait(self._answers[-1:], timeout=min(self._seconds, self._patience))
        self._keep(trial)
        for answer in reversed(self._answers):
            if answer.done():
                return answer.result()
        return self._answers[0].result() if self._answers else None
