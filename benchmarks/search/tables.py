"""Tables of runs, as text or as markdown."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Final, TypeAlias

import numpy as np

from benchmarks.search.compare import Row, Spread, by_row, paired, regrets, spread
from benchmarks.search.family import Family
from benchmarks.search.methods import PEERS
from benchmarks.search.runs import Run
from benchmarks.search.speed import Reference, speed
from raytao.errors import DataError

MARKS: Final = (5, 9, 20, 50)
"""Full trainings after which regrets are told."""

Lines: TypeAlias = list[list[str]]


@dataclass(frozen=True)
class Table:
    """A title, a header and lines of cells."""

    title: str
    header: list[str]
    lines: Lines

    def text(self) -> str:
        """In columns."""
        widths = [max(map(len, column)) for column in zip(self.header, *self.lines, strict=True)]
        rows = [
            "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
            for row in [self.header, *self.lines]
        ]
        return "\n".join([self.title, "", *rows])

    def markdown(self) -> str:
        """As a table of markdown, figures to the right."""
        rule = ["---", *["--:"] * (len(self.header) - 1)]
        rows = [f"| {' | '.join(row)} |" for row in [self.header, rule, *self.lines]]
        return "\n".join([f"**{self.title}**", "", *rows])


def tables(
    ours: Sequence[Run], given: Sequence[Run], family: Family, *, target: str = "tao_bo"
) -> Iterator[Table]:
    """Everything that runs say.

    For each number of workers and budget: the methods' regrets, and the differences between each
    method of ours and everybody; with several workers, also to the same with one, and the time to
    the final regret of ``target``.

    Args:
        ours: runs that were made here; those of peers among them extend the given ones.
        given: runs of peers.
        family: where all of them are from.
        target: label of the reference that several workers race against.

    Raises:
        DataError: if a run is there twice, or ours has a peer's label.
    """
    rows, own = by_row([*ours, *given]), _own(ours, given)
    groups = groupby(sorted(rows), key=lambda row: (row.workers, row.budget))
    for (workers, budget), members in groups:
        marks = [mark for mark in MARKS if mark <= budget] or [budget]
        ranked = sorted(members, key=lambda row: spread(regrets(rows[row], family, budget)).mean)
        title = f"{workers} worker{'s' * (workers > 1)}, {budget} full trainings"
        yield _means(title, ranked, rows, family, marks)
        pairs = [(our, other) for our in ranked if our in own for other in ranked]
        pairs = [(a, b) for a, b in pairs if b not in own or ranked.index(a) < ranked.index(b)]
        alone = [(row, Row(1, budget, row.label)) for row in ranked if row in own and workers > 1]
        pairs += [(row, one) for row, one in alone if one in rows]
        if pairs:
            yield _differences(title, pairs, rows, family, marks)
        reference = rows.get(Row(1, budget, target))
        if workers > 1 and reference is not None:
            yield _speeds(title, target, ranked, rows, Reference.of(reference, family), family)


def _own(ours: Sequence[Run], given: Sequence[Run]) -> set[Row]:
    """Rows of our brains; runs of peers that were made here belong to the given ones."""
    own = [run for run in ours if not (run.method and run.method["brain"] in PEERS)]
    taken = {run.label for run in own} & {run.label for run in given}
    if taken:
        raise DataError(f"{min(taken)!r} is a peer's label: ours would be counted as its runs")
    return {Row(run.workers, run.budget, run.label) for run in own}


def _means(
    title: str,
    ranked: Sequence[Row],
    rows: Mapping[Row, Sequence[Run]],
    family: Family,
    marks: Sequence[int],
) -> Table:
    lines = []
    for row in ranked:
        runs = rows[row]
        found = [spread(regrets(runs, family, mark)) for mark in marks]
        lines.append(
            [
                _called(row, runs),
                str(len(runs)),
                str(len({run.task for run in runs})),
                str(len({run.seed for run in runs})),
                *map(_told, found),
                f"{np.mean([run.outcome.makespan for run in runs]):.0f}",
                f"{np.mean([run.outcome.think for run in runs]):.2f}",
            ]
        )
    return Table(
        f"{title}: regret ± standard error over tasks (rows of other tasks do not compare)",
        ["method", "runs", "tasks", "seeds", *map(str, marks), "makespan, s", "thinking, s"],
        lines,
    )


def _differences(
    title: str,
    pairs: Sequence[tuple[Row, Row]],
    rows: Mapping[Row, Sequence[Run]],
    family: Family,
    marks: Sequence[int],
) -> Table:
    lines = []
    for our, other in pairs:
        gaps = [
            paired(regrets(rows[our], family, mark), regrets(rows[other], family, mark))
            for mark in marks
        ]
        known = [gap for gap in gaps if gap is not None]
        if not known:
            continue
        alone = ", 1 worker" if other.workers != our.workers else ""
        lines.append(
            [
                f"{_called(our, rows[our])} - {_called(other, rows[other])}{alone}",
                str(known[0].tasks),
                *(
                    f"{_told(gap.gap, '+')} [{gap.lower:.2f}, {gap.upper:.2f}] {gap.wins}"
                    for gap in known
                ),
            ]
        )
    return Table(
        f"{title}: differences paired by task: mean ± standard error [95 % bounds] wins",
        ["ours - other", "tasks", *map(str, marks)],
        lines,
    )


def _speeds(
    title: str,
    target: str,
    ranked: Sequence[Row],
    rows: Mapping[Row, Sequence[Run]],
    reference: Reference,
    family: Family,
) -> Table:
    lines = []
    for row in ranked:
        found = speed(rows[row], reference, family)
        if found is not None:
            lines.append(
                [
                    _called(row, rows[row]),
                    str(found.tasks),
                    _share(found.mean_curve),
                    _share(found.median),
                    f"{found.reached}/{found.runs}",
                ]
            )
    return Table(
        f"{title}: time to the final regret of {target}, in shares of its time with 1 worker",
        ["method", "tasks", "mean over tasks", "median task", "runs that get there"],
        lines,
    )


def _called(row: Row, runs: Sequence[Run]) -> str:
    """The label; a portfolio is said, for nobody else was given one."""
    method = runs[0].method
    size = len(method["initial"]) if method else 0
    return f"{row.label} (portfolio of {size})" if size else row.label


def _told(found: Spread, sign: str = "") -> str:
    error = "?" if np.isnan(found.error) else f"{found.error:.2f}"
    return f"{found.mean:{sign}.2f} ± {error}"


def _share(share: float) -> str:
    return f"{share:.3f}" if math.isfinite(share) else "never"
