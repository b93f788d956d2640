"""From a run's own log back to its setup; no other file is needed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final

from raytao.errors import DamagedRun, SettingsError
from raytao.networks.absent import Absent
from raytao.networks.base import Network
from raytao.networks.command import Command, CommandSettings
from raytao.networks.function import Function
from raytao.runs.events import Opened
from raytao.runs.place import Place
from raytao.setup.asking import refuse_resources
from raytao.setup.batch import refuse_smaller_batch
from raytao.setup.brain import find_brain
from raytao.setup.budget import refuse_endless
from raytao.setup.function import function_card
from raytao.setup.given import Given
from raytao.setup.places import Places
from raytao.setup.secrets import refuse_secret_settings
from raytao.setup.settings import Settings, validate
from raytao.setup.setup import Setup
from raytao.space import Space
from raytao.spec import Document
from raytao.tao.automl.keys import setting_named
from raytao.tao.card import Card
from raytao.tao.networks import find_network
from raytao.types import Direction, Json

LOG: Final = "the run's log"
"""What is named as the place of a mistake."""


def reopen(opened: Opened, results: Place) -> Setup:
    """Rebuild a run from the first record of its log.

    A run of a user's own function can be looked at; to train it, the function is needed. So can
    a run whose network is not here: whatever needs the network itself says why.

    Raises:
        UserError: if what the run needs is not installed here.
        DamagedRun: if the record describes no setup.
    """
    try:
        return _setup(opened, results)
    except (LookupError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise DamagedRun(
            f"the log's first record describes no setup: {type(error).__name__}: {error}"
        ) from error


def _setup(opened: Opened, results: Place) -> Setup:
    settings = _settings(opened)
    network, card = _network(opened, settings)
    text = opened.setup["spec"]
    brain_class, brain_settings = find_brain(settings, Places(LOG))
    space = Space.from_json(opened.setup["identity"]["space"])
    given = opened.setup.get("given")
    return Setup(
        settings=settings,
        network=network,
        card=card,
        spec=Document.parse(text["text"], file=LOG, format=text["format"]),
        space=space,
        metric=opened.metric,
        direction=Direction(opened.direction),
        brain_class=brain_class,
        brain_settings=brain_settings,
        results=results,
        given=Given() if given is None else Given.from_json(given, space),
    )


FORMERLY: Final[Mapping[str, Mapping[str, Json]]] = {
    "hyperband": {"mode": "sync", "sampler": "random", "promotion": "rank"}
}
"""By brain: settings that are younger than some logs, and how such a run goes on."""


def _settings(opened: Opened) -> Settings:
    """The run's settings; what did not exist when they were written is as it was then."""
    written = opened.setup["settings"]
    known = opened.setup["identity"]["brain"]
    formerly = FORMERLY.get(known["name"], {})
    lacking = {key: value for key, value in formerly.items() if key not in known}
    return Settings.model_validate({**written, "brain": {**lacking, **written["brain"]}})


def _network(opened: Opened, settings: Settings) -> tuple[Network, Card]:
    own = opened.setup.get("function")
    if own is not None:
        direction = Direction(opened.direction)
        network = Function(own["name"], opened.metric, kind=own["kind"])
        return network, function_card(own["name"], opened.metric, direction)
    command = opened.setup.get("command")
    known = None if command is None else CommandSettings.model_validate(command)
    try:
        return find_network(settings.network, command=known)
    except SettingsError as error:
        kept = opened.setup.get("card")
        if kept is None:  # a log of an older raytao
            raise
        return _absent(settings.network, known, kept, error)


def _absent(
    name: str, command: CommandSettings | None, kept: Mapping[str, Json], why: SettingsError
) -> tuple[Network, Card]:
    """What the log keeps of a network that cannot be found here."""
    card = Card.from_json(kept)
    if command is None:
        absent = Absent(
            name,
            why,
            distributed=kept["distributed"],
            checkpoint_suffix=kept["checkpoint_suffix"],
        )
        return absent, card
    form, key = card.spec_format, card.epoch_key
    network = Command(name, command, spec_format=form, horizon_key=key, lacks=why)
    return network, replace(card, command=command)


MOVABLE = (
    *("slots", "address", "resources", "limits", "retries", "budget", "checkpoint_gb"),
    *("tracking", "evaluate", "delete_intermediate_checkpoints"),
)
"""Settings that a resumed run may change: where it runs, how wide and how long."""


def relocated(setup: Setup, assignments: Sequence[str]) -> Setup:
    """The same run with other resources or a longer plan, by ``key=value``; see ``moved``."""
    from raytao.setup.assign import assign_setting  # most runs are only looked at

    data = _data(setup)
    for assignment in assignments:
        _refuse_fixed(setup, setting_named(assignment.partition("=")[0]))
        assign_setting(data, assignment)
    return _with_settings(setup, data, Places("the command line", None, tuple(assignments)))


def moved(setup: Setup, changes: Mapping[str, Json], place: Places) -> Setup:
    """The same run with other resources, or a longer plan.

    Args:
        setup: the run as it is.
        changes: settings of MOVABLE, and of those that lengthen the brain's plan by their own
            names: ``max_recommendations=40``.
        place: who is named as the place of a mistake.

    Raises:
        SettingsError: if a change is of what is searched or trained.
    """
    data = _data(setup)
    for key, value in changes.items():
        if key in setup.brain_class.extends:
            data["brain"][key] = value
        else:
            _refuse_fixed(setup, key)
            data[key] = value
    return _with_settings(setup, data, place)


def _data(setup: Setup) -> dict[str, Json]:
    """The run's settings, those of the brain by their first names."""
    name = setup.settings.brain["name"]
    brain = {"name": name, **setup.brain_settings.model_dump(mode="json")}
    return {**setup.settings.model_dump(mode="json"), "brain": brain}


def _refuse_fixed(setup: Setup, key: str) -> None:
    extends = [f"brain.{name}" for name in sorted(setup.brain_class.extends)]
    if key.split(".")[0] in MOVABLE or key in extends:
        return
    raise SettingsError(
        f"{key!r} cannot be changed when a run is resumed",
        remedy=f"what can: {', '.join([*MOVABLE, *extends])}; to go on with another search, "
        "change the run file:\n  raytao run FILE --resume auto --allow-changed",
    )


def _with_settings(setup: Setup, data: Mapping[str, Json], place: Places) -> Setup:
    refuse_secret_settings({key: data[key] for key in MOVABLE if key in data}, place)
    settings: Settings = validate(Settings, data, place=place)
    refuse_endless(settings, place)
    refuse_smaller_batch(settings, setup.card, setup.spec, place)
    _, brain_settings = find_brain(settings, place)
    changed = replace(setup, settings=settings, brain_settings=brain_settings)
    refuse_resources(changed, place)
    return changed
