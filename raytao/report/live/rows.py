"""Facts of a run and rows of its trials, for a terminal of some width.

What others wrote is no markup, a reason may say ``[/INST]``; what is too long is cut.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from textwrap import wrap
from typing import Final

from rich.console import JustifyMethod
from rich.table import Table
from rich.text import Text

from raytao.brains.base import Plan
from raytao.report.first import reasons
from raytao.report.live.gauges import bar, sparkline
from raytao.report.live.usage import in_short, workers
from raytao.report.visible import in_ascii, visible
from raytao.report.words import NOTHING, clock, describe_best, gain, number, progress, stands
from raytao.runs.eta import Remaining, segment, whole
from raytao.runs.state import Phase, RunState, TrialState

NARROW: Final = 72
"""Columns below which a trial's bar is short."""

WIDE: Final = 110
"""Columns from which on a row has room for what its trial uses."""

SPARK: Final = 32

_NAMES: Final = len("Current experiment")

_LEAST: Final = 20
"""Columns below which a sentence is cut off: wrapped, it would take the whole screen."""

_STYLE: Final = {
    Phase.RUNNING: "bold",
    Phase.FAILED: "red",
    Phase.RETIRED: "dim",
    Phase.OFFERED: "dim",
    Phase.PAUSED: "",
    Phase.FINISHED: "green",
}


@dataclass(frozen=True)
class Page:
    """What is drawn on: so many columns.

    ``driven``: seconds that drivers have been at work, for what is left of trials that run; None
    where nobody knows. ``plain``: the terminal has ASCII only. ``bars``: in place of a word.
    ``trains``: a driver is at work; else no trial runs, whatever its log says last.
    """

    width: int
    driven: float | None = None
    plain: bool = False
    bars: bool = True
    trains: bool = True

    def runs(self, trial: TrialState) -> bool:
        """Whether a trial is in training now."""
        return self.trains and trial.phase is Phase.RUNNING


@dataclass(frozen=True)
class Fact:
    """A fact and its name. Of those beside TAO's indicators (rank 0), low ranks come first."""

    name: str
    words: Text
    rank: int = 0


def facts(state: RunState, left: Remaining | None, plan: Plan, page: Page) -> list[Fact]:
    """TAO's four status indicators, and what raytao adds to them, from top to bottom.

    Args:
        state: the run.
        left: what is left of it; None where a foreign run does not tell.
        plan: what was planned; no rows where that is not known.
        page: what they are for.
    """
    told = [(name, words, 0) for name, words in _indicators(state, left, plan)]
    if state.incumbent:
        rest = max(_LEAST, _rest(page))
        lines = [part for line in gain(state).splitlines() for part in wrap(line, rest)]
        told += [("", line, 3 + n) for n, line in enumerate(lines)]
    told += [("Best over epochs", words, 2) for words in _lead(state, page)]
    if state.busy and page.trains and not state.finished:
        told.append(("Workers", workers(state, left), 1))
    return [Fact(name, cell(words, page), rank) for name, words, rank in told]


def facts_table(told: Iterable[Fact], page: Page) -> Table:
    """A line for each."""
    table = Table.grid(padding=(0, 2))
    table.add_column(style="dim", no_wrap=True, min_width=_NAMES)
    table.add_column(no_wrap=True, overflow="ellipsis", max_width=_rest(page))
    for fact in told:
        table.add_row(fact.name, fact.words)
    return table


def _rest(page: Page) -> int:
    """Columns beside the names."""
    return max(1, page.width - _NAMES - 2)


