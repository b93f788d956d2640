"""A run as one block of HTML, for notebooks: where it stands, how far it is, its best trials.

Plain HTML with inline styles: it shows in Jupyter, VS Code, Colab and on GitHub alike, in a light
and in a dark theme, because it names no colours of text or background.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from raytao.brains.base import Plan
from raytao.report.first import reasons
from raytao.report.live.rungs import Filling, fillings
from raytao.report.markup import cut, text
from raytao.report.pictures.axes import direction_of, metric_of, short
from raytao.report.series import evenly, lowest_shown
from raytao.report.summary import measured
from raytao.report.visible import visible
from raytao.report.words import (
    INTERRUPTED,
    LEFT,
    clock,
    describe_best,
    gain,
    number,
    plural,
    stands,
)
from raytao.runs.eta import Remaining, whole
from raytao.runs.state import Phase, RunState, TrialState

ROWS = 8
"""Trials that the block lists: those that run, then the best."""

BRACKETS = 6
"""Brackets that it lists, the latest ones with a trial in them."""

LONGEST_WHY = 64
"""Characters of a reason."""

SPARK_WIDTH, SPARK_HEIGHT = 220, 36
DOTS = 150
"""Trials that the sparkline shows; of more, evenly by number."""

ACCENT: Final = "#2a8ad4"
"""Seen on white and on black paper alike."""

_CELL = "padding:2px 12px 2px 0;text-align:left;border:none;background:none"
_WHY = f"{_CELL};white-space:nowrap"
_NUMBER = "padding:2px 12px 2px 0;text-align:right;border:none;background:none"
_MARK = {
    Phase.RUNNING.value: "▶",
    Phase.OFFERED.value: "·",
    Phase.PAUSED.value: "‖",
    Phase.FINISHED.value: "✓",
    Phase.RETIRED.value: "–",
    Phase.FAILED.value: "✗",
    INTERRUPTED: "■",
    LEFT: "■",
}


def block(
    title: str,
    place: str,
    status: str,
    state: RunState,
    left: Remaining,
    plan: Plan,
    *,
    driven: bool = True,
) -> str:
    """Draw the block.

    Args:
        title: what is run, one line.
        place: where, one line.
        status: a word or two: Running, Done, Interrupted.
        state: the run.
        left: what is left of it.
        plan: what was planned.
        driven: whether a driver is at work: else no trial runs.
    """
    done = 1.0 if state.finished else min(1.0, state.epochs / max(1, whole(state, plan).epochs))
    return (
        '<div style="font-family:system-ui,sans-serif;font-size:13px;max-width:760px">'
        f'<div style="font-weight:600">{text(title)}</div>'
        f'<div style="opacity:.7">{text(place)}</div>'
        f"{_bar(done)}"
        f"{_indicators(status, state, left, plan)}"
        f"{_brackets(state, plan)}"
        f"{_sparkline(state)}"
        f"{_trials(state, driven=driven)}"
        "</div>"
    )


def block_text(title: str, status: str, state: RunState, plan: Plan) -> str:
    """The block in a line, where no HTML is shown."""
    best, end = state.incumbent, whole(state, plan)
    led = "" if best is None else f"; best {metric_of(state)} {number(best.value)}"
    count = f"{len(state.trials)} of {end.trials} {plural(end.trials, 'recommendation')}"
    epochs = f"{state.epochs} of {end.epochs} {plural(end.epochs, 'epoch')}"
    return visible(f"{title}: {status}, {count}, {epochs}{led}")


def _bar(done: float) -> str:
    percent = f"{100 * done:.0f}%"
    return (
        f'<div role="progressbar" aria-valuenow="{100 * done:.0f}" title="{percent}" '
        'style="height:6px;margin:6px 0;border-radius:3px;background:rgba(128,128,128,.25)">'
        f'<div style="height:6px;border-radius:3px;width:{percent};background:{ACCENT}">'
        "</div></div>"
    )


def _indicators(status: str, state: RunState, left: Remaining, plan: Plan) -> str:
    """TAO's four, and the gain over the first recommendation."""
    best, metric = state.incumbent, short(metric_of(state))
    end = whole(state, plan)
    rows = [("Status", status), ("Current experiment", f"{len(state.trials)} of {end.trials}")]
    if not state.finished:
        rows += [
            ("Epochs pending", f"{left.epochs} of {end.epochs}"),
            ("Time remaining", clock(left.seconds)),
        ]
    if left.budget:
        rows.append(("Budget used", left.budget))
    shown = f"{metric} {number(best.value)} ({describe_best(best)})" if best else "–"
    rows.append(("Best so far", shown))
    if best:
        rows += [("", line) for line in gain(state).splitlines()]
    tested = state.measured
    if tested and tested.metrics:
        rows.append(("Test set", measured(tested.metrics)))
    cells = "".join(
        f'<tr style="background:none"><td style="{_CELL};opacity:.7">{text(name)}</td>'
        f'<td style="{_CELL}">{text(value)}</td></tr>'
        for name, value in rows
    )
    return f'<table style="border-collapse:collapse;margin:0">{cells}</table>'


