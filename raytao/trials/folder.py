"""One trial's folder ``experiment_n/``: what is durable, in which order, and how to go on.

Per epoch: checkpoint (under its epoch's name) → raytao.json → status.json → checkpoints that
nothing refers to → event. A kill between any two steps leaves a folder that `begin` mends, and
never loses an epoch that was told to the driver at or before the last checkpoint.
"""

from __future__ import annotations

import os
import platform
import socket
import sys
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from fnmatch import fnmatch

import raytao
from raytao.errors import DamagedRun, RaytaoError
from raytao.runs.store import Store, StoreError
from raytao.tao.layout import PROVENANCE, STATUS, WEIGHTS, checkpoint
from raytao.tao.status import Status, StatusLine, read_status, status_line
from raytao.trials.messages import EpochDone, Job
from raytao.trials.provenance import Checkpoint, Provenance, read_provenance, render
from raytao.types import Direction


class StaleAttempt(RaytaoError):
    """A newer attempt owns the folder: this one was given up (its node was cut off)."""


@dataclass(frozen=True)
class Resumed:
    """Where a segment begins. ``unseen`` are trained epochs that the driver does not know.

    ``checkpoint`` is None at epoch 0, and where all epochs that are asked for were trained.
    """

    epoch: int
    checkpoint: bytes | None
    unseen: tuple[EpochDone, ...]


class ExperimentFolder:
    """The only writer of a trial's folder while its job runs (but for log.txt).

    Args:
        store: the results folder.
        key: the trial's folder in it.
        job: the segment that is to be trained.
        suffix: ending of weights files.
    """

    def __init__(self, store: Store, key: str, job: Job, *, suffix: str = ".pth") -> None:
        self._store = store
        self._suffix = suffix
        self._key = key
        self._job = job
        self._direction = Direction(job.direction)
        self._state = _fresh(job)

    def begin(self) -> Resumed:
        """Claim the folder for this attempt and mend what a killed one left behind.

        Epochs after the newest checkpoint are forgotten, unless no more than they are asked for;
        status.json is made to match, weights that nothing refers to are deleted.

        Raises:
            StaleAttempt: if a newer attempt has claimed it.
            DamagedRun: if raytao.json cannot be trusted. Nothing was changed.
        """
        weights: bytes | None = None
        found = read_provenance(self._store, self._key)
        if found is not None:
            self._refuse_foreign(found)
            newest, weights = self._newest_checkpoint(found)
            if newest is None and self._needs_no_weights(found):
                self._state = replace(found, attempt=self._job.attempt)
            else:
                self._state = self._cut(found, newest)
        self._commit(self._state)
        self._rewrite_status()
        self._sweep()
        unseen = range(self._job.reported_epoch + 1, self.epoch + 1)
        stop = self._job.stop_epoch
        return Resumed(self.epoch, weights, tuple(self._done(n) for n in unseen if n <= stop))

    @property
    def epoch(self) -> int:
        """Epochs that are trained and durable."""
        return self._state.epochs_trained

    def is_best(self, metrics: Mapping[str, float]) -> bool:
        """Whether the watched metric beats every epoch so far; a tie does not."""
        best = self._state.best_epoch
        if best is None:
            return True
        return self._score(metrics) > self._score(self._state.history[best])

    def add(
        self, metrics: Mapping[str, float], seconds: float, weights: bytes | None
    ) -> EpochDone:
        """Make the next epoch durable, with the checkpoint if there is one.

        Raises:
            StaleAttempt: if a newer attempt has claimed the folder meanwhile.
            StoreError: if storage refuses.
        """
        self._refuse_if_given_up()
        before, epoch = self._state, self.epoch + 1
        after = replace(
            before,
            history={**before.history, epoch: dict(metrics)},
            seconds={**before.seconds, epoch: seconds},
            best_epoch=epoch if self.is_best(metrics) else before.best_epoch,
            versions=_versions(),
        )
        if weights is not None:
            saved = Checkpoint(epoch, checkpoint(epoch, self._suffix))
            self._store.replace(f"{self._key}/{saved.file}", weights)
            after = replace(after, latest=saved, best=self._better(before.best, saved, after))
            self._refuse_if_given_up()  # large weights take a while
        self._commit(after)
        self._say(self._running(epoch))
        for file in sorted(before.files - after.files):
            self._store.delete(f"{self._key}/{file}")
        return self._done(epoch)

    def end(self, message: str) -> None:
        """Write that the segment ended well."""
        self._commit(replace(self._state, ended=message))
        self._say(StatusLine(Status.SUCCESS, _now(), message))
        with suppress(StoreError):  # nothing reads it differently
            self._store.settle(f"{self._key}/{STATUS}")

    def _refuse_if_given_up(self) -> None:
        found = read_provenance(self._store, self._key)
        if found is not None:
            self._refuse_foreign(found)

    def _refuse_foreign(self, found: Provenance) -> None:
        place = f"{self._key}/{PROVENANCE}"
        if found.attempt > self._job.attempt:
            raise StaleAttempt(
                f"a newer attempt owns this folder: {place} is of attempt {found.attempt}, "
                f"this is attempt {self._job.attempt}"
            )
        if found.trial != self._job.trial:
            raise DamagedRun(f"{place} is of trial {found.trial}, not of {self._job.trial}")

    def _newest_checkpoint(self, found: Provenance) -> tuple[Checkpoint | None, bytes | None]:
        for candidate in (found.latest, found.best):
            if candidate is not None:
                weights = self._store.read(f"{self._key}/{candidate.file}")
                if weights is not None:
                    return candidate, weights
        return None, None

    def _needs_no_weights(self, found: Provenance) -> bool:
        """Whether all there is to do is to tell epochs again.

        The weights of a trial that is over may have gone when a damaged log is cut, which then
        offers the trial again. Where it is to go further than it was, it is trained anew.
        """
        return found.ended is not None and found.epochs_trained >= self._job.stop_epoch

    def _cut(self, found: Provenance, newest: Checkpoint | None) -> Provenance:
        """What remains of ``found`` at its newest checkpoint, claimed by this attempt."""
        last = newest.epoch if newest is not None else 0
        history = {epoch: metrics for epoch, metrics in found.history.items() if epoch <= last}
        present = set(self._store.list(f"{self._key}/{WEIGHTS}"))
        best = found.best
        if best is None or best.epoch > last or f"{self._key}/{best.file}" not in present:
            best = newest
        return replace(
            _fresh(self._job),
            history=history,
            seconds={epoch: s for epoch, s in found.seconds.items() if epoch <= last},
            best_epoch=max(
                history, key=lambda epoch: (self._score(history[epoch]), -epoch), default=None
            ),
            latest=newest,
            best=best,
        )

    def _better(self, old: Checkpoint | None, new: Checkpoint, state: Provenance) -> Checkpoint:
        if old is None:
            return new
        scores = (self._score(state.history[kept.epoch]) for kept in (old, new))
        return old if next(scores) >= next(scores) else new

    def _score(self, metrics: Mapping[str, float]) -> float:
        """Larger is better; an epoch of another run's metric counts as the worst."""
        value = metrics.get(self._job.metric)
        return float("-inf") if value is None else self._direction.score(value)

    def _commit(self, state: Provenance) -> None:
        self._store.replace(f"{self._key}/{PROVENANCE}", render(state))
        self._state = state

    def _sweep(self) -> None:
        self._store.sweep(self._key)
        for key in self._store.list(f"{self._key}/{WEIGHTS}"):
            file = key.removeprefix(f"{self._key}/")
            if file not in self._state.files and fnmatch(file, f"{WEIGHTS}/model_epoch_*"):
                self._store.delete(key)

    def _say(self, line: StatusLine) -> None:
        """Append to status.json; not durably, for `begin` redraws it from raytao.json."""
        data = status_line(line).encode()
        self._store.append_batch(f"{self._key}/{STATUS}", data, durable=False)

    def _rewrite_status(self) -> None:
        name = f"{self._key}/{STATUS}"
        old = read_status(self._store.read(name) or b"")
        starts = (line for line in old if line.status is Status.STARTED)
        begun = StatusLine(Status.STARTED, _now(), f"Starting {self._job.network} train")
        said = {line.epoch: line for line in old if line.status is Status.RUNNING}
        epochs = range(1, self.epoch + 1)
        lines = [next(starts, begun), *(said.get(n) or self._running(n) for n in epochs)]
        self._store.replace(name, "".join(map(status_line, lines)).encode())

    def _running(self, epoch: int) -> StatusLine:
        times = [self._state.seconds[n] for n in range(1, epoch + 1)]
        left = max(self._job.stop_epoch - epoch, 0)
        return StatusLine(
            Status.RUNNING,
            _now(),
            epoch=epoch,
            max_epoch=max(self._job.stop_epoch, epoch),
            time_per_epoch=times[-1],
            eta=left * sum(times) / len(times),
            kpi=self._state.history[epoch],
        )

    def _done(self, epoch: int) -> EpochDone:
        return EpochDone(epoch, dict(self._state.history[epoch]), self._state.seconds[epoch])


