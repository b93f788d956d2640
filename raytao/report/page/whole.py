"""A run as one HTML page: no network, no scripts, the same bytes for the same log."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from jinja2 import Environment, PackageLoader, StrictUndefined, Template

import raytao
from raytao.brains.base import Plan
from raytao.report.page.cost import Cost, Price, cost_facts, cost_of
from raytao.report.page.facts import facts, run_file
from raytao.report.page.found import cards
from raytao.report.page.model import BestModel, best_model
from raytao.report.page.palette import DARK, LIGHT
from raytao.report.page.pictures import laid_out, shown
from raytao.report.page.trials import failures, listing
from raytao.report.page.values import moment
from raytao.report.pictures.gallery import View
from raytao.report.ranges import range_of
from raytao.report.series import Improvement
from raytao.report.visible import visible
from raytao.report.words import status_word
from raytao.runs.log import Record
from raytao.runs.place import Place, is_file
from raytao.runs.state import RunState
from raytao.setup.setup import Setup
from raytao.space import Space
from raytao.tao import layout

TEMPLATE = "page.html.j2"


@dataclass(frozen=True)
class Subject:
    """What a page tells of a run beside its state.

    Args:
        network: what was tuned.
        brain: by what.
        metric: by which recommendations are compared.
        searched: names of the searched parameters.
        ranges: where each was searched, if that is known.
        plan: what was planned; no rows where that is not known.
        space: the search; None where only its values are known.
        status: TAO's word for how it stands.
        note: a sentence to it, and a command that goes with the sentence.
        facts: what is told of it at the end.
        run_file: what was asked for, as a run file; empty where that is not known.
        model: its best model; None if it has none.
        folder: its results folder.
        ours: whether raytao drove it, so that raytao's commands for it work.
        source: what all this was read from.
    """

    network: str
    brain: str
    metric: str
    searched: tuple[str, ...]
    ranges: tuple[tuple[str, str], ...]
    plan: Plan
    space: Space | None
    status: str
    note: tuple[str, str]
    facts: tuple[tuple[str, str], ...]
    run_file: str
    model: BestModel | None
    folder: Place
    ours: bool
    source: str


def render(
    setup: Setup,
    records: Sequence[Record],
    now: datetime,
    *,
    driven: bool = False,
    price: Price | None = None,
) -> str:
    """The page of a run.

    Args:
        setup: the run; ``setup.results`` is the folder that its commands name.
        records: its log, as far as it has come.
        now: when the page is written; its time zone is that of all times on it.
        driven: whether a driver is at work, as far as this machine can tell.
        price: of an hour of a GPU.
    """
    state = RunState.fold(records)
    subject = Subject(
        network=setup.card.name,
        brain=setup.settings.brain["name"],
        metric=setup.metric,
        searched=setup.space.names,
        ranges=tuple((one.name, range_of(one)) for one in setup.space.parameters),
        plan=setup.new_brain().plan(),
        space=setup.space,
        status=status_word(state, driven=driven),
        note=_status_note(setup, state, driven=driven),
        facts=tuple(facts(setup, records, state, now)),
        run_file=run_file(setup),
        model=best_model(setup, state, driven=driven),
        folder=setup.results,
        ours=True,
        source="the run's event log",
    )
    cost = cost_of(records)
    return draw(subject, state, records, now, driven=driven, cost=cost, price=price)


def draw(
    subject: Subject,
    state: RunState,
    records: Sequence[Record],
    now: datetime,
    *,
    driven: bool = True,
    series: Sequence[Improvement] | None = None,
    cost: Cost | None = None,
    price: Price | None = None,
) -> str:
    """The page of any run whose state is known.

    Args:
        subject: what is told beside the state.
        state: the run.
        records: its log; none of a run that has no log.
        now: when the page is written.
        driven: whether its driver is at work, as far as anybody knows.
        series: the best value so far, whenever it changed; by default as the log tells.
        cost: what it has used up; None where nothing tells.
        price: of an hour of a GPU.
    """
    view = View(state, records, subject.plan, subject.space, subject.metric, series, driven=driven)
    trained = any(trial.history for trial in state.trials.values())
    told = records if trained else ()  # else one line says why most pictures are not there
    pictures = [one for one in shown(view) if one.svg or told]
    return _template().render(
        light=LIGHT,
        dark=DARK,
        subject=subject,
        folder=shlex.quote(str(subject.folder)),
        cards=list(cards(subject.metric, state, subject.plan, cost, price)),
        trained=trained,
        finished=state.finished is not None,
        went=list(laid_out(one for one in pictures if not one.of_parameters)),
        mattered=list(laid_out(one for one in pictures if one.of_parameters)),
        failures=failures(state, _logs_of(subject.folder)),
        cost=list(cost_facts(state, cost, price)),
        unpriced=cost is not None and cost.gpus > 0 and price is None,
        listing=listing(subject.searched, state, driven=driven),
        version=raytao.__version__,
        written=moment(now.timestamp(), now),
    )


def _template() -> Template:
    environment = Environment(
        loader=PackageLoader("raytao", "report/page"),
        autoescape=True,
        finalize=_shown,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template(TEMPLATE)


def _shown(value: object) -> object:
    """What the template prints; what it escapes is also made visible."""
    return visible(value, lines=True) if type(value) is str else value


def _logs_of(folder: Place) -> Callable[[int], str]:
    """Where a trial's log is, as a path within ``folder``; empty if there is none."""

    def log_of(trial: int) -> str:
        name = f"{layout.experiment(trial)}/{layout.LOG}"
        return name if is_file(folder / name) else ""

    return log_of


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
