"""The run file: what a user may write, strictly checked, with file:line for every mistake."""

from __future__ import annotations

import unicodedata
from typing import Any, Self

from pydantic import (
    AliasChoices,
    BaseModel,
    Field,
    ValidationError,
    field_serializer,
    field_validator,
    model_validator,
)

from raytao.setup.mistakes import readable
from raytao.setup.places import Places
from raytao.setup.resources import Resources
from raytao.setup.strict import STRICT
from raytao.setup.trackers import Tracking as Tracking
from raytao.setup.trackers import listed, written
from raytao.types import Direction, Json

LONGEST_NAME = 255
"""Bytes of a folder's name, on any file system of Linux."""

LONGEST_PATH = 3_800
"""Bytes of a results folder's path: PATH_MAX, less what raytao adds below and the shell before."""


class _Strict(BaseModel):
    model_config = STRICT


class Metric(_Strict):
    """The metric to search by; its name alone is enough.

    Args:
        name: as the trainer reports it; ``kpi`` means the network's own.
        direction: which way it is better; the network's, unless it is given.
    """

    name: str = "kpi"
    direction: Direction | None = Field(default=None, strict=False)


class Range(_Strict):
    """A user's own range for one parameter; ``[0.001, 0.1]`` is short for its two bounds.

    Args:
        valid_min: the smallest value.
        valid_max: the largest value.
        valid_options: the values to choose from.
        option_weights: how often each of the options is drawn, next to the others.
        math_cond: what a value must meet: ``< train.num_epochs``, ``^ 2``.
        depends_on: when it is searched at all: ``train.optim.type == sgd``.
    """

    valid_min: float | None = None
    valid_max: float | None = None
    valid_options: list[Any] | None = None
    option_weights: list[float] | None = None
    math_cond: str | None = None
    depends_on: str | None = None

    @model_validator(mode="before")
    @classmethod
    def _two_bounds_alone(cls, value: object) -> object:
        """``[0.001, 0.1]`` is short for the two bounds."""
        if isinstance(value, list) and len(value) == 2:
            return {"valid_min": value[0], "valid_max": value[1]}
        return value


def _known_as(*names: str) -> Any:
    """A list of parameters, under raytao's name and TAO's."""
    return Field(default=[], validation_alias=AliasChoices(*names))


class Search(_Strict):
    """Changes to the network's default search space.

    Args:
        add: parameters that may be searched, but are not by default.
        remove: parameters that keep the spec's value.
        ranges: own ranges, by parameter.
        only: the whole list of what is searched, in place of ``add`` and ``remove``.
        override_disabled: let ``add`` and ``only`` name what the network's table refuses.
    """

    add: list[str] = _known_as("add", "additional_automl_parameters", "automl_add_hyperparameters")
    remove: list[str] = _known_as(
        "remove", "remove_default_automl_parameters", "automl_remove_hyperparameters"
    )
    ranges: dict[str, Range] = {}
    only: list[str] = _known_as("only", "automl_hyperparameters")
    override_disabled: bool = Field(
        default=False,
        validation_alias=AliasChoices("override_disabled", "override_automl_disabled_params"),
    )

    @model_validator(mode="after")
    def _whole_list_alone(self) -> Self:
        if self.only and (self.add or self.remove):
            raise ValueError("is contradictory: 'only' is the whole list, so no add or remove")
        return self


class Limits(_Strict):
    """When a trial counts as hung, and is ended.

    Both the trial's supervisor and the driver watch; without a limit, neither does.

    Args:
        seconds: the most that one segment, from a start to a pause, may take.
        idle_seconds: the most that may pass without an epoch.
    """

    seconds: float | None = Field(default=None, gt=0)
    idle_seconds: float | None = Field(default=None, gt=0)


class Retries(_Strict):
    """How often a trial is tried again, from its checkpoint; see `raytao.runs.retries`.

    Args:
        failures: after an exception, an exit code or a hang.
        losses: after its worker vanished, without an epoch in between.
        smaller_batch: after it ran out of memory, each time with half the batch.
        alike: so many trials that fail for one reason, in a row, stop the run; null: never.
    """

    failures: int = Field(default=0, ge=0)
    losses: int = Field(default=2, ge=0)
    smaller_batch: int = Field(default=0, ge=0, le=16)
    alike: int | None = Field(default=5, ge=2)


class Budget(_Strict):
    """Of the whole run, over all its resumptions: when one is spent, the run ends well.

    Trials that run then end with the epoch they are in, and the winner is measured.

    Args:
        hours: by the clock, while a driver is at work.
        epochs: of all trials together.
        gpu_hours: of all trials together; a share of a GPU counts as its share.
    """

    hours: float | None = Field(default=None, gt=0)
    epochs: int | None = Field(default=None, ge=1)
    gpu_hours: float | None = Field(default=None, gt=0)


