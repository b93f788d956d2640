"""The trials of an asynchronous climb: a table with a line each, and what is counted over it.

Lines are all the state there is. What is derived from them (who waits, who is best at a rung, what
was granted) is kept as they change, so that a decision by rank looks at no trial but those it
moves, however many there are.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from raytao.brains.seen import Seen
from raytao.types import Params


@dataclass
class Climber:
    """One line of the table; ``scores[i]`` was reached at the end of rung i.

    ``granted`` counts the rungs that it may climb; ``retired``: it will never be granted more.
    """

    params: Params
    scores: list[float] = field(default_factory=list)
    granted: int = 1
    failed: bool = False
    retired: bool = False

    @property
    def runs(self) -> bool:
        """Whether it is being trained."""
        return not self.failed and len(self.scores) < self.granted

    @property
    def reached(self) -> int:
        """How many rungs it has behind it."""
        return len(self.scores)


class Climbers:
    """See the module.

    Args:
        rungs: epochs of each, ascending.
    """

    def __init__(self, rungs: Sequence[int]) -> None:
        self._rungs = rungs
        self._lines: list[Climber] = []
        self._seen: list[Seen] = []
        self.spent = 0
        """Epochs that were granted; those of a trial that failed are gone."""
        self.running = 0
        """How many are being trained."""
        self._alive = [0] * len(rungs)  # by the last rung that was granted
        self._outcomes = [0] * len(rungs)  # by rung, of trials that failed later as well
        self._ranked: list[list[tuple[float, int]]] = [[] for _ in rungs]
        self._paused: list[list[tuple[float, int]]] = [[] for _ in rungs]

    def __len__(self) -> int:
        return len(self._lines)

    def __getitem__(self, number: int) -> Climber:
        return self._lines[number]

    def __iter__(self) -> Iterator[Climber]:
        return iter(self._lines)

    def add(self, line: Climber) -> None:
        """Take in a trial as it is."""
        number = len(self._lines)
        self._lines.append(line)
        self._seen.append(self._view(line))
        self.spent += self._rungs[line.granted - 1]
        self.running += line.runs
        self._alive[line.granted - 1] += not (line.failed or line.retired)
        for rung, score in enumerate(line.scores):
            self._outcomes[rung] += 1
            if not line.failed:
                insort(self._ranked[rung], (-score, number))
        if self.waits(number):
            insort(self._paused[line.reached - 1], (-line.scores[-1], number))

    def waits(self, number: int) -> bool:
        """Whether a trial is paused below the top, and may go on."""
        line = self._lines[number]
        paused = not (line.failed or line.retired or line.runs)
        return paused and line.reached < len(self._rungs)

    def score(self, number: int, score: float) -> None:
        """A trial that is being trained has come to its rung."""
        line = self._lines[number]
        rung = line.reached
        line.scores.append(score)
        self._seen[number] = self._view(line)
        self.running -= 1
        self._outcomes[rung] += 1
        insort(self._ranked[rung], (-score, number))
        if self.waits(number):
            insort(self._paused[rung], (-score, number))

    def promote(self, number: int) -> None:
        """A trial that waits is granted its next rung."""
        line = self._lines[number]
        self._leave(number)
        self.spent += self._rungs[line.granted] - self._rungs[line.granted - 1]
        line.granted += 1
        self._seen[number] = self._view(line)
        self._alive[line.granted - 1] += 1
        self.running += 1

    def retire(self, number: int) -> None:
        """A trial that waits will never go on."""
        self._leave(number)
        self._lines[number].retired = True

    def fail(self, number: int) -> None:
        """A trial that is being trained, or waits, is lost."""
        line = self._lines[number]
        self._leave(number)
        self.running -= line.runs
        line.failed = True
        self._seen[number] = self._view(line)
        for rung, score in enumerate(line.scores):
            _remove(self._ranked[rung], (-score, number))

    @property
    def seen(self) -> Sequence[Seen]:
        """The table as a model takes it; what has not changed is the same object."""
        return self._seen

    @property
    def farthest(self) -> int:
        """Epochs of the longest training that was granted to one that is alive; 0 if none is."""
        alive = (epochs for epochs, n in zip(self._rungs, self._alive, strict=True) if n)
        return max(alive, default=0)

    def paused(self, rung: int) -> list[int]:
        """Who waits at a rung, by number."""
        return sorted(number for _, number in self._paused[rung])

    def any_paused(self, rung: int) -> bool:
        """Whether somebody waits at a rung."""
        return bool(self._paused[rung])

    def best_paused(self, rung: int) -> tuple[int, int] | None:
        """The best of those that wait at a rung, and its rank among all that came so far."""
        if not self._paused[rung]:
            return None
        best = self._paused[rung][0]
        return best[1], bisect_left(self._ranked[rung], best) + 1

    def outcomes(self, rung: int) -> int:
        """How many trials have a score at a rung, those that failed later among them."""
        return self._outcomes[rung]

    def alive(self, rung: int) -> int:
        """How many trials have a score at a rung and have not failed."""
        return len(self._ranked[rung])

    def _view(self, line: Climber) -> Seen:
        return Seen(
            line.params,
            tuple(zip(self._rungs, line.scores, strict=False)),
            target=self._rungs[line.granted - 1] if line.runs else None,
            failed=line.failed,
        )

    def _leave(self, number: int) -> None:
        """Count a trial no longer as one that waits, and as one that is alive."""
        line = self._lines[number]
        if self.waits(number):
            _remove(self._paused[line.reached - 1], (-line.scores[-1], number))
        self._alive[line.granted - 1] -= 1


def _remove(ranked: list[tuple[float, int]], entry: tuple[float, int]) -> None:
    del ranked[bisect_left(ranked, entry)]
