"""A run as one HTML page: no network, no scripts, the same bytes for the same log."""

from __future__ import annotations

import math
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from importlib.resources import files
from typing import TYPE_CHECKING, Final

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

import raytao
from raytao.brains.base import Plan
from raytao.networks.base import Network
from raytao.networks.function import Function
from raytao.report import captions, charts
from raytao.report.canvas import COLORS
from raytao.report.series import Improvement, improvements
from raytao.report.summary import measured
from raytao.report.svg import inline_svg
from raytao.report.visible import visible
from raytao.report.words import (
    NOTHING,
    clock,
    describe_best,
    gain,
    number,
    plural,
    progress,
    status_word,
)
from raytao.runs.eta import whole
from raytao.runs.events import Opened, Resumed
from raytao.runs.log import Record
from raytao.runs.place import is_file
from raytao.runs.state import Phase, RunState, TrialState
from raytao.setup.setup import Setup
from raytao.tao import layout
from raytao.types import Json

if TYPE_CHECKING:
    from matplotlib.figure import Figure

DARK: Final[Mapping[str, str]] = {
    "paper": "#171c23",
    "ink": "#e7ebf0",
    "muted": "#a3aebb",
    "grid": "#2c343e",
    "pale": "#5d6875",
    "best": "#5cb5f2",
    "own": "#3cc79b",
    "failed": "#ff9257",
}
"""The palette of charts and page on dark paper."""

LONGEST_REASON = 600
"""Characters of a failure's reason; the trial's log has all of it."""


@dataclass(frozen=True)
class _Chart:
    key: str
    svg: Markup
    caption: str
    wide: bool


@dataclass(frozen=True)
class _Row:
    number: int
    result: str
    best_epoch: str
    epochs: str
    state: str
    leads: bool
    values: tuple[str, ...]
    why: str


@dataclass(frozen=True)
class _Failure:
    trials: str
    cause: str
    reason: str


@dataclass(frozen=True)
class Subject:
    """What a page tells of a run beside its state.

    Args:
        network: what was tuned.
        brain: by what.
        searched: names of the searched parameters.
        plan: what was planned; no rows where that is not known.
        status: TAO's word for how it stands.
        note: a sentence to it, and a command that goes with the sentence.
        facts: what is told of it at the end.
        model: its best model, as the template's section of it wants it; None if it has none.
        source: what all this was read from.
    """

    network: str
    brain: str
    searched: tuple[str, ...]
    plan: Plan
    status: str
    note: tuple[str, str]
    facts: tuple[tuple[str, str], ...]
    model: Mapping[str, object] | None
    source: str


def render(setup: Setup, records: Sequence[Record], now: datetime, *, driven: bool = False) -> str:
    """The page of a run.

    Args:
        setup: the run; ``setup.results`` is the folder that its commands name.
        records: its log, as far as it has come.
        now: when the page is written; its time zone is that of all times on it.
        driven: whether a driver is at work, as far as this machine can tell.
    """
    state = RunState.fold(records)
    subject = Subject(
        network=setup.card.name,
        brain=setup.settings.brain["name"],
        searched=setup.space.names,
        plan=setup.new_brain().plan(),
        status=status_word(state, driven=driven),
        note=_status_note(setup, state, driven=driven),
        facts=tuple(_facts(setup, records, state, now)),
        model=_best_model(setup, state),
        source="the run's event log",
    )
    return draw(subject, state, setup.metric, improvements(records), now)


