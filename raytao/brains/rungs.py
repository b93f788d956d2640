"""Brackets and rungs, counted in integers.

A *bracket* is one run of successive halving: ``sizes[i]`` trials are trained until ``budgets[i]``
in total, and the best ``sizes[i + 1]`` of them go on. A *rule* says which brackets make up a
Hyperband run for a largest resource ``R`` and a reduction factor ``nu``.

Logarithms are never taken of integers: ``int(log(243) / log(3))`` is 4, and one bracket is lost.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, Literal, TypeAlias

from raytao.errors import BudgetError

Rule: TypeAlias = Literal["tao", "paper"]

DEFAULT_R: Final = 27
DEFAULT_NU: Final = 3
LEAST_MULTIPLIER: Final = 3
"""TAO lowers R until the epoch multiplier reaches this."""
LARGEST_R: Final = 1_000_000
"""Beyond this an R is a slip of the pen: the first rung alone would take years."""
TOLERANCE: Final = 1e-9
"""``27 ** (log(3) / log(27))`` is 3.0000000000000004; other values fall just short of 3."""


@dataclass(frozen=True)
class Bracket:
    """One run of successive halving: ``sizes[i]`` trials until ``budgets[i]`` in total."""

    sizes: tuple[int, ...]
    budgets: tuple[int, ...]

    def scaled(self, multiplier: int) -> Bracket:
        """The same bracket with every budget multiplied: resource units to epochs."""
        return Bracket(self.sizes, tuple(budget * multiplier for budget in self.budgets))

    def capped(self, epochs: int) -> Bracket:
        """Bound every budget by ``epochs``; rungs that then coincide merge into the first.

        >>> Bracket((9, 3, 1), (9, 27, 81)).capped(20)
        Bracket(sizes=(9, 3), budgets=(9, 20))
        """
        below = sum(1 for budget in self.budgets if budget < epochs)
        kept = min(below + 1, len(self.budgets))
        return Bracket(self.sizes[:kept], tuple(min(b, epochs) for b in self.budgets[:kept]))


@dataclass(frozen=True)
class Adjusted:
    """A schedule after auto-adjustment.

    Args:
        R: largest resource, in units of ``multiplier`` epochs.
        nu: reduction factor.
        multiplier: epochs per unit of resource.
        brackets: the schedule; its budgets are epochs.
        notes: what was changed and what it costs, for people.
    """

    R: int
    nu: int
    multiplier: int
    brackets: tuple[Bracket, ...]
    notes: tuple[str, ...]


def floor_log(value: int, base: int) -> int:
    """Largest ``k`` with ``base ** k <= value``; ``value >= 1`` and ``base >= 2``.

    >>> floor_log(243, 3)
    5
    """
    exponent, power = 0, base
    while power <= value:
        exponent, power = exponent + 1, power * base
    return exponent


def brackets(R: int, nu: int, rule: Rule = "tao") -> tuple[Bracket, ...]:
    """The brackets of a Hyperband run, widest first, with budgets in units of resource.

    Args:
        R: largest resource.
        nu: reduction factor: one of ``nu`` trials survives a rung.
        rule: ``tao`` as TAO runs it (TAO facts §2.4.1), ``paper`` as in Li et al., JMLR 2018.

    Raises:
        BudgetError: if R and nu leave no bracket.

    >>> brackets(9, 3)[1]
    Bracket(sizes=(3, 1), budgets=(3, 9))
    """
    _check(R, nu)
    return RULES[rule](R, nu)


def adjust(
    epochs: int,
    R: int | None = None,
    nu: int | None = None,
    multiplier: int | None = None,
    *,
    rule: Rule = "tao",
    cap_epochs: bool = False,
) -> Adjusted:
    """Fill in what the user left out, by TAO's documented rule (TAO facts §2.4.4).

    The multiplier is ``epochs ** (log nu / log R)``; while it is below 3, R is lowered by 1. A
    multiplier from the user is never touched, nor is the R beside it.

    Args:
        epochs: length of a full training, from the user's spec.
        R: the user's largest resource; None means 27.
        nu: the user's reduction factor; None means 3.
        multiplier: the user's epochs per unit of resource; None computes it.
        rule: see `brackets`.
        cap_epochs: bound every rung by ``epochs``.

    Raises:
        BudgetError: if nothing is left to run.
    """
    _require(
        epochs >= 1, f"{epochs} epochs are nothing to train", "set the spec's epochs to 1 or more"
    )
    wanted, factor = DEFAULT_R if R is None else R, DEFAULT_NU if nu is None else nu
    _check(wanted, factor)
    if multiplier is None:
        resource, multiplier = _lower(epochs, wanted, factor)
    else:
        resource = wanted
    _require(
        multiplier >= 1,
        f"epoch_multiplier={multiplier} grants no epoch; it must be at least 1",
        "use epoch_multiplier: 1, or leave it out",
    )
    made = tuple(bracket.scaled(multiplier) for bracket in brackets(resource, factor, rule))
    if cap_epochs:
        made = tuple(bracket.capped(epochs) for bracket in made)
    notes = (*_lowered(R, wanted, resource), *_consequence(made, epochs))
    return Adjusted(resource, factor, multiplier, made, notes)


def _tao(R: int, nu: int) -> tuple[Bracket, ...]:
    """TAO's rule in exact arithmetic: there is no bracket of plain random search (s = 0)."""
    smax = floor_log(R, nu)
    made = []
    for s in range(smax, 0, -1):
        size, budget = (smax + 1) // (s + 1) * nu**s, R // nu**s
        made.append(
            Bracket(
                tuple(size // nu**i for i in range(s + 1)),
                tuple(budget * nu**i for i in range(s + 1)),
            )
        )
    return tuple(made)


def _paper(R: int, nu: int) -> tuple[Bracket, ...]:
    """Algorithm 1 of Li et al.; budgets are rounded down from the top, which stays R."""
    smax = floor_log(R, nu)
    made = []
    for s in range(smax, -1, -1):
        size = -(-(smax + 1) * nu**s // (s + 1))
        made.append(
            Bracket(
                tuple(size // nu**i for i in range(s + 1)),
                tuple(R // nu ** (s - i) for i in range(s + 1)),
            )
        )
    return tuple(made)


RULES: Final[Mapping[Rule, Callable[[int, int], tuple[Bracket, ...]]]] = MappingProxyType(
    {"tao": _tao, "paper": _paper}
)
"""A new schedule is one more function here."""


def _lower(epochs: int, R: int, nu: int) -> tuple[int, int]:
    """Lower R until ``epochs ** (log nu / log R)`` reaches 3; return both.

    Raises:
        BudgetError: if R would fall below nu: that many epochs leave no bracket.
    """

    def multiplier(resource: int) -> float:
        return float(epochs ** (math.log(nu) / math.log(resource)))

    # It falls as R grows: the largest R that will do is looked up, not counted down to.
    enough = bisect_left(
        range(nu, R + 1), True, key=lambda r: multiplier(r) < LEAST_MULTIPLIER - TOLERANCE
    )
    if enough:
        resource = nu + enough - 1
        return resource, int(multiplier(resource) + TOLERANCE)
    raise BudgetError(
        f"{epochs} epochs leave no bracket: R is lowered from {R} until epoch_multiplier is at "
        f"least {LEAST_MULTIPLIER}, and falls below nu={nu}",
        remedy=f"train {LEAST_MULTIPLIER} epochs or more, or give epoch_multiplier yourself",
    )


def _lowered(given: int | None, wanted: int, resource: int) -> tuple[str, ...]:
    """What to tell about a lowered R; louder where the user had chosen it."""
    if resource == wanted:
        return ()
    goal = f"so that epoch_multiplier is at least {LEAST_MULTIPLIER}"
    if given is None:
        return (f"R lowered from {wanted} to {resource} {goal}",)
    return (f"warning: your R={given} is lowered to {resource} {goal}; set it too to keep R",)


def _consequence(made: tuple[Bracket, ...], epochs: int) -> tuple[str, ...]:
    """What the schedule means for the length of the longest training."""
    longest = max(bracket.budgets[-1] for bracket in made)
    if longest == epochs:
        return ()
    return (f"longest training {longest} epochs; the spec says {epochs}",)


def _check(R: int, nu: int) -> None:
    """Refuse what leaves no bracket."""
    _require(
        nu >= 2,
        f"nu={nu} would never drop a trial; it must be at least 2",
        f"use nu: {DEFAULT_NU}, or leave it out",
    )
    _require(
        R <= LARGEST_R,
        f"R={R} is larger than {LARGEST_R:,}",
        f"use R: {DEFAULT_R}, and epoch_multiplier for longer trainings",
    )
    _require(
        max(2, nu) <= R,
        f"R={R} leaves no bracket; R must be at least 2 and at least nu={nu}",
        f"use R: {max(nu, DEFAULT_R)}, or the random brain",
    )


def _require(holds: bool, message: str, remedy: str) -> None:
    """Raise a BudgetError unless ``holds``."""
    if not holds:
        raise BudgetError(message, remedy=remedy)
