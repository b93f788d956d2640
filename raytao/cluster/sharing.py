"""Several runs on one cluster: what each of them may use, as long as all have work.

Every driver keeps a note on the cluster's blackboard: how many trials the cluster would hold if
the run were alone, and how many it has work for. Everybody reads all notes and comes to the same
shares by itself; nobody has to be asked, and nothing has to be up. A note that has not changed for
a while is a dead driver's.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from fractions import Fraction
from typing import Final

from ray.exceptions import RayError

from raytao.cluster import blackboard

NOTES: Final = "share/"

EXPIRES_SECONDS: Final = 20.0
"""After so long without a beat a driver counts as dead: several times the time between two."""


@dataclass(frozen=True)
class Part:
    """What one run says of itself.

    Args:
        whole: trials that it could have at once if it were alone.
        wants: trials that it has work for now.
        beat: changes with every word; nobody else's clock is trusted.
    """

    whole: int
    wants: int
    beat: int = 0


def shares(parts: Sequence[Part]) -> list[int]:
    """Trials at once for each run, in the order of ``parts``; at least one each.

    The cluster is split evenly; what a run has no work for goes to the others, evenly again. A
    trial of a run costs ``1 / whole`` of the cluster. What is left of a trial by rounding down
    goes to the runs that lost most by it, the earlier of equals first, as far as it suffices.

    >>> shares([Part(4, 9), Part(4, 9)]), shares([Part(4, 1), Part(4, 9)])
    ([2, 2], [1, 3])
    """
    exact = _levelled(parts)
    given = [max(1, int(amount)) for amount in exact]
    left = 1 - sum(Fraction(n, part.whole) for n, part in zip(given, parts, strict=True))
    by_loss = sorted(range(len(parts)), key=lambda i: (given[i] - exact[i], i))
    for i in by_loss:
        if given[i] < exact[i] and Fraction(1, parts[i].whole) <= left:
            given[i] += 1
            left -= Fraction(1, parts[i].whole)
    return given


def _levelled(parts: Sequence[Part]) -> list[Fraction]:
    """Fill all runs to one level of the cluster; who wants less stays below it."""
    wanted = [Fraction(min(part.wants, part.whole), part.whole) for part in parts]
    level, left = Fraction(0), Fraction(1)
    for number, want in enumerate(sorted(wanted)):
        below = Fraction(left, len(parts) - number)
        level = max(level, min(want, below))
        left -= min(want, below)
    return [min(want, level) * part.whole for want, part in zip(wanted, parts, strict=True)]


class Shares:
    """One run among those on a cluster; see `joined`.

    Args:
        name: the run's own, unlike all others'.
        clock: monotonic seconds.
    """

    def __init__(self, name: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._key = f"{NOTES}{name}"
        self._clock = clock
        self._beat = 0
        self._heard: dict[str, tuple[bytes, float]] = {}
        self.alone = True
        """Whether no other run was there at the last look."""

    def of(self, whole: int, wants: int) -> int:
        """Tell what this run is about, and learn how many trials it may have.

        It may have what would be its own if it wanted everything, whatever it wants: so a run
        that waits can go on at once, and who took its place gives it back.

        Args:
            whole: trials at once if it were alone.
            wants: trials that it has work for.
        """
        self._beat += 1
        blackboard.write(self._key, json.dumps(asdict(Part(whole, wants, self._beat))).encode())
        others = self._others()
        self.alone = not others
        parts = {**others, self._key: Part(whole, whole)}
        names = sorted(parts)
        return shares([parts[name] for name in names])[names.index(self._key)]

    def leave(self) -> None:
        """This run needs nothing any more."""
        blackboard.wipe(self._key)

    def _others(self) -> Mapping[str, Part]:
        now = self._clock()
        found: dict[str, Part] = {}
        for key in blackboard.keys(NOTES):
            note = None if key == self._key else blackboard.read(key)
            if note is None:
                continue
            said, since = self._heard.get(key, (b"", now))
            since = since if said == note else now
            self._heard[key] = note, since
            if now - since > EXPIRES_SECONDS:
                blackboard.wipe(key)
                continue
            with suppress(ValueError, TypeError, KeyError):  # a later raytao's note
                found[key] = _part(json.loads(note))
        return found


def _part(plain: Mapping[str, int]) -> Part:
    return Part(max(1, int(plain["whole"])), max(1, int(plain["wants"])), int(plain["beat"]))


@contextmanager
def joined(name: str) -> Iterator[Shares]:
    """Be among the runs of this cluster while the block lasts."""
    ours = Shares(name)
    try:
        yield ours
    finally:
        with suppress(RayError):  # then the note expires
            ours.leave()
