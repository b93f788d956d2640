"""A network's card: where its spec keeps things, and what its metrics mean.

A card is data: ``card.yaml``, ``params.csv`` (TAO's 16 columns) and the default spec lie together
in ``configs/networks/<name>/``, or in the folder that a plugin's network names.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from pydantic import BaseModel, ConfigDict, ValidationError, model_validator

from raytao.catalog import configs
from raytao.errors import SettingsError, SpecError, did_you_mean
from raytao.networks.base import Network
from raytao.space import Row, read_table
from raytao.spec import Document
from raytao.spec.text import read_file
from raytao.types import SCORE, Direction


class _CardFile(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    description: str
    epoch_key: str
    seed_key: str
    gpus_key: str
    spec_format: str
    kpi: str
    metrics: dict[str, Direction]
    batch_key: str | None = None
    datasets: dict[str, str] = {}

    @model_validator(mode="after")
    def _kpi_is_a_metric(self) -> Self:
        if self.kpi not in self.metrics:
            raise ValueError(f"kpi {self.kpi!r} is not among the metrics {list(self.metrics)}")
        if SCORE in self.metrics:
            raise ValueError(f"no metric may be called {SCORE!r}: that is the brains' own word")
        return self


@dataclass(frozen=True)
class Card:
    """What raytao knows of a network without importing its trainer.

    ``epoch_key``, ``seed_key`` and ``gpus_key`` are dotted spec keys, and so is ``batch_key``,
    None where there is no batch size, or where it cannot change at a checkpoint; ``kpi`` is the
    metric meant by TAO's ``metric: kpi``; ``metrics`` maps every reported metric to its direction.
    ``folder`` holds spec and table, None for a user's own function; ``datasets`` tells what each
    one is.
    """

    name: str
    description: str
    epoch_key: str
    seed_key: str
    gpus_key: str
    kpi: str
    metrics: Mapping[str, Direction]
    spec_format: str
    folder: Path | None
    batch_key: str | None = None
    datasets: Mapping[str, str] = field(default_factory=dict)

    def default_spec(self) -> Document:
        """The network's own train spec, with comments."""
        return Document.load(self._file(f"spec.{self.spec_format}"))

    def table(self) -> tuple[Row, ...]:
        """The network's parameter table.

        Raises:
            UserError: if it cannot be read.
        """
        path = self._file("params.csv")
        return read_table(read_file(path), file=str(path))

    def _file(self, name: str) -> Path:
        if self.folder is None:
            raise SettingsError(f"{self.name!r} has no {name}: it is no network of files")
        return self.folder / name

    def metric(self, name: str) -> tuple[str, Direction]:
        """Resolve a metric's name (``kpi`` included) and its direction.

        Raises:
            SettingsError: if the network does not report it.
        """
        resolved = self.kpi if name == "kpi" else name
        if resolved not in self.metrics:
            raise SettingsError(
                f"network {self.name!r} reports no metric {name!r}",
                remedy=did_you_mean(name, ["kpi", *self.metrics]),
            )
        return resolved, self.metrics[resolved]


def load_card(network: Network) -> Card:
    """Read the card that belongs to a network.

    Raises:
        SettingsError: if the card is missing or malformed.
    """
    folder = network.card_folder() or configs() / "networks" / network.name
    path = folder / "card.yaml"
    if not path.exists():
        raise SettingsError(f"network {network.name!r} has no card: {path} is missing")
    try:
        data = _CardFile.model_validate(Document.load(path).plain())
    except (ValidationError, SpecError) as error:
        raise SettingsError(f"the card {path} is malformed: {error}") from error
    return Card(
        name=data.name,
        description=data.description,
        epoch_key=data.epoch_key,
        seed_key=data.seed_key,
        gpus_key=data.gpus_key,
        kpi=data.kpi,
        metrics=data.metrics,
        spec_format=data.spec_format,
        folder=folder,
        batch_key=data.batch_key,
        datasets=data.datasets,
    )