def _brackets(state: RunState, plan: Plan) -> str:
    """How far every rung has filled; of many brackets the latest that have begun."""
    every = fillings(state, plan)
    begun = [one for one in every if one[1][0].arrived or one[1][0].open] or every
    rows = "".join(
        f'<tr style="background:none"><td style="{_CELL};opacity:.7">{text(name)}</td>'
        f"{''.join(map(_rung, rungs))}</tr>"
        for name, rungs in begun[-BRACKETS:]
    )
    return f'<table style="border-collapse:collapse;margin:4px 0">{rows}</table>' if rows else ""


def _rung(rung: Filling) -> str:
    """A rung as a cell: a bar of those that arrived, and their number."""
    share = (rung.arrived + rung.failed) / max(1, rung.places)
    failed = f", {rung.failed} failed" if rung.failed else ""
    told = f"{rung.arrived}/{rung.places} at epoch {rung.epochs}{failed}"
    return (
        f'<td style="{_CELL}"><div style="height:4px;min-width:64px;border-radius:2px;'
        'background:rgba(128,128,128,.25)"><div style="height:4px;border-radius:2px;'
        f'background:{ACCENT};width:{100 * min(1.0, share):.0f}%"></div></div>{told}</td>'
    )


def _sparkline(state: RunState) -> str:
    """Best value of each trial in the order of their numbers, and the best so far."""
    trials = [state.best_of(trial) for trial in state.trials.values()]
    known = [best.score for best in trials if best is not None]
    if len(known) < 2:
        return ""
    low, high = lowest_shown(known), max(known)
    step = SPARK_WIDTH / (len(known) - 1)

    def at(i: int, score: float) -> tuple[str, str]:
        span = high / 2 - low / 2  # halved: the distance of two floats is a float
        share = max(0.0, (score / 2 - low / 2) / span) if span > 0 else 0.5
        return f"{i * step:.1f}", f"{SPARK_HEIGHT - 3 - share * (SPARK_HEIGHT - 6):.1f}"

    dots = "".join(
        '<circle cx="{}" cy="{}" r="2" fill="#8a8a8a"/>'.format(*at(*dot))
        for dot in evenly(list(enumerate(known)), DOTS)
    )
    steps = list(_steps(known))
    corners = [*evenly(steps[:-1], DOTS), steps[-1]]
    line = " ".join(",".join(at(i, score)) for i, score in corners)
    first, last = (number(direction_of(state).score(score)) for score in (known[0], high))
    metric = short(metric_of(state))
    words = text(f"{metric} of {len(known)} trials, best so far from {first} to {last}")
    return (
        f'<svg role="img" aria-label="{words}" width="{SPARK_WIDTH}" height="{SPARK_HEIGHT}" '
        f'style="overflow:visible;display:block;margin:8px 0"><title>{words}</title>{dots}'
        f'<polyline points="{line}" fill="none" stroke="{ACCENT}" stroke-width="2"/></svg>'
    )


def _steps(scores: list[float]) -> Iterator[tuple[int, float]]:
    """The best so far as the corners of a line."""
    best = scores[0]
    for i, score in enumerate(scores):
        if score > best:
            yield i, best
            best = score
        if score == best:
            yield i, best
    yield len(scores) - 1, best


def _trials(state: RunState, *, driven: bool) -> str:
    if not state.trials:
        return ""
    metric = short(metric_of(state))
    order = sorted(state.trials.values(), key=_rank)
    shown = sorted(order[:ROWS], key=lambda trial: trial.number)
    first = state.first if state.has_own_spec else None
    if first in state.trials and state.trials[first] not in shown:  # to compare with
        shown = sorted([state.trials[first], *order[: ROWS - 1]], key=lambda t: t.number)
    heads = (("rec", _NUMBER), ("", _CELL), ("epochs", _NUMBER), (metric, _NUMBER), ("why", _CELL))
    head = "".join(f'<th style="{style};opacity:.7">{text(name)}</th>' for name, style in heads)
    body = "".join(_row(trial, state, driven=driven) for trial in shown)
    hidden = len(order) - len(shown)
    more = f'<div style="opacity:.7">… and {hidden} more</div>' if hidden else ""
    table = f'<table style="border-collapse:collapse;margin:4px 0">{head}{body}</table>'
    return f"{table}{more}"


def _rank(trial: TrialState) -> tuple[bool, float, int]:
    score = trial.best_score if trial.phase is not Phase.FAILED else None
    return (
        trial.phase is not Phase.RUNNING,
        float("inf") if score is None else -score,
        trial.number,
    )


def _row(trial: TrialState, state: RunState, *, driven: bool) -> str:
    best, leader = state.best_of(trial), state.incumbent
    weight = "600" if leader and leader.trial == trial.number else "400"
    why = trial.failure.reason if trial.failure else reasons(trial, state)[-1]
    word = stands(trial, state, driven=driven)
    cells = (
        (str(trial.number), _NUMBER),
        (_MARK[word], _CELL),
        (f"{trial.epochs}/{trial.budget}", _NUMBER),
        (number(best.value) if best else "–", _NUMBER),
        (why, _WHY),
    )
    inner = "".join(f'<td style="{style}">{cut(cell, LONGEST_WHY)}</td>' for cell, style in cells)
    style = f"background:none;font-weight:{weight}"
    return f'<tr title="{word}" style="{style}">{inner}</tr>'
