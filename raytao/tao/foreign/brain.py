"""Which algorithm searched in a run of TAO: told by the keys of its brain.json (TAO facts 4.3)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from raytao.brains.base import PlanRow
from raytao.tao.foreign.files import count
from raytao.types import Json

BY_KEYS: Final[tuple[tuple[str, frozenset[str]], ...]] = (
    ("BFBO", frozenset({"Xs", "ys", "kappa"})),
    ("Bayesian", frozenset({"Xs", "ys"})),
    ("ASHA", frozenset({"rung_results", "next_config_id"})),
    ("BOHB", frozenset({"ni", "ri", "observations"})),
    ("HyperbandES", frozenset({"ni", "ri", "learning_curves"})),
    ("DEHB", frozenset({"ni", "ri", "population"})),
    ("PBT", frozenset({"population", "generation"})),
    ("Hyperband", frozenset({"ni", "ri", "sh_iter"})),
)
"""Algorithms and the keys that tell them, the most particular ones first."""

LADDERS: Final = frozenset({"BOHB", "HyperbandES", "DEHB", "Hyperband"})
"""Algorithms whose ``ni`` and ``ri`` are brackets of rungs that are closed one by one."""

MOST_RUNGS: Final = 1_000
"""Rungs that are taken for a schedule; Hyperband of R = 10**9 has 190."""


@dataclass(frozen=True)
class ForeignBrain:
    """TAO's algorithm.

    Args:
        name: as TAO's documents write it; empty if its file does not tell.
        numbers: the file's single values, such as Hyperband's bracket.
        rows: Hyperband's schedule in epochs; empty if there is none, or it makes no sense.
        observed: results that its model has been told.
    """

    name: str = ""
    numbers: Mapping[str, Json] = field(default_factory=dict)
    rows: tuple[PlanRow, ...] = ()
    observed: int | None = None


def read_brain(told: Mapping[str, Json]) -> ForeignBrain:
    """The algorithm that a brain.json tells; an empty one tells nothing."""
    name = next((name for name, keys in BY_KEYS if keys <= told.keys()), "")
    known = told.get("ys")
    return ForeignBrain(
        name=name,
        numbers={k: v for k, v in told.items() if isinstance(v, bool | int | float | str)},
        rows=_rows(told) if name in LADDERS else (),
        observed=len(known) if isinstance(known, list) else None,
    )


def _rows(told: Mapping[str, Json]) -> tuple[PlanRow, ...]:
    widths, lengths, times = told["ni"], told["ri"], count(told.get("epoch_multiplier", 1))
    if not (isinstance(widths, dict) and isinstance(lengths, dict) and times):
        return ()
    if widths.keys() != lengths.keys() or not all(count(key) is not None for key in widths):
        return ()
    rows: list[PlanRow] = []
    for bracket, key in enumerate(sorted(widths, key=lambda key: count(key) or 0)):
        rungs = tuple(_bracket(bracket, widths[key], lengths[key], times))
        if not rungs:
            return ()
        rows += rungs
    return tuple(rows) if len(rows) <= MOST_RUNGS else ()


def _bracket(bracket: int, widths: Json, lengths: Json, times: int) -> Iterator[PlanRow]:
    """The rungs of a bracket; none if they are no rising ones."""
    if not (isinstance(widths, list) and isinstance(lengths, list)):
        return
    wide = [known for one in widths if (known := count(one))]
    long = [known for one in lengths if (known := count(one))]
    if len(widths) == len(wide) == len(long) == len(lengths) and long == sorted(set(long)):
        for rung, (trials, epochs) in enumerate(zip(wide, long, strict=True)):
            yield PlanRow(bracket, rung, trials, epochs * times)
