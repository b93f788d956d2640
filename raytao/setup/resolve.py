"""From a run file (or a run's own log) to everything that a run needs, all of it checked.

A user's mistake ends here, with file:line and remedy, before Ray starts and before anything is
written.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import raytao
from raytao import catalog
from raytao.brains.base import Brain, BrainSettings, Task
from raytao.errors import SettingsError, SpecError, UserError, Where, did_you_mean
from raytao.networks.base import Network
from raytao.runs.events import Opened
from raytao.setup.places import Keys, Places
from raytao.setup.settings import Settings, validate
from raytao.space import RangeOverride, Space, build_space
from raytao.spec import Document, flatten, read_yaml
from raytao.tao.card import Card, load_card
from raytao.types import Direction, Json, Params


@dataclass(frozen=True)
class Setup:
    """A run, resolved: settings, network, spec, space and brain fit each other.

    ``spec`` is the user's own train spec with all edits: recommendation 0. ``notes`` are
    sentences the user should read before the run starts.
    """

    settings: Settings
    network: Network
    card: Card
    spec: Document
    space: Space
    metric: str
    direction: Direction
    brain_class: type[Brain]
    brain_settings: BrainSettings
    results: Path
    notes: tuple[str, ...] = ()

    @property
    def epochs(self) -> int:
        """Length of a full training, from the user's spec."""
        return int(self.spec.get(self.card.epoch_key))

    def new_brain(self) -> Brain:
        """A fresh brain for this run."""
        plain = self.spec.plain()
        task = Task(self.space, self.epochs, self.settings.seed, self.space.of_spec(plain))
        make = cast(Any, self.brain_class)
        return cast(Brain, make(task, self.brain_settings))

    def recommendation(self, params: Params, horizon: int) -> Document:
        """The entire train spec of a recommendation, as it is trained.

        ``horizon`` is the length of its LR schedule; the GPUs are those that a trial gets.
        """
        fixed = {self.card.epoch_key: horizon, self.card.gpus_key: self.gpus}
        return self.spec.with_values({**params, **fixed})

    @property
    def gpus(self) -> int:
        """GPUs that a trial sees; a share of one is one."""
        return math.ceil(self.settings.resources.gpus)

    def identity(self) -> dict[str, Json]:
        """What makes this the same run: all that decides which trials are trained, and how."""
        return {
            "network": self.settings.network,
            "metric": self.metric,
            "direction": self.direction.value,
            "seed": self.settings.seed,
            "brain": {
                "name": self.settings.brain["name"],
                **self.brain_settings.model_dump(mode="json"),
            },
            "spec": self.spec.plain(),
            "space": self.space.to_json(),
        }

    def opened(self) -> Opened:
        """The first record of this run's log."""
        setup = {
            "identity": self.identity(),
            "settings": self.settings.model_dump(mode="json"),
            "spec": {"format": self.spec.format, "text": self.spec.dump()},
        }
        return Opened(setup, self.metric, self.direction.value, raytao.__version__)


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
    node = read_yaml(path.read_bytes(), file=str(path))
    data = Document.load(path).plain()
    place = Places(str(path), node, tuple(assignments))
    for assignment in assignments:
        _assign_setting(data, assignment)
    with place.blame({"train spec": ["spec"], "": ["network"]}):
        network = _network(data)
        card = load_card(network)
        base = _base_spec(data, card, path.parent)
    for assignment in assignments:
        _assign_spec_key(data, assignment, base)
    settings: Settings = validate(Settings, data, place=place)
    results = Path(settings.results_dir or f"results/{path.stem}")
    with place.blame(_suspects(settings), always=True):
        return _fit(settings, network, card, base, results, place)


def reopen(opened: Opened, results: Path) -> Setup:
    """Rebuild a run from the first record of its log; no other file is needed."""
    settings = Settings.model_validate(opened.setup["settings"])
    network: Network = catalog.load("raytao.networks", settings.network, kind="network")()
    text = opened.setup["spec"]
    brain_class, brain_settings = _brain(settings, Places("the run's log"))
    return Setup(
        settings=settings,
        network=network,
        card=load_card(network),
        spec=Document.parse(text["text"], file="the run's log", format=text["format"]),
        space=Space.from_json(opened.setup["identity"]["space"]),
        metric=opened.metric,
        direction=Direction(opened.direction),
        brain_class=brain_class,
        brain_settings=brain_settings,
        results=results,
    )


MOVABLE = ("slots", "address", "resources", "limits")
"""Settings that a resumed run may change: where it runs and how wide."""


def relocated(setup: Setup, assignments: Sequence[str]) -> Setup:
    """The same run with other resources.

    Raises:
        SettingsError: if an assignment would change what is searched or trained.
    """
    data = setup.settings.model_dump(mode="json")
    for assignment in assignments:
        key = assignment.partition("=")[0]
        if key.split(".")[0] not in MOVABLE:
            raise SettingsError(
                f"{key!r} cannot be changed when a run is resumed",
                remedy=f"what can: {', '.join(MOVABLE)}",
            )
        _assign_setting(data, assignment)
    place = Places("the command line", None, tuple(assignments))
    settings: Settings = validate(Settings, data, place=place)
    return replace(setup, settings=settings)


