"""``raytao plan``: the schedule as a table, before anything is started."""

from __future__ import annotations

import json

import click
from rich.console import Console
from rich.table import Table

from raytao.brains.base import Plan
from raytao.setup.resolve import Setup
from raytao.setup.schedule import Forecast, forecast
from raytao.space import Bool, Categorical, Float, Int, Ordered, Parameter

MEGABYTE = 1_000_000


def show_plan(setup: Setup, *, as_json: bool) -> None:
    """Print the plan on stdout."""
    found = forecast(setup)
    if as_json:
        click.echo(json.dumps(plan_json(setup, found), indent=2))
        return
    plan = found.plan
    brain = setup.settings.brain["name"]
    click.echo(f"{setup.settings.network}, {brain}, {setup.metric} ({setup.direction.value})")
    click.echo("searched")
    width = max(len(name) for name in setup.space.names)
    for parameter in setup.space.parameters:
        click.echo(f"  {parameter.name:<{width}}  {range_of(parameter)}")
    for note in [*setup.notes, *plan.notes]:
        click.echo(f"note: {note}")
    if len(plan.rows) > 1:
        Console(width=max(80, 14 * (1 + _brackets(plan)))).print(schedule_table(plan))
    bound = "" if plan.exact else "at most "
    click.echo(f"recommendations  {plan.trials}")
    click.echo(f"epochs           {bound}{plan.epochs}")
    click.echo(f"longest training {plan.longest} epochs; your spec says {setup.epochs}")
    if found.disk is not None and found.checkpoint is not None:
        click.echo(
            f"disk             at most {found.disk / MEGABYTE:.1f} MB of checkpoints "
            f"({found.checkpoint / MEGABYTE:.2f} MB each)"
        )


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


def range_of(parameter: Parameter) -> str:
    """Where a parameter is searched, for people."""
    match parameter:
        case Float(low=low, high=high, log=log) | Int(low=low, high=high, log=log):
            return f"{low:g} … {high:g}{' (log scale)' if log else ''}"
        case Bool():
            return "true, false"
        case Categorical(options=options) | Ordered(options=options):
            return ", ".join(str(option) for option in options)
        case _:
            return "a list of integers"


def plan_json(setup: Setup, found: Forecast) -> dict[str, object]:
    """The plan as data."""
    return {
        "network": setup.settings.network,
        "brain": setup.identity()["brain"],
        "metric": setup.metric,
        "direction": setup.direction.value,
        "searched": list(setup.space.names),
        "rows": [
            {"bracket": r.bracket, "rung": r.rung, "trials": r.trials, "epochs": r.epochs}
            for r in found.plan.rows
        ],
        "recommendations": found.plan.trials,
        "epochs": found.plan.epochs,
        "exact": found.plan.exact,
        "longest_training": found.plan.longest,
        "disk_bytes": found.disk,
        "notes": [*setup.notes, *found.plan.notes],
    }


def _brackets(plan: Plan) -> int:
    return 1 + max((row.bracket for row in plan.rows), default=0)
