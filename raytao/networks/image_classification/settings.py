"""The train spec as typed values: every key, its default, its rule.

The keys are TAO's PyTorch ones (``train.num_epochs``, ``train.optim.lr``, ``dataset.batch_size``),
so that overrides written for TAO mean the same here. Reading a spec needs no torch.
"""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Final, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic_core import ErrorDetails

from raytao.errors import SpecError, did_you_mean
from raytao.networks.image_classification.kinds import FIXED_KINDS, Shape
from raytao.types import Json

DatasetName: TypeAlias = Literal["digits", "fashion_mnist", "folder"]
OptimizerName: TypeAlias = Literal["sgd", "adam", "adamw"]
SchedulerName: TypeAlias = Literal["cosine", "step", "constant"]
BackboneName: TypeAlias = Literal["cnn", "resnet"]
ActivationName: TypeAlias = Literal["relu", "leaky_relu", "silu"]
NormName: TypeAlias = Literal["batch", "group"]
PrecisionName: TypeAlias = Literal["fp32", "fp64"]

Epoch: TypeAlias = Annotated[int, Field(ge=1)]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


class ModelSection(_Section):
    """``model:`` what is trained; see architecture.py for what width and depth mean."""

    backbone: BackboneName = "cnn"
    width: int = Field(default=16, ge=4, le=128)
    depth: int = Field(default=3, ge=2, le=6)
    kernel_size: Literal[3, 5] = 3
    activation: ActivationName = "relu"
    norm: NormName = "batch"
    dropout: float = Field(default=0.0, ge=0.0, le=0.8)


class AugmentationSection(_Section):
    """``dataset.augmentation:`` see augment.py for the units."""

    hflip: float = Field(default=0.0, ge=0.0, le=1.0)
    translate: float = Field(default=0.0, ge=0.0, le=0.5)
    rotate: float = Field(default=0.0, ge=0.0, le=180.0)
    cutout: float = Field(default=0.0, ge=0.0, le=0.75)


class DatasetSection(_Section):
    """``dataset:`` what is learned; ``image_size`` and ``channels`` are for folder to choose."""

    name: DatasetName = "digits"
    root: str | None = None
    image_size: int | None = Field(default=None, ge=8, le=512)
    channels: Literal[1, 3] | None = None
    train_fraction: float = Field(default=1.0, gt=0.0, le=1.0)
    val_split: float = Field(default=0.2, ge=0.01, le=0.5)
    batch_size: int = Field(default=128, ge=2, le=4096)
    workers: Literal[0] = 0
    augmentation: AugmentationSection = AugmentationSection()

    @property
    def folder_shape(self) -> Shape:
        """What the images of the data set folder are made: 32 x 32 RGB, unless the spec says."""
        return Shape(channels=self.channels or 3, side=self.image_size or 32, white=255)


class OptimSection(_Section):
    """``train.optim:`` how it is learned; see optim.py for the schedules."""

    type: OptimizerName = "adamw"
    lr: float = Field(default=1e-3, gt=0.0, le=10.0)
    weight_decay: float = Field(default=1e-4, ge=0.0, le=1.0)
    momentum: float = Field(default=0.9, ge=0.0, lt=1.0)
    lr_scheduler: SchedulerName = "cosine"
    warmup_epochs: int = Field(default=0, ge=0)
    milestones: list[Epoch] = Field(default=[8, 10], min_length=1)


class TrainSection(_Section):
    """``train:`` how long, from where, on what."""

    num_epochs: Epoch = 12
    num_gpus: int = Field(default=0, ge=0, le=1)
    seed: int = Field(default=1234, ge=0)
    checkpoint_interval: Epoch = 1
    validation_interval: Literal[1] = 1
    resume_training_checkpoint_path: str | None = None
    pretrained_model_path: str | None = None
    clip_grad_norm: float = Field(default=0.0, ge=0.0)
    precision: PrecisionName = "fp32"
    amp: bool = False
    optim: OptimSection = OptimSection()


class EvaluateSection(_Section):
    """``evaluate:`` kept for TAO's spec; the checkpoint is handed in by the caller."""

    checkpoint: str | None = "???"


class ExportSection(_Section):
    """``export:`` kept for TAO's spec."""

    format: Literal["torchscript"] = "torchscript"


class Settings(_Section):
    """A whole train spec of this network."""

    encryption_key: None = None
    results_dir: str | None = "???"
    model: ModelSection = ModelSection()
    dataset: DatasetSection = DatasetSection()
    train: TrainSection = TrainSection()
    evaluate: EvaluateSection = EvaluateSection()
    export: ExportSection = ExportSection()


