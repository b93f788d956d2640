"""A run's plan, for people: what is searched, the schedule, epochs and disk."""

from __future__ import annotations

import io
from collections.abc import Iterator

from rich.console import Console
from rich.table import Table

from raytao.brains.base import Plan
from raytao.networks.function import Function
from raytao.report.first import MIDDLE, begun_with
from raytao.report.markup import html_table, text
from raytao.report.ranges import range_of
from raytao.report.visible import visible
from raytao.report.words import clock, plural
from raytao.setup.asking import requests_of
from raytao.setup.price import HOUR, Estimate
from raytao.setup.schedule import Forecast
from raytao.setup.setup import Setup

MEGABYTE = 1_000_000

MOST_BRACKETS = 10
"""Brackets that a notebook's table shows side by side."""

MOST_REQUESTS = 4
"""Different requests of trials that are written out."""


def plan_text(setup: Setup, found: Forecast) -> str:
    """The plan as lines for a terminal."""
    plan = found.plan
    width = max(len(name) for name in setup.space.names)
    lines = [_title(setup), "searched"]
    lines += [f"  {p.name:<{width}}  {range_of(p)}" for p in setup.space.parameters]
    lines += _beginning(setup)
    lines += [f"note: {note}" for note in (*setup.notes, *found.notes)]
    if len(plan.rows) > 1:
        drawn = io.StringIO()
        width = max(80, 14 * (1 + _brackets(plan)))
        page = Console(width=width, file=drawn, force_jupyter=False, color_system=None)
        page.print(schedule_table(plan))
        lines += drawn.getvalue().rstrip("\n").splitlines()
    lines += [f"{name:<16} {value}" for name, value in _totals(setup, found)]
    return "\n".join(map(visible, lines))


def plan_html(setup: Setup, found: Forecast) -> str:
    """The plan as a block for a notebook."""
    plan = found.plan
    searched = html_table((p.name, range_of(p)) for p in setup.space.parameters)
    cells = {(row.bracket, row.rung): f"{row.trials} × {row.epochs}" for row in plan.rows}
    rungs = range(1 + max((row.rung for row in plan.rows), default=0))
    brackets = range(min(MOST_BRACKETS, _brackets(plan)))
    schedule = ""
    if rungs[1:]:
        rows = [[f"rung {i}", *(cells.get((b, i), "") for b in brackets)] for i in rungs]
        more = _brackets(plan) - len(brackets)
        rows += [[f"… and {more} more {plural(more, 'bracket')}"]] if more else []
        schedule = html_table(rows, ["n × epochs", *(f"bracket {b + 1}" for b in brackets)])
    begins = "".join(f"<div>{text(line)}</div>" for line in _beginning(setup))
    notes = "".join(f"<div>note: {text(n)}</div>" for n in (*setup.notes, *found.notes))
    totals = html_table(_totals(setup, found))
    head = f"<b>{text(_title(setup))}</b>"
    return f"<div>{head}{searched}{begins}{notes}{schedule}{totals}</div>"


def _title(setup: Setup) -> str:
    brain = setup.settings.brain["name"]
    return f"{setup.card.name}, {brain}, {setup.metric} ({setup.direction.value})"


def _beginning(setup: Setup) -> list[str]:
    """What is trained before the brain's own proposals, by its differences from the spec."""
    if not setup.given.initial:
        return []
    own = setup.space.of_spec(setup.spec.plain())
    lines, spec_first = ["begins with"], setup.new_brain().begins_with_spec
    if spec_first:
        first = begun_with(setup.opened().setup)
        lines.append(f"  0  {first.why if first is MIDDLE else first.name}")
    for number, one in enumerate(setup.given.initial, start=int(spec_first)):
        changed = (f"{k} {v}" for k, v in one.params.items() if own.get(k) != v)
        lines += [f"  {number}  {one.why}", f"     {', '.join(changed)}"]
    return lines


def _totals(setup: Setup, found: Forecast) -> Iterator[tuple[str, str]]:
    plan = found.plan
    bound = "" if plan.exact else "at most "
    yield "recommendations", str(plan.trials) if plan.exact else f"about {plan.trials}"
    yield "epochs", f"{bound}{plan.epochs}"
    yield "longest training", f"{plan.longest} epochs; {_full(setup)}"
    yield "a trial gets", _asked(setup)
    if known := len(setup.given.evidence):
        yield "evidence", f"{known} results of earlier runs, trusted"
    if budget := str(setup.budget):
        yield "budget", f"at most {budget}, over all resumptions"
    if found.disk is not None and found.checkpoint is not None:
        each = f"{found.checkpoint / MEGABYTE:.2f} MB each"
        yield "disk", f"at most {found.disk / MEGABYTE:.1f} MB of checkpoints ({each})"
    if found.estimate is not None:
        yield from _taken(found.estimate)


def _full(setup: Setup) -> str:
    """How long a full training is, and who says so."""
    if isinstance(setup.network, Function):
        return f"a full training has {setup.epochs}"
    return f"{begun_with(setup.opened().setup).name} says {setup.epochs}"


def _asked(setup: Setup) -> str:
    """What trials ask of the cluster; where it depends on the spec, as far as that is known."""
    requests = [str(request) for request in requests_of(setup)]
    more = f"; and {len(requests) - MOST_REQUESTS} more" if requests[MOST_REQUESTS:] else ""
    return "; or ".join(requests[:MOST_REQUESTS]) + more


def _taken(taken: Estimate) -> Iterator[tuple[str, str]]:
    """Time, GPU hours and price; the second number is for GPUs that are kept while idle."""
    rates, most = taken.rates, "" if taken.exact else "at most "
    workers = f"{rates.workers} {plural(rates.workers, 'worker')}"
    each = f"{rates.minutes_per_epoch:g} minutes an epoch"
    time = clock(taken.hours * HOUR * 60)
    yield "time", f"{most}{time} of training on {workers}, {each}"
    if rates.retrain:
        yield "epochs paid", f"{most}{taken.epochs}: who is promoted trains anew"
    if rates.gpus:
        held = f"{taken.held_gpu_hours:.2f} if all {workers} are kept to the end"
        yield "GPU hours", f"{most}{taken.gpu_hours:.2f}{_kept(rates.workers, held)}"
    if taken.cost is not None and taken.held_cost is not None:
        held = f"{taken.held_cost:.2f} if all {workers} are kept to the end"
        price = f"{rates.gpu_price:g} a GPU hour"
        yield "cost", f"{most}{taken.cost:.2f} at {price}{_kept(rates.workers, held)}"


def _kept(workers: int, what: str) -> str:
    return f"; {what}" if workers > 1 else ""


def schedule_table(plan: Plan) -> Table:
    """TAO's tables 2 and 3: a row an iteration i, a pair (n, epochs) a bracket."""
    table = Table(title="n trials × r epochs each", title_justify="left")
    table.add_column("rung", justify="right")
    for bracket in range(_brackets(plan)):
        table.add_column(f"bracket {bracket + 1}", justify="right")
    cells = {(row.bracket, row.rung): f"{row.trials} × {row.epochs}" for row in plan.rows}
    rungs = 1 + max((row.rung for row in plan.rows), default=0)
    for rung in range(rungs):
        line = [cells.get((bracket, rung), "") for bracket in range(_brackets(plan))]
        table.add_row(str(rung), *line)
    return table


def _brackets(plan: Plan) -> int:
    return 1 + max((row.bracket for row in plan.rows), default=0)
