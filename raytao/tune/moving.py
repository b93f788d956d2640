"""Leases that leave their workers before their end: a node goes, or the run's share shrinks.

Tune keeps idle actors for its next trials, each with a placement group that nobody else can use.
Those of nodes that are about to leave, and those that are more than the run has slots for, are
let go.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final

from ray.exceptions import RayError
from ray.tune.experiment import Trial

from raytao.cluster.preemption import ask_to_move, forget, leaving
from raytao.runs.controller import Controller, Evaluation, Lease
from raytao.runs.owner import Say

LOOK_SECONDS: Final = 2.0
"""Between two looks for nodes that are about to leave."""

PATIENCE_SECONDS: Final = 5.0
"""How long a run may have more trials than slots before it asks some to move: most rungs are near,
and what is over by itself costs nothing."""


class Moves:
    """Where leases are, and which of them are to move.

    Args:
        controller: the run's; its ``slots`` may change at any time.
        crowded: whether other runs are there, who may use what this one leaves.
        say: takes one line for people.
        clock: monotonic seconds.
        notices: ids of the nodes that are about to leave.
    """

    def __init__(
        self,
        controller: Controller,
        crowded: Callable[[], bool],
        say: Say,
        *,
        clock: Callable[[], float] = time.monotonic,
        notices: Callable[[], frozenset[str]] = leaving,
    ) -> None:
        self._controller = controller
        self._crowded = crowded
        self._say = say
        self._clock = clock
        self._notices = notices
        self._next_look = clock()
        self._leaving: frozenset[str] = frozenset()
        self._over_since: float | None = None
        self._nodes: dict[str, str] = {}
        self._asked: set[str] = set()

    def note_node(self, tune_id: str, node_id: str) -> None:
        """A lease's worker told where it is."""
        self._nodes[tune_id] = node_id

    def node_of(self, tune_id: str) -> str | None:
        """The node of a lease's worker, by Ray's id; None before it has told."""
        return self._nodes.get(tune_id)

    def turn(self, tune_controller: Any, work: Callable[[str], Lease | Evaluation | None]) -> None:
        """Look at nodes and slots; once in every turn of Tune's loop.

        Args:
            tune_controller: Tune's, as its scheduler gets it.
            work: the lease of a Tune trial, if it holds one.
        """
        self._look_at_nodes(tune_controller)
        over = self._controller.state.busy - self._controller.slots
        if over <= 0:
            self._over_since = None
        else:
            self._shrink(tune_controller, work, over)
        if self._has_no_use_for_idle_actors():
            _let_idle_actors_go(tune_controller)

    def over(self, tune_controller: Any, trial: Trial) -> None:
        """A lease ended: its actor is kept only where the next lease may have it."""
        node = self._nodes.pop(trial.trial_id, None)
        if trial.trial_id in self._asked:
            self._asked.discard(trial.trial_id)
            with suppress(RayError):
                forget(trial.trial_id)
        state = self._controller.state
        full = state.busy >= self._controller.slots
        # Of a run that was stopped no lease follows, and what an idle actor has would train on.
        if full or state.stopped is not None or node in self._leaving:
            _let_actor_go(tune_controller, trial)

    def _look_at_nodes(self, tune_controller: Any) -> None:
        if self._clock() < self._next_look:
            return
        self._next_look = self._clock() + LOOK_SECONDS
        before = self._leaving
        with suppress(RayError):
            self._leaving = self._notices()
        if self._leaving - before:
            _let_idle_actors_go(tune_controller)  # some may be there
        concerned = [i for i, node in self._nodes.items() if node in self._leaving]
        new = [tune_id for tune_id in concerned if tune_id not in self._asked]
        if new:
            told = f"{len(new)} trials" if len(new) > 1 else "a trial"
            self._say(f"nodes are about to leave the cluster: asked {told} there to move")
        for tune_id in new:
            self._ask(tune_id)

    def _shrink(
        self,
        tune_controller: Any,
        work: Callable[[str], Lease | Evaluation | None],
        over: int,
    ) -> None:
        """Take back leases that wait for a worker at once, and running ones after a while."""
        leases = [
            (trial, lease)
            for trial in tune_controller.get_live_trials()
            if isinstance(lease := work(trial.trial_id), Lease)
        ]
        leases.sort(key=lambda pair: -pair[1].attempt)
        leases.sort(key=lambda pair: -pair[1].trial)  # the latest first: it has least behind it
        for trial, lease in leases:
            if over > 0 and trial.status == Trial.PENDING and not trial.temporary_state.ray_actor:
                self._controller.give_back(lease.trial, lease.attempt)
                _withdraw(tune_controller, trial)
                over -= 1
        now = self._clock()
        self._over_since = now if self._over_since is None else self._over_since
        if now - self._over_since < PATIENCE_SECONDS:
            return
        running = [(t.trial_id, lease) for t, lease in leases if t.status == Trial.RUNNING]
        staying = [(i, lease) for i, lease in running if i not in self._asked]
        over -= len(running) - len(staying)
        for tune_id, lease in staying[: max(0, over)]:
            if self._has_far_to_go(lease):
                self._ask(tune_id)

    def _has_far_to_go(self, lease: Lease) -> bool:
        """Whether its own end is more than an epoch away."""
        return self._controller.state.trials[lease.trial].epochs + 1 < lease.stop_epoch

    def _ask(self, tune_id: str) -> None:
        with suppress(RayError):  # a cluster that does not answer now is asked again
            ask_to_move(tune_id)
            self._asked.add(tune_id)

    def _has_no_use_for_idle_actors(self) -> bool:
        full = self._controller.state.busy >= self._controller.slots
        return full or (self._crowded() and not self._controller.hungry)


def _let_actor_go(tune_controller: Any, trial: Trial) -> None:
    """Tune does not keep an actor that it believes has not started; it ends it in order."""
    tune = _unwrapped(tune_controller)
    tune._started_actors.discard(tune._trial_to_actor.get(trial))


def _let_idle_actors_go(tune_controller: Any) -> None:
    """End the actors that Tune keeps and that no waiting trial is about to get."""
    tune = _unwrapped(tune_controller)
    if tune._actor_cache.num_cached_objects and not tune._pending_trials:
        tune._cleanup_cached_actors(force_all=True)


def _withdraw(tune_controller: Any, trial: Trial) -> None:
    """Take back a Tune trial that has no actor yet, and the place that it waits for."""
    tune = _unwrapped(tune_controller)
    tune.stop_trial(trial)
    if trial in tune._staged_trials:
        tune._unstage_trial_with_resources(trial)


def _unwrapped(tune_controller: Any) -> Any:
    """Tune itself: some of its hooks get it in a wrapper that hides what is needed here."""
    return getattr(tune_controller, "_tune_controller", tune_controller)
