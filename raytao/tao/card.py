"""A network's card: where its spec keeps things, and what its metrics mean.

A card is data: ``card.yaml``, ``params.csv`` (TAO's 16 columns) and the default spec lie together
in ``configs/networks/<name>/``, in the folder that a plugin's network names, or in a user's own.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal, Self

from pydantic import BaseModel, ConfigDict, ValidationError, model_validator

from raytao.catalog import configs
from raytao.errors import SettingsError, SpecError, did_you_mean
from raytao.networks.base import Network
from raytao.networks.command import CommandSettings
from raytao.spec import Document
from raytao.spec.text import read_file
from raytao.types import SCORE, Direction, Json

if TYPE_CHECKING:
    from raytao.space import Row

CARD: Final = "card.yaml"
TABLE: Final = "params.csv"
REMEMBERED: Final = (
    *("name", "description", "epoch_key", "kpi", "spec_format", "seed_key", "gpus_key"),
    *("batch_key", "unit", "promotion"),
)
"""What a run's log keeps of a card, besides its metrics."""


class _CardFile(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    description: str
    epoch_key: str
    spec_format: Literal["yaml", "json", "toml", "protobuf"]
    kpi: str
    metrics: dict[str, Direction]
    seed_key: str | None = None
    gpus_key: str | None = None
    batch_key: str | None = None
    datasets: dict[str, str] = {}
    tao_version: str = ""
    command: CommandSettings | None = None
    unit: Literal["epochs", "iters"] = "epochs"
    promotion: Literal["resume", "retrain"] = "resume"
    ineligible: tuple[str, ...] = ()
    epochless: tuple[str, ...] = ()
    renamed: dict[str, str] = {}
    mended: tuple[str, ...] = ()
    unverified: tuple[str, ...] = ()

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

    Args:
        name: of the network.
        description: one sentence.
        epoch_key: dotted spec key of the length of a full training.
        kpi: the metric meant by TAO's ``metric: kpi``.
        metrics: every reported metric, and its direction.
        spec_format: of its train specs.
        folder: holds spec and table; None where they are ``given``, or a function is tuned.
        seed_key: dotted spec key of the seed; None where the spec has none.
        gpus_key: of the number of GPUs; likewise.
        batch_key: of the batch size; None also where it cannot change at a checkpoint.
        datasets: what each one is.
        given: default spec and table of a network without a folder.
        tao_version: the version of TAO that the table is of.
        command: how an external trainer is started; None for a network of raytao's own.
        unit: what ``epoch_key`` counts.
        promotion: whether a promoted trial goes on from its checkpoint, or trains anew.
        ineligible: keys that cannot be searched and that the table has no row for.
        renamed: TAO's names of parameters that the trainer's spec has other names for, to those.
        epochless: keys that may choose a trainer without epochs, which no rung can stop.
        mended: what is wrong in TAO's own table and right here, a sentence each.
        unverified: what TAO's documents do not tell, a sentence each.
    """

    name: str
    description: str
    epoch_key: str
    kpi: str
    metrics: Mapping[str, Direction]
    spec_format: str
    folder: Path | None
    seed_key: str | None = None
    gpus_key: str | None = None
    batch_key: str | None = None
    datasets: Mapping[str, str] = field(default_factory=dict)
    given: tuple[Document, tuple[Row, ...]] | None = None
    tao_version: str = ""
    command: CommandSettings | None = None
    unit: str = "epochs"
    promotion: str = "resume"
    ineligible: tuple[str, ...] = ()
    epochless: tuple[str, ...] = ()
    renamed: Mapping[str, str] = field(default_factory=dict)
    mended: tuple[str, ...] = ()
    unverified: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Json]:
        """What is needed to look at a run, and to end it, where the network is not (any more)."""
        metrics: Json = {name: direction.value for name, direction in self.metrics.items()}
        return {**{key: getattr(self, key) for key in REMEMBERED}, "metrics": metrics}

    @classmethod
    def from_json(cls, kept: Mapping[str, Json]) -> Self:
        """The card that ``to_json`` kept: without spec, table and command."""
        known = {key: kept[key] for key in REMEMBERED}
        metrics = {name: Direction(value) for name, value in kept["metrics"].items()}
        return cls(**known, metrics=metrics, folder=None)

    def default_spec(self) -> Document:
        """The network's own train spec, with comments."""
        if self.given is not None:
            return self.given[0]
        return Document.load(self._file(f"spec.{self.spec_format}"))

    def table(self) -> tuple[Row, ...]:
        """The network's parameter table.

        Raises:
            UserError: if it cannot be read.
        """
        from raytao.space import read_table  # a card is read more often than its table

        if self.given is not None:
            return self.given[1]
        path = self._file(TABLE)
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
        if not resolved:
            raise SettingsError(
                f"nobody tells what network {self.name!r} is judged by",
                remedy="name a metric as its log has it: metric: val_acc",
            )
        if resolved not in self.metrics:
            raise SettingsError(
                f"network {self.name!r} reports no metric {name!r}",
                remedy=did_you_mean(name, ["kpi", *self.metrics]),
            )
        return resolved, self.metrics[resolved]

    def seed_in(self, spec: Document, default: int = 0) -> int:
        """The seed that a train spec names; ``default`` where it has none."""
        key = self.seed_key
        return int(spec.get(key)) if key is not None and spec.has(key) else default

    def gpus_in(self, spec: Document, default: int = 0) -> int:
        """The GPUs that a train spec asks for; ``default`` where it has no such key."""
        key = self.gpus_key
        return int(spec.get(key)) if key is not None and spec.has(key) else default


def load_card(network: Network) -> Card:
    """Read the card that belongs to a registered network.

    Raises:
        SettingsError: if the card is missing or malformed.
    """
    folder = network.card_folder() or configs() / "networks" / network.name
    if not (folder / CARD).exists():
        raise SettingsError(f"network {network.name!r} has no card: {folder / CARD} is missing")
    return read_card(folder)


def card_folders() -> dict[str, Path]:
    """Folders of the cards that come with raytao, by the network's name."""
    return {path.parent.name: path.parent for path in (configs() / "networks").glob(f"*/{CARD}")}


def read_card(folder: Path) -> Card:
    """Read the card in a folder.

    Raises:
        SettingsError: if it is malformed.
    """
    path = folder / CARD
    try:
        data = _CardFile.model_validate(Document.load(path).plain())
    except (ValidationError, SpecError) as error:
        raise SettingsError(f"the card {path} is malformed: {error}") from error
    return Card(**dict(data), folder=folder)
