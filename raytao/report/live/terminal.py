"""A run as a screen: the live view, and what ``status`` prints.

What fits is shown: rows by the terminal's height, columns by its width, and the most telling of
each. Nothing wraps, so that a view that renews itself in place never grows.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.segment import Segment
from rich.text import Text

from raytao.brains.base import Plan
from raytao.report.live.rows import Page, cell, facts, facts_table, screenful, trials_table
from raytao.report.live.rungs import rungs_table
from raytao.runs.eta import Remaining
from raytao.runs.state import RunState

LEAST_ROWS: Final = 3
"""Trials that are shown before anything but the indicators is."""

PRINTED_ROWS: Final = 40
"""Trials that are printed once, on however low a terminal: it scrolls back."""


def live(
    header: str,
    state: RunState,
    left: Remaining | None,
    plan: Plan,
    below: Text | None = None,
    *,
    driven: bool = True,
    above: int | None = None,
) -> RenderableType:
    """The whole view, never larger than the terminal that it is printed on.

    Args:
        header: what is being run.
        state: the run.
        left: what is left of it; None where a foreign run does not tell.
        plan: what was planned; no rows where that is not known.
        below: what stands under it; the view makes room for it.
        driven: whether a driver is at work: else no trial runs.
        above: lines right above the view that begin with the same header, if there are any: as
            long as they are seen as well, the view goes without.
    """
    return _Live(header, state, left, plan, below or Text(), driven, above)


def printed(
    state: RunState,
    left: Remaining | None,
    plan: Plan,
    beside: int = 0,
    *,
    driven: bool = True,
) -> RenderableType:
    """The view's parts for being printed once: on a terminal a screenful or two, else every trial.

    Args:
        state: the run.
        left: what is left of it; None where a foreign run does not tell.
        plan: what was planned; no rows where that is not known.
        beside: lines that are printed beside it.
        driven: whether a driver is at work: else no trial runs.
    """
    return _Printed(state, left, plan, beside, driven)


@dataclass(frozen=True)
class _Live:
    """See `live`."""

    header: str
    state: RunState
    left: Remaining | None
    plan: Plan
    below: Text
    driven: bool
    above: int | None

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        height = max(1, console.height - 1)
        below = [[], *_drawn(self.below, console, options)] if self.below else []
        room = max(0, height - len(below))
        lines = [] if self.above is None else self._lines(console, options, room, "")
        if self.above is None or self.above + len(lines) + len(below) > height:
            lines = self._lines(console, options, room, self.header)
        for line in [*lines, *below][:height]:
            yield from line
            yield Segment.line()

    def _lines(
        self, console: Console, options: ConsoleOptions, height: int, header: str
    ) -> list[list[Segment]]:
        """The sections that fit, from top to bottom, with an empty line between the blocks."""
        state, count = self.state, len(self.state.trials)
        page = _page(state, self.left, options, trains=self.driven)
        least = min(count, LEAST_ROWS) + (2 if count else 0)  # heading and tail
        told = facts(state, self.left, self.plan, page)
        room = height - least - sum(fact.rank == 0 for fact in told)
        title = cell(header, page, lines=True)
        title.stylize("bold")
        top = _drawn(title, console, options)[: max(0, room)] if header else []
        room -= len(top)
        ranks = sorted(fact.rank for fact in told if fact.rank)[: max(0, room)]
        room -= len(ranks)
        chosen = [fact for fact in told if fact.rank <= max(ranks, default=0)]
        top += _drawn(facts_table(chosen, page), console, options)
        grid = rungs_table(state, self.plan, page.width, most=room - 1, plain=page.plain)
        ladder = _drawn(grid, console, options) if grid else []
        room -= len(ladder) + bool(ladder)
        rows = screenful(state, page, least + max(0, room - 1))
        table = _drawn(rows, console, options) if count else []
        spaced = bool(table) and room > 0
        blocks = [top, ladder, table if spaced else []]
        lines = [line for block in blocks if block for line in ([], *block)][1:]
        return [*lines, *([] if spaced else table)][:height]


@dataclass(frozen=True)
class _Printed:
    """See `printed`."""

    state: RunState
    left: Remaining | None
    plan: Plan
    beside: int
    driven: bool

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        state = self.state
        bars = console.is_terminal
        page = _page(state, self.left, options, bars=bars, trains=self.driven)
        told = facts_table(facts(state, self.left, self.plan, page), page)
        most = max(2, console.height // 2)
        grid = rungs_table(state, self.plan, page.width, most=most, plain=page.plain)
        above = Group(told, *((Text(), grid) if grid else ()))
        yield above
        if not state.trials:
            return
        yield Text()
        if not console.is_terminal:
            yield trials_table(list(state.trials.values()), state, page)
            return
        taken = len(_drawn(above, console, options)) + self.beside + 2  # an empty line, the prompt
        yield screenful(state, page, max(2 + PRINTED_ROWS, console.height - taken))


def _page(
    state: RunState,
    left: Remaining | None,
    options: ConsoleOptions,
    *,
    bars: bool = True,
    trains: bool,
) -> Page:
    driven = left.driven if left and left.slots and not state.finished else None
    return Page(options.max_width, driven, plain=options.ascii_only, bars=bars, trains=trains)


def _drawn(
    shown: RenderableType, console: Console, options: ConsoleOptions
) -> list[list[Segment]]:
    """Its lines."""
    return console.render_lines(shown, options.update(height=None), pad=False)
