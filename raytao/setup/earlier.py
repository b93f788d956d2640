"""An earlier run's results, in the words of the run that begins with them. Nothing is written.

A parameter that was not searched there has the value of that run's spec, which is known. One that
was searched there and is fixed here tells something only where its value is ours.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from raytao.brains.portfolio import regrets
from raytao.errors import FolderError, SettingsError, SpaceError, Where
from raytao.networks.function import Function
from raytao.runs.place import Place
from raytao.runs.state import Best, RunState
from raytao.setup.chapters import Chapters
from raytao.setup.findings import Finding, Findings
from raytao.setup.folder import open_folder
from raytao.setup.foreign import foreign_findings
from raytao.setup.initial import listed, other_values
from raytao.setup.setup import Setup
from raytao.spec import reachable
from raytao.tao.foreign.known import is_foreign
from raytao.types import Json, Params

OUTSIDE: Final = "have values that are not searched here"
OTHER_NETWORK: Final = "are of another network"


@dataclass(frozen=True)
class Result:
    """What a trial of an earlier run achieved at its best.

    Args:
        trial: its number there.
        params: its configuration here; within the space.
        epochs: its best epoch.
        score: larger is better, in this run's units.
        regret: the share of its run's other results that beat it.
        data: what its data set was, as the run's log says.
    """

    trial: int
    params: Params
    epochs: int
    score: float
    regret: float
    data: Mapping[str, Json] | None


@dataclass(frozen=True)
class Earlier:
    """An earlier run.

    Args:
        name: its folder, as the user wrote it.
        results: what can be used here, by number.
        baseline: regret of its own spec; None if that has no result.
        notes: what the user should know of it.
    """

    name: str
    results: tuple[Result, ...]
    baseline: float | None
    notes: tuple[str, ...]


def read_earlier(setup: Setup, name: str, folder: Place, where: Where) -> Earlier:
    """Read a results folder of raytao or of TAO, of a run that is over or goes on.

    Args:
        setup: the run that begins.
        name: the folder as the user wrote it.
        folder: the folder.
        where: where it was written.

    Raises:
        UserError: if it holds no run of this network, metric and direction.
        DamagedRun: if its log cannot be trusted.
    """
    if folder.resolve() == setup.results.resolve():
        raise FolderError(
            f"{name} is this run's own folder", where=where, remedy="a run goes on by itself"
        )
    try:
        told = _findings(setup, name, folder, where)
    except FolderError as error:
        remedy = error.remedy or "name the results folder of a run, or leave it out"
        said = f"{error.where}: {error.message}" if error.where else error.message
        raise FolderError(said, where=where, remedy=remedy) from error
    shares = dict(
        zip(
            (one.trial for one in told.found),
            regrets([one.score for one in told.found]),
            strict=True,
        )
    )
    reader = _Reader(setup)
    results = tuple(reader.results(told.found, shares))
    return Earlier(
        name=name,
        results=results,
        baseline=None if told.baseline is None else shares[told.baseline],
        notes=(*told.notes, *_notes(setup, told, name, reader.skipped)),
    )


def _findings(setup: Setup, name: str, folder: Place, where: Where) -> Findings:
    """What a run of raytao, or one of TAO, found."""
    if is_foreign(folder):
        return foreign_findings(setup, name, folder, where)
    other, state = open_folder(folder)
    _refuse_other(setup, other, name, where)
    chapters = Chapters(other, state)
    scored = [best for trial in state.trials.values() if (best := state.best_of(trial))]
    return Findings(
        found=tuple(_finding(state, chapters, best) for best in scored),
        baseline=None if state.baseline is None else state.baseline.trial,
        searched=other.space.names,
        spec=reachable(other.spec.plain()),
    )


def _finding(state: RunState, chapters: Chapters, best: Best) -> Finding:
    """A trial under the setup that it was proposed under."""
    chapter = chapters.of(best.trial)
    return Finding(
        trial=best.trial,
        epoch=best.epoch,
        score=best.score,
        network=chapter.settings.network,
        searched=state.trials[best.trial].params,
        spec=reachable(chapter.spec.plain()),
        data=state.opened_for(best.trial).setup.get("data"),
    )


class _Reader:
    """Reads what was found in this run's words; counts what cannot be used."""

    def __init__(self, setup: Setup) -> None:
        self.skipped: Counter[str] = Counter()
        self._space = setup.space
        self._network = setup.settings.network
        self._own = reachable(setup.spec.plain())

    def results(self, found: Sequence[Finding], shares: Mapping[int, float]) -> Iterator[Result]:
        for one in found:
            params = self._params(one)
            if isinstance(params, str):
                self.skipped[params] += 1
            else:
                yield Result(one.trial, params, one.epoch, one.score, shares[one.trial], one.data)

    def _params(self, one: Finding) -> Params | str:
        """A trial's configuration in this run's space, or why it has none."""
        if one.network != self._network:
            return OTHER_NETWORK
        values = {**one.spec, **one.searched}
        for name in one.searched:
            if name not in self._space.names and self._own.get(name) != values[name]:
                return f"have another {name} than your spec, where it is not searched"
        if untold := next((name for name in self._space.names if name not in values), None):
            return f"do not tell their {untold}, which is searched here"
        taken = {name: values[name] for name in self._space.names}
        try:
            params = self._space.of_spec({**self._own, **taken})
        except SpaceError:
            return OUTSIDE
        return params if self._space.contains(params) else OUTSIDE


def _refuse_other(setup: Setup, other: Setup, name: str, where: Where) -> None:
    """Refuse a run whose results mean something else.

    Raises:
        SettingsError: naming the difference.
    """
    there, here = _described(other), _described(setup)
    different = [key for key in here if there[key] != here[key]]
    if different:
        raise SettingsError(
            f"{name} is a run of {' and '.join(f'{k} {there[k]}' for k in different)}; this one "
            f"is of {' and '.join(f'{k} {here[k]}' for k in different)}",
            where=where,
            remedy="leave it out; single configurations of any run can be given by 'initial'",
        )


def _described(setup: Setup) -> dict[str, str]:
    own = isinstance(setup.network, Function)
    return {
        "network": f"(a function) {setup.card.name}" if own else setup.settings.network,
        "metric": f"{setup.metric} ({setup.direction.value})",
    }


def _notes(setup: Setup, told: Findings, name: str, skipped: Counter[str]) -> Iterator[str]:
    if not told.found:
        yield f"{name} has no result yet"
    if others := other_values(setup, told.spec, besides=told.searched):
        yield (
            f"{name} had other values than your spec in {listed(others)}, which "
            f"{'is' if len(others) == 1 else 'are'} not searched"
        )
    if skipped:
        reasons = ", ".join(f"{n} {reason}" for reason, n in skipped.most_common())
        yield (f"{name}: {skipped.total()} of {len(told.found)} results cannot be used: {reasons}")
