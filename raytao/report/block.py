"""A run as one block of HTML, for notebooks: where it stands, how far it is, its best trials.

Plain HTML with inline styles: it shows in Jupyter, VS Code, Colab and on GitHub alike, in a light
and in a dark theme, because it names no colours of text or background.
"""

from __future__ import annotations

from html import escape

from raytao.brains.base import Plan
from raytao.report.words import clock, describe_best, gain
from raytao.runs.eta import Remaining, whole
from raytao.runs.state import Phase, RunState, TrialState

ROWS = 8
"""Trials that the block lists: those that run, then the best."""

SPARK_WIDTH, SPARK_HEIGHT = 220, 36

_CELL = "padding:2px 12px 2px 0;text-align:left;border:none;background:none"
_NUMBER = "padding:2px 12px 2px 0;text-align:right;border:none;background:none"
_MARK = {
    Phase.RUNNING: "▶",
    Phase.OFFERED: "·",
    Phase.PAUSED: "‖",
    Phase.FINISHED: "✓",
    Phase.RETIRED: "–",
    Phase.FAILED: "✗",
}


def block(
    title: str, place: str, status: str, state: RunState, left: Remaining, plan: Plan
) -> str:
    """Draw the block.

    Args:
        title: what is run, one line.
        place: where, one line.
        status: a word or two: Running, Done, Interrupted.
        state: the run.
        left: what is left of it.
        plan: what was planned.
    """
    done = 1.0 if state.finished else min(1.0, state.epochs / max(1, whole(state, plan).epochs))
    return (
        '<div style="font-family:system-ui,sans-serif;font-size:13px;max-width:760px">'
        f'<div style="font-weight:600">{escape(title)}</div>'
        f'<div style="opacity:.7">{escape(place)}</div>'
        f"{_bar(done)}"
        f"{_indicators(status, state, left, plan)}"
        f"{_sparkline(state)}"
        f"{_trials(state)}"
        "</div>"
    )


def _bar(done: float) -> str:
    percent = f"{100 * done:.0f}%"
    return (
        f'<div role="progressbar" aria-valuenow="{100 * done:.0f}" title="{percent}" '
        'style="height:6px;margin:6px 0;border-radius:3px;background:rgba(128,128,128,.25)">'
        f'<div style="height:6px;border-radius:3px;width:{percent};background:#76b900">'
        "</div></div>"
    )


def _indicators(status: str, state: RunState, left: Remaining, plan: Plan) -> str:
    """TAO's four, and the gain over the user's own spec."""
    best, metric = state.incumbent, state.opened.metric if state.opened else "metric"
    end = whole(state, plan)
    rows = [("Status", status), ("Current experiment", f"{len(state.trials)} of {end.trials}")]
    if not state.finished:
        rows += [
            ("Epochs pending", f"{left.epochs} of {end.epochs}"),
            ("Time remaining", clock(left.seconds)),
        ]
    if left.budget:
        rows.append(("Budget used", left.budget))
    shown = f"{metric} {best.value:.4f} ({describe_best(best)})" if best else "–"
    rows.append(("Best so far", shown))
    if best:
        rows += [("", line) for line in gain(state).splitlines()]
    tested = state.measured
    if tested and tested.metrics:
        measured = ", ".join(f"{name} {value:.4g}" for name, value in tested.metrics.items())
        rows.append(("Test set", measured))
    cells = "".join(
        f'<tr style="background:none"><td style="{_CELL};opacity:.7">{escape(name)}</td>'
        f'<td style="{_CELL}">{escape(value)}</td></tr>'
        for name, value in rows
    )
    return f'<table style="border-collapse:collapse;margin:0">{cells}</table>'


def _sparkline(state: RunState) -> str:
    """Best score of each trial in the order of their numbers, and the best so far."""
    scores = [t.best_score for t in state.trials.values() if t.phase is not Phase.FAILED]
    known = [score for score in scores if score is not None]
    if len(known) < 2:
        return ""
    low, high = min(known), max(known)
    step = SPARK_WIDTH / (len(known) - 1)

    def at(i: int, score: float) -> str:
        share = (score - low) / (high - low) if high > low else 0.5
        return f"{i * step:.1f},{SPARK_HEIGHT - 3 - share * (SPARK_HEIGHT - 6):.1f}"

    dots = "".join(
        '<circle cx="{}" cy="{}" r="2" fill="#8a8a8a"/>'.format(*at(i, score).split(","))
        for i, score in enumerate(known)
    )
    best = [max(known[: i + 1]) for i in range(len(known))]
    line = " ".join(at(i, score) for i, score in enumerate(best))
    words = f"best score of {len(known)} trials so far, from {known[0]:.4g} to {high:.4g}"
    return (
        f'<svg role="img" aria-label="{words}" width="{SPARK_WIDTH}" height="{SPARK_HEIGHT}" '
        f'style="overflow:visible;display:block;margin:8px 0">{dots}'
        f'<polyline points="{line}" fill="none" stroke="#76b900" stroke-width="2"/></svg>'
    )


def _trials(state: RunState) -> str:
    if not state.trials:
        return ""
    metric = state.opened.metric if state.opened else "metric"
    order = sorted(state.trials.values(), key=_rank)
    shown = sorted(order[:ROWS], key=lambda trial: trial.number)
    if shown[0].number != 0 and 0 in state.trials:  # the user's own spec, to compare with
        shown = [state.trials[0], *sorted(order[: ROWS - 1], key=lambda trial: trial.number)]
    heads = (("rec", _NUMBER), ("", _CELL), ("epochs", _NUMBER), (metric, _NUMBER), ("why", _CELL))
    head = "".join(f'<th style="{style};opacity:.7">{escape(name)}</th>' for name, style in heads)
    body = "".join(_row(trial, state) for trial in shown)
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


def _row(trial: TrialState, state: RunState) -> str:
    best, leader = state.best_of(trial), state.incumbent
    weight = "600" if leader and leader.trial == trial.number else "400"
    why = trial.failure.reason if trial.failure else trial.why[-1]
    cells = (
        (str(trial.number), _NUMBER),
        (_MARK[trial.phase], _CELL),
        (f"{trial.epochs}/{trial.budget}", _NUMBER),
        (f"{best.value:.4f}" if best else "–", _NUMBER),
        (why if len(why) <= 72 else f"{why[:71]}…", _CELL),
    )
    inner = "".join(f'<td style="{style}">{escape(text)}</td>' for text, style in cells)
    title = escape(trial.phase.value, quote=True)
    return f'<tr title="{title}" style="background:none;font-weight:{weight}">{inner}</tr>'
