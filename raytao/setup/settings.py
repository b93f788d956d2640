"""The run file: what a user may write, strictly checked, with file:line for every mistake."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence
from types import UnionType
from typing import Any, Self, Union, get_args, get_origin

from pydantic import (
    AliasChoices,
    BaseModel,
    Field,
    ValidationError,
    field_validator,
    model_validator,
)

from raytao.errors import SettingsError, Where, did_you_mean
from raytao.redact import has_login
from raytao.setup.places import Places
from raytao.setup.resources import Resources
from raytao.setup.strict import STRICT
from raytao.types import Direction, Json

LONGEST_NAME = 255
"""Bytes of a folder's name, on any file system of Linux."""

LONGEST_PATH = 3_800
"""Bytes of a results folder's path: PATH_MAX, less what raytao adds below and the shell before."""


class _Strict(BaseModel):
    model_config = STRICT


class Metric(_Strict):
    """The metric to search by; the direction is the network's unless it is given."""

    name: str = "kpi"
    direction: Direction | None = Field(default=None, strict=False)


class Range(_Strict):
    """A user's own range for one parameter (TAO 7.3's automl_range_override)."""

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
    """Changes to the network's default search space."""

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


class Tracking(_Strict):
    """Where the driver tells of the run besides its folder; ``tracking: mlflow`` is enough."""

    name: str = "mlflow"
    uri: str | None = None
    experiment: str = "raytao"

    @field_validator("uri")
    @classmethod
    def _no_secret(cls, value: str | None) -> str | None:
        """Settings are written to the log, and secrets are not."""
        if value and has_login(value):
            raise ValueError(
                "must not hold a password, for it is written to the log: set MLFLOW_TRACKING_URI, "
                "or MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, instead"
            )
        return value


class Limits(_Strict):
    """When a trial counts as hung: seconds for one segment, seconds without an epoch.

    Both the trial's supervisor and the driver watch; without a limit, neither does.
    """

    seconds: float | None = Field(default=None, gt=0)
    idle_seconds: float | None = Field(default=None, gt=0)


class Retries(_Strict):
    """How often a trial is tried again, from its checkpoint; see `raytao.runs.retries`."""

    failures: int = Field(default=0, ge=0)
    losses: int = Field(default=2, ge=0)
    smaller_batch: int = Field(default=0, ge=0, le=16)
    alike: int | None = Field(default=5, ge=2)


class Budget(_Strict):
    """Of the whole run, over all its resumptions: when one is spent, the run ends well.

    Trials that run then end with the epoch they are in, and the winner is measured.
    """

    hours: float | None = Field(default=None, gt=0)
    epochs: int | None = Field(default=None, ge=1)
    gpu_hours: float | None = Field(default=None, gt=0)


class WarmStart(_Strict):
    """Earlier runs to begin from; a list of their folders is enough.

    Args:
        runs: results folders.
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
    """A run file. ``brain`` keeps its own keys; the brain's model checks them."""

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
    tracking: Tracking | None = None

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

    @field_validator("brain", "tracking", mode="before")
    @classmethod
    def _name_of_part_alone(cls, value: object) -> object:
        return {"name": value} if isinstance(value, str) else value


_MODEL = ("model_type", "model_attributes_type")

_NOUNS: Mapping[str, str] = {
    "int_type": "an integer",
    "int_parsing": "an integer",
    "int_from_float": "an integer",
    "float_type": "a number",
    "float_parsing": "a number",
    "string_type": "a string",
    "bool_type": "true or false",
    "bool_parsing": "true or false",
    "list_type": "a list",
    "dict_type": "a mapping of keys to values",
    "model_type": "a mapping of keys to values",
    "model_attributes_type": "a mapping of keys to values",
}


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
        first = error.errors(include_url=False)[0]
        keys = [*below.split("."), *first["loc"]] if below else list(first["loc"])
        inside = first["type"] in _MODEL
        known = _known_keys(model, first["loc"] if inside else first["loc"][:-1])
        raise _readable(first, keys, known, place(keys)) from error


def _readable(
    problem: Mapping[str, Any], keys: Sequence[str | int], known: list[str], where: Where
) -> SettingsError:
    name = ".".join(str(k) for k in keys)
    value = problem.get("input")
    match problem["type"]:
        case "extra_forbidden":
            remedy = did_you_mean(str(keys[-1]), known)
            return SettingsError(f"unknown key {name!r}", where=where, remedy=remedy)
        case "missing":
            return SettingsError(f"{name!r} is missing", where=where, remedy=f"add {name}: …")
        case kind if kind in _NOUNS:
            rule = f"{name!r} must be {_NOUNS[kind]}, not {value!r}"
            return SettingsError(rule, where=where, remedy=_how(problem, name, known))
        case _:
            rule = re.sub(r"^(Input|Value error,) ?", "", str(problem["msg"]))
            shown = "…" if name.endswith("uri") else repr(value)  # it may hold a password
            return SettingsError(f"{name!r} is {shown}; it {rule}", where=where)


def _how(problem: Mapping[str, Any], name: str, known: list[str]) -> str:
    """What to write instead of a value of the wrong type, where that is not plain."""
    if problem["type"] == "list_type":
        return f"write {name}: [{problem['input']}]"
    return f"its keys: {', '.join(known)}" if problem["type"] in _MODEL else ""


def _known_keys(model: type[BaseModel], path: Sequence[str | int]) -> list[str]:
    """Keys that may stand below ``path``; a list or mapping of models is one step."""
    inner: Any = model
    for step in path:
        inner = _required(inner)
        if get_origin(inner) in (dict, list):
            inner = get_args(inner)[-1]
        elif isinstance(inner, type) and issubclass(inner, BaseModel):
            info = inner.model_fields.get(str(step))
            inner = info.annotation if info else None
    inner = _required(inner)
    is_model = isinstance(inner, type) and issubclass(inner, BaseModel)
    return [info.alias or name for name, info in inner.model_fields.items()] if is_model else []


def _required(kind: Any) -> Any:
    """``X`` of ``X | None``."""
    if get_origin(kind) not in (Union, UnionType):
        return kind
    return next(option for option in get_args(kind) if option is not type(None))