class WarmStart(_Strict):
    """Earlier runs to begin from; a list of their folders is enough.

    Args:
        runs: results folders, raytao's or TAO's.
        trust: take their results for this run's own; see `raytao.setup.warm_start`.
        best: how many of their configurations are trained here first.
    """

    runs: list[str]
    trust: bool = False
    best: int = Field(default=3, ge=0)

    @model_validator(mode="before")
    @classmethod
    def _runs_alone(cls, value: object) -> object:
        if isinstance(value, str):
            return {"runs": [value]}
        return {"runs": value} if isinstance(value, list) else value

    @field_validator("runs")
    @classmethod
    def _some(cls, value: list[str]) -> list[str]:
        if not value:
            raise ValueError("must name a run's results folder, or be left out")
        return value

    @model_validator(mode="after")
    def _of_use(self) -> Self:
        if not self.best and not self.trust:
            raise ValueError("takes nothing over: best is 0, and trust is false")
        return self


class Settings(_Strict):
    """A run file. ``brain`` keeps its own keys; the brain's model checks them.

    Args:
        network: what is trained: a name that ``raytao params`` lists, or a folder with a card.
        command: changes to its card's ``command`` block, where another program trains it.
        spec: the path of a whole train spec of your own; without it, the network's.
        set: changes to the train spec: nested keys, or dotted ones.
        metric: what trials are judged by.
        brain: who proposes trials; its name alone is enough.
        search: what is searched.
        initial: trained right after the user's own spec: paths of specs, or values by parameter.
        warm_start: earlier runs to begin from.
        resources: what each trial gets.
        slots: the most trials at once; without it, as many as the cluster has room for.
        limits: when a trial counts as hung.
        retries: how often a trial is tried again.
        budget: what the run may use up in all.
        checkpoint_gb: the most that the checkpoints of the whole run may take on disk.
        seed: of everything that the brain draws.
        results_dir: where the run is kept: a path, or an address such as ``s3://bucket/my_run``;
            without it, ``results/`` and this file's name.
        evaluate: measure the winner on the test set, once, at the end.
        delete_intermediate_checkpoints: keep two checkpoints of a trial, the latest and the best.
        address: of a running Ray cluster: ``auto``, or host:port; without it one starts here.
        tracking: where the run is told of besides its folder.
    """

    network: str
    command: dict[str, Any] = {}
    spec: str | None = None
    set: dict[str, Any] = {}
    metric: Metric = Metric()
    brain: dict[str, Any] = {"name": "bayesian"}
    search: Search = Search()
    initial: list[str | dict[str, Any]] = []
    warm_start: WarmStart | None = None
    resources: Resources = Resources()
    slots: int | None = Field(default=None, ge=1)
    limits: Limits = Limits()
    retries: Retries = Retries()
    budget: Budget = Budget()
    checkpoint_gb: float | None = Field(default=None, gt=0)
    seed: int = Field(default=0, ge=0)
    results_dir: str | None = None
    evaluate: bool = True
    delete_intermediate_checkpoints: bool = Field(
        default=True,
        validation_alias=AliasChoices(
            "delete_intermediate_checkpoints", "automl_delete_intermediate_ckpt"
        ),
    )
    address: str | None = None
    tracking: list[Tracking] = []

    @field_validator("results_dir")
    @classmethod
    def _a_folder(cls, value: str | None) -> str | None:
        """Refuse a name that no folder can have, or that no command would take for one."""
        if value is None:
            return None
        odd = next((c for c in value if unicodedata.category(c) in ("Cc", "Cs")), None)
        if odd is not None:
            raise ValueError(f"must not hold the character U+{ord(odd):04X}")
        if value.startswith("-"):
            raise ValueError("would be taken for an option of a command: write ./ before it")
        too_long = any(len(part.encode()) > LONGEST_NAME for part in value.split("/"))
        if too_long or len(value.encode()) > LONGEST_PATH:
            raise ValueError(
                f"is too long: a folder's name has at most {LONGEST_NAME} bytes, and a path to "
                f"one {LONGEST_PATH}"
            )
        return value

    @field_validator("initial", mode="before")
    @classmethod
    def _specs_or_values(cls, value: object) -> object:
        for entry in value if isinstance(value, list) else []:
            if not isinstance(entry, str | dict) or not entry:
                raise ValueError(
                    "must list paths of train specs, or values like {train.optim.lr: 0.01}, not "
                    f"{entry!r}"
                )
        return value

    @field_validator("metric", mode="before")
    @classmethod
    def _name_alone(cls, value: object) -> object:
        return {"name": value} if isinstance(value, str) else value

    @field_validator("brain", mode="before")
    @classmethod
    def _name_of_brain_alone(cls, value: object) -> object:
        return {"name": value} if isinstance(value, str) else value

    @field_validator("tracking", mode="before")
    @classmethod
    def _one_or_several(cls, value: object) -> object:
        return listed(value)

    @field_serializer("tracking")
    def _as_written(self, value: list[Tracking]) -> Json:
        return written(value)


def validate(model: type[BaseModel], data: Json, *, place: Places, below: str = "") -> Any:
    """Check ``data`` against a model; the first mistake becomes one readable error.

    Args:
        model: the pydantic model.
        data: plain values.
        place: tells where the user wrote a key.
        below: dotted key of ``data`` in the run file.

    Raises:
        SettingsError: with file:line, the key, the value, the rule and the nearest known key.
    """
    try:
        return model.model_validate(data)
    except ValidationError as error:
        raise readable(error, model, data, place=place, below=below) from error
