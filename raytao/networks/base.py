"""The contract between raytao and a network's trainer.

A trainer gets a full train spec and a context, and speaks only through the context: no Ray, no
path, no file of TAO's. The same function runs in a Ray actor's child, in ``raytao train`` and in
a test.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Protocol

from raytao.errors import SettingsError
from raytao.types import Json

if TYPE_CHECKING:
    import torch


class TrainContext(Protocol):
    """What a trainer may know and do. Epochs are completed epochs, counted from 1."""

    @property
    def start_epoch(self) -> int:
        """Epochs already trained: 0, or that of the checkpoint in ``resume_from``."""

    @property
    def stop_epoch(self) -> int:
        """The rung: stop after this epoch. The LR horizon is the spec's own epoch count."""

    @property
    def epochs(self) -> range:
        """The epochs still to train: from ``start_epoch + 1`` to ``stop_epoch``."""

    @property
    def resume_from(self) -> bytes | None:
        """The checkpoint that ``save`` was given at ``start_epoch``; None at the beginning."""

    @property
    def seed(self) -> int:
        """Seed of everything random in this training; the same for every attempt."""

    @property
    def threads(self) -> int:
        """CPU threads this trial may use."""

    @property
    def gpus(self) -> int:
        """GPUs this process may use, numbered from 0 in it; 0 means CPU."""

    def gpu_memory_share(self, total: int) -> float:
        """The share of a GPU's memory, ``total`` bytes, that this process may take; 1.0 is all.

        Nobody else holds it to that: several trials share a GPU, and each asks once, before it
        takes any (torch: ``torch.cuda.set_per_process_memory_fraction``).
        """

    @property
    def rank(self) -> int:
        """This process among those that train together; 0 is the one that reports and saves.

        On the others ``report`` only checks the order of epochs, ``save`` and ``log`` do nothing,
        and ``is_best`` is never true.
        """

    @property
    def world(self) -> int:
        """Processes that train together: 1, unless the network is ``distributed``."""

    @property
    def metric(self) -> str:
        """The watched metric, by the trainer's name for it: every report must have it."""

    @property
    def workspace(self) -> Path:
        """A folder of the trial's own, for a trainer that keeps files itself; it need not exist.

        It lies on the storage that all of the run's nodes share, and stays from one segment to
        the next; a run on object storage has none there, and its trials a temporary one a
        segment. Nothing in it is needed to go on but what ``save`` was given.
        """

    def is_best(self, metrics: Mapping[str, float]) -> bool:
        """Whether these metrics beat every epoch reported so far, so that they are worth saving.

        Also true while the trial is to move to another machine: it goes on from what is saved.
        """

    def save(self, checkpoint: bytes) -> None:
        """Hand over the state after the epoch that is reported next.

        It becomes durable with that ``report``: a checkpoint and its metrics appear together.
        A checkpoint is needed at ``stop_epoch`` and wherever ``is_best``.
        """

    def report(
        self, epoch: int, metrics: Mapping[str, float], *, seconds: float | None = None
    ) -> None:
        """Tell the metrics after ``epoch``; once for every epoch, in order.

        Args:
            epoch: counted from 1.
            metrics: by name; ``metric`` must be among them.
            seconds: how long the epoch took, for whoever only watches a trainer and tells later;
                None: since the last report.

        Raises:
            ValueError: if the epoch is not the next one or lies past ``stop_epoch``, or if
                ``seconds`` is no time.
        """

    def log(self, message: str) -> None:
        """Write a line to the trial's log."""

    @property
    def should_stop(self) -> bool:
        """True once the trial was asked to end early; check it between batches.

        Where several processes train together, each must ask equally often: the n-th answer is
        the same for all of them, namely rank 0's, so that they leave at the same place.
        """


class Network(ABC):
    """A network that raytao can tune. Importing its module must not import torch.

    Registered under the entry-point group ``raytao.networks``.
    """

    name: ClassVar[str]
    preload: ClassVar[tuple[str, ...]] = ()
    """Modules that a trial's parent process imports once, so that every trial starts warm."""
    distributed: ClassVar[bool] = False
    """Whether ``train`` shares one training among ``ctx.world`` processes: see parallel.py."""
    checkpoint_suffix: str = ".pth"
    """Ending of its weights files."""

    def card_folder(self) -> Path | None:
        """Folder with card.yaml, params.csv and the spec; None: the built-in configs."""
        return None

    @abstractmethod
    def check(self, spec: Mapping[str, Json]) -> None:
        """Refuse a spec that cannot be trained: unknown option, missing data.

        Raises:
            UserError: with the key, the value, the rule and the remedy.
        """

    @abstractmethod
    def train(self, spec: Mapping[str, Json], ctx: TrainContext) -> None:
        """Train from ``ctx.start_epoch`` to ``ctx.stop_epoch``, reporting every epoch."""

    @abstractmethod
    def evaluate(
        self, spec: Mapping[str, Json], checkpoint: bytes, *, threads: int, gpus: int
    ) -> Mapping[str, float]:
        """Measure a checkpoint on the held-out test set, which the search never sees."""

    def check_machine(self) -> None:  # noqa: B027 - most networks need no program
        """Refuse a machine that lacks a program this network is trained by.

        Asked before Ray starts, where the trials run on this machine, and again by every trial.

        Raises:
            UserError: naming the program, and where to find it.
        """

    def check_processes(self, spec: Mapping[str, Json], processes: int) -> None:
        """Refuse a number of processes that one training cannot be shared among.

        Raises:
            UserError: with the rule and the remedy.
        """
        del spec
        if processes > 1 and not self.distributed:
            raise SettingsError(
                f"network {self.called!r} trains in one process, not in {processes}",
                remedy="ask for one process on one node, and run more trials at once",
            )

    def notes(self, spec: Mapping[str, Json]) -> tuple[str, ...]:
        """Sentences that the user should read before a spec that passed ``check`` is trained."""
        del spec
        return ()

    def load(self, spec: Mapping[str, Json], checkpoint: bytes) -> torch.nn.Module:
        """Build the trained module: on the CPU, in evaluation mode, from raw input to answer.

        Args:
            spec: the train spec that the checkpoint was trained with.
            checkpoint: what the trainer gave to ``save``.

        Raises:
            SettingsError: if this network has no module of its own.
        """
        del spec, checkpoint
        raise self._no_module()

    def example(self, spec: Mapping[str, Json]) -> torch.Tensor:
        """A small batch of raw inputs for the module of ``load``, as it is used.

        Raises:
            SettingsError: if this network has no module of its own.
        """
        del spec
        raise self._no_module()

    def _no_module(self) -> SettingsError:
        return SettingsError(
            f"network {self.called!r} gives no module to load",
            remedy="read the file that its trainer saved: raytao.open(folder).best.checkpoint",
        )

    @property
    def called(self) -> str:
        """Its name for people: a network that is data has its card's."""
        return self.name

    def fingerprint(self, spec: Mapping[str, Json]) -> Mapping[str, Json] | None:
        """What the data set is, in a few values that change when it does; None: nobody knows.

        Asked when a run begins and when it is resumed. It should be quick: names and sizes of
        files, not their content, and no path, for a data set may move.

        Raises:
            DataError: if there is no data set.
        """
        del spec
        return None

    def checkpoint_bytes(self, spec: Mapping[str, Json]) -> int | None:
        """Size of one checkpoint in bytes, without training; None where nobody knows."""
        del spec
        return None