def read_settings(spec: Mapping[str, Json]) -> Settings:
    """Read a train spec; keys that are left out take their defaults.

    Raises:
        SpecError: for the first key that is unknown or breaks its rule.
    """
    try:
        settings = Settings.model_validate(dict(spec))
    except ValidationError as error:
        raise _refused(error.errors()[0]) from None
    _check_dataset(settings.dataset)
    _check_epochs(settings.train)
    _check_precision(settings.train)
    return settings


def check_weights_file(key: str, path: str | None) -> None:
    """Refuse a weights file that torch could not have written; torch itself is not needed.

    Raises:
        SpecError: naming ``key``, if ``path`` is no readable torch archive.
    """
    if path is None:
        return
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.namelist()
    except (OSError, zipfile.BadZipFile) as error:
        reason = getattr(error, "strerror", None) or "it is no archive written by torch.save"
        raise _unreadable(key, path, reason) from error
    if not any(Path(member).name == "data.pkl" for member in members):
        raise _unreadable(key, path, "the archive holds no data.pkl, so torch did not write it")


def _unreadable(key: str, path: str, reason: str) -> SpecError:
    return SpecError(
        f"{key} = {path!r} cannot be read: {reason}",
        remedy=f"name a .pth file that this network wrote, or set {key}: null",
    )


def _check_dataset(dataset: DatasetSection) -> None:
    """Refuse what a data set of fixed images would silently ignore."""
    fixed = FIXED_KINDS.get(dataset.name)
    if fixed is None:
        return
    for key, asked, own in (
        ("image_size", dataset.image_size, fixed.shape.side),
        ("channels", dataset.channels, fixed.shape.channels),
    ):
        if asked not in (None, own):
            raise SpecError(
                f"dataset.{key} = {asked}: the images of {dataset.name} have {own}, and only "
                "those of the data set folder are changed",
                remedy="write null, or set dataset.name: folder to learn your own images",
            )
    if dataset.name == "digits" and dataset.root is not None:
        raise SpecError(
            f"dataset.root = {dataset.root!r}: digits come with scikit-learn, not from a folder",
            remedy="set dataset.name: folder to learn your own images, or dataset.root: null",
        )


def _check_epochs(train: TrainSection) -> None:
    optim = train.optim
    if optim.warmup_epochs >= train.num_epochs:
        raise SpecError(
            f"train.optim.warmup_epochs = {optim.warmup_epochs}: must be below "
            f"train.num_epochs = {train.num_epochs}, or the learning rate never reaches its value",
            remedy=f"write at most {train.num_epochs - 1}",
        )
    if optim.milestones != sorted(set(optim.milestones)):
        raise SpecError(
            f"train.optim.milestones = {optim.milestones}: epochs must increase",
            remedy=f"write {sorted(set(optim.milestones))}",
        )


def _check_precision(train: TrainSection) -> None:
    if train.amp and train.precision != "fp32":
        raise SpecError(
            f"train.amp = true: mixed precision is of half and single, not of {train.precision}",
            remedy="write train.precision: fp32, or train.amp: false",
        )


_REMEDIES: Final = {
    "encryption_key": "checkpoints are not encrypted: write null",
    "dataset.workers": "the whole data set lies in memory, no worker loads it: write 0",
    "train.validation_interval": "the search reads every epoch's validation: write 1",
    "train.num_gpus": "write 0 or 1; a trial on several GPUs is asked for by resources: {gpus: 2}",
}


def _refused(error: ErrorDetails) -> SpecError:
    """Turn a complaint of pydantic's into key, value, rule and remedy."""
    *parents, name = [str(part) for part in error["loc"] if isinstance(part, str)] or ["spec"]
    key = ".".join([*parents, name])
    section = _section(parents)
    if error["type"] == "extra_forbidden":
        known = [".".join([*parents, field]) for field in section.model_fields]
        return SpecError(f"unknown spec key {key!r}", remedy=did_you_mean(key, known))
    rule = (
        "must be a mapping"
        if error["type"] == "model_type"
        else f"{error['msg'][0].lower()}{error['msg'][1:]}"
    )
    remedy = _REMEDIES.get(key) or _default_of(section, name)
    return SpecError(f"{key} = {error['input']!r}: {rule}", remedy=remedy)


def _section(parents: list[str]) -> type[BaseModel]:
    section: type[BaseModel] = Settings
    for name in parents:
        section = type(section.model_fields[name].default)
    return section


def _default_of(section: type[BaseModel], name: str) -> str:
    field = section.model_fields.get(name)
    if field is None or isinstance(field.default, BaseModel):
        return "write a mapping of names to values, as the network's spec.yaml does"
    return f"the default is {field.default!r}"
