"""Which checkpoints stay: those that somebody needs, and within the run's quota.

A trial that lives needs its latest checkpoint, from which it goes on, and its best epoch's, which
may be the best model. A trial that is over needs none, unless it may still be the winner: then it
is the incumbent, or the best of those that cannot fail any more.

Where that is more than the quota, waiting trials give up the best epoch's, unless it may be the
best model yet, and no new trial starts until there is room for it. Both are safe: nothing that is
deleted can be asked for again.
"""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from raytao.runs.state import Phase, RunState, TrialState
from raytao.runs.store import Store, StoreError
from raytao.tao import layout

log = logging.getLogger(__name__)

GIGABYTE: Final = 10**9

TRIAL_PEAK: Final = 3
"""Checkpoints of a trial at one moment: the latest, the best, and the one being written."""

SHOWN_PEAK: Final = 2
"""``best_model/``, and the next one beside it."""

WAITING: Final = (Phase.PAUSED, Phase.OFFERED)
OVER: Final = (Phase.FINISHED, Phase.RETIRED, Phase.FAILED)

_NUMBER: Final = re.compile(r"_(\d+)/")


@dataclass(frozen=True)
class Quota:
    """What a run's checkpoints may take together, in bytes.

    Args:
        size: the limit.
        checkpoint: what one is expected to take; 0 if nobody knows.
        trials: how many the plan has.
        keep_all: nothing is deleted, so that all there is to do is to start nothing new.
    """

    size: int
    checkpoint: int = 0
    trials: int = 0
    keep_all: bool = False


@dataclass(frozen=True)
class Usage:
    """Bytes that checkpoints take: by trial, in ``best_model/``, and the largest of them."""

    trials: Mapping[int, int]
    shown: int
    largest: int

    @property
    def taken(self) -> int:
        """All of them."""
        return sum(self.trials.values()) + self.shown


def needless(state: RunState) -> list[int]:
    """Trials that are over and will never be the best model: their checkpoints may go."""
    settled = state.best_among(Phase.FINISHED, Phase.RETIRED)  # it cannot fail any more
    keep = {best.trial for best in (state.incumbent, settled) if best}
    return [trial.number for trial in state.by_phase(*OVER) if trial.number not in keep]


def replaceable(state: RunState) -> list[int]:
    """Waiting trials whose best epoch can never be the best model, the worst first.

    A trial that cannot fail any more is better. It is not enough that the incumbent is, for that
    may fail. They can still win, by a later epoch.
    """
    settled = state.best_among(Phase.FINISHED, Phase.RETIRED)
    beaten = [
        (best.score, trial.number)
        for trial in state.by_phase(*WAITING)
        if settled and (best := state.best_of(trial)) and best.score < settled.score
    ]
    return [number for _, number in sorted(beaten)]


def bound_to_take(state: RunState, usage: Usage) -> int:
    """Bytes that checkpoints take as soon as all that runs is at its peak."""
    running = (TRIAL_PEAK * usage.largest - usage.trials.get(t.number, 0) for t in state.running())
    shown = SHOWN_PEAK * usage.largest - usage.shown
    return usage.taken + sum(max(0, more) for more in (*running, shown))


