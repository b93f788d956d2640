"""What a trainer sees of raytao while it trains: the TrainContext of a job."""

from __future__ import annotations

import math
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from types import FrameType
from typing import NoReturn, Protocol

from raytao.runs.place import is_address
from raytao.runs.resources import ResourceRequest
from raytao.tao.layout import WORKSPACE
from raytao.trials.folder import ExperimentFolder, Resumed
from raytao.trials.measured import MOST_METRICS, as_number, reported
from raytao.trials.messages import Broken, Event, FailureKind, Job
from raytao.trials.use import UseMeter
from raytao.types import SCORE


class JobBroken(BaseException):
    """Ends the training from inside ``report``.

    Not an Exception, so that a trainer's ``except Exception`` cannot go on with a dead trial.
    """

    def __init__(self, broken: Broken) -> None:
        super().__init__(broken.reason)
        self.broken = broken


class StopFlag:
    """Whether the job was asked to end early.

    ``is_set``: as soon as it can. ``after_epoch`` tells whether it is to leave with the next epoch
    that has a checkpoint.
    """

    def __init__(self, after_epoch: Callable[[], bool] = lambda: False) -> None:
        self.is_set = False
        self.after_epoch = after_epoch


class JobPaused(BaseException):
    """Ends the training from inside ``report``: its last epoch is durable, and it goes on later.

    Not an Exception, as `JobBroken` is none.
    """


class Team(Protocol):
    """The processes of one training, as each of them sees them."""

    @property
    def rank(self) -> int:
        """This process, from 0."""

    @property
    def world(self) -> int:
        """How many there are."""

    @property
    def gpus(self) -> int | None:
        """GPUs of this process; None: all of the job's."""

    def agreed(self, *, asked: bool) -> bool:
        """The n-th answer of rank 0, for the n-th question of each rank; ``asked`` is ours."""


class Leader(Team, Protocol):
    """The same for rank 0, which has the trial's folder."""

    @property
    def broken(self) -> Broken | None:
        """Why another rank failed, if one did."""

    def begin(self, found: Resumed) -> None:
        """Have the others begin where this one begins."""


@dataclass(frozen=True)
class Alone:
    """A training in one process."""

    rank: int = 0
    world: int = 1
    gpus: int | None = None
    broken: Broken | None = None

    def begin(self, found: Resumed) -> None:
        """Nobody is waiting."""

    def agreed(self, *, asked: bool) -> bool:
        """See Team."""
        return asked


class JobContext:
    """What every process of a training knows of it: a part of TrainContext."""

    def __init__(self, job: Job, resumed: Resumed, team: Team, scratch: Path | None) -> None:
        self._job = job
        self._resumed = resumed
        self._team = team
        self._scratch = scratch
        self._own_scratch: TemporaryDirectory[str] | None = None

    @property
    def start_epoch(self) -> int:
        """See TrainContext."""
        return self._resumed.epoch

    @property
    def stop_epoch(self) -> int:
        """See TrainContext."""
        return self._job.stop_epoch

    @property
    def epochs(self) -> range:
        """See TrainContext."""
        return range(self.start_epoch + 1, self.stop_epoch + 1)

    @property
    def resume_from(self) -> bytes | None:
        """See TrainContext."""
        return self._resumed.checkpoint

    @property
    def seed(self) -> int:
        """See TrainContext."""
        return self._job.seed

    @property
    def threads(self) -> int:
        """See TrainContext."""
        return self._job.threads

    @property
    def gpus(self) -> int:
        """See TrainContext."""
        return self._job.gpus if self._team.gpus is None else self._team.gpus

    def gpu_memory_share(self, total: int) -> float:
        """See TrainContext."""
        return ResourceRequest.from_json(self._job.resources).gpu_memory_share(total)

    @property
    def rank(self) -> int:
        """See TrainContext."""
        return self._team.rank

    @property
    def world(self) -> int:
        """See TrainContext."""
        return self._team.world

    @property
    def metric(self) -> str:
        """See TrainContext."""
        return self._job.metric

    @property
    def workspace(self) -> Path:
        """See TrainContext; a training that is kept in no folder has a temporary one."""
        if self._scratch is not None:
            return self._scratch
        if not self._job.root or is_address(self._job.root):
            self._own_scratch = TemporaryDirectory(prefix="raytao_")
            self._scratch = Path(self._own_scratch.name)
            return self._scratch
        return Path(self._job.root) / self._job.folder / WORKSPACE

    def _refuse_out_of_order(self, epoch: int, expected: int) -> None:
        if epoch != expected or epoch > self.stop_epoch:
            raise ValueError(
                f"report(epoch={epoch!r}): the next epoch is {expected}, "
                f"the last one to train is {self.stop_epoch}; report every epoch once, in order"
            )


