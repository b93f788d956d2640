"""Trackers in the run file: who is told of a run besides its folder."""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import BaseModel, Field, field_validator

from raytao.redact import has_login
from raytao.setup.strict import STRICT
from raytao.types import Json


class Tracking(BaseModel):
    """Where the driver tells of the run besides its folder; ``tracking: mlflow`` is enough.

    A list names several: ``[mlflow, tensorboard]``.

    Args:
        name: of the tracker: ``mlflow``, ``tensorboard``, or one of another package.
        uri: of its server or store, without a login; without it, the tracker's own default.
        experiment: what MLflow files the run under.
        registered: written ``register``: the name under which MLflow's registry gets the best
            model; without one, the model is kept with the run and not registered.
    """

    model_config = STRICT

    name: str = "mlflow"
    uri: str | None = None
    experiment: str = "raytao"
    registered: str | None = Field(default=None, alias="register", pattern="^[^/:]+$")

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


def listed(value: object) -> object:
    """What the user wrote for trackers, as a list: a name, a mapping, or several of them."""
    if value is None:
        return []
    several = value if isinstance(value, list) else [value]
    return [{"name": one} if isinstance(one, str) else one for one in several]


def written(trackers: Sequence[Tracking]) -> Json:
    """The same as it is written: nothing for none, a mapping for one."""
    plain = [one.model_dump(mode="json", by_alias=True) for one in trackers]
    return plain if len(plain) > 1 else next(iter(plain), None)
