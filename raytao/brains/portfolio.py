"""A few configurations of earlier runs that are worth a first try: numbers in, an order out.

A run's scores mean nothing to another run, of other data or another length. What can be compared
is a configuration's *regret*: the share of its run's other results that beat it, 0 for the best,
1 for the worst. Any increasing change of one run's scores leaves it as it is.

A portfolio is chosen greedily, in rounds. At the beginning of a round every run is served with
regret 1; the next member is the configuration that lowers most the sum, over the runs, of the
least regret among the members of this round. Where every configuration is known on its own run
only, a round is therefore the best that is left of each run.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from typing import Final

WORST: Final = 1.0
"""Regret of a run that no member of a round is known on."""


def regrets(scores: Sequence[float]) -> list[float]:
    """Regret of each of a run's results, larger scores being better; equals share the better one.

    >>> regrets([0.5, 0.9, 0.7, 0.9])
    [1.0, 0.0, 0.6666666666666666, 0.0]
    """
    ascending = sorted(scores)
    others = max(len(scores) - 1, 1)
    return [(len(scores) - bisect_right(ascending, score)) / others for score in scores]


def portfolio(
    known: Sequence[Mapping[int, float]],
    baselines: Mapping[int, float],
    size: int,
    alike: Callable[[int, int], bool] = int.__eq__,
) -> list[int]:
    """Choose and order up to ``size`` of the configurations 0, 1, …, ``len(known) - 1``.

    Of equally useful ones the first is the one that beats the baseline of its runs by most, then
    the earlier. A configuration that is the worst of its run is never chosen.

    Args:
        known: for each configuration its regret, by run.
        baselines: regret of each run's own first configuration; none counts as the worst.
        size: most members.
        alike: whether two configurations are nearly the same; one of them is enough.

    >>> portfolio([{0: 0.0}, {0: 0.5}, {1: 0.0}], baselines={0: 0.1, 1: 0.8}, size=3)
    [2, 0, 1]
    """
    margins = [
        sum(baselines.get(run, WORST) - regret for run, regret in one.items()) for one in known
    ]
    runs = {run for one in known for run in one}
    served = dict.fromkeys(runs, WORST)
    chosen: list[int] = []
    left = list(range(len(known)))
    while left and len(chosen) < size:
        gains = {one: _gain(known[one], served) for one in left}
        best = max(left, key=lambda one: (gains[one], margins[one], -one))
        if gains[best] > 0:
            chosen.append(best)
            served |= {run: min(served[run], regret) for run, regret in known[best].items()}
            left = [one for one in left if one != best and not alike(one, best)]
        elif any(regret < WORST for regret in served.values()):
            served = dict.fromkeys(runs, WORST)
        else:
            break
    return chosen


def _gain(regret_by_run: Mapping[int, float], served: Mapping[int, float]) -> float:
    return sum(max(0.0, served[run] - regret) for run, regret in regret_by_run.items())


def thinned(scores: Sequence[float], most: int) -> list[int]:
    """Choose up to ``most`` results: the best half, and the rest spread evenly over the ranks.

    Returns:
        Their places in ``scores``, ascending; of equal scores the earlier ranks first.

    >>> thinned([0.1, 0.9, 0.2, 0.8, 0.3, 0.4, 0.5], most=4)
    [0, 1, 3, 4]
    """
    ranked = sorted(range(len(scores)), key=lambda one: (-scores[one], one))
    if len(ranked) <= most:
        return sorted(ranked)
    best = most - most // 2
    rest, spread = ranked[best:], most // 2
    last = len(rest) - 1
    steps = [last * (n + 1) // spread for n in range(spread)]
    return sorted([*ranked[:best], *(rest[step] for step in steps)])
