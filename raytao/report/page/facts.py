"""What a run was: settings, seed, versions, machines, data."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from typing import Final

from raytao.errors import DamagedRun
from raytao.networks.function import Function
from raytao.report.page.values import listed, moment, plain
from raytao.report.words import clock, plural
from raytao.runs.events import Opened, Placed, Resumed
from raytao.runs.log import Record
from raytao.runs.place import store_at
from raytao.runs.state import RunState
from raytao.setup.setup import Setup
from raytao.spec import Document
from raytao.tao import layout
from raytao.trials.provenance import Provenance, read_provenance

MOST_NODES: Final = 8
"""Nodes that are named, those with the most work first."""


def facts(
    setup: Setup, records: Sequence[Record], state: RunState, now: datetime
) -> Iterator[tuple[str, str]]:
    """Names and values of what was asked for, and of where and when it ran."""
    brain = setup.identity()["brain"]
    given = [f"{k} {plain(v)}" for k, v in brain.items() if k != "name" and v is not None]
    count = len(setup.space.names)
    yield "Network", setup.card.name
    yield "Brain", ", ".join([brain["name"], *given])
    yield "Metric", f"{setup.metric}, {setup.direction.value}; recommendations are compared by it"
    yield "Searched", f"{count} {plural(count, 'parameter')}"
    yield "Seed", str(setup.settings.seed)
    yield from _data(state)
    yield from _times(records, state, now)
    yield from _machines(setup, records, state)
    yield "raytao", ", ".join(_versions(records))
    yield "Results", str(setup.results)


def run_file(setup: Setup) -> str:
    """What was said of the run, as a run file; empty where no file can say what is trained."""
    if isinstance(setup.network, Function):
        return ""
    said = setup.settings.model_dump(mode="json", exclude_defaults=True)
    known = {key: value for key, value in said.items() if value is not None}
    return Document.of_values(known, file="run.yaml").dump()


def _data(state: RunState) -> Iterator[tuple[str, str]]:
    told = state.opened.setup.get("data") if state.opened else None
    if isinstance(told, Mapping):
        yield "Data", ", ".join(f"{key} {plain(value)}" for key, value in told.items())


def _times(records: Sequence[Record], state: RunState, now: datetime) -> Iterator[tuple[str, str]]:
    driven = state.driven  # by clocks that never jump; early logs do not tell it
    worked = f", after {clock(driven)} of work" if driven else ""
    sittings = sum(isinstance(record.event, Resumed) for record in records)
    again = f"; resumed {sittings} {plural(sittings, 'time')}" if sittings else ""
    yield "Began", moment(records[0].at, now)
    yield "Last news", f"{moment(records[-1].at, now)}{worked}{again}"


def _machines(
    setup: Setup, records: Sequence[Record], state: RunState
) -> Iterator[tuple[str, str]]:
    placed = Counter(r.event.node for r in records if isinstance(r.event, Placed))
    if placed:
        most = sorted(placed.items(), key=lambda pair: (-pair[1], pair[0]))
        nodes = [f"{node} ({times:,} {plural(times, 'placement')})" for node, times in most]
        yield plural(len(nodes), "Node"), listed(nodes, MOST_NODES)
    trained = _provenance(setup, state)
    if trained is not None and trained.versions:
        versions = (f"{name} {version}" for name, version in trained.versions.items())
        yield "Trained with", ", ".join(versions)


def _provenance(setup: Setup, state: RunState) -> Provenance | None:
    """How the best model was trained, as its folder tells; None if it does not."""
    best = state.incumbent
    if best is None:
        return None
    with suppress(DamagedRun):  # whoever uses that model is told; the page goes without
        return read_provenance(store_at(setup.results), layout.experiment(best.trial))
    return None


def _versions(records: Sequence[Record]) -> list[str]:
    """Versions that drove the run, in the order of their coming."""
    drove = (record.event for record in records)
    return list(dict.fromkeys(e.version for e in drove if isinstance(e, Opened | Resumed)))
