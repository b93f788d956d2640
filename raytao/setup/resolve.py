"""From a run file, or from values, to a setup that is checked.

A user's mistake ends here, with file:line and remedy, before Ray starts and before anything is
written.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from raytao import catalog
from raytao.errors import SettingsError, SpecError, UserError, Where, did_you_mean
from raytao.networks.base import Network
from raytao.networks.command import Command
from raytao.runs.place import Place, place_of
from raytao.setup.asking import refuse_resources, written_amounts
from raytao.setup.assign import assign_setting, assign_spec_key, named_brain
from raytao.setup.batch import refuse_smaller_batch
from raytao.setup.beginning import with_beginning
from raytao.setup.brain import find_brain
from raytao.setup.budget import refuse_endless
from raytao.setup.command import command_of
from raytao.setup.direction import doubt, inferred
from raytao.setup.epochless import refuse_rungs
from raytao.setup.places import Keys, Places
from raytao.setup.searched import searched_space
from raytao.setup.secrets import (
    refuse_secret_choices,
    refuse_secret_settings,
    refuse_secret_spec,
)
from raytao.setup.settings import Settings, validate
from raytao.setup.setup import Setup
from raytao.spec import Document, flatten, read_yaml, resolved, told_as_written
from raytao.spec.text import read_file
from raytao.tao.automl.keys import KEYS
from raytao.tao.automl.settings import from_tao
from raytao.tao.card import Card
from raytao.tao.networks import find_network, is_path
from raytao.types import Direction, Json


def resolve(name_or_path: str, assignments: Sequence[str] = ()) -> Setup:
    """Read a run file, apply ``key=value`` assignments and check that everything fits.

    Args:
        name_or_path: a path, or the name of a shipped run file.
        assignments: ``slots=4``, ``brain.R=9`` or, for a key of the train spec,
            ``train.optim.lr=0.01``; later ones win.

    Raises:
        UserError: with the place, the value, the rule and the remedy.
    """
    path = catalog.run_file(name_or_path)
    content = read_file(path)
    node = read_yaml(content, file=str(path))
    data = Document.parse(content, file=str(path)).plain()
    place = Places(str(path), node, tuple(assignments))
    data, notes, place = _in_own_words(data, place)
    for assignment in assignments:
        assign_setting(data, assignment)
    network, card, base = _trainable(data, path.parent, place)
    for assignment in assignments:
        assign_spec_key(data, assignment, base)
    setup = _checked(data, network, card, base, place, f"results/{path.stem}")
    setup = replace(setup, notes=(*notes, *setup.notes))
    return with_beginning(setup, path.parent, place)


def resolve_values(
    data: Mapping[str, Json], *, caller: str, spec: Mapping[str, Json] | None = None
) -> Setup:
    """Check the settings of a run that come from a program and not from a file.

    Args:
        data: what a run file would say; paths are relative to the current folder.
        caller: what is named as the place of a mistake.
        spec: changes to the network's train spec, nested or dotted; in place of ``data["spec"]``.

    Raises:
        UserError: with the value, the rule and the remedy.
    """
    given = dict(data)
    place = Places(caller)
    network, card, base = _trainable(given, Path(), place)
    if spec is not None:
        refuse_secret_settings({"spec": spec}, place)
        with place.blame({"": ["spec"]}, always=True):
            base = base.with_values(flatten(spec))
    return with_beginning(_checked(given, network, card, base, place, None), Path(), place)


def _in_own_words(
    data: Mapping[str, Json], place: Places
) -> tuple[dict[str, Json], tuple[str, ...], Places]:
    """What a run file says with TAO's keys translated, and what the user should know of that.

    The places know where TAO's keys stand, for errors of the settings that they became.
    """
    theirs = {key: value for key, value in data.items() if key not in Settings.model_fields}
    if not any(key in KEYS for key in theirs):
        return dict(data), (), place
    try:
        told = from_tao(data, own=Settings.model_fields, brain=named_brain(place.assignments))
    except SettingsError as error:
        if error.where is not None:
            raise
        where = place(_named_in(error.message, theirs))
        raise SettingsError(error.message, where=where, remedy=error.remedy) from error
    return told.settings, told.notes, replace(place, taos=told.origins)


def _named_in(message: str, written: Mapping[str, Json]) -> list[str]:
    """The nested key that a message names first, in full; none if it names none."""
    paths = {
        ".".join(keys[:n])
        for keys in (key.split(".") for key in flatten(written))
        for n in range(1, len(keys) + 1)
    }
    found = [
        (match.start(), -len(path), path)
        for path in paths
        if (match := re.search(rf"(?<![\w.]){re.escape(path)}(?!\w)", message))
    ]
    return min(found)[2].split(".") if found else []


def _trainable(
    data: dict[str, Json], folder: Path, place: Places
) -> tuple[Network, Card, Document]:
    with place.blame({"train spec": ["spec"], "": ["network"]}):
        network, card = _network(data, folder, place)
        return network, card, _base_spec(data, card, folder)


def _checked(
    data: Mapping[str, Json],
    network: Network,
    card: Card,
    base: Document,
    place: Places,
    results: str | None,
) -> Setup:
    refuse_secret_settings(data, place)
    settings: Settings = validate(Settings, data, place=place)
    if isinstance(network, Command) and not network.settings.evaluate:
        settings = settings.model_copy(update={"evaluate": False})  # nobody could measure it
    _refuse_unknown_tracker(settings, place)
    refuse_endless(settings, place)
    default = results or f"results/{card.name}_{settings.brain.get('name')}"
    with place.blame(_suspects(settings, card), always=True):
        results_dir = place_of(settings.results_dir or default)
        return _fit(settings, network, card, base, results_dir, place)


def _refuse_unknown_tracker(settings: Settings, place: Places) -> None:
    """Find a misspelt tracker before anything starts; it is loaded when the run does."""
    known = catalog.registered("raytao.trackers")
    for index, tracker in enumerate(settings.tracking):
        several = [index] if len(settings.tracking) > 1 else []
        if ":" not in tracker.name and tracker.name not in known:
            raise SettingsError(
                f"unknown tracker {tracker.name!r}",
                where=place(["tracking", *several, "name"]),
                remedy=did_you_mean(tracker.name, known),
            )


def _network(data: dict[str, Json], folder: Path, place: Places) -> tuple[Network, Card]:
    """The network and its card; a path is made absolute, so that the run's log tells which."""
    if "network" not in data:
        raise SettingsError("'network' is missing", remedy="add network: image_classification")
    name = data["network"]
    if not isinstance(name, str):
        raise SettingsError(f"'network' must be a string, not {name!r}")
    if is_path(name):
        try:
            data["network"] = name = str((folder / name).resolve())
        except (OSError, ValueError, RuntimeError) as error:  # a NUL in it, or a ring of links
            raise SettingsError(f"network {name!r} is no folder: {error}") from error
    changes = data.get("command")
    command = command_of(name, folder, changes if isinstance(changes, Mapping) else {}, place)
    return find_network(name, command=command)


