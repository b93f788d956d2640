"""What is compared: a brain by its name, its settings, and what it is given to begin with."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final

from pydantic import ValidationError

from benchmarks.search.family import Family
from raytao.brains.base import Brain, BrainSettings, Initial, Task
from raytao.catalog import load
from raytao.errors import SettingsError
from raytao.types import Json, Params

PEERS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "optuna_tpe": "benchmarks.search.optuna_brains:OptunaTPE",
        "optuna_gp": "benchmarks.search.optuna_brains:OptunaGP",
    }
)
"""Other tuners that run here, behind the interface of a brain."""
PRESETS: Final[Mapping[str, Json]] = MappingProxyType({"cap_epochs": True})
"""For every brain that knows the setting: a family's curves end with its epochs."""
LONGEST_PLAN: Final = 1_000
"""Of a setting that says how long a plan is: brains allow no more."""


@dataclass(frozen=True)
class Method:
    """A way to search.

    Args:
        brain: registered name, name of a peer, or ``package.module:Class``.
        settings: the brain's; what says how long its plan is follows from the budget.
        first: whether the family's ``first`` is trial 0, as a user's own spec is.
        initial: a portfolio: trained next, whatever the brain would rather do.
    """

    brain: str
    settings: Mapping[str, Json] = field(default_factory=dict)
    first: bool = True
    initial: tuple[Params, ...] = ()

    def described(self) -> Json:
        """Everything that tells this method from others, as JSON."""
        return {
            "brain": self.brain,
            "settings": dict(self.settings),
            "first": self.first,
            "initial": [dict(params) for params in self.initial],
        }

    def build(self, family: Family, *, seed: int, budget: int) -> Brain:
        """A fresh brain whose plan lasts for ``budget`` full trainings, if it can.

        Raises:
            SettingsError: if the brain is unknown or refuses its settings.
        """
        path = PEERS.get(self.brain, self.brain)
        kind: type[Brain] = load("raytao.brains", path, kind="brain", base=Brain)
        task = Task(
            family.space,
            family.epochs,
            seed=seed,
            first=family.first if self.first else None,
            initial=tuple(Initial(params, "portfolio") for params in self.initial),
        )
        presets = {key: PRESETS[key] for key in PRESETS if key in kind.Settings.model_fields}
        given = {**presets, **self.settings}
        if kind.extends.isdisjoint(given):
            lengths = sorted(kind.extends)[:1]
            given |= {key: _length(kind, task, given, key, budget) for key in lengths}
        return _make(kind, task, given)


def parse_settings(pairs: Sequence[str]) -> dict[str, Json]:
    """Settings from ``key=value``; values are JSON, and text where they are none.

    Raises:
        SettingsError: if there is no ``=``.

    >>> parse_settings(["mode=async", "initial_points=3"])
    {'mode': 'async', 'initial_points': 3}
    """
    settings: dict[str, Json] = {}
    for pair in pairs:
        key, equals, text = pair.partition("=")
        if not (key and equals):
            raise SettingsError(f"--set {pair!r} sets nothing", remedy="write key=value")
        try:
            settings[key] = json.loads(text)
        except json.JSONDecodeError:
            settings[key] = text
    return settings


def _length(
    kind: type[Brain], task: Task, given: Mapping[str, Json], key: str, budget: int
) -> int:
    """The least value of ``key`` whose plan has enough epochs.

    Full trainings are exactly as many as are paid for. Rungs go on beyond that: with several
    workers the last ones of a plan would wait for each other, and no other tuner's do.
    """

    def is_enough(value: int) -> bool:
        plan = _make(kind, task, {**given, key: value}).plan()
        full = all(row.epochs == task.epochs for row in plan.rows)
        return plan.epochs >= budget * task.epochs * (1 if full else 2)

    low, high = 0, 1  # low is too little
    while high < LONGEST_PLAN and not is_enough(high):
        low, high = high, min(2 * high, LONGEST_PLAN)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if is_enough(middle) else (middle, high)
    return high


def _make(kind: type[Brain], task: Task, settings: Mapping[str, Json]) -> Brain:
    try:
        checked: BrainSettings = kind.Settings(**settings)
    except ValidationError as error:
        wrong = "; ".join(
            f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors()
        )
        raise SettingsError(
            f"brain {kind.name!r} refuses its settings: {wrong}",
            remedy=f"it knows {', '.join(sorted(kind.Settings.model_fields))}",
        ) from None
    return kind(task, checked)  # type: ignore[call-arg]  # the contract of every brain