def _network(data: Mapping[str, Any]) -> Network:
    if "network" not in data:
        raise SettingsError("'network' is missing", remedy="add network: image_classification")
    name = data["network"]
    if not isinstance(name, str):
        raise SettingsError(f"'network' must be a string, not {name!r}")
    found = catalog.load("raytao.networks", name, kind="network")
    return cast(Network, found())


def _suspects(settings: Settings) -> dict[str, Keys]:
    """What an error from below may mention, and the setting that it then comes from."""
    search = settings.search
    return {
        **{key: ["set", key] for key in flatten(settings.set)},
        **{name: ["search", "remove"] for name in search.remove},
        **{name: ["search", "add"] for name in search.add},
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
    if not path.is_file():
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


def _parsed(assignment: str) -> tuple[str, Json]:
    key, equals, text = assignment.partition("=")
    if not equals or not key:
        raise SettingsError(f"{assignment!r} is not key=value", remedy="for example slots=4")
    value = Document.parse(f"value: {text}", file=f"the argument {assignment!r}").plain()["value"]
    return key, value


def _assign_setting(data: dict[str, Any], assignment: str) -> None:
    """Put ``key=value`` among the settings, if that is where the key belongs."""
    key, value = _parsed(assignment)
    if key.split(".")[0] in Settings.model_fields:
        _put(data, key.split("."), value)


def _assign_spec_key(data: dict[str, Any], assignment: str, spec: Document) -> None:
    """Put ``key=value`` below ``set``, if the key is one of the train spec."""
    key, value = _parsed(assignment)
    if key.split(".")[0] in Settings.model_fields:
        return
    if not spec.has(key):
        names = [*Settings.model_fields, *spec.keys()]
        raise SettingsError(f"unknown key {key!r}", remedy=did_you_mean(key, names))
    data["set"] = {**flatten(data.get("set") or {}), key: value}


def _put(data: dict[str, Any], keys: Sequence[str], value: Json) -> None:
    *path, last = keys
    for step in path:
        inner = data.get(step)
        data[step] = dict(inner) if isinstance(inner, Mapping) else _named(inner)
        data = data[step]
    data[last] = value


def _named(short: object) -> dict[str, Any]:
    """``brain: bayesian`` is short for ``brain: {name: bayesian}``."""
    return {"name": short} if isinstance(short, str) else {}


def _fit(
    settings: Settings,
    network: Network,
    card: Card,
    base: Document,
    results: Path,
    place: Places,
) -> Setup:
    spec = base.with_values(flatten(settings.set))
    metric, natural = card.metric(settings.metric.name)
    plain = spec.plain()
    epochs = _whole_number(spec, card.epoch_key, at_least=1)
    _whole_number(spec, card.seed_key, at_least=0)
    asked = _whole_number(spec, card.gpus_key, at_least=0)
    check_spec(network, spec)
    if card.epoch_key in settings.search.add:
        raise SettingsError(f"{card.epoch_key} is not searched: the brain grants the epochs")
    space, notes = build_space(
        [row for row in card.table() if row.parameter != card.epoch_key],
        plain,
        add=settings.search.add,
        remove=settings.search.remove,
        ranges={n: RangeOverride(**dict(r)) for n, r in settings.search.ranges.items()},
        override_disabled=settings.search.override_disabled,
        epochs=epochs,
    )
    brain_class, brain_settings = _brain(settings, place)
    setup = Setup(
        settings=settings,
        network=network,
        card=card,
        spec=spec,
        space=space,
        metric=metric,
        direction=settings.metric.direction or natural,
        brain_class=brain_class,
        brain_settings=brain_settings,
        results=results,
        notes=notes,
    )
    if asked > setup.gpus:
        note = f"{card.gpus_key} is {asked}, but trials get resources.gpus: {setup.gpus}"
        setup = replace(setup, notes=(*notes, note))
    for horizon in {row.epochs for row in setup.new_brain().plan().rows}:
        check_spec(network, setup.recommendation({}, horizon))
    return setup


def check_spec(network: Network, spec: Document) -> None:
    """Have the network check a spec; its complaints get the place of the key they name.

    Raises:
        UserError: if the network cannot train it.
    """
    try:
        network.check(spec.plain())
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


def _brain(settings: Settings, place: Places) -> tuple[type[Brain], BrainSettings]:
    keys = dict(settings.brain)
    name = keys.pop("name", None)
    with place.blame({"brain": ["brain", "name"]}):
        if not isinstance(name, str):
            raise SettingsError("'brain.name' is missing", remedy="for example brain: bayesian")
        cls: type[Brain] = catalog.load("raytao.brains", name, kind="brain")
    return cls, validate(cls.Settings, keys, place=place, below="brain")
