"""The brackets of a schedule as they fill: how many have arrived at each rung, of how many."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from rich.table import Table
from rich.text import Text

from raytao.brains.base import Plan
from raytao.report.live.gauges import bar
from raytao.runs.state import RunState

_LABEL: Final = 12
_BARS: Final = 12
_NARROWEST: Final = 9
"""Columns of a rung's numbers, ``999/9999``, and a space."""


@dataclass(frozen=True)
class Filling:
    """One rung of a kind of bracket: how many trials ``arrived``, are ``open`` or ``failed``.

    ``places``: how many there are; of a plan that is a bound, how many were sent there so far.
    """

    epochs: int
    places: int
    arrived: int
    open: int
    failed: int


def fillings(state: RunState, plan: Plan) -> list[tuple[str, list[Filling]]]:
    """The brackets by name and their rungs; none for a plan without a second rung anywhere.

    Brackets alike are one. Trials that wait for no rung start with the first; where every trial
    may go on, they climb one ladder.
    """
    ladders = plan.ladders
    if all(len(rows) == 1 for rows in ladders.values()):
        return []
    pace = state.pace
    if not plan.exact:
        begin = min((begin for begin, _ in pace.granted), default=0)
        planned = {row.epochs for rows in ladders.values() for row in rows if row.epochs > begin}
        rungs = sorted(planned | {epochs for _, epochs in pace.granted})
        return [
            ("all trials", [_filling(state, (begin, n), pace.granted[begin, n]) for n in rungs])
        ]
    alike = [row.epochs for row in plan.rows if row.rung == 0]
    return [
        (
            f"bracket {rows[0].bracket + 1}" + (f" ×{n}" if (n := alike.count(begin)) > 1 else ""),
            [_filling(state, (begin, row.epochs), row.trials) for row in rows],
        )
        for begin, rows in ladders.items()
    ]


def _filling(state: RunState, rung: tuple[int, int], places: int) -> Filling:
    pace = state.pace
    arrived, failed = pace.arrived[rung], pace.failed[rung]
    under_way = max(0, pace.granted[rung] - arrived - failed)
    return Filling(rung[1], places, arrived, under_way, failed)


def rungs_table(
    state: RunState, plan: Plan, width: int, *, most: int, plain: bool = False
) -> Table | None:
    """A line for each bracket, a column for each rung; None where there are none, or no room.

    Args:
        state: the run.
        plan: what was planned.
        width: columns there are.
        most: lines there are, the heading's among them; the brackets that are open come first.
        plain: only ASCII.
    """
    brackets = fillings(state, plan)
    columns = sorted({rung.epochs for _, rungs in brackets for rung in rungs})
    room = min((width - _LABEL) // max(1, len(columns)), _NARROWEST + 1 + _BARS)
    if not brackets or most < 2:
        return None
    if room < _NARROWEST:
        columns = columns[-max(1, (width - _LABEL) // _NARROWEST) :]
        room = _NARROWEST
    wide = min(_BARS, room - _NARROWEST - 1)
    table = Table.grid(padding=(0, 1, 0, 0))
    table.add_column(style="dim", no_wrap=True, min_width=_LABEL - 1)
    for _ in columns:
        table.add_column(justify="left", no_wrap=True, min_width=room - 1)
    heads = [Text(f"{n} {'epoch' if n == 1 else 'epochs'}"[: room - 1], "dim") for n in columns]
    table.add_row("arrived at", *heads)
    shown = brackets if len(brackets) < most else _open_first(brackets)[: most - 1]
    for name, rungs in shown:
        by_epochs = {rung.epochs: _cell(rung, wide, plain=plain) for rung in rungs}
        table.add_row(name, *(by_epochs.get(n, Text()) for n in columns))
    return table


def _open_first(brackets: list[tuple[str, list[Filling]]]) -> list[tuple[str, list[Filling]]]:
    """Those with trials under way, then those to come, then those that are over."""

    def order(bracket: tuple[str, list[Filling]]) -> int:
        rungs = bracket[1]
        if any(rung.open for rung in rungs):
            return 0
        return 2 if rungs[-1].arrived + rungs[-1].failed >= rungs[-1].places else 1

    return sorted(brackets, key=order)


def _cell(rung: Filling, width: int, *, plain: bool) -> Text:
    text = Text()
    if width >= 3:
        places = max(1, rung.places)
        over, under_way = (rung.arrived + rung.failed) / places, rung.open / places
        text += bar(over, under_way, width, plain=plain)
        text.append(" ")
    style = "dim" if not (rung.arrived or rung.open) else ""
    return text.append(f"{rung.arrived}/{rung.places}", style)
