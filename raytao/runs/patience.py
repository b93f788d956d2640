"""Patience: what storage refuses now and may do in a moment is tried again, a few times."""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Callable, Sequence
from typing import Final, TypeAlias, TypeVar

from raytao.runs.store import Store, StoreError

log = logging.getLogger(__name__)

PAUSES: Final = Store.pauses
"""Seconds between tries: a network disk that hangs longer stops the run, which can be resumed."""

Answer = TypeVar("Answer")
Attempt: TypeAlias = Callable[[bool], Answer]
"""Does it, told whether it was tried before."""


def uneven_sleep(seconds: float) -> None:
    """Sleep about so long, so that those who were refused at once do not come back at once."""
    time.sleep(seconds * random.uniform(0.5, 1.5))


class Patience:
    """Tries again what is safe to do twice.

    Args:
        pauses: seconds between tries; one try more than there are pauses.
        sleep: waits so many seconds.
    """

    def __init__(
        self, pauses: Sequence[float] = PAUSES, sleep: Callable[[float], None] = uneven_sleep
    ) -> None:
        self._pauses = tuple(pauses)
        self._sleep = sleep
        self._in_trouble = False

    def __call__(self, attempt: Attempt[Answer]) -> Answer:
        """Answer as ``attempt`` does, as soon as it does; its trouble is logged once, not per try.

        Raises:
            StoreError: what will not pass, or has not passed.
        """
        for tries, pause in enumerate(self._pauses):
            try:
                return self._well(attempt(tries > 0))
            except StoreError as error:
                if not error.may_pass:
                    raise
                self._complain(error)
            self._sleep(pause)
        try:
            return self._well(attempt(bool(self._pauses)))
        except StoreError as error:
            if not error.may_pass or not self._pauses:
                raise
            times = f"tried {len(self._pauses) + 1} times in {sum(self._pauses):.1f} s"
            raise StoreError(f"{error}; {times}", error.code) from error

    def _well(self, answer: Answer) -> Answer:
        self._in_trouble = False
        return answer

    def _complain(self, error: StoreError) -> None:
        if not self._in_trouble:
            log.warning("%s; trying again for %.1f s", error, sum(self._pauses))
        self._in_trouble = True


class PatientStore(Store):
    """Another store, with patience. Each of its files has one writer at a time.

    Every operation is made safe to repeat: one that was refused may have been done, or half done.

    Args:
        store: does the work.
        pauses: see `Patience`; the store's own by default.
        sleep: see `Patience`.
    """

    def __init__(
        self,
        store: Store,
        pauses: Sequence[float] | None = None,
        sleep: Callable[[float], None] = uneven_sleep,
    ) -> None:
        self._store = store
        self.pauses = pauses = store.pauses if pauses is None else pauses
        self.collect_seconds = store.collect_seconds
        self._read = Patience(pauses, sleep)
        self._write = Patience(pauses, sleep)

    def read(self, key: str) -> bytes | None:
        """See Store."""
        return self._read(lambda _: self._store.read(key))

    def size(self, key: str) -> int | None:
        """See Store."""
        return self._read(lambda _: self._store.size(key))

    def list(self, prefix: str = "") -> list[str]:
        """See Store."""
        return self._read(lambda _: self._store.list(prefix))

    def replace(self, key: str, data: bytes) -> None:
        """See Store."""
        self._write(lambda _: self._store.replace(key, data))

    def append_batch(
        self, key: str, data: bytes, *, durable: bool = True, at: int | None = None
    ) -> None:
        """See Store; a try that was refused may have left a part, so each begins where it did."""
        begin = (self.size(key) or 0) if at is None else at
        self._write(lambda _: self._store.append_batch(key, data, durable=durable, at=begin))

    def delete(self, key: str) -> None:
        """See Store."""
        self._write(lambda _: self._store.delete(key))

    def create_exclusive(self, key: str, data: bytes) -> bool:
        """See Store; ``data`` names its creator, who is known by it after a refusal."""

        def create(again: bool) -> bool:
            created = self._store.create_exclusive(key, data)
            return created or (again and self._store.read(key) == data)

        return self._write(create)

    def sweep(self, prefix: str = "") -> None:
        """See Store."""
        self._write(lambda _: self._store.sweep(prefix))

    def replace_folder(self, staged: str, target: str) -> None:
        """See Store; a staged folder that is gone after a refusal has taken its place."""

        def replace(again: bool) -> None:
            if not (again and not self._store.list(staged)):
                self._store.replace_folder(staged, target)

        self._write(replace)

    def copy(self, source: str, target: str) -> bool:
        """See Store."""
        return self._write(lambda _: self._store.copy(source, target))

    def settle(self, key: str = "") -> None:
        """See Store."""
        self._write(lambda _: self._store.settle(key))
