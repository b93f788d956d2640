"""No secret is taken into a run: settings and specs are written to its log and its folder."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from raytao.errors import SettingsError, SpecError, Where
from raytao.redact import REFERENCE, Literal, secret_of
from raytao.runs.place import place_of
from raytao.setup.places import Places
from raytao.space import Space
from raytao.spec import Document, flatten
from raytao.types import Json

REMEDY: Final = (
    "write ${env:NAME}: it is read from the environment where the trial runs, and is never written"
)

_OWN_REMEDY: Final = {
    "tracking": "leave it to MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD",
    "address": "leave it to RAY_ADDRESS and RAY_AUTH_TOKEN",
}
"""Settings whose own variables are read; a reference stands in a train spec only."""


def refuse_secret_settings(data: Mapping[str, Json], place: Places) -> None:
    """Refuse settings, as written, that hold a secret, or name no place for results.

    ``tracking.uri`` has a rule of its own in `raytao.setup.settings`.

    Raises:
        SettingsError: naming the key and its place, never the value.
    """
    _refuse_other_storage(data.get("results_dir"), place)
    if "tracking" in data:
        data = {**data, "tracking": _without_uri(data["tracking"])}
    found = secret_of(data)
    if found is None:
        _refuse_references(data, place)
        return
    section, _, below = found.key.partition(".")
    key = below if section in ("set", "spec") and below else found.key
    raise SettingsError(
        _sentence(key, found),
        where=_without_value(place(found.key.split("."))),
        remedy=_OWN_REMEDY.get(section, REMEDY if key == below else "leave it out"),
    )


def _without_uri(tracking: Json) -> Json:
    """One tracker's settings, or several trackers', but for their addresses."""
    if isinstance(tracking, list):
        return [_without_uri(one) for one in tracking]
    if isinstance(tracking, Mapping):
        return {key: value for key, value in tracking.items() if key != "uri"}
    return tracking


def refuse_secret_spec(spec: Document) -> None:
    """Refuse a train spec that holds a secret.

    Raises:
        SpecError: naming the key and its place, never the value.
    """
    found = secret_of(spec.plain())
    if found is not None:
        raise SpecError(_sentence(found.key, found), where=spec.where(found.key), remedy=REMEDY)


def refuse_secret_choices(space: Space) -> None:
    """Refuse a space that would search among secrets.

    Raises:
        SpecError: naming the parameter, never its values.
    """
    found = secret_of(
        {p.name: list(p.values()) for p in space.parameters if p.kind == "categorical"}
    )
    if found is not None:
        raise SpecError(_sentence(found.key, found), remedy="give it a fixed value: ${env:NAME}")


def _sentence(key: str, found: Literal) -> str:
    return f"{key} holds a secret ({found.why}), and would be written to the run's folder"


def _refuse_other_storage(results: Json, place: Places) -> None:
    """Refuse an address that no results can be written to, naming its place, not its login."""
    if not isinstance(results, str):
        return
    try:
        place_of(results)
    except SettingsError as error:
        where = _without_value(place(["results_dir"]))
        said = f"results_dir: {error.message}"
        raise SettingsError(said, where=where, remedy=error.remedy) from error


def _refuse_references(data: Mapping[str, Json], place: Places) -> None:
    """Nobody would replace them: a folder would have that name."""
    settings = {key: value for key, value in data.items() if key not in ("set", "spec")}
    for key, value in flatten(settings).items():
        found = REFERENCE.search(str(value))
        if found is not None:
            raise SettingsError(
                f"{key} refers to {found[0]}, but references are for the train spec only",
                where=place(key.split(".")),
                remedy=_OWN_REMEDY.get(key.partition(".")[0], "write the value itself"),
            )


def _without_value(where: Where) -> Where:
    """An argument is its own place; the part after ``key=`` is not shown."""
    key, equals, _ = where.file.partition("=")
    is_argument = where.line is None and bool(equals)
    return Where(f"{key}=…'") if is_argument else where