def trials_table(trials: Sequence[TrialState], state: RunState, page: Page) -> Table:
    """One row a trial: how far, how good, why it exists; of the reason, what there is room for."""
    metric = state.opened.metric if state.opened else "metric"
    runs = page.driven is not None and any(map(page.runs, trials))
    uses = page.width >= WIDE and any(_use(trial, page) for trial in trials)
    heads = ["rec", "state", "epochs", metric[: max(9, page.width // 6)]]
    heads += ["left"] * runs + ["used"] * uses
    rows = []
    for trial in trials:
        best = state.best_of(trial)
        row = [Text(str(trial.number)), _state(trial, state, page), Text(progress(trial))]
        row.append(cell(number(best.value) if best else NOTHING, page))
        if best and best == state.incumbent:
            row[-1].stylize("bold green")
        row += [_seconds_left(trial, state, page)] * runs + [Text(_use(trial, page))] * uses
        rows.append(row)
    titles = [cell(head, page) for head in heads]
    columns = zip(*(titles, *rows), strict=True)
    widths = [max(cell.cell_len for cell in column) for column in columns]
    table = Table(box=None, padding=(0, 1), pad_edge=False)
    for head, title, width in zip(heads, titles, widths, strict=True):
        side: JustifyMethod = "left" if head in ("state", "used") else "right"
        table.add_column(title, justify=side, no_wrap=True, min_width=width)
    rest = max(3, page.width - sum(widths) - 2 * len(widths))
    table.add_column("why", overflow="ellipsis", no_wrap=True, max_width=rest)
    for trial, row in zip(trials, rows, strict=True):
        why = trial.failure.reason if trial.failure else reasons(trial, state)[-1]
        left = trial.phase is Phase.RUNNING and not page.trains
        table.add_row(*row, cell(why, page), style="" if left else _STYLE[trial.phase])
    return table


def _seconds_left(trial: TrialState, state: RunState, page: Page) -> Text:
    if not page.runs(trial) or page.driven is None:
        return Text()
    rest = segment(state, trial, page.driven).seconds
    return cell(clock(rest), page)


def _use(trial: TrialState, page: Page) -> str:
    return in_short(trial.use) if page.runs(trial) and trial.use else ""


def screenful(state: RunState, page: Page, lines: int) -> Table:
    """Heading, rows, and how many more there are."""
    count = len(state.trials)
    fits = lines - 1 if count < lines else max(0, lines - 2)
    table = trials_table(_foremost(state, fits), state, page)
    if count > fits:
        table.caption, table.caption_justify = cell(f"… and {count - fits} more", page), "left"
    return table


def cell(text: str, page: Page, *, lines: bool = False) -> Text:
    """A text in one line, or in its own."""
    shown = visible(text, lines=lines)
    shown = in_ascii(shown).encode("ascii", "replace").decode() if page.plain else shown
    return Text(shown, no_wrap=True, overflow="crop" if page.plain else "ellipsis")


def _indicators(state: RunState, left: Remaining | None, plan: Plan) -> Iterator[tuple[str, str]]:
    metric = state.opened.metric if state.opened else "metric"
    best, end = state.incumbent, whole(state, plan)
    trials, epochs = (f" of {n}" if plan.rows else "" for n in (end.trials, end.epochs))
    yield "Current experiment", f"{len(state.trials)}{trials}"
    if state.finished and state.epochs < end.epochs:
        epochs = f"  ({state.epochs} of {end.epochs} trained)"
    yield "Epochs pending", f"{left.epochs}{epochs}" if left else NOTHING
    unknown = f"{NOTHING}  (told after the first epoch)" if left else NOTHING
    known = left is not None and left.seconds is not None
    yield "Time remaining", clock(left.seconds) if left and known else unknown
    if left and left.budget:
        yield "Budget used", left.budget
    shown = f"{metric} {number(best.value)}  ({describe_best(best)})" if best else NOTHING
    yield "Best so far", shown


def _lead(state: RunState, page: Page) -> Iterator[str]:
    """The best so far over the epochs trained, once there are two of them to compare."""
    if len(state.leads) > 1:
        first, last = (number(value) for _, value in (state.leads[0], state.leads[-1]))
        room = page.width - _NAMES - 2 - len(first) - len(last) - 2
        drawn = sparkline(state.leads, state.epochs, min(SPARK, room), plain=page.plain)
        yield f"{first} {drawn} {last}"


def _foremost(state: RunState, limit: int) -> list[TrialState]:
    """Those that run first, then the latest to change; of a run that is over, the best."""
    if state.finished:
        shown = heapq.nlargest(limit, state.trials.values(), key=lambda t: _rank(t, state))
    else:
        shown = state.running()[:limit]
        rest = (trial for trial in state.trials.values() if trial.phase is not Phase.RUNNING)
        latest = heapq.nlargest(limit - len(shown), rest, key=lambda t: (t.changed, -t.number))
        shown += latest
    return sorted(shown, key=lambda trial: trial.number)


def _rank(trial: TrialState, state: RunState) -> tuple[bool, float, int]:
    best = state.best_of(trial)
    return best is not None, best.score if best else 0.0, -trial.number


def _bar_width(page: Page) -> int:
    return 8 if page.width < NARROW else 12 if page.width < WIDE else 20


def _state(trial: TrialState, state: RunState, page: Page) -> Text:
    """A bar to its rung for a trial that runs, a word for any other."""
    if not (page.runs(trial) and page.bars):
        return Text(stands(trial, state, driven=page.trains))
    done = segment(state, trial, page.driven or 0.0).done
    return bar(done, 0.0, _bar_width(page), plain=page.plain, style="cyan")
