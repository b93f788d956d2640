"""A run of TAO's own, where one of raytao's is looked for: its state, and what it found."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from raytao.errors import SettingsError, Where
from raytao.runs.state import RunState
from raytao.setup.findings import Finding, Findings
from raytao.setup.setup import Setup
from raytao.spec import Document, reachable
from raytao.tao.card import Card
from raytao.tao.foreign.folder import ForeignRun, read_foreign, recommendation
from raytao.tao.foreign.state import state_of
from raytao.tao.metric_names import natural
from raytao.types import Direction, Json

MINIMIZED: Final = frozenset({"loss", "evaluation_cost"})
"""Metrics that TAO 5 takes for smaller is better (TAO facts, 1.6)."""


@dataclass(frozen=True)
class Foreign:
    """A run of TAO.

    Args:
        run: as its files tell it.
        direction: which way its metric is better.
        state: what every view of a run is drawn from.
    """

    run: ForeignRun
    direction: Direction
    state: RunState


def open_foreign(folder: Path) -> Foreign:
    """Read a results folder of TAO's own.

    TAO writes the direction of a metric nowhere; its name tells it, or it is maximised.

    Raises:
        FolderError: if its controller.json cannot be read.
    """
    run = read_foreign(folder)
    direction = natural(run.metric) or Direction.MAXIMIZE
    state = state_of(run, direction)
    told = (*run.problems, *_doubts(run, direction), *_other_winner(run, state))
    return Foreign(replace(run, problems=told), direction, state)


def foreign_findings(setup: Setup, name: str, folder: Path, where: Where) -> Findings:
    """What a run of TAO found, in its words, for a run of raytao.

    TAO's folder does not name its network: it is taken for this run's where that has all the keys
    that were searched. The direction is this run's, whichever TAO took.

    Args:
        setup: the run that asks.
        name: the folder as the user wrote it.
        folder: the folder.
        where: where it was written.

    Raises:
        UserError: if it cannot be read, or is a run of another metric or network.
    """
    run = _by_the_spec(read_foreign(folder), setup.card)
    _refuse_other(setup, run, name, where)
    state = state_of(run, setup.direction)
    scored = [best for trial in state.trials.values() if (best := state.best_of(trial))]
    specs = {best.trial: _flat(recommendation(run, best.trial)) for best in scored}
    found = tuple(
        Finding(
            trial=best.trial,
            epoch=best.epoch,
            score=best.score,
            network=setup.settings.network,
            searched=state.trials[best.trial].params,
            spec=specs[best.trial],
        )
        for best in scored
    )
    return Findings(
        found=found,
        baseline=None,
        searched=tuple({key: 0 for trial in run.trials for key in trial.params}),
        spec=next((spec for spec in specs.values() if spec), {}),
        notes=tuple(f"{name}: {problem}" for problem in run.problems),
    )


def _by_the_spec(run: ForeignRun, card: Card) -> ForeignRun:
    """The run with parameters and values as the trainer's spec has them.

    What TAO searches has the names of its table, which may be others (``classwise_config.…``), and
    of an enum the table's value, which is ``__L1__`` where protobuf text has ``L1``.
    """
    underscored = card.spec_format == "protobuf"
    trials = tuple(
        replace(
            trial,
            params={
                card.renamed.get(name, name): _bare(value) if underscored else value
                for name, value in trial.params.items()
            },
        )
        for trial in run.trials
    )
    return replace(run, trials=trials)


def _bare(value: Json) -> Json:
    """An enum's value without the underscores of TAO's tables."""
    enum = re.fullmatch(r"__(\w+?)__", value) if isinstance(value, str) else None
    return value if enum is None else enum[1]


def _flat(spec: Document | None) -> Mapping[str, Json]:
    return {} if spec is None else reachable(spec.plain())


def _refuse_other(setup: Setup, run: ForeignRun, name: str, where: Where) -> None:
    """Refuse a run of TAO whose results mean something else.

    Raises:
        SettingsError: naming the difference.
    """
    leave = "leave it out; single configurations of any run can be given by 'initial'"
    metric = run.metric.strip()
    if run.trials and metric != setup.metric:
        told = f"is a run of TAO by metric {metric}" if metric else "does not name its metric"
        raise SettingsError(
            f"{name} {told}; this one is of {setup.metric}", where=where, remedy=leave
        )
    default = setup.card.default_spec().keys() if setup.card.folder else ()
    known = {*setup.spec.keys(), *default, *setup.space.names}
    searched = {key: trial.number for trial in run.trials for key in trial.params}
    if wrong := next((key for key in searched if key not in known), None):
        raise SettingsError(
            f"{name} is no run of {setup.card.name}: recommendation {searched[wrong]} has "
            f"{wrong!r}, which is no key of its spec",
            where=where,
            remedy=leave,
        )


def _doubts(run: ForeignRun, direction: Direction) -> tuple[str, ...]:
    """What TAO takes for better may not be."""
    name = run.metric.strip()
    by_tao = name in MINIMIZED or (run.seventh and "loss" in name)
    if direction is Direction.MAXIMIZE or by_tao or not run.trials:
        return ()
    return (
        f"{name} is better when smaller, to judge by its name; TAO maximised it: it searched the "
        "wrong way, and kept the worst model for the best",
    )


def _other_winner(run: ForeignRun, state: RunState) -> tuple[str, ...]:
    best = state.incumbent
    if run.chosen is None or best is None or best.trial == run.chosen:
        return ()
    return (
        f"TAO kept recommendation {run.chosen} in best_model/, but recommendation {best.trial} "
        "has the better result",
    )
