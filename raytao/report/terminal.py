"""A run as tables for the terminal: the live view and ``status`` share them."""

from __future__ import annotations

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from raytao.brains.base import Plan
from raytao.report.visible import visible
from raytao.report.words import NOTHING, clock, describe_best, gain, progress
from raytao.runs.eta import Remaining, whole
from raytao.runs.state import Phase, RunState, TrialState

ROWS = 12
"""Trials that the live view lists, the newest activity first."""

_STYLE = {
    Phase.RUNNING: "bold",
    Phase.FAILED: "red",
    Phase.RETIRED: "dim",
    Phase.OFFERED: "dim",
    Phase.PAUSED: "",
    Phase.FINISHED: "green",
}


def indicators(state: RunState, left: Remaining | None, plan: Plan) -> Table:
    """TAO's four status indicators.

    Args:
        state: the run.
        left: what is left of it; None where a foreign run does not tell.
        plan: what was planned; no rows where that is not known.
    """
    metric = state.opened.metric if state.opened else "metric"
    best = state.incumbent
    table = Table.grid(padding=(0, 2))
    table.add_column(style="dim")
    table.add_column()
    end = whole(state, plan)
    trials, epochs = (f" of {n}" if plan.rows else "" for n in (end.trials, end.epochs))
    table.add_row("Current experiment", f"{len(state.trials)}{trials}")
    table.add_row("Epochs pending", f"{left.epochs}{epochs}" if left else NOTHING)
    table.add_row("Time remaining", clock(left.seconds if left else None))
    if left and left.budget:
        table.add_row("Budget used", _cell(left.budget))
    shown = f"{metric} {best.value:.4f}  ({describe_best(best)})" if best else NOTHING
    table.add_row("Best so far", _cell(shown))
    if best and (words := gain(state)):
        table.add_row("", words)
    return table


def trials_table(state: RunState, limit: int | None = ROWS) -> Table:
    """One row a trial: how far, how good, why it exists."""
    metric = state.opened.metric if state.opened else "metric"
    table = Table(box=None, padding=(0, 1), pad_edge=False, expand=True)
    for name in ("rec", "epochs", metric, "state"):
        table.add_column(_cell(name), justify="right" if name != "state" else "left", no_wrap=True)
    table.add_column("why", overflow="ellipsis", no_wrap=True, ratio=1)  # the one that is cut
    order = sorted(state.trials.values(), key=_activity)
    shown = order if limit is None else sorted(order[:limit], key=lambda t: t.number)
    for trial in shown if limit is not None else state.trials.values():
        table.add_row(*map(_cell, _row(trial, state)), style=_STYLE[trial.phase])
    return table


def live(header: str, state: RunState, left: Remaining, plan: Plan) -> RenderableType:
    """The whole live view."""
    hidden = len(state.trials) - ROWS
    tail = Text(f"… and {hidden} more", style="dim") if hidden > 0 else Text("")
    return Group(
        Text(visible(header, lines=True), style="bold"),
        indicators(state, left, plan),
        Text(""),
        trials_table(state),
        tail,
    )


def _cell(text: str) -> Text:
    """What others wrote is no markup: a reason may say ``[/INST]``."""
    return Text(visible(text))


def _activity(trial: TrialState) -> tuple[int, int]:
    return (0 if trial.phase is Phase.RUNNING else 1, -trial.number)


def _row(trial: TrialState, state: RunState) -> tuple[str, ...]:
    best = state.best_of(trial)
    why = trial.failure.reason if trial.failure else trial.why[-1]
    return (
        str(trial.number),
        progress(trial),
        f"{best.value:.4f}" if best else NOTHING,
        trial.phase.value,
        why,
    )
