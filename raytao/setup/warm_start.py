"""``warm_start``: a search that begins with what earlier runs found.

By default what they found is tried again: a portfolio of their best configurations is trained
right after the user's own spec. Trusted, their results are evidence as well, as if this run had
measured them: right only where the data and the metric are the same.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from raytao.brains.base import Evidence, Initial
from raytao.brains.portfolio import portfolio, thinned
from raytao.errors import FolderError, SettingsError, Where
from raytao.runs.place import Place, is_address, place_of
from raytao.setup.changes import differing
from raytao.setup.earlier import Earlier, Result, read_earlier
from raytao.setup.given import Given
from raytao.setup.initial import located, looked_for
from raytao.setup.places import Places
from raytao.setup.settings import WarmStart
from raytao.setup.setup import Setup
from raytao.space import Space
from raytao.spec import told_as_written
from raytao.types import Json, Params

MOST_EVIDENCE: Final = 200
"""Results that are trusted at most: the best half, and the others spread over the ranks."""

NEAR: Final = 0.02
"""Two configurations are nearly the same if no number is farther apart, as a share of its range,
and no choice is another one."""


@dataclass
class Candidate:
    """A configuration of earlier runs: its regret in each, and where it did best."""

    params: Params
    regrets: dict[int, float] = field(default_factory=dict)
    best: tuple[float, int, int] = (math.inf, 0, 0)
    """The least regret, and of which run and trial."""

    def add(self, run: int, result: Result) -> None:
        """Take in a result; of several in one run the best counts."""
        self.regrets[run] = min(result.regret, self.regrets.get(run, result.regret))
        self.best = min(self.best, (result.regret, run, result.trial))


def read_warm_start(
    setup: Setup, asked: WarmStart, given: Sequence[Initial], folder: Path, place: Places
) -> tuple[Given, tuple[str, ...]]:
    """What earlier runs give to this one, and what the user should know of it.

    Args:
        setup: the run that begins.
        asked: which runs, and what of them.
        given: configurations that are trained before.
        folder: where the run file lies; a path may begin there, or in the current folder.
        place: tells where a run was named.

    Raises:
        UserError: if a run is of another network or metric, if nothing of the runs can be used,
            or if results of other data were to be trusted.
        DamagedRun: if the log of one cannot be trusted.
    """
    runs: list[Earlier] = []
    folders: list[Place] = []
    for number, name in enumerate(asked.runs):
        where = place(["warm_start", "runs", number])
        path = _folder(name, folder, where)
        if path is None:
            remedy = looked_for(name, folder)
            raise FolderError(f"no folder {name}", where=where, remedy=remedy)
        if path.resolve() in folders:
            raise SettingsError(f"{name} is named twice", where=where, remedy="leave one out")
        folders.append(path.resolve())
        runs.append(read_earlier(setup, name, path, where))
        if asked.trust:
            _refuse_other_data(setup, runs[-1], where)
    notes = tuple(note for run in runs for note in run.notes)
    if not any(run.results for run in runs):
        raise SettingsError(
            f"nothing can be taken over from {', '.join(asked.runs)}: {'; '.join(notes)}",
            where=place(["warm_start"]),
            remedy="leave warm_start out",
        )
    initial = _portfolio(setup, runs, asked.best, given)
    evidence = _evidence(runs) if asked.trust else ()
    notes += tuple(_notes(asked, runs, len(initial), len(evidence)))
    return Given(initial, evidence), notes


def _folder(name: str, folder: Path, where: Where) -> Place | None:
    """An earlier run's folder, or its address; None if a path leads nowhere."""
    if not is_address(name):
        return located(name, folder)
    try:
        return place_of(name)
    except SettingsError as error:
        raise SettingsError(error.message, where=where, remedy=error.remedy) from error


def _portfolio(
    setup: Setup, runs: Sequence[Earlier], size: int, given: Sequence[Initial]
) -> tuple[Initial, ...]:
    space = setup.space
    taken = [one.params for one in given]
    if setup.new_brain().begins_with_spec:
        taken.append(space.of_spec(setup.spec.plain()))
    near = _Nearness(space)
    candidates: dict[str, Candidate] = {}
    for number, run in enumerate(runs):
        for result in run.results:
            key = repr(sorted(result.params.items()))
            candidates.setdefault(key, Candidate(result.params)).add(number, result)
    new = [one for one in candidates.values() if not any(near(one.params, t) for t in taken)]
    baselines = {n: run.baseline for n, run in enumerate(runs) if run.baseline is not None}
    chosen = portfolio(
        [one.regrets for one in new],
        baselines,
        size,
        lambda one, other: near(new[one].params, new[other].params),
    )
    return tuple(
        Initial(
            new[index].params,
            f"portfolio {n} of {len(chosen)}: recommendation {new[index].best[2]} of "
            f"{runs[new[index].best[1]].name}",
        )
        for n, index in enumerate(chosen, start=1)
    )


class _Nearness:
    """Whether two configurations of a space are nearly the same."""

    def __init__(self, space: Space) -> None:
        self._space = space
        self._apart = [NEAR if column.kind == "numeric" else 0.0 for column in space.columns]

    def __call__(self, one: Params, other: Params) -> bool:
        """An inactive parameter lies in the middle; what makes it inactive is another choice."""
        distance = abs(self._space.encode(one) - self._space.encode(other))
        return bool((distance <= self._apart).all())


def _evidence(runs: Sequence[Earlier]) -> tuple[Evidence, ...]:
    results = [result for run in runs for result in run.results]
    kept = thinned([result.score for result in results], MOST_EVIDENCE)
    return tuple(Evidence(results[n].params, results[n].epochs, results[n].score) for n in kept)


def _refuse_other_data(setup: Setup, run: Earlier, where: Where) -> None:
    """Refuse to trust results that were measured on other data, as far as the logs tell.

    Raises:
        SettingsError: with the difference.
    """
    data = _data(setup)
    for result in run.results:
        if data is None or result.data is None or result.data == data:
            continue
        lines = "\n".join(f"    {line}" for line in differing(result.data, data))
        raise SettingsError(
            f"{run.name} cannot be trusted: its data were other than this run's\n{lines}",
            where=where,
            remedy="leave trust out: its best configurations are then tried again here",
        )


def _data(setup: Setup) -> Mapping[str, Json] | None:
    with told_as_written(setup.spec.plain()) as spec:
        return setup.network.fingerprint(spec)


def _notes(
    asked: WarmStart, runs: Sequence[Earlier], members: int, evidence: int
) -> Iterator[str]:
    if members < asked.best:
        yield (
            f"warm_start gives {members} configurations, not {asked.best}: there are no more "
            "that differ from each other and from what is trained before"
        )
    if evidence:
        known = sum(len(run.results) for run in runs)
        share = "" if evidence == known else f" of {known}"
        yield (
            f"{evidence}{share} results of {', '.join(asked.runs)} are trusted as if they had "
            "been measured here: right only with the same data and metric"
        )
        if any(result.data is None for run in runs for result in run.results):
            yield "whether the data are the same is not known: no fingerprint of them was kept"