def _suspects(settings: Settings, card: Card) -> dict[str, Keys]:
    """What an error from below may mention, and the setting that it then comes from."""
    search = settings.search
    wanted = {
        card.renamed.get(name, name): ["search", key]
        for key in ("remove", "add", "only")
        for name in getattr(search, key)
    }
    return {
        **written_amounts(settings.resources),
        **{key: ["set", key] for key in flatten(settings.set)},
        **wanted,
        **{card.renamed.get(name, name): ["search", "ranges", name] for name in search.ranges},
        "metric": ["metric"],
        "R=": ["brain", "R"],
        **{f"{key}=": ["brain", key] for key in settings.brain},
        "nothing to search": ["search", "remove"],
    }


def _base_spec(data: Mapping[str, Any], card: Card, folder: Path) -> Document:
    default = card.default_spec()
    own = data.get("spec")
    if not isinstance(own, str):
        return default
    path = folder / own
    try:
        found = path.is_file()
    except OSError:  # no file can have that name
        found = False
    if not found:
        raise SpecError(f"train spec {own!r} not found", remedy=f"no file {path}")
    spec = Document.load(path, format=card.spec_format)
    theirs = (card.seed_key, card.gpus_key) if card.command is None else ()
    for key in (card.epoch_key, *theirs):
        if key is not None and not spec.has(key):
            raise SpecError(
                f"a train spec of network {card.name!r} needs {key}",
                where=Where(str(path)),
                remedy=f"start from a copy of {default.file}",
            )
    if card.command is not None:
        _refuse_other_format(spec, card)
        return spec  # its program knows more keys than a card's skeleton
    leaves = spec.keys()
    unknown = next((key for key in leaves if not default.has(key)), None)
    if unknown is not None:
        raise SpecError(
            f"unknown key {unknown!r} for network {card.name!r}",
            where=spec.where(unknown),
            remedy=did_you_mean(unknown, default.keys()),
        )
    return spec


