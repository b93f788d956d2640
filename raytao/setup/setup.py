"""A run, resolved: everything that a driver needs, checked against each other."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import raytao
from raytao.brains.base import Brain, BrainSettings, Task
from raytao.networks.base import Network
from raytao.networks.command import Command
from raytao.networks.function import Function, OwnFunction
from raytao.runs.budget import RunBudget
from raytao.runs.events import Opened
from raytao.runs.place import Place
from raytao.runs.resources import ResourceRequest
from raytao.setup.given import Given
from raytao.setup.settings import Settings
from raytao.space import Space
from raytao.spec import Document
from raytao.tao.card import Card
from raytao.types import Direction, Json, Params


@dataclass(frozen=True)
class Setup:
    """A run, resolved: settings, network, spec, space and brain fit each other.

    ``spec`` is the user's own train spec with all edits: recommendation 0. ``notes`` are
    sentences the user should read before the run starts. ``function`` is the user's own training
    function, where that is the network and the user has brought it. ``given`` comes before the
    brain's own proposals.
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
    results: Place
    notes: tuple[str, ...] = ()
    function: OwnFunction | None = None
    given: Given = field(default_factory=Given)

    @property
    def epochs(self) -> int:
        """Length of a full training, from the user's spec."""
        return int(self.spec.get(self.card.epoch_key))

    def new_brain(self) -> Brain:
        """A fresh brain for this run."""
        task = Task(
            self.space,
            self.epochs,
            self.settings.seed,
            first=self.space.of_spec(self.spec.plain()),
            initial=self.given.initial,
            evidence=self.given.evidence,
        )
        make = cast(Any, self.brain_class)
        return cast(Brain, make(task, self.brain_settings))

    def recommendation(self, params: Params, horizon: int) -> Document:
        """The entire train spec of a recommendation, as it is trained.

        ``horizon`` is the length of its LR schedule; the GPUs are those that the trial gets.

        Raises:
            SettingsError: if its resources do not evaluate.
        """
        fixed: dict[str, Json] = {self.card.epoch_key: horizon}
        gpus_key = self.card.gpus_key
        if gpus_key is not None and self.spec.has(gpus_key):
            fixed[gpus_key] = self.request_of(params).devices
        return self.spec.with_values({**params, **fixed})

    def command_of(self, recommendation: Document) -> dict[str, Json] | None:
        """What a trial needs to start an external trainer; None for a network of raytao's own."""
        if not isinstance(self.network, Command):
            return None
        return self.network.for_job(recommendation.dump(self.card.spec_format))

    def request_of(self, params: Params) -> ResourceRequest:
        """What a trial with these parameters asks of the cluster.

        Raises:
            SettingsError: if a formula does not evaluate, or gives what Ray could never give.
        """
        resources = self.settings.resources
        spec = {} if resources.alike else self.spec.with_values(params).plain()
        return resources.of(spec, distributed=self.network.distributed)

    @property
    def gpus(self) -> int:
        """GPUs that a trial with the user's own spec sees on a machine; a share of one is one."""
        return self.request_of({}).devices

    @property
    def budget(self) -> RunBudget:
        """What the run may use up in all."""
        return RunBudget(**dict(self.settings.budget))

    def identity(self) -> dict[str, Json]:
        """What makes this the same run: all that decides which trials are trained, and how."""
        own = {"kind": self.network.kind} if isinstance(self.network, Function) else {}
        command = self.network if isinstance(self.network, Command) else None
        return {
            "network": self.settings.network,
            **own,
            **({"command": command.settings.identity()} if command else {}),
            "metric": self.metric,
            "direction": self.direction.value,
            "seed": self.settings.seed,
            "brain": {
                "name": self.settings.brain["name"],
                **self.brain_settings.model_dump(mode="json"),
            },
            "spec": self.spec.plain(),
            "space": self.space.to_json(),
            **self.given.identity(),
        }

    def described_function(self) -> dict[str, Json] | None:
        """Name and digest of the user's own function; None for a network of its own name."""
        if not isinstance(self.network, Function):
            return None
        source = None if self.function is None else self.function.source
        return {"name": self.network.title, "kind": self.network.kind, "source": source}

    def opened(self, data: Json = None) -> Opened:
        """The first record of this run's log.

        Args:
            data: what its data set is, as `Network.fingerprint` says.
        """
        setup: dict[str, Json] = {
            "identity": self.identity(),
            "settings": self.settings.model_dump(mode="json"),
            "spec": {"format": self.spec.format, "text": self.spec.dump()},
            "cwd": str(Path.cwd()),
        }
        if self.given:
            setup["given"] = self.given.to_json()
        if data is not None:
            setup["data"] = dict(data)
        if isinstance(self.network, Command):
            setup["command"] = self.network.settings.to_json()
        function = self.described_function()
        if function is not None:
            setup["function"] = function
        else:
            setup["card"] = {
                **self.card.to_json(),
                "distributed": self.network.distributed,
                "checkpoint_suffix": self.network.checkpoint_suffix,
            }
        return Opened(setup, self.metric, self.direction.value, raytao.__version__)
