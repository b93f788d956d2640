"""How many trials may run at once, on a cluster whose nodes come and go.

    slots = this run's share of min(the user's limit, max(what there is, what may be added))

What may be added is asked for at once: so many trials wait for a worker at the same time, and an
autoscaler starts their nodes together instead of one after the other. Where it does not say how
far it goes, twice what there is, or the user's limit, is asked for.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Final

import ray
from ray.exceptions import RayError

from raytao.cluster.autoscaler import HEAD, Autoscaler
from raytao.cluster.capacity import Node, capacity, fits, lacking
from raytao.cluster.connect import Cluster, counted, slots
from raytao.cluster.preemption import leaving
from raytao.cluster.sharing import Shares, joined
from raytao.errors import SettingsError
from raytao.runs.controller import Controller
from raytao.runs.owner import Say
from raytao.runs.resources import ResourceRequest

LOOK_SECONDS: Final = 3.0
"""Between two looks at the cluster's nodes."""


@dataclass(frozen=True)
class Room:
    """Trials at once: on the nodes that are there, and once all are; None: nobody can tell."""

    now: int
    later: int | None

    def slots(self, limit: int | None) -> int:
        """What to ask for, with the user's limit: at least one.

        >>> Room(0, 4).slots(None), Room(2, None).slots(None), Room(2, None).slots(9)
        (4, 4, 9)
        """
        if self.later is None:
            wanted = 2 * self.now if limit is None else limit
        else:
            wanted = max(self.now, self.later)
        return max(1, wanted if limit is None else min(wanted, limit))


class Elastic:
    """Keeps a controller's slots at what the cluster has for it.

    Args:
        requests: all that trials of the run may ask for.
        limit: the user's own.
        scaler: what may be added; None: nothing.
        say: takes one line for people.
        clock: monotonic seconds.
    """

    def __init__(
        self,
        requests: Sequence[ResourceRequest],
        limit: int | None,
        scaler: Autoscaler | None,
        say: Say,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._requests = tuple(requests)
        self._limit = limit
        self._scaler = scaler
        self._say = say
        self._clock = clock
        self._next_look = clock()
        self._shares: Shares | None = None
        self._seen: tuple[tuple[str, ...], Room] | None = None
        self._dry = False

    def begin(self, cluster: Cluster) -> int:
        """How many trials at once, if no other run is there.

        Raises:
            SettingsError: if there is no room for a trial, and never will be.
        """
        if self._scaler is None:
            slots(cluster, self._requests, self._limit)
        else:
            _refuse_impossible(cluster, self._scaler, self._requests)
        return self._room().slots(self._limit)

    @contextmanager
    def sharing(self, name: str) -> Iterator[None]:
        """Be among the cluster's runs while the block lasts; ``name`` is unlike all others'."""
        with joined(name) as self._shares:
            yield

    def slots(self, *, busy: int | None = None) -> int:
        """How many trials at once, now; ``busy``: so many are under way, and there is no more."""
        whole = self._room().slots(self._limit)
        wants = whole if busy is None else max(1, busy)
        return whole if self._shares is None else self._shares.of(whole, wants)

    @property
    def crowded(self) -> bool:
        """Whether other runs are there."""
        return self._shares is not None and not self._shares.alone

    def look(self, controller: Controller) -> None:
        """Set the controller's slots anew, if it is time; call it as often as you like.

        A cluster that does not answer leaves them as they are, until the next look.
        """
        if self._clock() < self._next_look:
            return
        self._next_look = self._clock() + LOOK_SECONDS
        with suppress(RayError):
            self._set(controller)

    def asked(self, trial: int, request: ResourceRequest) -> None:
        """Say if a trial was not foreseen and asks for more than any node has: it has to wait."""
        if request in self._requests:
            return
        with suppress(RayError):
            missing = lacking(self._there()[1], request)
            if missing and (self._scaler is None or self._scaler.lacks(request)):
                self._say(
                    f"recommendation {trial} waits for a larger node: it asks for {request}, but "
                    f"{missing}, and {self._added()}; add one, or stop the run "
                    "and resume it with less under resources"
                )

    def _set(self, controller: Controller) -> None:
        crowded = self.crowded
        controller.slots = self.slots(busy=None if controller.hungry else controller.state.busy)
        if self.crowded != crowded:
            why = "sharing the cluster with other runs" if self.crowded else "no other run is left"
            self._say(f"{why}: {counted(controller.slots, 'trial')} at once")
        dry = self._room().now == 0
        if dry and not self._dry:
            self._say(self._waiting())
        self._dry = dry

    def _room(self) -> Room:
        """What the nodes have room for; those that are about to leave count as gone."""
        ids, nodes = self._there()
        if self._seen is None or self._seen[0] != ids:
            fixed = tuple(node for node in nodes if HEAD in node[0])
            now = most_at_once(nodes, self._requests)
            self._seen = ids, Room(now, self._later(fixed, now))
        return self._seen[1]

    @staticmethod
    def _there() -> tuple[tuple[str, ...], list[Node]]:
        gone = leaving()
        there = [n for n in ray.nodes() if n["Alive"] and n["NodeID"] not in gone]
        ids = tuple(node["NodeID"] for node in there)
        return ids, [(n["Resources"], n["Labels"]) for n in there]

    def _later(self, fixed: tuple[Node, ...], now: int) -> int | None:
        if self._scaler is None:
            return now
        added = self._scaler.nodes(self._requests)
        return None if added is None else most_at_once([*fixed, *added], self._requests)

    def _waiting(self) -> str:
        asks = self._requests[0]
        return f"waiting for a worker: a trial asks for {asks}; no node has room, {self._added()}"

    def _added(self) -> str:
        return "nothing will add one" if self._scaler is None else str(self._scaler)


def most_at_once(nodes: Sequence[Node], requests: Sequence[ResourceRequest]) -> int:
    """Trials that may run at once on nodes, whichever of ``requests`` each of them makes.

    >>> most_at_once([({"CPU": 4.0}, {})], [ResourceRequest(cpus=1), ResourceRequest(cpus=2)])
    4
    """
    if any(request.nodes > 1 for request in requests):
        return max(capacity(nodes, request) for request in requests)
    return sum(max(fits(*node, request) for request in requests) for node in nodes)


def _refuse_impossible(
    cluster: Cluster, scaler: Autoscaler, requests: Sequence[ResourceRequest]
) -> None:
    for request in requests:
        here, there = lacking(cluster.nodes, request), scaler.lacks(request)
        if here and there:
            parts = ((len(cluster.nodes), "node"), (cluster.cpus, "CPU"), (cluster.gpus, "GPU"))
            has = ", ".join(counted(number, word) for number, word in parts)
            raise SettingsError(
                f"a trial asks for {request}, but {here}; the cluster has {has}, and {scaler}: "
                f"{there}",
                remedy="ask for less under resources, or add a node type to the autoscaler",
            )
