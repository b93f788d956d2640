"""A trained model: its weights, and all that is needed to load and measure them.

A weights file is handed to its network as bytes; nothing here unpickles it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from raytao.errors import DataError, FolderError, RaytaoError, SettingsError, SpecError, Where
from raytao.networks.base import Network
from raytao.networks.command import Command, CommandSettings
from raytao.networks.function import NAME as FUNCTION
from raytao.redact import redactor
from raytao.runs.place import Place, store_at
from raytao.spec import Document, resolved
from raytao.tao.networks import find_network
from raytao.trials.measured import finite
from raytao.types import Json

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class Model:
    """Trained weights; made by ``raytao.models.find``.

    ``spec`` is the train spec that ``checkpoint`` was trained with, on ``threads`` threads and
    ``gpus`` GPUs. ``value`` is the ``metric`` on validation data after ``epoch`` of
    recommendation ``trial``; each of them is None where nobody knows. ``home`` is the folder
    that exports go to. ``command`` is how its run started an external trainer; None: as the
    network's card says.
    """

    network: str
    spec: Document
    checkpoint: Place
    home: Place
    threads: int = 1
    gpus: int = 0
    trial: int | None = None
    epoch: int | None = None
    metric: str | None = None
    value: float | None = None
    command: Mapping[str, Json] | None = None

    def __str__(self) -> str:
        words = self.network if self.trial is None else f"recommendation {self.trial}"
        if self.epoch is not None:
            words += f", epoch {self.epoch}"
        if self.value is not None:
            words += f" ({self.metric} {self.value:.4f})"
        return words

    def read(self) -> bytes:
        """The weights file, as the trainer gave it to ``save``.

        Raises:
            FolderError: if it is gone.
        """
        data = store_at(self.checkpoint.parent).read(self.checkpoint.name)
        if data is None:
            raise FolderError(f"the weights file {self.checkpoint} is missing")
        return data


def load(model: Model) -> torch.nn.Module:
    """Build the trained module: on the CPU, in evaluation mode, from raw input to answer.

    Raises:
        SettingsError: if its network has no module of its own.
        SpecError: if the weights file is damaged, or does not fit the spec.
    """
    network, weights = network_of(model), model.read()
    with _blaming(model, "load"):
        return network.load(resolved(model.spec.plain()), weights)


def example(model: Model) -> torch.Tensor:
    """A batch of raw inputs for the module that ``load`` gives."""
    with _blaming(model, "show an input of"):
        return network_of(model).example(resolved(model.spec.plain()))


def evaluate(
    model: Model, *, threads: int | None = None, gpus: int | None = None
) -> dict[str, float]:
    """Measure a model on the held-out test set, in this process.

    Args:
        model: whose weights are measured.
        threads: CPU threads; by default as many as it was trained on, which gives the figures
            of its own run to the last bit.
        gpus: by default ``gpus_here``.

    Raises:
        SettingsError: if nobody knows its test set.
        DataError: if the data set is missing.
        SpecError: if the weights file is damaged, or does not fit the spec.
    """
    network, weights = network_of(model), model.read()
    with _blaming(model, "measure"):
        measured = network.evaluate(
            resolved(model.spec.plain()),
            weights,
            threads=model.threads if threads is None else threads,
            gpus=gpus_here(model) if gpus is None else gpus,
        )
        return finite(measured)


def gpus_here(model: Model) -> int:
    """The GPUs that it was trained on, if this machine has as many; else 0, the CPU."""
    if model.gpus == 0:
        return 0
    import torch

    return model.gpus if torch.cuda.device_count() >= model.gpus else 0


def network_of(model: Model) -> Network:
    """The network that trained a model.

    Raises:
        SettingsError: if it is not installed here, or was a user's own function.
    """
    if model.network == FUNCTION:
        raise SettingsError(
            "this model comes from your own function: raytao knows its bytes only",
            remedy=f"read what the function gave to ctx.save from {model.checkpoint}",
        )
    known = None if model.command is None else CommandSettings.model_validate(model.command)
    network, card = find_network(model.network, command=known)
    if not isinstance(network, Command):
        return network
    return Command.of_job(network.title, network.for_job(model.spec.dump(card.spec_format)))


@contextmanager
def _blaming(model: Model, verb: str) -> Iterator[None]:
    """Give the network's complaints their place; an error that it did not foresee gets words."""
    try:
        yield
    except (SpecError, DataError) as error:
        if error.where is not None:
            raise
        where = _place(model, error.message)
        raise type(error)(error.message, where=where, remedy=error.remedy) from error
    except RaytaoError:
        raise
    except Exception as error:
        redact = redactor(model.spec.plain())
        said = " ".join(redact(f"{type(error).__name__}: {error}").split())
        raise RaytaoError(
            f"network {model.network!r} cannot {verb} {model.checkpoint}: {said}"
        ) from error


def _place(model: Model, message: str) -> Where:
    """The line of the spec whose key a message names, else the weights file."""
    named = [key for key in model.spec.keys() if key in message]  # noqa: SIM118 - no mapping
    return model.spec.where(max(named, key=len)) if named else Where(str(model.checkpoint))