def why_not_another(state: RunState, usage: Usage, quota: Quota) -> str:
    """Why no new trial may start; empty: it may, or there is none to start."""
    another = TRIAL_PEAK * usage.largest
    bound = bound_to_take(state, usage)
    if bound + another <= quota.size or len(state.trials) - state.first >= quota.trials:
        return ""
    enough = -(-(bound + another) * 1000 // GIGABYTE) / 1000
    delete = ", or delete_intermediate_checkpoints=true" if quota.keep_all else ""
    return (
        f"checkpoints take {_gb(usage.taken)} GB of checkpoint_gb={_gb(quota.size)}, and there is "
        f"no room for the {_gb(bound + another - usage.taken)} GB that may come with another "
        f"trial: give more, checkpoint_gb={max(enough, 0.001):g}{delete}"
    )


def _gb(size: int) -> str:
    return f"{size / GIGABYTE:.3g}"


class Retention:
    """Deletes what nobody needs. One user: the driver, which alone hands out leases.

    What a worker writes to is not touched: a trial's folder is looked at as it lies there, and
    changed only while the trial waits or is over.

    Args:
        store: the run's files.
        keep_all: delete nothing.
        quota: what is to be kept to; None: nothing is.
    """

    def __init__(
        self, store: Store, *, keep_all: bool = False, quota: Quota | None = None
    ) -> None:
        self._store = store
        self._keep_all = keep_all
        self._quota = quota
        self._swept: set[int] | None = None
        self._sizes: dict[int, tuple[object, Mapping[str, int]]] = {}
        self._largest = 0 if quota is None else quota.checkpoint
        self._judged = -1
        self._hold = ""

    def sweep(self, state: RunState) -> None:
        """Delete what may go.

        Raises:
            StoreError: if storage refuses; what was deleted until then is gone.
        """
        if self._keep_all:
            return
        if self._swept is None:
            self._sweep_orphans(state)
            self._swept = set()
        for number in needless(state):
            if number not in self._swept:
                self._store.delete(_weights(number))
                self._swept.add(number)
        if self._quota is not None and self._lacks_room(state, self._quota):
            self._give_up(state, self._quota)

    def hold(self, state: RunState) -> str:
        """Why no new trial may start now, after deleting what may go; empty: it may."""
        if self._quota is None:
            return ""
        if state.next_seq != self._judged:
            try:
                self.sweep(state)
                found = why_not_another(state, self._usage(state), self._quota)
            except StoreError as error:  # it was fine a moment ago; the next look is soon
                log.warning("cannot see what checkpoints take: %s", error)
                return self._hold
            if found and not self._hold and state.running():
                log.warning("new trials wait: %s", found)
            self._hold, self._judged = found, state.next_seq
        return self._hold

    def _sweep_orphans(self, state: RunState) -> None:
        """Weights of trials that the log does not know: another configuration left them."""
        keys = self._store.list()
        for number in {int(m[1]) for m in map(_NUMBER.search, keys) if m} - state.trials.keys():
            if any(key.startswith(f"{_weights(number)}/") for key in keys):
                log.warning("%s goes: the log knows no trial %d", _weights(number), number)
                self._store.delete(_weights(number))

    def _lacks_room(self, state: RunState, quota: Quota) -> bool:
        usage = self._usage(state)
        full = bound_to_take(state, usage) > quota.size
        return full or bool(why_not_another(state, usage, quota))

    def _give_up(self, state: RunState, quota: Quota) -> None:
        """Delete best epochs that cannot win, one by one, until there is room."""
        for number in replaceable(state):
            spare = self._spare(state.trials[number])
            if spare is None:
                continue
            self._store.delete(spare)
            self._sizes.pop(number, None)
            if not self._lacks_room(state, quota):
                return

    def _spare(self, trial: TrialState) -> str | None:
        """The key of a trial's best epoch, where its latest is another file, and there.

        None too where a killed driver did not hear of its last epochs: the best may be of them.
        """
        folder = layout.experiment(trial.number)
        record = self._store.read(f"{folder}/{layout.PROVENANCE}")
        try:
            found = json.loads(record or b"")
            unheard = found["epochs_trained"] > trial.epochs
            kept = found["checkpoints"]
            latest, best = (f"{folder}/{kept[name]['file']}" for name in ("latest", "best"))
        except (ValueError, LookupError, TypeError):
            return None
        there = set(self._store.list(_weights(trial.number)))
        return None if unheard or latest == best or not {latest, best} <= there else best

    def _usage(self, state: RunState) -> Usage:
        gone = self._swept or set()
        trials = {n: sum(self._files(n, state).values()) for n in state.trials if n not in gone}
        shown = sum(self._measured(f"{layout.BEST_MODEL}/{layout.WEIGHTS}").values())
        return Usage(trials, shown, self._largest)

    def _files(self, number: int, state: RunState) -> Mapping[str, int]:
        """Bytes of a trial's checkpoints; measured again only where they may have changed."""
        trial = state.trials[number]
        stamp = (trial.phase, trial.attempt, trial.epochs)
        known = self._sizes.get(number)
        if known is None or known[0] != stamp or trial.phase is Phase.RUNNING:
            known = stamp, self._measured(_weights(number))
            self._sizes[number] = known
        return known[1]

    def _measured(self, folder: str) -> dict[str, int]:
        found = {key: self._store.size(key) or 0 for key in self._store.list(folder)}
        self._largest = max(self._largest, *found.values(), 0)
        return found


def _weights(number: int) -> str:
    return f"{layout.experiment(number)}/{layout.WEIGHTS}"