def _refuse_other_format(spec: Document, card: Card) -> None:
    """A trainer of other people's reads its spec as a file; JSON is YAML."""
    if spec.format != card.spec_format and (spec.format, card.spec_format) != ("json", "yaml"):
        raise SpecError(
            f"the train spec is {spec.format}, and the trainer of {card.name!r} reads "
            f"{card.spec_format}",
            where=Where(spec.file),
            remedy=f"write it in that format, as the default is: {card.default_spec().file}",
        )


def _fit(
    settings: Settings,
    network: Network,
    card: Card,
    base: Document,
    results: Place,
    place: Places,
) -> Setup:
    spec = base.with_values(flatten(settings.set))
    Document.parse(spec.dump(), file="the train spec, edited", format=spec.format)  # as it will be
    metric, direction, doubts = _metric(settings, card)
    plain = spec.plain()
    _whole_number(spec, card.epoch_key, at_least=1)
    for key in (card.seed_key, card.gpus_key):
        if key is not None and spec.has(key):
            _whole_number(spec, key, at_least=0)
    asked = card.gpus_in(spec)
    check_spec(network, spec)
    refuse_smaller_batch(settings, card, spec, place)
    brain_class, brain_settings = find_brain(settings, place)
    space, notes = searched_space(settings.search, card, spec, brain_settings)
    refuse_secret_choices(space)
    setup = Setup(
        settings=settings,
        network=network,
        card=card,
        spec=spec,
        space=space,
        metric=metric,
        direction=direction,
        brain_class=brain_class,
        brain_settings=brain_settings,
        results=results,
        notes=(*doubts, *network.notes(resolved(plain)), *notes),
    )
    refuse_resources(setup, place)
    if asked > setup.gpus:
        note = f"{card.gpus_key} is {asked}, but trials get resources.gpus: {setup.gpus}"
        setup = replace(setup, notes=(*setup.notes, note))
    plan = setup.new_brain().plan()
    refuse_rungs(space.names, card.epochless, plan)
    for horizon in {row.epochs for row in plan.rows}:
        check_spec(network, setup.recommendation({}, horizon))
    return setup


def _metric(settings: Settings, card: Card) -> tuple[str, Direction, tuple[str, ...]]:
    """What is searched by, and notes; an external trainer may log more than its card knows."""
    name, direction = settings.metric.name, settings.metric.direction
    if card.command is not None and name not in ("kpi", *card.metrics):
        guessed, note = inferred(name)
        if direction is None:
            return name, guessed, (note,)
    else:
        name, usual = card.metric(name)
        direction = direction or usual
    return name, direction, doubt(name, direction)


def check_spec(network: Network, spec: Document) -> None:
    """Have the network check a spec; its complaints get the place of the key they name.

    Raises:
        UserError: if the network cannot train it, if it refers to a variable that is not set, or
            if there is a secret in it.
    """
    refuse_secret_spec(spec)
    try:
        with told_as_written(spec.plain()) as plain:
            network.check(plain)
    except UserError as error:
        leaves = spec.keys()
        named = [key for key in leaves if key in error.message]
        if error.where is not None:
            raise
        where = spec.where(max(named, key=len)) if named else Where(spec.file)
        raise type(error)(error.message, where=where, remedy=error.remedy) from error


def _whole_number(spec: Document, key: str, *, at_least: int) -> int:
    value = spec.get(key)
    if type(value) is not int or value < at_least:
        rule = f"it must be an integer of at least {at_least}"
        raise SpecError(f"{key} is {value!r}; {rule}", where=spec.where(key))
    return value