class TrialContext(JobContext):
    """Implements `raytao.networks.base.TrainContext` on an experiment's folder."""

    def __init__(
        self,
        job: Job,
        folder: ExperimentFolder,
        resumed: Resumed,
        emit: Callable[[Event], None],
        stop: StopFlag,
        scratch: Path | None = None,
        team: Team | None = None,
        settle_log: Callable[[], None] = lambda: None,
    ) -> None:
        super().__init__(job, resumed, team or Alone(), scratch)
        self._folder = folder
        self._emit = emit
        self._stop = stop
        self._settle_log = settle_log
        self._staged: bytes | None = None
        self._use = UseMeter(self.gpus)
        self._epoch_began = time.monotonic()
        self._told_what_is_left_out = False
        self.broken: Broken | None = None

    @property
    def should_stop(self) -> bool:
        """See TrainContext."""
        return self._team.agreed(asked=self._stop.is_set)

    def is_best(self, metrics: Mapping[str, float]) -> bool:
        """See TrainContext; metrics that ``report`` would refuse are never the best."""
        value = as_number(metrics.get(self._job.metric)) if _is_mapping(metrics) else None
        if value is None or not math.isfinite(value):
            return False
        return self._stop.after_epoch() or self._folder.is_best({self._job.metric: value})

    def save(self, checkpoint: bytes) -> None:
        """See TrainContext."""
        refuse_no_bytes(checkpoint)
        self._staged = bytes(checkpoint)

    def log(self, message: str) -> None:
        """See TrainContext; in a trial's process, stdout is its log."""
        sys.stdout.write(f"{message}\n")
        sys.stdout.flush()

    def report(
        self, epoch: int, metrics: Mapping[str, float], *, seconds: float | None = None
    ) -> None:
        """See TrainContext.

        Raises:
            ValueError: as there.
            JobBroken: if the watched metric is missing, not a number, NaN or infinite.
            JobPaused: if the trial is to leave with this epoch; it is durable.
        """
        if self.broken is not None:
            raise JobBroken(self.broken)
        self._refuse_out_of_order(epoch, self._folder.epoch + 1)
        numbers = self._checked(epoch, metrics)
        if seconds is None:
            seconds = time.monotonic() - self._epoch_began
        elif not (math.isfinite(seconds) and seconds >= 0.0):
            raise ValueError(f"report({epoch}, …, seconds={seconds}): it is 0 or more, and finite")
        self._settle_log()
        done = self._folder.add(numbers, seconds, self._staged)
        saved, self._staged = self._staged is not None, None
        self._epoch_began = time.monotonic()
        self._emit(replace(done, use=self._use.read()))
        if saved and epoch < self.stop_epoch and self._stop.after_epoch():
            self._leave()

    def _leave(self) -> None:
        """Several processes leave together, at their next ``should_stop``; one at once."""
        self._stop.is_set = True
        if self.world == 1:
            raise JobPaused

    def _checked(self, epoch: int, metrics: Mapping[str, float]) -> dict[str, float]:
        """Keep the finite numbers; the watched metric must be among them."""
        watched = self._job.metric
        if not _is_mapping(metrics):
            self._break(
                FailureKind.METRIC,
                f"report({epoch}, …) takes the metrics by name, such as {{{watched!r}: 0.5}}, "
                f"and got {_described(metrics)}",
            )
        if watched not in metrics:
            got = ", ".join(map(str, metrics)) or "nothing"
            self._break(FailureKind.METRIC, f"metric {watched!r} not reported; got: {got}")
        value = as_number(metrics[watched])
        if value is None:
            self._break(
                FailureKind.METRIC,
                f"metric {watched!r} of epoch {epoch} is not a number but "
                f"{_described(metrics[watched])}",
            )
        elif not math.isfinite(value):
            self._break(
                FailureKind.DIVERGED, f"metric {watched!r} became {value} in epoch {epoch}"
            )
        kept = reported(metrics, watched)
        self._tell_what_is_left_out(metrics, kept)
        return kept

    def _tell_what_is_left_out(
        self, metrics: Mapping[str, float], kept: Mapping[str, float]
    ) -> None:
        """In the trial's log, once; what is no finite number today may be one tomorrow."""
        told = []
        if SCORE in metrics:
            told.append(f"metric {SCORE!r} is not kept: that is the brains' own word")
        if len(kept) == MOST_METRICS < len(metrics):
            told.append(f"of {len(metrics)} metrics the first {MOST_METRICS} are kept")
        for line in () if self._told_what_is_left_out else told:
            self.log(f"raytao: {line}")
        self._told_what_is_left_out = self._told_what_is_left_out or bool(told)

    def _break(self, kind: FailureKind, reason: str) -> NoReturn:
        self.broken = Broken(kind, reason)
        raise JobBroken(self.broken)


def refuse_no_bytes(checkpoint: object) -> None:
    """Asked of what a trainer gives, whatever its annotations promise.

    Raises:
        TypeError: if it is no bytes.
    """
    if not isinstance(checkpoint, bytes | bytearray | memoryview):
        raise TypeError(f"ctx.save takes bytes, not {type(checkpoint).__name__}")


def _is_mapping(metrics: object) -> bool:
    """Asked of what a trainer gives, whatever its annotations promise."""
    return isinstance(metrics, Mapping)


def _described(value: object) -> str:
    """``list``, or ``Tensor of shape (3,)``."""
    shape = getattr(value, "shape", None)
    return f"{type(value).__name__} of shape {tuple(shape)}" if shape else type(value).__name__


@contextmanager
def stop_on_sigterm(after_epoch: Callable[[], bool] = lambda: False) -> Iterator[StopFlag]:
    """Make SIGTERM, and a terminal that closes, raise a flag instead of ending the process.

    The flag knows ``after_epoch``, too; see `StopFlag`.

    Who ignores SIGHUP (``nohup``) goes on to do so. Python lets only the main thread do that; in
    another one, the flag is never raised.
    """
    stop = StopFlag(after_epoch)
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return

    def asked(signum: int, frame: FrameType | None) -> None:
        del signum, frame
        stop.is_set = True

    numbers = [signal.SIGTERM]
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        numbers.append(signal.SIGHUP)
    before = {number: signal.signal(number, asked) for number in numbers}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
