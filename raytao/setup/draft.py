"""The run file that somebody begins with: what stands in it for their network, spec and data.

It is checked as every run is, before it is written: a draft that is there can be planned.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Final

from raytao.errors import SettingsError, UserError
from raytao.networks.command import Command
from raytao.setup.resolve import resolve_values
from raytao.setup.setup import Setup
from raytao.space import Eligibility, Float, Int
from raytao.spec import resolved
from raytao.tao.networks import find_card, is_path
from raytao.types import Json

CALLER: Final = "init"
"""What is named as the place of a mistake."""

FOLDER_DATA: Final = ("dataset.name", "dataset.root")
"""Keys of a train spec that name a data set, and where it lies; its name is then `folder`."""

LONG_TRAINING: Final = 27
"""Epochs of a full training from which on Hyperband's usual R needs no lowering."""

TRIES: Final = 3
"""Parameters that are tried for an example, before there is none."""


@dataclass(frozen=True)
class Wishes:
    """What somebody has: nothing is needed but the network.

    Args:
        network: a name, or the path of a folder with a card.
        spec: their own train spec.
        data: their own folder of images.
        metric: what to judge by; None: the network's own.
        brain: who proposes; None: whichever fits the length of a full training.
    """

    network: str
    spec: Path | None = None
    data: Path | None = None
    metric: str | None = None
    brain: str | None = None


@dataclass(frozen=True)
class Draft:
    """A run file's content.

    Args:
        setup: what it comes to.
        settings: what is on, with paths that hold anywhere.
        file: where it is to be written; paths in it are relative to its folder.
        why: why that brain.
    """

    setup: Setup
    settings: Mapping[str, Json]
    file: Path
    why: str

    @property
    def network(self) -> str:
        """As it is written in the file."""
        name = str(self.settings["network"])
        return self._beside(Path(name), dotted=True) if is_path(name) else name

    @property
    def spec(self) -> str | None:
        """The path of the train spec, as it is written in the file; None: the network's own."""
        own = self.settings.get("spec")
        return None if own is None else self._beside(Path(own))

    @property
    def default_spec(self) -> str | None:
        """The path of the network's own; None where it lies in no file."""
        card = self.setup.card
        if card.given is not None or card.folder is None:
            return None
        return self._beside((card.folder / f"spec.{card.spec_format}").resolve())

    @cached_property
    def found(self) -> tuple[str, ...]:
        """What the network says of the spec and its data."""
        return self.setup.network.notes(resolved(self.setup.spec.plain()))

    @cached_property
    def doubts(self) -> tuple[str, ...]:
        """What else the user should know."""
        return tuple(note for note in self.setup.notes if note not in self.found)

    @cached_property
    def examples(self) -> Mapping[str, Json]:
        """Settings that depend on the network, with values that hold for it, dotted.

        One that the network cannot take is not among them.
        """
        found: dict[str, Json] = {}
        for name, values in self._candidates().items():
            value = next((v for v in islice(values, TRIES) if self._accepts(name, v)), None)
            if value is not None:
                found[name] = value
        return found

    def _candidates(self) -> dict[str, Iterator[Json]]:
        space, spec = self.setup.space, self.setup.spec
        own = space.of_spec(spec.plain())
        numbers = [one for one in space.parameters if isinstance(one, Float | Int)]
        numbers.sort(key=lambda one: not one.log)  # a learning rate is what people look for
        known = [one.name for one in numbers if one.name in own] or list(own)
        addable = (
            row.parameter
            for row in self.setup.card.table()
            if row.automl_enabled is Eligibility.ELIGIBLE
            and row.searchable
            and row.parameter not in space.names
            and spec.has(row.parameter)
        )
        return {
            "initial": ([{name: own[name]}] for name in known),
            "retries.smaller_batch": iter([2]),
            "search.add": ([name] for name in addable),
            "search.only": ([name] for name in known),
            "search.ranges": ({one.name: [one.low, one.high]} for one in numbers),
            "search.remove": ([name] for name in reversed(space.names)),
        }

    def _accepts(self, dotted: str, value: Json) -> bool:
        section, _, key = dotted.partition(".")
        try:
            _resolved({**self.settings, section: {key: value} if key else value})
        except UserError:
            return False
        return True

    def _beside(self, path: Path, *, dotted: bool = False) -> str:
        """A path from the file's folder, where it lies below that; else as it is."""
        folder = self.file.parent.resolve()
        if not path.is_relative_to(folder):
            return str(path)
        return f"{'./' if dotted else ''}{path.relative_to(folder)}"


