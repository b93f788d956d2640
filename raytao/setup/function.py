"""The setup of a run that tunes a user's own function, or a user's own loop."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from raytao.errors import SettingsError, SpaceError, did_you_mean
from raytao.networks.function import (
    EPOCHS_KEY,
    GPUS_KEY,
    LOOP,
    NAME,
    OWN_LOOP,
    OWN_SECTION,
    SEED_KEY,
    Function,
    OwnFunction,
)
from raytao.runs.place import place_of
from raytao.setup.asking import refuse_resources
from raytao.setup.batch import refuse_smaller_batch
from raytao.setup.brain import find_brain
from raytao.setup.direction import doubt, inferred
from raytao.setup.places import Places
from raytao.setup.secrets import refuse_secret_choices, refuse_secret_settings
from raytao.setup.settings import Settings, validate
from raytao.setup.setup import Setup
from raytao.space import Space
from raytao.spec import Document
from raytao.tao.card import Card
from raytao.types import SCORE, Direction, Json

NOT_FOR_FUNCTIONS: Final = ("spec", "set", "search")


def function_setup(
    function: OwnFunction | None,
    space: Space,
    data: Mapping[str, Json],
    *,
    caller: str,
    epochs: int | None = None,
    first: Mapping[str, Json] | None = None,
) -> Setup:
    """Set up the search over a user's own function.

    Args:
        function: the function; None for a loop of the user's own, by ask and tell.
        space: what is searched.
        data: what a run file would say of metric, brain, resources, slots, seed, …
        caller: what is named as the place of a mistake.
        epochs: length of a full training; a function without a context has 1.
        first: the user's own values, recommendation 0; what is left out takes the middle of its
            range.

    Raises:
        UserError: with the value, the rule and the remedy.
    """
    place = Places(caller)
    name = OWN_LOOP if function is None else function.name
    refuse_secret_settings({**data, "spec": first or {}}, place)
    with place.blame({"": []}, always=True):
        _refuse_settings_of_networks(data)
        settings = validate(Settings, {**data, "network": NAME}, place=place)
        settings = settings.model_copy(update={"evaluate": False})
        metric, direction, notes = _metric(settings, name)
        refuse_secret_choices(space)
        spec = _spec(space, _length(function, name, epochs), settings.seed, first or {})
        card = function_card(name, metric, direction)
        refuse_smaller_batch(settings, card, spec, place)
    brain_class, brain_settings = find_brain(settings, place)
    setup = Setup(
        settings=settings,
        network=_network(function, name, metric),
        card=card,
        spec=spec,
        space=space,
        metric=metric,
        direction=direction,
        brain_class=brain_class,
        brain_settings=brain_settings,
        results=place_of(settings.results_dir or f"results/{_file_name(name)}_{brain_class.name}"),
        notes=notes,
        function=function,
    )
    with place.blame({"": []}, always=True):
        refuse_resources(setup, place)
        setup.new_brain().plan()
    return setup


def function_card(name: str, metric: str, direction: Direction) -> Card:
    """The card of a function: it has no folder, no table and one metric."""
    return Card(
        name=name,
        description="a function of yours",
        epoch_key=EPOCHS_KEY,
        seed_key=SEED_KEY,
        gpus_key=GPUS_KEY,
        kpi=metric,
        metrics={metric: direction},
        spec_format="yaml",
        folder=None,
    )


def _network(function: OwnFunction | None, name: str, metric: str) -> Function:
    if function is None:
        return Function(name, metric, kind=LOOP)
    return Function(name, metric, kind=function.kind, text=function.text())


def _refuse_settings_of_networks(data: Mapping[str, Json]) -> None:
    for key in NOT_FOR_FUNCTIONS:
        if data.get(key):
            raise SettingsError(
                f"{key!r} is for networks with a train spec; a function has its space alone",
                remedy="change space=…" if key != "spec" else "spec={name: value, …} is one dict",
            )


def _metric(settings: Settings, name: str) -> tuple[str, Direction, tuple[str, ...]]:
    metric = settings.metric.name
    if metric == "kpi":
        raise SettingsError(
            "'metric' is missing",
            remedy=f"name what {name} reports and is searched by: metric='val_acc'",
        )
    if metric == SCORE:
        raise SettingsError(
            f"no metric may be called {SCORE!r}: that is the brains' own word",
            remedy="give it another name, such as 'value'",
        )
    if settings.metric.direction is not None:
        return metric, settings.metric.direction, doubt(metric, settings.metric.direction)
    direction, note = inferred(metric)
    return metric, direction, (note,)


def _length(function: OwnFunction | None, name: str, epochs: int | None) -> int:
    """Epochs of a full training."""
    reports = function is None or function.takes_context
    if not reports and epochs not in (None, 1):
        raise SettingsError(
            f"epochs is {epochs}, but {name}(params) has no way to report epochs",
            remedy=f"write def {name}(params, ctx): … and ctx.report(epoch, metrics)",
        )
    if epochs is None and function is not None and reports:
        raise SettingsError(
            f"'epochs' is missing: {name} reports epochs", remedy="a full training: epochs=10"
        )
    if epochs is not None and (type(epochs) is not int or epochs < 1):
        raise SettingsError(f"epochs is {epochs!r}; it must be an integer of at least 1")
    return epochs or 1


def _spec(space: Space, epochs: int, seed: int, first: Mapping[str, Json]) -> Document:
    """The train spec of recommendation 0: the params, and raytao's own section."""
    for name in space.names:
        if name == OWN_SECTION or name.startswith(f"{OWN_SECTION}."):
            raise SpaceError(f"{name!r}: {OWN_SECTION!r} is raytao's own", remedy="rename it")
    unknown = next((name for name in first if name not in space.names), None)
    if unknown is not None:
        raise SettingsError(
            f"spec names {unknown!r}, which is not in the space",
            remedy=did_you_mean(unknown, space.names),
        )
    for parameter in space.parameters:
        chooses = parameter.kind == "categorical" and parameter.name in first
        if chooses and not parameter.contains(first[parameter.name]):
            raise SettingsError(
                f"spec gives {parameter.name} {first[parameter.name]!r}, which is not among its "
                f"values: {', '.join(map(str, parameter.values()))}"
            )
    middle = space.decode([0.5] * space.dim)
    anywhere = {p.name: p.decode([0.5] * p.dim) for p in space.parameters}
    values = {**anywhere, **middle}  # what is not active in the middle has a value as well
    own = {"num_epochs": epochs, "num_gpus": 0, "seed": seed}
    tree = Document.of_values({**values, OWN_SECTION: own}, file="spec")
    return Document.parse(tree.with_values(first).dump(), file="spec")


def _file_name(name: str) -> str:
    """A folder's name from a function's: ``<lambda>`` has characters that no folder should."""
    kept = "".join(c if c.isalnum() or c in "-_" else "_" for c in name)
    return kept.strip("_") or "function"


def with_function(setup: Setup, function: OwnFunction) -> Setup:
    """A reopened run with its function brought again.

    Raises:
        SettingsError: if the run trains something else.
    """
    if not isinstance(setup.network, Function):
        raise SettingsError(
            f"the run in {setup.results} trains network {setup.settings.network!r}, no function",
            remedy="leave train= out",
        )
    if setup.network.is_loop:
        setup.network.check(setup.spec.plain())
    if function.kind != setup.network.kind:
        raise SettingsError(
            f"the run in {setup.results} trains a function that {setup.network.kind}, and "
            f"{function.name} {function.kind}",
            remedy="reports: def train(params, ctx); returns: def train(params)",
        )
    network = _network(function, setup.network.title, setup.metric)
    return replace(setup, network=network, function=function)