def draw(
    subject: Subject, state: RunState, metric: str, series: Sequence[Improvement], now: datetime
) -> str:
    """The page of any run whose state is known.

    Args:
        subject: what is told beside the state.
        state: the run.
        metric: by which recommendations are compared.
        series: the best value so far, whenever it changed.
        now: when the page is written.
    """
    template = files("raytao.report").joinpath("page.html.j2").read_text(encoding="utf-8")
    environment = Environment(
        autoescape=True,
        finalize=_shown,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.from_string(template).render(
        light=COLORS,
        dark=DARK,
        network=subject.network,
        brain=subject.brain,
        metric=metric,
        status=subject.status,
        status_note=subject.note,
        cards=list(_cards(metric, state, subject.plan)),
        facts=subject.facts,
        best=subject.model,
        charts=list(_charts(state, series, subject.plan)),
        names=subject.searched,
        rows=[_row(subject.searched, state, trial) for trial in _best_first(state)],
        failures=_failures(state),
        version=raytao.__version__,
        written=moment(now.timestamp(), now),
        source=subject.source,
    )


def _shown(value: object) -> object:
    """What the template prints; what it escapes is also made visible."""
    return visible(value, lines=True) if type(value) is str else value


def _status_note(setup: Setup, state: RunState, *, driven: bool) -> tuple[str, str]:
    """A sentence, and a command that goes with it."""
    folder = shlex.quote(str(setup.results))
    if state.finished and state.stopped:
        return f"{state.stopped.reason}; the rest of its plan:", f"raytao resume {folder}"
    if state.finished:
        return state.finished.reason, ""
    if driven:
        return "It goes on while you read; renew this page with", f"raytao report {folder}"
    return "No raytao drives it here; go on with", f"raytao resume {folder}"


def _cards(metric: str, state: RunState, plan: Plan) -> Iterator[tuple[str, str, list[str]]]:
    """Name, value and further lines of what a reader wants to know first."""
    best = state.incumbent
    if best is None:
        yield f"Best {metric}", NOTHING, ["no recommendation has a result"]
    else:
        lines = [describe_best(best), *gain(state).splitlines()]
        yield f"Best {metric}", number(best.value), lines
    tested = state.measured
    if tested and tested.reason:
        yield "Test set", NOTHING, [f"not measured: {tested.reason}"]
    elif tested:
        metrics = tested.metrics
        same = metrics.get(f"test_{metric.removeprefix('val_')}")
        value = NOTHING if same is None else number(same)
        yield "Test set", value, [measured(metrics), "held out, measured once"]
    bound = " of " if plan.exact else " of at most "
    failed = len(state.by_phase(Phase.FAILED))
    end = whole(state, plan)
    trials, epochs = (f"{bound}{n}" if plan.rows else "" for n in (end.trials, end.epochs))
    lines = [f"{len(state.trials)}{trials} recommendations"]
    lines += [f"{failed} of them failed"] if failed else []
    yield "Epochs trained", f"{state.epochs}{epochs}", lines


def _facts(
    setup: Setup, records: Sequence[Record], state: RunState, now: datetime
) -> Iterator[tuple[str, str]]:
    brain = setup.identity()["brain"]
    given = [f"{k} {plain(v)}" for k, v in brain.items() if k != "name" and v is not None]
    yield "Network", setup.card.name
    yield "Brain", ", ".join([brain["name"], *given])
    yield "Metric", f"{setup.metric}, {setup.direction.value}; recommendations are compared by it"
    yield "Searched", f"{len(setup.space.names)} {plural(len(setup.space.names), 'parameter')}"
    yield "Seed", str(setup.settings.seed)
    began, last = records[0].at, records[-1].at
    driven = state.driven  # by clocks that never jump; early logs do not tell it
    worked = f", after {clock(driven)} of work" if driven else ""
    yield "Began", moment(began, now)
    yield "Last news", f"{moment(last, now)}{worked}"
    yield "raytao", ", ".join(_versions(records))
    yield "Results", str(setup.results)


def _versions(records: Sequence[Record]) -> list[str]:
    """Versions that drove the run, in the order of their coming."""
    drove = (record.event for record in records)
    return list(dict.fromkeys(e.version for e in drove if isinstance(e, Opened | Resumed)))


def moment(at: float, now: datetime) -> str:
    """A time of the wall clock, in the zone of ``now``."""
    return f"{datetime.fromtimestamp(at, tz=now.tzinfo):%Y-%m-%d %H:%M %Z}".strip()


def _best_model(setup: Setup, state: RunState) -> dict[str, object] | None:
    """File, changed values and how to use it; None where there is no model."""
    best = state.incumbent
    if best is None:
        return None
    params = state.trials[best.trial].params
    own = {name: setup.spec.get(name) for name in params if setup.spec.has(name)}
    changed = [name for name in params if own.get(name) != params[name]]
    folder = str(setup.results)
    trains = state.trials[best.trial].phase in (Phase.RUNNING, Phase.OFFERED)
    recommendation = layout.recommendation(best.trial, setup.spec.format)
    shown = setup.results / layout.BEST_MODEL
    weights = shown / layout.checkpoint(best.epoch, setup.network.checkpoint_suffix)
    kept = not isinstance(setup.network, Function) or is_file(weights)
    return {
        "file": str(weights) if kept else "",
        "spec": str((shown if kept else setup.results) / recommendation),
        "trial": best.trial,
        "trains": trains,
        "compared": True,
        "loads": type(setup.network).load is not Network.load,
        "changed": [(name, plain(params[name]), plain(own.get(name))) for name in changed],
        "same": [name for name in params if name not in changed],
        "commands": [
            f"raytao evaluate {shlex.quote(folder)}",
            f"raytao export-model {shlex.quote(folder)} --format onnx",
        ],
        "note": (
            f"{setup.card.name} gives raytao no module to load: the file is what its trainer "
            "saved, if it saved anything."
        ),
        "python": f"import raytao\nmodel = raytao.open({folder!r}).best.load()",
    }


def _charts(state: RunState, series: Sequence[Improvement], plan: Plan) -> Iterator[_Chart]:
    drawn: list[tuple[str, Figure | None, str, bool]] = [
        ("best", charts.incumbent(state, series), captions.incumbent(state, series), False),
        ("curves", charts.learning_curves(state), captions.learning_curves(state), False),
        ("rungs", charts.brackets(state, plan), captions.brackets(state, plan), True),
    ]
    names = {value: f"var(--{name})" for name, value in COLORS.items()}
    for key, figure, caption, wide in drawn:
        if figure is not None:
            svg = inline_svg(figure, key, names, labelled_by=f"{key}-words")
            yield _Chart(key, Markup(svg), caption, wide)


def _best_first(state: RunState) -> list[TrialState]:
    """All trials: those with a result by it, then the others by number."""

    def place(trial: TrialState) -> tuple[float, int, int]:
        best = state.best_of(trial)
        return (
            (math.inf, 0, trial.number)
            if best is None
            else (-best.score, -best.fidelity, trial.number)
        )

    return sorted(state.trials.values(), key=place)


def _row(names: Sequence[str], state: RunState, trial: TrialState) -> _Row:
    best = state.best_of(trial)
    leader = state.incumbent
    return _Row(
        number=trial.number,
        result=number(best.value) if best else NOTHING,
        best_epoch=str(best.epoch) if best else NOTHING,
        epochs=progress(trial),
        state=trial.phase.value,
        leads=leader is not None and leader.trial == trial.number,
        values=tuple(
            plain(trial.params[name]) if name in trial.params else NOTHING for name in names
        ),
        why=" → ".join(trial.why),
    )


def _failures(state: RunState) -> list[_Failure]:
    """What broke, told once however many trials it broke."""
    alike: dict[tuple[str, str], list[int]] = {}
    for trial in state.by_phase(Phase.FAILED):
        if trial.failure:
            alike.setdefault((trial.failure.cause, trial.failure.reason), []).append(trial.number)
    return [
        _Failure(", ".join(str(n) for n in numbers), cause, _shortened(reason))
        for (cause, reason), numbers in alike.items()
    ]


def _shortened(text: str) -> str:
    return text if len(text) <= LONGEST_REASON else f"{text[:LONGEST_REASON]} …"


def plain(value: Json) -> str:
    """A value as it would be written in a spec, floats to six digits."""
    match value:
        case bool():
            return str(value).lower()
        case float():
            return f"{value:.6g}"
        case None:
            return NOTHING
        case _:
            return str(value)
