"""From a run's own log back to its setup; no other file is needed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from raytao import catalog
from raytao.errors import SettingsError
from raytao.networks.base import Network
from raytao.networks.function import Function
from raytao.runs.events import Opened
from raytao.setup.assign import assign_setting
from raytao.setup.brain import find_brain
from raytao.setup.function import function_card
from raytao.setup.places import Places
from raytao.setup.settings import Settings, validate
from raytao.setup.setup import Setup
from raytao.space import Space
from raytao.spec import Document
from raytao.tao.card import Card, load_card
from raytao.types import Direction, Json


def reopen(opened: Opened, results: Path) -> Setup:
    """Rebuild a run from the first record of its log.

    A run of a user's own function can be looked at; to train it, the function is needed.
    """
    settings = Settings.model_validate(opened.setup["settings"])
    network, card = _network(opened, settings)
    text = opened.setup["spec"]
    brain_class, brain_settings = find_brain(settings, Places("the run's log"))
    return Setup(
        settings=settings,
        network=network,
        card=card,
        spec=Document.parse(text["text"], file="the run's log", format=text["format"]),
        space=Space.from_json(opened.setup["identity"]["space"]),
        metric=opened.metric,
        direction=Direction(opened.direction),
        brain_class=brain_class,
        brain_settings=brain_settings,
        results=results,
    )


def _network(opened: Opened, settings: Settings) -> tuple[Network, Card]:
    own = opened.setup.get("function")
    if own is not None:
        direction = Direction(opened.direction)
        network = Function(own["name"], opened.metric, kind=own["kind"])
        return network, function_card(own["name"], opened.metric, direction)
    found: Network = catalog.load(
        "raytao.networks", settings.network, kind="network", base=Network
    )()
    return found, load_card(found)


MOVABLE = ("slots", "address", "resources", "limits", "tracking")
"""Settings that a resumed run may change: where it runs and how wide."""


def relocated(setup: Setup, assignments: Sequence[str]) -> Setup:
    """The same run with other resources, by ``key=value``; see ``moved``."""
    data = setup.settings.model_dump(mode="json")
    for assignment in assignments:
        _refuse_fixed(assignment.partition("=")[0])
        assign_setting(data, assignment)
    return _with_settings(setup, data, Places("the command line", None, tuple(assignments)))


def moved(setup: Setup, changes: Mapping[str, Json], place: Places) -> Setup:
    """The same run with other resources.

    Raises:
        SettingsError: if a change is of what is searched or trained.
    """
    for key in changes:
        _refuse_fixed(key)
    data = {**setup.settings.model_dump(mode="json"), **changes}
    return _with_settings(setup, data, place)


def _refuse_fixed(key: str) -> None:
    if key.split(".")[0] not in MOVABLE:
        raise SettingsError(
            f"{key!r} cannot be changed when a run is resumed",
            remedy=f"what can: {', '.join(MOVABLE)}",
        )


def _with_settings(setup: Setup, data: Mapping[str, Json], place: Places) -> Setup:
    settings: Settings = validate(Settings, data, place=place)
    return replace(setup, settings=settings)
