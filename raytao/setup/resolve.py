"""From a run file, or from values, to a setup that is checked.

A user's mistake ends here, with file:line and remedy, before Ray starts and before anything is
written.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

from raytao import catalog
from raytao.brains.compat.table import tao_rows
from raytao.errors import SettingsError, SpecError, UserError, Where, did_you_mean
from raytao.networks.base import Network
from raytao.setup.assign import assign_setting, assign_spec_key
from raytao.setup.batch import refuse_smaller_batch
from raytao.setup.beginning import with_beginning
from raytao.setup.brain import find_brain
from raytao.setup.budget import refuse_endless
from raytao.setup.direction import doubt
from raytao.setup.places import Keys, Places
from raytao.setup.secrets import (
    refuse_secret_choices,
    refuse_secret_settings,
    refuse_secret_spec,
)
from raytao.setup.settings import Search, Settings, validate
from raytao.setup.setup import Setup
from raytao.space import Eligibility, RangeOverride, Row, build_space
from raytao.spec import Document, flatten, read_yaml, resolved, told_as_written
from raytao.spec.text import read_file
from raytao.tao.card import Card, load_card
from raytao.types import Json


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
    for assignment in assignments:
        assign_setting(data, assignment)
    network, card, base = _trainable(data, path.parent, place)
    for assignment in assignments:
        assign_spec_key(data, assignment, base)
    setup = _checked(data, network, card, base, place, f"results/{path.stem}")
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


def _trainable(
    data: Mapping[str, Json], folder: Path, place: Places
) -> tuple[Network, Card, Document]:
    with place.blame({"train spec": ["spec"], "": ["network"]}):
        network = _network(data)
        card = load_card(network)
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
    _refuse_unknown_tracker(settings, place)
    refuse_endless(settings, place)
    default = results or f"results/{settings.network}_{settings.brain.get('name')}"
    with place.blame(_suspects(settings), always=True):
        folder = Path(settings.results_dir or default)
        return _fit(settings, network, card, base, folder, place)


def _refuse_unknown_tracker(settings: Settings, place: Places) -> None:
    """Find a misspelt tracker before anything starts; it is loaded when the run does."""
    if settings.tracking is None or ":" in settings.tracking.name:
        return
    known = catalog.registered("raytao.trackers")
    name = settings.tracking.name
    if name not in known:
        raise SettingsError(
            f"unknown tracker {name!r}",
            where=place(["tracking", "name"]),
            remedy=did_you_mean(name, known),
        )


def _network(data: Mapping[str, Any]) -> Network:
    if "network" not in data:
        raise SettingsError("'network' is missing", remedy="add network: image_classification")
    name = data["network"]
    if not isinstance(name, str):
        raise SettingsError(f"'network' must be a string, not {name!r}")
    found = catalog.load("raytao.networks", name, kind="network", base=Network)
    return cast(Network, found())


def _suspects(settings: Settings) -> dict[str, Keys]:
    """What an error from below may mention, and the setting that it then comes from."""
    search = settings.search
    return {
        **{key: ["set", key] for key in flatten(settings.set)},
        **{name: ["search", "remove"] for name in search.remove},
        **{name: ["search", "add"] for name in search.add},
        **{name: ["search", "only"] for name in search.only},
        **{name: ["search", "ranges", name] for name in search.ranges},
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
    spec = Document.load(path)
    for key in (card.epoch_key, card.seed_key, card.gpus_key):
        if not spec.has(key):
            raise SpecError(
                f"a train spec of network {card.name!r} needs {key}",
                where=Where(str(path)),
                remedy=f"start from a copy of {default.file}",
            )
    leaves = spec.keys()
    unknown = next((key for key in leaves if not default.has(key)), None)
    if unknown is not None:
        raise SpecError(
            f"unknown key {unknown!r} for network {card.name!r}",
            where=spec.where(unknown),
            remedy=did_you_mean(unknown, default.keys()),
        )
    return spec


def _fit(
    settings: Settings,
    network: Network,
    card: Card,
    base: Document,
    results: Path,
    place: Places,
) -> Setup:
    spec = base.with_values(flatten(settings.set))
    Document.parse(spec.dump(), file="the train spec, edited", format=spec.format)  # as it will be
    metric, natural = card.metric(settings.metric.name)
    direction = settings.metric.direction or natural
    plain = spec.plain()
    epochs = _whole_number(spec, card.epoch_key, at_least=1)
    _whole_number(spec, card.seed_key, at_least=0)
    asked = _whole_number(spec, card.gpus_key, at_least=0)
    check_spec(network, spec)
    refuse_smaller_batch(settings, card, spec, place)
    rows = [row for row in card.table() if row.parameter != card.epoch_key]
    if card.epoch_key in (*settings.search.add, *settings.search.only):
        raise SettingsError(f"{card.epoch_key} is not searched: the brain grants the epochs")
    add, remove = _wanted(settings.search, rows)
    brain_class, brain_settings = find_brain(settings, place)
    ranges = {n: RangeOverride(**dict(r)) for n, r in settings.search.ranges.items()}
    compat = getattr(brain_settings, "compat", None)
    space, notes = build_space(
        rows if compat is None else tao_rows(rows, compat, ranges),
        plain,
        add=add,
        remove=remove,
        ranges=ranges,
        override_disabled=settings.search.override_disabled,
        epochs=epochs,
    )
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
        notes=(*doubt(metric, direction), *network.notes(resolved(plain)), *notes),
    )
    if asked > setup.gpus:
        note = f"{card.gpus_key} is {asked}, but trials get resources.gpus: {setup.gpus}"
        setup = replace(setup, notes=(*setup.notes, note))
    for horizon in {row.epochs for row in setup.new_brain().plan().rows}:
        check_spec(network, setup.recommendation({}, horizon))
    return setup


def _wanted(search: Search, rows: Sequence[Row]) -> tuple[list[str], list[str]]:
    """What to add to the table's default search, and what to remove from it."""
    if not search.only:
        return search.add, search.remove
    enabled = [r.parameter for r in rows if r.automl_enabled is Eligibility.SEARCHED]
    add = [name for name in search.only if name not in enabled]
    return add, [name for name in enabled if name not in search.only]


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
