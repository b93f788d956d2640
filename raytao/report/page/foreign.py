"""A run of TAO's own, shown as one of raytao's is: what is said of it beside its state."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Final

from raytao.report.page.model import BestModel, Changed
from raytao.report.page.values import plain
from raytao.report.page.whole import Subject, draw
from raytao.report.series import leads
from raytao.report.words import plural
from raytao.setup.foreign import Foreign
from raytao.tao.foreign.folder import recommendation_file, weights_of
from raytao.tao.foreign.state import RESULT, plan_of, reports_of, status_of
from raytao.tao.trial_list import controller_json
from raytao.types import Json

UNKNOWN: Final = "unknown network"
"""TAO's folder names its network nowhere."""

GO_ON: Final = "A run of the same network can begin with its results:"


def header(found: Foreign) -> str:
    """What was run."""
    count = len(searched(found))
    return (
        f"TAO AutoML · {found.run.brain.name or 'unknown algorithm'} · {metric_of(found)} "
        f"({found.direction.value}) · {count} {plural(count, 'parameter')}\n"
        f"results in {found.run.folder}"
    )


def metric_of(found: Foreign) -> str:
    """The metric's name, or TAO's word for its values."""
    return found.run.metric or RESULT


def searched(found: Foreign) -> tuple[str, ...]:
    """Names of all parameters that a recommendation has, in the order in which they come."""
    return tuple(dict.fromkeys(name for trial in found.run.trials for name in trial.params))


def status_json(found: Foreign) -> dict[str, Json]:
    """What ``raytao status --json`` tells of a run of ours, as far as TAO's files have it."""
    run, best = found.run, found.state.incumbent
    shown = {f"best_{metric_of(found)}": best.value if best else None}
    granted = {trial.number: trial.granted for trial in run.trials}
    trials = [{**t, "epochs_granted": granted[t["id"]]} for t in controller_json(found.state)]
    told: dict[str, Json] = {
        "status": status_of(run, found.state)[0],
        "automl_metadata": {
            **run.indicators,
            **shown,
            "Best experiment id": best.trial if best else None,
        },
        "controller": trials,
        "owner": None,
        "foreign": {
            "algorithm": run.brain.name or None,
            "brain": dict(run.brain.numbers),
            "metric": run.metric or None,
            "direction": found.direction.value,
            "best_model": run.chosen,
            "problems": list(run.problems),
        },
    }
    return {key: _finite(value) for key, value in told.items()}


def render_foreign(found: Foreign, now: datetime) -> str:
    """The page of a run of TAO, written ``now``."""
    run, state, metric = found.run, found.state, metric_of(found)
    word, why = status_of(run, state)
    said = f"{why[0].upper()}{why[1:]}. " if why else ""
    subject = Subject(
        network=UNKNOWN,
        brain=f"TAO's {run.brain.name or 'AutoML'}",
        metric=metric,
        searched=searched(found),
        ranges=(),
        plan=plan_of(run),
        space=None,
        status=word,
        note=(f"{said}{GO_ON}", f"warm_start: [{run.folder}]"),
        facts=tuple(_facts(found)),
        run_file="",
        model=_model(found),
        folder=run.folder,
        ours=False,
        source="the files that TAO wrote",
    )
    without = {trial.number for trial in state.trials.values() if state.best_of(trial) is None}
    series = leads(reports_of(run, found.direction), metric, found.direction, without)
    return draw(subject, state, (), now, series=series)


def _facts(found: Foreign) -> Iterator[tuple[str, str]]:
    run = found.run
    numbers = [f"{key} {plain(value)}" for key, value in run.brain.numbers.items()]
    count = len(searched(found))
    times = [when for trial in run.trials for when in trial.times.values()]
    yield "Network", "TAO's folder does not name it"
    yield "Brain", ", ".join([f"TAO's {run.brain.name or 'AutoML'}", *numbers])
    yield "Metric", f"{metric_of(found)}, {found.direction.value}; TAO writes no direction"
    yield "Searched", f"{count} {plural(count, 'parameter')}"
    yield "Seed", "not known: TAO writes none"
    if times:
        yield "First epoch", f"{min(times):%Y-%m-%d %H:%M}, by the clock of where it trained"
        yield "Last epoch", f"{max(times):%Y-%m-%d %H:%M}"
    yield "Results", str(run.folder)
    for problem in run.problems:
        yield "Note", problem


def _model(found: Foreign) -> BestModel | None:
    best = found.state.incumbent
    if best is None:
        return None
    run, params = found.run, found.state.trials[best.trial].params
    weights = weights_of(run) if run.chosen == best.trial else ()
    spec = recommendation_file(run, best.trial)
    note = (
        "TAO keeps the weights elsewhere, or has removed them: there are none of this "
        "recommendation in best_model/."
    )
    if weights:
        note = "Its network's own tools load it."
    return BestModel(
        trial=best.trial,
        file=", ".join(str(path) for path in weights),
        spec="" if spec is None else str(spec),
        changed=tuple(Changed(name, plain(value), "", "") for name, value in params.items()),
        same=(),
        compared=False,
        uses=(),
        notes=(note,),
    )


def _finite(value: Json) -> Json:
    """The value, with None for each float in it that JSON has no number for."""
    if isinstance(value, Mapping):
        return {key: _finite(inner) for key, inner in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_finite(inner) for inner in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