def draft(wishes: Wishes, file: Path) -> Draft:
    """Draft a run file.

    Args:
        wishes: what is known.
        file: where it is to be written.

    Raises:
        UserError: as for every run: if the network, the spec, the data, the metric or the brain
            is none, or they do not fit together.
    """
    settings: dict[str, Json] = {"network": _anywhere(wishes.network), "set": _data(wishes)}
    if wishes.spec is not None:
        settings["spec"] = str(wishes.spec.resolve())
    if wishes.metric is not None:
        settings["metric"] = wishes.metric
    settings["results_dir"] = f"results/{file.stem}"
    first = _resolved(settings)
    settings["set"] = {first.card.epoch_key: first.epochs, **settings["set"]}
    settings["metric"] = first.metric
    name, why = _brain(wishes.brain, first)
    settings["brain"] = {"name": name}
    gpus = first.card.gpus_in(first.spec, default=1 if first.card.tao_version else 0)
    settings["resources"] = {"cpus": 1, "gpus": gpus}
    return Draft(_resolved(settings), settings, file, why)


def _resolved(settings: Mapping[str, Json]) -> Setup:
    return resolve_values(settings, caller=CALLER)


def file_for(network: str) -> str:
    """The usual name of a network's run file.

    >>> file_for("./nets/mine"), file_for("dino@7.3"), file_for("package.nets:Mine")
    ('mine.yaml', 'dino_7.3.yaml', 'package.nets_Mine.yaml')
    """
    name = Path(network).resolve().name if is_path(network) else network
    return re.sub(r"[^\w.-]", "_", name).lstrip("-.") + ".yaml"


def _anywhere(network: str) -> str:
    if not is_path(network):
        return network
    try:
        return str(Path(network).resolve())
    except (OSError, ValueError, RuntimeError) as error:  # a NUL in it, or a ring of links
        raise SettingsError(f"network {network!r} is no folder: {error}") from error


def _data(wishes: Wishes) -> dict[str, Json]:
    if wishes.data is None:
        return {}
    name, root = FOLDER_DATA
    card = find_card(wishes.network)
    if "folder" not in card.datasets or not card.default_spec().has(root):
        raise SettingsError(
            f"raytao does not know where network {card.name!r} takes a data folder",
            remedy=f"leave --data out; the data's keys in its train spec go below 'set': "
            f"raytao params {wishes.network}",
        )
    return {name: "folder", root: str(wishes.data.expanduser().resolve())}


def _brain(wanted: str | None, setup: Setup) -> tuple[str, str]:
    """The brain, and why."""
    full = f"a full training has {setup.epochs} {setup.card.unit}"
    if wanted is not None:
        return wanted, "It is the one that was asked for."
    if setup.card.unit != "epochs":
        return "bayesian", f"Chosen because {full}, and Hyperband's usual numbers are epochs."
    if not _goes_on(setup):
        return "bayesian", "Chosen because this trainer does not go on from its checkpoints."
    if setup.epochs < LONG_TRAINING:
        return "bayesian", f"Chosen because {full}: each trial can be trained in full."
    return "hyperband", f"Chosen because {full}: bad configurations show long before its end."


def _goes_on(setup: Setup) -> bool:
    """Whether a promoted trial goes on from its checkpoint."""
    if setup.card.promotion != "resume" or setup.card.epochless:
        return False
    network = setup.network
    return not isinstance(network, Command) or network.settings.resumes