def record_failure(store: Store, job: Job, reason: str) -> None:
    """Write that a job broke, for one that can or could not do so itself.

    Does nothing in a folder that a newer attempt owns or that cannot be trusted, and gives up
    silently where storage refuses: the failure itself is told to the driver.
    """
    with suppress(StoreError, DamagedRun):
        state = read_provenance(store, job.folder)
        if state is not None:
            if state.attempt > job.attempt or state.trial != job.trial:
                return
            store.replace(f"{job.folder}/{PROVENANCE}", render(replace(state, ended=reason)))
        line = StatusLine(Status.FAILURE, _now(), f"{job.network} train failed: {reason}")
        store.append_batch(f"{job.folder}/{STATUS}", status_line(line).encode())


def _fresh(job: Job) -> Provenance:
    return Provenance(
        trial=job.trial,
        attempt=job.attempt,
        network=job.network,
        metric=job.metric,
        direction=job.direction,
        seed=job.seed,
        threads=job.threads,
        gpus=job.gpus,
        versions=_versions(),
        host=socket.gethostname(),
        pid=os.getpid(),
        history={},
        seconds={},
    )


def _versions() -> dict[str, str]:
    """Versions that decide a result; torch only where the trainer has loaded it."""
    versions = {
        "python": platform.python_version(),
        "raytao": raytao.__version__,
        "platform": platform.platform(),
    }
    if "torch" in sys.modules:
        versions["torch"] = str(sys.modules["torch"].__version__)
    return versions


def _now() -> datetime:
    """The wall clock as TAO writes it: local, whole seconds, no zone."""
    return datetime.now().replace(microsecond=0)  # noqa: DTZ005 - see above
