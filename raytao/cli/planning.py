"""``raytao plan``: the schedule as a table, before anything is started."""

from __future__ import annotations

import json

import click

from raytao.report.plan import plan_text
from raytao.setup.asking import requests_of
from raytao.setup.price import Estimate, Rates
from raytao.setup.schedule import Forecast, forecast
from raytao.setup.setup import Setup
from raytao.types import Json


def show_plan(setup: Setup, rates: Rates | None, *, as_json: bool) -> None:
    """Print the plan on stdout, and what it takes at ``rates``."""
    found = forecast(setup, rates)
    if as_json:
        click.echo(json.dumps(plan_json(setup, found), indent=2))
    else:
        click.echo(plan_text(setup, found))


def plan_json(setup: Setup, found: Forecast) -> dict[str, object]:
    """The plan as data."""
    return {
        "network": setup.settings.network,
        "brain": setup.identity()["brain"],
        "metric": setup.metric,
        "direction": setup.direction.value,
        "searched": list(setup.space.names),
        "initial": [{"why": i.why, "params": dict(i.params)} for i in setup.given.initial],
        "evidence": len(setup.given.evidence),
        "rows": [
            {"bracket": r.bracket, "rung": r.rung, "trials": r.trials, "epochs": r.epochs}
            for r in found.plan.rows
        ],
        "recommendations": found.plan.trials,
        "epochs": found.plan.epochs,
        "exact": found.plan.exact,
        "longest_training": found.plan.longest,
        "disk_bytes": found.disk,
        "checkpoint_gb": setup.settings.checkpoint_gb,
        "resources": [request.to_json() for request in requests_of(setup)],
        "budget": {key: limit for key, limit in vars(setup.budget).items() if limit is not None},
        "estimate": None if found.estimate is None else estimate_json(found.estimate),
        "notes": [*setup.notes, *found.notes],
    }


def estimate_json(taken: Estimate) -> dict[str, Json]:
    """Time, GPU hours and price as data, and what they were made of."""
    return {
        **vars(taken.rates),
        "epochs": taken.epochs,
        "hours": taken.hours,
        "exact": taken.exact,
        "gpu_hours": taken.gpu_hours,
        "held_gpu_hours": taken.held_gpu_hours,
        "cost": taken.cost,
        "held_cost": taken.held_cost,
    }
